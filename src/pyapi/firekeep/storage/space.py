"""Keeping the files of a database in proportion to what is stored in it."""

from contextlib import suppress

from firekeep.exceptions import StorageFull
from firekeep.storage.backend import Backend

__all__ = ["SpaceKeeper"]

MIB = 1024 * 1024

#: What the files never exceed: so much for each byte that is stored, and what is small whatever is.
_BOUND_SHARE = 2
_BOUND_BYTES = 8 * MIB
#: Of the bound, what logs and the merging of single tables may take.
_RESERVE_BYTES = 3 * MIB
#: From here on they are compacted, so that what compaction itself takes stays within the bound.
_SHARE = 1.5
_SLACK_BYTES = 4 * MIB
#: A commit of less is covered by that.
_SMALL_BYTES = MIB
#: What has to have been written or deleted since the last time, else it would not help.
_WORTH_BYTES = 2 * MIB


class SpaceKeeper:
    """Compacts a database before its files take twice what is alive, and 8 MiB.

    The owner of the rows knows what is alive, RocksDB does not. The files stay below that at all
    times if each commit is announced, brings no more than is alive before or after it, and is
    followed by the question whether there is something to compact.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._disk_bytes = 0
        self._live_bytes = 0

    def make_room(self, live_bytes: int, coming_bytes: int) -> bool:
        """Compact what is left over, if a commit needs its space; return whether it did.

        `live_bytes` counts keys and values that are stored, or what may be if that is more;
        `coming_bytes` what the commit is about to bring. That may be on the disk twice for a
        moment, as what comes and as what compaction makes of it.
        """
        if coming_bytes <= _SMALL_BYTES:
            return False
        needed_bytes = self._backend.disk_bytes() + 2 * coming_bytes + _RESERVE_BYTES
        if needed_bytes <= _BOUND_SHARE * live_bytes + _BOUND_BYTES:
            return False
        # Even with nothing to gain: on the lowest level, what is there is replaced part by part.
        self._compact(live_bytes)
        return True

    def keep(self, live_bytes: int) -> bool:
        """Compact if the files have grown out of proportion; return whether they had.

        `live_bytes` is as for `make_room`. Without space to do it, all stays as it is: the commit
        before has been made, and it is for the next one to say that the disk is full.
        """
        disk_bytes = self._backend.disk_bytes()
        if disk_bytes <= live_bytes * _SHARE + _SLACK_BYTES:
            return False
        change_bytes = disk_bytes - self._disk_bytes + self._live_bytes - live_bytes
        if change_bytes < _WORTH_BYTES:
            return False
        with suppress(StorageFull):
            self._compact(live_bytes)
        return True

    def _compact(self, live_bytes: int) -> None:
        self._backend.compact()
        self._disk_bytes = self._backend.disk_bytes()
        self._live_bytes = live_bytes
