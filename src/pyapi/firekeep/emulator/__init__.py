"""A local server that speaks the real protocol, for tests and for work without a network.

In a program it is `Emulator`; ``firekeep emulator`` is `serve`. Beside the protocol it has
controls: a test may drop, hold, delay and cut what it sends, move its clock, write as an
administrator, and refuse what it likes.
"""

from firekeep.emulator.app import Emulator, serve
from firekeep.emulator.clock import Clock
from firekeep.emulator.connection import Connection

__all__ = ["Clock", "Connection", "Emulator", "serve"]
