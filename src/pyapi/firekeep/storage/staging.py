"""Changes to rows that have not been committed, and reading through them."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from firekeep.exceptions import CorruptRecord
from firekeep.storage.backend import Backend
from firekeep.storage.pieces import PIECE_BYTES, joined, split
from firekeep.storage.space import SpaceKeeper
from firekeep_core.store.record import seal, unseal, weight

__all__ = ["FIRST", "LAST", "Staging"]

FIRST, LAST = b"\x01", b"\xff"
"""All rows but the one with the sum lie between these."""

_SUM_KEY = b"\x00"
_SUM_BYTES = 8
_MODULUS = 1 << (8 * _SUM_BYTES)


class Staging:
    """One commit of sealed records in the making: what is read is what would be there after it.

    A long record is several rows, which nobody else need know. The files stay in proportion to
    `least_bytes`, or what is stored if that is more: see `SpaceKeeper`.

    Each commit also stores a sum over all rows there are, whatever their order. A database that
    has lost a table or a log, and shows rows of different moments, does not agree with its sum.
    """

    def __init__(self, backend: Backend, *, least_bytes: int = 0) -> None:
        self._backend = backend
        self._least_bytes = least_bytes
        self._space = SpaceKeeper(backend)
        self._rows: dict[bytes, bytes | None] = {}
        self._keys: list[bytes] = []
        self.growth_bytes = 0
        """How much longer keys and values of all rows become by this commit."""
        self.size_bytes = 0
        """The length of the keys and values of all rows that are committed."""
        self._sum = 0
        self._sum_growth = 0
        self.is_counted = False
        """Whether what is said about the rows that are committed is known to be so."""
        self._gap = (b"", b"")
        """A range in which no row is committed: from the first up to the second key."""

    def count(self) -> None:
        """Read all rows, unless they have been counted and nothing went wrong since.

        Raises:
            CorruptRecord: they are not the rows of one commit.
            StorageError: they cannot be read.
        """
        if self.is_counted:
            return
        size_bytes = total = 0
        for key, value in self._backend.scan(FIRST, LAST):
            size_bytes += len(key) + len(value)
            total += weight(value)
        total %= _MODULUS
        stored = self._backend.get(_SUM_KEY)
        expected = 0 if stored is None else int.from_bytes(unseal(_SUM_KEY, stored), "big")
        if total != expected:
            raise CorruptRecord("the rows are those of different commits")
        self.size_bytes, self._sum, self.is_counted = size_bytes, total, True

    def commit(self) -> None:
        """Store the changes, all or none.

        Raises:
            StorageFull, StorageError: nobody knows whether they have been; `count` finds out.
        """
        if self._rows:
            total = (self._sum + self._sum_growth) % _MODULUS
            record = seal(_SUM_KEY, total.to_bytes(_SUM_BYTES, "big"))
            coming_bytes = sum(len(value) for value in self._rows.values() if value is not None)
            try:
                self._space.make_room(self._live_bytes, coming_bytes)
                self._backend.commit([*self._rows.items(), (_SUM_KEY, record)])
                self._sum = total
                self.size_bytes += self.growth_bytes
                self.clear()
                self._space.keep(self._live_bytes)
            except BaseException:
                self.is_counted = False
                raise
        self.clear()

    @property
    def _live_bytes(self) -> int:
        return max(self._least_bytes, self.size_bytes)

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._rows)

    def get(self, key: bytes) -> bytes | None:
        """Return a record, or None."""
        row = self._row(key)
        return None if row is None else joined(key, row, self._row)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the records from `start` to before `end`; changes made meanwhile may be missed."""
        for key, row in self._scan_rows(start, end):
            yield key, joined(key, row, self._row)

    def is_empty(self, start: bytes, end: bytes) -> bool:
        """Return whether there is no row from `start` to before `end`.

        Rows that are new come side by side as a rule, and what is found for the first of them
        tells of the others.
        """
        gap_start, gap_end = self._gap
        if not (gap_start <= start and end <= gap_end):
            following = self._backend.first_key(start, LAST) or LAST
            self._gap = start, following
            if following < end:
                return next(self.scan(start, end), None) is None
        staged = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]
        return all(self._rows[key] is None for key in staged)

    def put(self, key: bytes, record: bytes) -> None:
        """Write a record."""
        old = self.get(key)
        if old != record:
            if old is not None:
                self.delete_known(key, old)
            self.put_new(key, record)

    def put_new(self, key: bytes, record: bytes) -> None:
        """Write a record that is known not to be there."""
        if len(record) <= PIECE_BYTES:
            self._put_row(key, record)
        else:
            for row in split(key, record):
                self._put_row(*row)

    def delete(self, key: bytes) -> None:
        """Take a record away, if it is there."""
        old = self.get(key)
        if old is not None:
            self.delete_known(key, old)

    def delete_known(self, key: bytes, record: bytes) -> None:
        """Take a record away that is this one."""
        if len(record) <= PIECE_BYTES:
            self._delete_row(key, record)
        else:
            for row in split(key, record):
                self._delete_row(*row)

    def clear(self) -> None:
        """Begin anew."""
        self._rows.clear()
        self._keys.clear()
        self._gap = b"", b""
        self.growth_bytes = self._sum_growth = 0

    def _put_row(self, key: bytes, row: bytes) -> None:
        self.growth_bytes += len(key) + len(row)
        self._sum_growth += weight(row)
        self._set(key, row)

    def _delete_row(self, key: bytes, row: bytes) -> None:
        self.growth_bytes -= len(key) + len(row)
        self._sum_growth -= weight(row)
        self._set(key, None)

    def _row(self, key: bytes) -> bytes | None:
        if key in self._rows:
            return self._rows[key]
        return self._backend.get(key)

    def _scan_rows(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        staged = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]
        if not staged:
            yield from self._backend.scan(start, end)
            return
        position = 0
        for key, value in self._backend.scan(start, end):
            while position < len(staged) and staged[position] < key:
                yield from self._staged(staged[position])
                position += 1
            if position < len(staged) and staged[position] == key:
                yield from self._staged(key)
                position += 1
            else:
                yield key, value
        for key in staged[position:]:
            yield from self._staged(key)

    def _staged(self, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        value = self._rows[key]
        if value is not None:
            yield key, value

    def _set(self, key: bytes, value: bytes | None) -> None:
        if key not in self._rows:
            if not self._keys or key > self._keys[-1]:
                self._keys.append(key)
            else:
                insort(self._keys, key)
        self._rows[key] = value
