"""Rows that never leave the process, for tests."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence

from firekeep.exceptions import CorruptRecord, DatabaseClosed, StorageFull
from firekeep.storage.backend import Row

__all__ = ["MemoryBackend"]


class MemoryBackend:
    """A `Backend` without a disk, which can be full, be damaged and crash as a disk can.

    Example::

        backend = MemoryBackend()
        backend.commit([(b"a", b"1")], sync=True)
        backend.commit([(b"a", b"2")])
        assert backend.crashed(0).get(b"a") == b"1"
        assert backend.crashed().get(b"a") == b"2"
    """

    is_full: bool
    """Whether commits and syncs raise `StorageFull`; reads go on."""

    def __init__(self, rows: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.is_full = False
        self._rows = dict(rows)
        self._keys = sorted(self._rows)
        self._size_bytes = sum(len(key) + len(value) for key, value in self._rows.items())
        self._synced = dict(self._rows)
        self._unsynced: list[tuple[Row, ...]] = []
        self._damaged: set[bytes] = set()
        self._is_closed = False

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        if type(key) is not bytes:
            raise TypeError(f"a key is bytes, not {key!r:.60}")
        self._check(key)
        return self._rows.get(key)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the rows with start <= key < end, ascending, as they are at this moment."""
        self._check_open()
        keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]
        return _Scan(self._check, [(key, self._rows[key]) for key in keys])

    def first_key(self, start: bytes, end: bytes) -> bytes | None:
        """Return the first key with start <= key < end, or None."""
        self._check_open()
        at = bisect_left(self._keys, start)
        return self._keys[at] if at < len(self._keys) and self._keys[at] < end else None

    def commit(self, rows: Sequence[Row], *, sync: bool = False) -> None:
        """Store all rows or none."""
        self._check_writable()
        for key, value in rows:
            if type(key) is not bytes or type(value) not in (bytes, type(None)):
                raise TypeError(f"a row is bytes and bytes or None, not {key!r:.40}, {value!r:.40}")
        for key, value in rows:
            self._damaged.discard(key)
            if value is not None and key not in self._rows:
                insort(self._keys, key)
            elif value is None and key in self._rows:
                del self._keys[bisect_left(self._keys, key)]
            self._size_bytes += _length(key, value) - _length(key, self._rows.get(key))
            _apply(self._rows, key, value)
        self._unsynced.append(tuple(rows))
        if sync:
            self.sync()

    def sync(self) -> None:
        """Make what is committed outlive the machine."""
        self._check_writable()
        for rows in self._unsynced:
            for key, value in rows:
                _apply(self._synced, key, value)
        self._unsynced.clear()

    def disk_bytes(self) -> int:
        """Return the size of keys and values."""
        self._check_open()
        return self._size_bytes

    def compact(self) -> None:
        """Do nothing: no space is lost here."""
        self._check_open()

    def close(self) -> None:
        """Refuse everything from now on."""
        self._is_closed = True

    @property
    def unsynced_count(self) -> int:
        """How many commits have been made since the last sync."""
        return len(self._unsynced)

    def crashed(self, unsynced_kept: int | None = None) -> "MemoryBackend":
        """Return what the next open finds after a crash at this moment; this one is unaffected.

        The first `unsynced_kept` commits since the last sync have reached the disk by chance: None
        for all, as when only the process ends, 0 for the worst that a power cut can do.
        """
        rows = dict(self._synced)
        for batch in self._unsynced[:unsynced_kept]:
            for key, value in batch:
                _apply(rows, key, value)
        after = MemoryBackend(rows.items())
        after._damaged = self._damaged & rows.keys()
        return after

    def damage(self, key: bytes) -> None:
        """Let reading this key raise `CorruptRecord` until it is written again."""
        self._damaged.add(key)

    def _check_open(self) -> None:
        if self._is_closed:
            raise DatabaseClosed("the storage is closed")

    def _check_writable(self) -> None:
        self._check_open()
        if self.is_full:
            raise StorageFull("no space is left in memory, as the test wants it")

    def _check(self, key: bytes) -> None:
        self._check_open()
        if key in self._damaged:
            raise CorruptRecord(f"the record {key!r:.80} is damaged, as the test wants it")


class _Scan(Iterator[tuple[bytes, bytes]]):
    """Rows one by one; the place is kept when one of them raises, so that it raises again."""

    def __init__(self, check: Callable[[bytes], None], rows: list[tuple[bytes, bytes]]) -> None:
        self._check = check
        self._rows = rows
        self._count = 0

    def __next__(self) -> tuple[bytes, bytes]:
        if self._count == len(self._rows):
            raise StopIteration
        row = self._rows[self._count]
        self._check(row[0])
        self._count += 1
        return row


def _length(key: bytes, value: bytes | None) -> int:
    return 0 if value is None else len(key) + len(value)


def _apply(rows: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        rows.pop(key, None)
    else:
        rows[key] = value
