"""Keeping the files of a database in proportion to what is stored in it."""

from firekeep.storage.backend import Backend

__all__ = ["LARGE_BYTES", "SpaceKeeper"]

MIB = 1024 * 1024

#: Files that are small whatever is stored: logs, settings, what one commit has just brought.
_SLACK_BYTES = 4 * MIB
_SHARE = 1.5
LARGE_BYTES = 2 * MIB
"""What a commit may bring without anything being said beforehand."""
#: What has to have been written or deleted since the last time, else it would not help.
_WORTH_BYTES = 2 * MIB


class SpaceKeeper:
    """Compacts a database before its files take twice what is alive, and 8 MiB.

    The owner of the rows knows what is alive, RocksDB does not. Asked after each commit, with
    commits of up to 2 MiB, the files never exceed that. A larger commit is on the disk twice for a
    moment, in the log and as a table, or as a table and what compaction makes of it, beside what
    it replaces: while it is taken, its size comes on top, if there was `make_room` for it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._disk_bytes = 0
        self._live_bytes = 0

    def keep(self, live_bytes: int) -> bool:
        """Compact if the files have grown out of proportion; return whether they had.

        `live_bytes` counts keys and values that are stored, or what the cache may hold if that is
        more.
        """
        disk_bytes = self._backend.disk_bytes()
        if disk_bytes <= live_bytes * _SHARE + _SLACK_BYTES:
            return False
        return self._compact(disk_bytes, live_bytes)

    def make_room(self, live_bytes: int, coming_bytes: int) -> bool:
        """Compact what is left over before a large commit; return whether there was anything.

        `live_bytes` counts what is stored, `coming_bytes` what the commit is about to bring.
        """
        if coming_bytes <= LARGE_BYTES:
            return False
        return self._compact(self._backend.disk_bytes(), live_bytes)

    def _compact(self, disk_bytes: int, live_bytes: int) -> bool:
        change_bytes = disk_bytes - self._disk_bytes + self._live_bytes - live_bytes
        if change_bytes < _WORTH_BYTES:
            return False
        self._backend.compact()
        self._disk_bytes = self._backend.disk_bytes()
        self._live_bytes = live_bytes
        return True
