"""The right to use a directory, which one user at a time has and which ends with its process."""

import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

from firekeep.exceptions import FirekeepError, PersistenceInUse
from firekeep.storage.failures import translated
from firekeep.storage.forks import leave_to_parent

__all__ = ["DirectoryLock"]

#: Of one length, so that writing it over the last one needs no space.
_TEXT_BYTES = 256


class DirectoryLock:
    """A lock on a file that also says who holds it.

    The system lets go of it when the process ends, however it ends; what the file says counts only
    while it is locked. The file stays: if it were removed, two users could each lock one.
    """

    def __init__(self, path: Path, since_s: float) -> None:
        """Take the lock at once, or raise; `since_s`, in Unix time, is told to those who wait.

        Raises:
            PersistenceInUse: somebody has it, this process included; says who and since when.
            StorageFull: there is no space for the file.
            StorageError: it cannot be made or the system cannot lock it.
        """
        self._file: int | None = None
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise translated(error, path) from error
        try:
            if not _is_locked_now(file):
                raise PersistenceInUse(f"{path.parent} is in use by {_holder(file)}")
            _say(file, since_s)
        except OSError as error:
            os.close(file)
            raise translated(error, path) from error
        except FirekeepError:
            os.close(file)
            raise
        self._file = file
        leave_to_parent(self)

    def release(self) -> None:
        """Let others have it; a second time does nothing."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def forked(self) -> None:
        """Close the child's copy, which would keep the lock when the parent has ended."""
        self.release()


def _say(file: int, since_s: float) -> None:
    since = datetime.fromtimestamp(since_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    holder = f"process {os.getpid()} on {socket.gethostname()} since {since}\n"
    os.lseek(file, 0, os.SEEK_SET)
    os.write(file, holder.encode()[:_TEXT_BYTES].ljust(_TEXT_BYTES))


def _holder(file: int) -> str:
    try:
        os.lseek(file, 0, os.SEEK_SET)
        return os.read(file, _TEXT_BYTES).decode("utf-8", "replace").strip("\x00 \n") or "somebody"
    except OSError:
        return "somebody"


if sys.platform == "win32":
    import msvcrt

    #: Far behind the text: others cannot read a byte that is locked.
    _LOCKED_BYTE = 1 << 20

    def _is_locked_now(file: int) -> bool:
        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
else:
    import fcntl

    def _is_locked_now(file: int) -> bool:
        # Not lockf: that lock is lost as soon as this process closes the file anywhere else.
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
