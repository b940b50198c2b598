"""A local server that speaks the real protocol, for tests and for work without a network.

In a program it is `Emulator`; ``firekeep emulator`` is `serve`. Beside the protocol it has
controls: a test may drop, hold, delay and cut what it sends, move its clock, write as an
administrator, refuse what it likes, and add users, who can sign in on the same port.
"""

from firekeep.emulator.accounts import Account, Accounts, unsigned_token
from firekeep.emulator.app import Emulator, serve
from firekeep.emulator.clock import Clock
from firekeep.emulator.connection import Connection
from firekeep.emulator.permissions import Access

__all__ = [
    "Access",
    "Account",
    "Accounts",
    "Clock",
    "Connection",
    "Emulator",
    "serve",
    "unsigned_token",
]
