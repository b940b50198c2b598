"""Going through rows of RocksDB, which ends in silence where the rows are damaged unless asked."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from firekeep.exceptions import FirekeepError
from firekeep.storage.forks import keep_for_ever

if TYPE_CHECKING:
    from rocksdict import RdictIter

__all__ = ["RocksScan"]


class RocksScan(Iterator[tuple[bytes, bytes]]):
    """The rows from `start` to before `end`, as they were when the iterator was made.

    The end is looked for here: bounds that are given to RocksDB lie in memory that rocksdict (0.3.29)
    frees while the iterator still compares with it, and then it ends anywhere.

    Until it has ended the database stays locked, even when that is closed: `end` is for that.
    """

    __slots__ = ("__weakref__", "_check", "_end", "_failure", "_rows", "_start", "_translated")

    def __init__(
        self,
        rows: "RdictIter",
        start: bytes,
        end: bytes,
        translated: Callable[[Exception], FirekeepError],
        check: Callable[[], None],
    ) -> None:
        """Take a new iterator.

        `translated` makes errors of those of rocksdict; `check` raises where this process must not
        use it.
        """
        self._rows: RdictIter | None = rows
        self._start: bytes | None = start
        self._end = end
        self._translated = translated
        self._check = check
        self._failure: FirekeepError | None = None

    def __next__(self) -> tuple[bytes, bytes]:
        """Return the next row; a failure is raised again each time."""
        rows = self._rows
        if rows is None:
            if self._failure is None:
                raise StopIteration
            raise type(self._failure)(*self._failure.args)
        self._check()
        try:
            if self._start is not None:
                rows.seek(self._start)
                self._start = None
            if rows.valid():
                key: bytes = rows.key()
                if key < self._end:
                    row: tuple[bytes, bytes] = (key, rows.value())
                    rows.next()
                    return row
            rows.status()
        except Exception as error:
            failure = self._translated(error)
            # The traceback outlives this call, and what it can see keeps the database locked.
            del rows
            self.end(failure)
            raise failure from error
        self._rows = None
        raise StopIteration

    def end(self, failure: FirekeepError) -> None:
        """Let go of the database; going on raises `failure`. One that has ended stays as it is."""
        if self._rows is not None:
            self._rows = None
            self._failure = failure

    def forked(self) -> None:
        """Leave the iterator to the parent process."""
        if self._rows is not None:
            keep_for_ever(self._rows)
