"""The user's side of a transaction."""

import inspect
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from firekeep.driver import Driver, TransactionHandle
from firekeep.engine.transactions import ABORT
from firekeep.exceptions import InvalidArgument
from firekeep.listener import Registrant
from firekeep.snapshot import Snapshot
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path

__all__ = ["ABORT", "Transaction", "TransactionFunction", "TransactionResult", "run_transaction"]

TransactionFunction = Callable[[Any], object]
"""Given the value as plain Python, to change at will; returns the new value, or `ABORT`."""


class TransactionResult(NamedTuple):
    """How a transaction ended."""

    committed: bool
    """False if its function returned `ABORT`."""
    snapshot: Snapshot
    """What it wrote, or what it saw when it aborted."""


class Transaction:
    """A transaction that has begun; it runs whether it is awaited or not.

    Awaiting it gives a `TransactionResult`.

    Raises:
        TransactionAborted: another write of this client took its place.
        TooManyRetries: the data changed each time.
        MaybeApplied: the connection broke when it had been sent.
        ServerError: the server refused.

    Example::

        result = await reference.transaction(lambda value: (value or 0) + 1)
    """

    __slots__ = ("_driver", "_handle", "_path")

    def __init__(self, driver: Driver, handle: TransactionHandle, path: Path) -> None:
        self._driver = driver
        self._handle = handle
        self._path = path

    @property
    def path(self) -> Path:
        """The location."""
        return self._path

    def __await__(self) -> Generator[Any, Any, TransactionResult]:
        """Wait for the outcome."""
        committed, node = yield from self._handle.__await__()
        source = Registrant(self._driver, self._path, QueryParams.DEFAULT)
        snapshot = Snapshot(node, self._path, QueryParams.DEFAULT, source)
        snapshot.fix_metadata()
        return TransactionResult(committed, snapshot)


def run_transaction(
    driver: Driver,
    path: Path,
    fn: TransactionFunction,
    *,
    apply_locally: bool,
    require_server: bool,
) -> Transaction:
    """Begin a transaction.

    Raises:
        InvalidArgument: `fn` cannot be called, or is asynchronous: it may run several times,
            each within one step of the client. Or a flag is no flag.
    """
    if not callable(fn):
        raise InvalidArgument(f"a transaction runs a function, not {fn!r:.60}")
    if inspect.iscoroutinefunction(fn):
        raise InvalidArgument("a transaction's function must not be asynchronous")
    for name, flag in (("apply_locally", apply_locally), ("require_server", require_server)):
        if not isinstance(flag, bool):
            raise InvalidArgument(f"{name} is True or False, not {flag!r:.40}")
    handle = driver.transaction(
        path, fn, apply_locally=apply_locally, require_server=require_server
    )
    return Transaction(driver, handle, path)
