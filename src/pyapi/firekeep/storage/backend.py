"""What the queue and the cache need of a disk, and nothing about how it is done."""

from collections.abc import Iterator, Sequence
from typing import Protocol

__all__ = ["Backend", "Row"]

Row = tuple[bytes, bytes | None]
"""A key and its value; None takes the key away."""


class Backend(Protocol):
    """Rows of bytes in ascending order of their keys, used by one caller at a time.

    Every call may block for as long as the disk does. Keys and values are `bytes` and nothing like
    them, else a `TypeError` is raised. Once closed, every call but `close` raises
    `DatabaseClosed`, and so does going on with a scan.
    """

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None.

        Raises:
            CorruptRecord: what the disk holds cannot be read back.
            StorageError: the disk failed otherwise.
        """
        ...

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the rows with start <= key < end, ascending, as they were when this was called.

        A row is read when it is asked for, and any of them may raise. An empty range, `start` not
        below `end`, has no rows.

        Raises:
            CorruptRecord: the rows from here on cannot be read back; a scan never just ends early.
            StorageError: the disk failed otherwise.
        """
        ...

    def first_key(self, start: bytes, end: bytes) -> bytes | None:
        """Return the first key of the rows that `scan` would give, or None.

        Where many rows have been deleted, and not yet been compacted, this takes as long as they do.

        Raises:
            CorruptRecord, StorageError: as for `scan`.
        """
        ...

    def commit(self, rows: Sequence[Row], *, sync: bool = False) -> None:
        """Store all rows or none; of several with one key the last counts.

        What was committed survives the end of the process, and that of the machine once it is
        synced: after a crash the rows are those of all commits up to some point at or after the
        last sync. With `sync` that point includes this commit when the call returns.

        Raises:
            StorageFull: there is no space. Reads go on, and a later commit succeeds once there is
                space again.
            StorageError: the disk failed otherwise.

        After either, nothing was stored if this was the write that failed, and all of it if that
        was the sync: who goes on commits the same again.
        """
        ...

    def sync(self) -> None:
        """Return once everything committed is on the disk.

        Raises:
            StorageFull, StorageError: as for `commit`; everything stays committed.
        """
        ...

    def disk_bytes(self) -> int:
        """Return the size of all files, logs included; cheap enough to ask after each commit."""
        ...

    def compact(self) -> None:
        """Give the space of deleted and replaced rows back, which takes time."""
        ...

    def close(self) -> None:
        """End the use of it; everything committed is stored. Closing twice does nothing."""
        ...
