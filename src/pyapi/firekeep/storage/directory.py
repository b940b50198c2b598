"""The directory that holds a database's queue and cache, and what belongs to both."""

import os
import re
import shutil
import stat
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from firekeep.exceptions import DatabaseClosed, StorageError
from firekeep.storage.failures import translated
from firekeep.storage.files import replace_file, used_bytes
from firekeep.storage.forks import check_process
from firekeep.storage.lock import DirectoryLock
from firekeep.storage.place import given_path

__all__ = ["FORMAT", "DirectoryUser", "StoreDirectory"]

DirectoryUser = Literal["client", "emulator"]
"""Whose data a directory holds."""

FORMAT = 1
"""The version of everything in the directory that this firekeep reads and writes."""

_FORMAT_FILE = re.compile(r"format (\d{1,9})\nwritten by (.{1,100})\n", re.ASCII)
_OURS = {"format", "format.new", "lock", "quarantine"}
_CONTENTS: dict[str, set[str]] = {
    "client": {"auth", "queue", "queue.kept", "queue.new", "cache", "pins", "pins.new"},
    "emulator": {"data"},
}
#: What systems put into directories by themselves.
_LITTER = {".DS_Store", "desktop.ini", "Thumbs.db", "lost+found"}
_MAX_QUARANTINED = 3


class StoreDirectory:
    """A directory in use by this process alone, which nobody else on the machine can read.

    ::

        DIR/format          the version of the format, and who wrote it
        DIR/lock            who uses it; see `DirectoryLock`
        DIR/queue/          the writes that wait for the server
        DIR/cache/          what the server said
        DIR/pins            what is to be kept synced, in case that the cache is lost
        DIR/data/           the databases of an emulator, which has no queue and no cache
        DIR/quarantine/     what was damaged, the three newest of each

    Example::

        directory = StoreDirectory.open(path)
        backend = RocksBackend.open(directory.cache, role="cache")
        backend.close()
        directory.close()
    """

    path: Path
    notices: list[str]
    """What opening it had to put right, in plain words."""
    is_damaged: bool
    """Whether the version of the format could not be read: then what it holds counts as damaged."""

    def __init__(
        self, path: Path, user: DirectoryUser, lock: DirectoryLock, notices: list[str]
    ) -> None:
        """Take what `open` has prepared."""
        self.path = path
        self._user: DirectoryUser = user
        self.notices = notices
        self.is_damaged = False
        self._owner_id = os.getpid()
        self._lock: DirectoryLock | None = lock

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        user: DirectoryUser = "client",
        clock: Callable[[], float] = time.time,
    ) -> "StoreDirectory":
        """Create or take the directory; only one that is empty or was made by firekeep will do.

        What a client and what an emulator stores goes into directories of their own. A path that
        begins with ``~`` begins in the home directory.

        If others could read it, they cannot any more, and `notices` says so. `clock` gives Unix
        time, which others are told as the time since when it is in use.

        Raises:
            InvalidArgument: no directory can have that name.
            PersistenceInUse: it is in use, by this process or another; says by which.
            StorageError: it holds other files, belongs to somebody else, was written in a newer
                format, or cannot be used; nothing was changed.
            StorageFull: there is no space.
        """
        place = given_path(path).absolute()
        notices: list[str] = []
        try:
            _prepare(place, user, notices)
        except OSError as error:
            raise translated(error, place) from error
        directory = cls(place, user, DirectoryLock(place / "lock", clock()), notices)
        try:
            directory._settle_format()
        except BaseException:
            directory.close()
            raise
        return directory

    @property
    def queue(self) -> Path:
        """Where the writes that wait are stored."""
        return self.path / "queue"

    @property
    def cache(self) -> Path:
        """Where the server's data are stored."""
        return self.path / "cache"

    @property
    def pins(self) -> Path:
        """Where it is stored what is to be kept synced."""
        return self.path / "pins"

    @property
    def data(self) -> Path:
        """Where an emulator's databases are stored."""
        return self.path / "data"

    def quarantine(self, name: str) -> Path:
        """Move what lies under a name away, and return where it is; the database must be closed.

        Of what was moved away before, the newest two of that name are kept.

        Raises:
            StorageError: it cannot be moved.
        """
        self._check()
        folder = self.path / "quarantine"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            numbers = self._quarantined(name)
            target = folder / f"{name}-{max(numbers, default=0) + 1}"
            os.rename(self.path / name, target)
            for number in sorted(numbers, reverse=True)[_MAX_QUARANTINED - 1 :]:
                _remove(folder / f"{name}-{number}")
        except OSError as error:
            raise translated(error, folder) from error
        return target

    def disk_bytes(self) -> int:
        """Return what everything in it takes on the disk, quarantine included."""
        self._check()
        return used_bytes(self.path)

    def close(self) -> None:
        """Let others use it; the databases in it are closed before. Twice does nothing."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def write_format(self) -> None:
        """Say in which format the directory is; after damage, once its contents are in order.

        Raises:
            StorageFull, StorageError: it cannot be written.
        """
        if (self.path / "format").is_dir():
            self.quarantine("format")
        text = f"format {FORMAT}\nwritten by {_program()}\n"
        replace_file(self.path / "format", text.encode())
        self.is_damaged = False

    def _settle_format(self) -> None:
        """See, now that nobody else can change it, whether the format is known."""
        try:
            is_known = _prepare(self.path, self._user, self.notices)
        except OSError as error:
            raise translated(error, self.path) from error
        if is_known:
            return
        data = _CONTENTS[self._user] - {"auth"}
        if any(os.path.lexists(self.path / name) for name in data):
            self.is_damaged = True
            self.notices.append(
                f"{self.path / 'format'} is missing or damaged, so what lies beside it counts as"
                " damaged too"
            )
        else:
            self.write_format()

    def _check(self) -> None:
        check_process(self._owner_id)
        if self._lock is None:
            raise DatabaseClosed(f"{self.path} is not in use any more")

    def _quarantined(self, name: str) -> list[int]:
        """Return the numbers under which something of that name was moved away."""
        found = [
            re.fullmatch(rf"{re.escape(name)}-([0-9]+)", entry)
            for entry in os.listdir(self.path / "quarantine")
        ]
        return [int(match[1]) for match in found if match is not None]


def _prepare(path: Path, user: DirectoryUser, notices: list[str]) -> bool:
    """Return whether the directory says in which format it is; nothing is changed before.

    Raises:
        StorageError: it is not ours to use.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, writer = _read_format(path)
    if number > FORMAT:
        raise StorageError(
            f"{path} was written by {writer} in format {number}; {_program()} reads format {FORMAT}"
        )
    found = set(os.listdir(path))
    for other, contents in _CONTENTS.items():
        if other != user and found & contents:
            article = "an" if other == "emulator" else "a"
            raise StorageError(f"{path} holds the data of {article} {other}")
    others = sorted(found - _OURS - _CONTENTS[user] - _LITTER)
    if not number and others:
        raise StorageError(
            f"{path} holds other files, such as {others[0]!r:.80}; the data need a directory of"
            " their own"
        )
    if os.name == "posix":
        _close_to_others(path, notices)
    return number > 0


def _read_format(path: Path) -> tuple[int, str]:
    """Return the number of the format and who wrote it; 0 where that cannot be read."""
    try:
        text = (path / "format").read_text("utf-8", "replace")
    except (FileNotFoundError, IsADirectoryError):
        return 0, ""
    match = _FORMAT_FILE.fullmatch(text)
    return (0, "") if match is None else (int(match[1]), match[2])


def _close_to_others(path: Path, notices: list[str]) -> None:
    status = path.stat()
    user = os.geteuid()
    if user not in (0, status.st_uid):
        raise StorageError(f"{path} belongs to user {status.st_uid}, not to {user}")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077 == 0:
        return
    if mode & stat.S_ISVTX:
        raise StorageError(f"{path} is shared (mode {mode:o}); the data need one of their own")
    path.chmod(0o700)
    if path.stat().st_mode & 0o077:
        raise StorageError(f"{path} is open to others (mode {mode:o}) and cannot be closed to them")
    notices.append(f"{path} was open to others (mode {mode:o}); it is closed to them (mode 700)")


def _program() -> str:
    try:
        return f"firekeep {version('firekeep')}"
    except PackageNotFoundError:
        return "firekeep"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
