"""Giving RocksDB the time to tidy up, and seeing that it does."""

from collections.abc import Sequence
from time import sleep
from typing import TYPE_CHECKING

from firekeep.storage.backend import Row

if TYPE_CHECKING:
    from rocksdict import CompactOptions, Rdict

__all__ = ["Upkeep"]

_MAX_WAITING_BUFFERS = 2
_MAX_UNSORTED_FILES = 4
_PAUSE_S = 0.001
#: Compaction may also stop for good, after an error that the next write will be told.
_MAX_PAUSES = 1000


class Upkeep:
    """Compaction of one database, including what RocksDB would leave."""

    def __init__(self, database: "Rdict") -> None:
        self._database = database
        # What was deleted before this was opened is not known, hence anything.
        self._is_all_deleted = True
        self._deleted: tuple[bytes, bytes] | None = None

    def catch_up(self) -> None:
        """Wait until RocksDB is not behind with what has been written before.

        The wait lets other threads run. RocksDB itself would make the next write wait, and that
        one holds the interpreter's lock; its files would also take more space for a while.
        """
        database = self._database
        if self.number("num-immutable-mem-table") > _MAX_WAITING_BUFFERS:
            database.flush(wait=True)
        for _ in range(_MAX_PAUSES):
            if self.number("num-files-at-level0") <= _MAX_UNSORTED_FILES or not (
                self.number("num-running-compactions") or self.number("compaction-pending")
            ):
                break
            sleep(_PAUSE_S)

    def note(self, rows: Sequence[Row]) -> None:
        """Remember what these rows delete."""
        deleted = [key for key, value in rows if value is None]
        if deleted:
            first, last = min(deleted), max(deleted)
            if self._deleted is not None:
                first, last = min(first, self._deleted[0]), max(last, self._deleted[1])
            self._deleted = first, last

    def compact(self) -> None:
        """Rewrite what can become smaller.

        Where rows are written and deleted in one order, as in a queue, the files of deletions
        overlap with no other files: RocksDB moves them down unread, and they stay for ever. So
        the range of deleted keys is rewritten whatever it looks like.
        """
        database = self._database
        database.flush(wait=True)
        database.compact_range(None, None)
        if self._is_all_deleted:
            database.compact_range(None, None, _thoroughly())
        elif self._deleted is not None:
            first, last = self._deleted
            database.compact_range(first, last + b"\x00", _thoroughly())
        self._is_all_deleted, self._deleted = False, None

    def number(self, name: str) -> int:
        """Return a number that RocksDB knows of itself."""
        return int(self._database.property_value(f"rocksdb.{name}") or 0)


def _thoroughly() -> "CompactOptions":
    from rocksdict import BottommostLevelCompaction, CompactOptions

    chosen = CompactOptions()
    chosen.set_bottommost_level_compaction(BottommostLevelCompaction.force_optimized())
    return chosen
