"""Keeping the files of a database in proportion to what is stored in it."""

from firekeep.storage.backend import Backend

__all__ = ["SpaceKeeper"]

MIB = 1024 * 1024

#: Files that are small whatever is stored: logs, settings, what one commit has just brought.
_SLACK_BYTES = 4 * MIB
_SHARE = 1.5
#: What has to have been written or deleted since the last time, else it would not help.
_WORTH_BYTES = 2 * MIB


class SpaceKeeper:
    """Compacts a database before its files take twice what is alive, and 8 MiB.

    The owner of the rows knows what is alive, RocksDB does not. Asked after each commit, with
    commits of up to 2 MiB, the files never exceed that; a larger commit is on the disk twice for a
    moment, in the log and as a table.
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
        change_bytes = disk_bytes - self._disk_bytes + self._live_bytes - live_bytes
        if change_bytes < _WORTH_BYTES:
            return False
        self._backend.compact()
        self._disk_bytes = self._backend.disk_bytes()
        self._live_bytes = live_bytes
        return True
