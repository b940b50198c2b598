"""``firekeep demo``: two clients, one server, and what the network does to them.

Each step is printed and checked; the command fails if a check does.
"""

from firekeep.demo.story import run

__all__ = ["run"]
