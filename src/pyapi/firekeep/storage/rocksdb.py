"""Rows in RocksDB, whose sharp edges end here.

rocksdict is imported at the first open, so that firekeep works where there is no build of it.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from weakref import WeakSet

from firekeep.exceptions import (
    CorruptRecord,
    DatabaseClosed,
    FirekeepError,
    StorageError,
    StorageFull,
    UsageError,
)
from firekeep.storage.backend import Row
from firekeep.storage.failures import translated
from firekeep.storage.files import check_files, free_bytes, log_bytes, remove_settings, used_bytes
from firekeep.storage.forks import (
    check_process,
    keep_for_ever,
    leave_to_parent,
    let_children_end,
)
from firekeep.storage.scan import RocksScan
from firekeep.storage.shadow import Shadow
from firekeep.storage.stamp import SyncStamp
from firekeep.storage.tables import add_as_tables, remove_tables
from firekeep.storage.tuning import Role, Use, options
from firekeep.storage.upkeep import Upkeep

if TYPE_CHECKING:
    from rocksdict import Rdict, WriteBatch

__all__ = ["BATCH_ROWS", "LARGE_BYTES", "RocksBackend"]

BATCH_ROWS = 4000
"""How many rows a commit that need not be one takes at most, for the sake of other threads."""
LARGE_BYTES = 1024 * 1024
"""What a commit brings at most by way of a log; more comes as tables."""

#: What opening writes besides the tables that it makes of the logs.
_OPENING_BYTES = 512 * 1024
#: How often a reader takes another look at files that somebody replaces meanwhile.
_MAX_LOOKS = 10

_user_id: int | None = None
"""The process in which RocksDB has started its threads, which no forked child has."""


class RocksBackend:
    """A `Backend` in a directory, which only one at a time can have open for writing.

    One commit is one batch and holds the interpreter's lock for some 1.5 µs a row, and 2 ms for
    each MiB; what need not be atomic is better committed in parts of `BATCH_ROWS`. One of more
    than `LARGE_BYTES` comes as tables, is synced by that, and holds the lock for some 5 ms for each
    of them and 1 ms more when they are handed over. Syncs, compaction and closing let other threads
    run; opening, some 15 ms, does not.

    When the directory is moved or deleted, RocksDB goes on in files that nobody will find, and makes
    another directory when it needs new ones. Commits and syncs raise a `StorageError` instead.

    RocksDB refuses all writes after one has failed. The next commit or sync then opens it anew if
    there may be space again; scans that are under way end with a `StorageError`.

    Example::

        backend = RocksBackend.open(directory, role="cache")
        backend.commit([(b"a", b"1")], sync=True)
        backend.close()
    """

    def __init__(self, path: Path, use: Use, database: "Rdict", shadow: Shadow | None) -> None:
        """Take what `open` and `open_read_only` have opened."""
        self._path = path
        self._use: Use = use
        self._identity = _identity(path)
        self._database: Rdict | None = database
        self._upkeep = Upkeep(database)
        self._shadow = shadow
        self._stamp = SyncStamp(path / "SYNCED") if use == "queue" else None
        self._scans: WeakSet[RocksScan] = WeakSet()
        self._failure: FirekeepError | None = None
        self._is_closed = False
        self._is_synced = False
        """Whether all that was committed is on the disk, and no more will be."""
        self._owner_id = os.getpid()
        leave_to_parent(self)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, role: Role) -> "RocksBackend":
        """Open or create the database in a directory, which is made if need be.

        Opening writes some files. Where a full disk does not take them, what is stored can be read,
        and commits raise `StorageFull` until there is space.

        A ``queue`` is opened only if nothing that was ever committed can be missing for the end of
        a log or a file that is gone; of a ``cache`` the last commits may be. See `tuning.options`.

        Raises:
            CorruptRecord: the files are damaged; nothing in them was changed that could be read.
            PersistenceInUse: it is open already, here or in another process.
            StorageFull: there is no database yet, and no space for one.
            StorageError: there is no rocksdict, or the directory cannot be used.
            UsageError: this process was forked from one that has used RocksDB.
        """
        place = Path(path)
        try:
            place.mkdir(mode=0o700, exist_ok=True)
        except FileExistsError as error:
            raise CorruptRecord(f"damaged storage: {place} is not a directory") from error
        except OSError as error:
            raise translated(error, place) from error
        check_files(place)
        full: StorageFull | None = None
        try:
            database = _open(place, role)
        except StorageFull as error:
            if not (place / "CURRENT").exists():
                raise
            full = error
            database = _open(place, role, can_write=False)
        backend = cls(place, role, database, None)
        backend._failure = full
        backend._check_stamp()
        return backend

    @classmethod
    def open_read_only(cls, path: str | os.PathLike[str]) -> "RocksBackend":
        """Open a database as it is at this moment, whether or not somebody is writing to it.

        Nothing is written to its directory, nor is anything created where there is none. What is
        committed later is not seen.

        Raises:
            CorruptRecord: the files are damaged.
            StorageError: there is no database, or it cannot be read.
        """
        place = Path(path)
        for attempt in range(_MAX_LOOKS):
            shadow = Shadow(place)
            try:
                check_files(shadow.path, is_in_use=True)
                database = _open(shadow.path, "reader")
            except CorruptRecord as error:
                is_damaged = shadow.is_current() or attempt == _MAX_LOOKS - 1
                shadow.remove()
                # The writer may have replaced files between the listing and the opening.
                if is_damaged:
                    raise CorruptRecord(shadow.named(str(error))) from error
            except BaseException:
                shadow.remove()
                raise
            else:
                return cls(place, "reader", database, shadow)
        raise AssertionError("unreachable")

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        database = self._readable()
        try:
            value: bytes | None = database.get(key)
        except KeyError as error:
            raise _not_bytes(key) from error
        except Exception as error:
            raise self._translated(error) from error
        return value

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the rows with start <= key < end, ascending, as they are at this moment."""
        database = self._readable()
        if start >= end:
            return iter(())
        try:
            scan = RocksScan(database.iter(), start, end, self._translated, self._check)
        except Exception as error:
            raise self._translated(error) from error
        self._scans.add(scan)
        return scan

    def first_key(self, start: bytes, end: bytes) -> bytes | None:
        """Return the first key with start <= key < end, or None."""
        row = next(self.scan(start, end), None)
        return None if row is None else row[0]

    def commit(self, rows: Sequence[Row], *, sync: bool = False) -> None:
        """Store all rows or none, as one batch."""
        size_bytes = _checked_bytes(rows)
        database = self._writable()
        try:
            self._upkeep.catch_up()
            if size_bytes > LARGE_BYTES:
                add_as_tables(database, self._path, rows, options(self._use))
            else:
                database.write(_batch(rows))
            self._upkeep.note(rows)
            if sync:
                self._sync(database)
        except Exception as error:
            raise self._failed(error) from error

    def sync(self) -> None:
        """Return once everything committed is on the disk."""
        database = self._writable()
        try:
            self._sync(database)
        except Exception as error:
            raise self._failed(error) from error

    def disk_bytes(self) -> int:
        """Return what the files take on the disk: some 4 µs for each of some 20."""
        self._check()
        return used_bytes(self._path)

    def compact(self) -> None:
        """Give the space of deleted and replaced rows back: some 15 ms for each MiB rewritten."""
        self._writable()
        try:
            self._upkeep.compact()
        except Exception as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """End the use of it, on the disk if nothing failed before. In a forked child do nothing."""
        if self._is_closed or os.getpid() != self._owner_id:
            return
        self._is_closed = True
        self._end_scans(DatabaseClosed("the storage is closed"))
        database, self._database = self._database, None
        if database is not None and self._is_replaced():
            # Closing would write into the directory that is there instead.
            keep_for_ever(database)
            database = None
        try:
            if database is not None and self._failure is None and self._use != "reader":
                self._sync(database)
                # From here on only tidying up can fail, as it does where it meets damage.
                self._is_synced = True
        except Exception as error:
            raise self._failed(error) from error
        finally:
            if database is not None:
                self._close(database)
            if self._stamp is not None:
                self._stamp.close()
            if self._shadow is not None:
                self._shadow.remove()

    def forked(self) -> None:
        """Leave everything to the parent process."""
        keep_for_ever(self._database)
        for scan in list(self._scans):
            scan.forked()

    def _check(self) -> None:
        check_process(self._owner_id)
        if self._is_closed:
            raise DatabaseClosed("the storage is closed")

    def _check_place(self) -> None:
        if _identity(self._path) != self._identity:
            raise StorageError(
                f"{self._path} was moved or deleted while it was in use; nothing is stored any more"
            )

    def _is_replaced(self) -> bool:
        return self._use != "reader" and _identity(self._path) not in (self._identity, None)

    def _readable(self) -> "Rdict":
        self._check()
        if self._database is None:
            self._check_place()
            self._database = _open(self._path, self._use, can_write=False)
        return self._database

    def _writable(self) -> "Rdict":
        self._check()
        if self._use == "reader":
            raise UsageError(f"{self._path} was opened for reading only")
        self._check_place()
        if self._failure is not None or self._database is None:
            return self._reopen()
        return self._database

    def _reopen(self) -> "Rdict":
        """Open anew after a write has failed; where that fails too, at least for reading."""
        failure = self._failure
        if isinstance(failure, StorageFull) and (
            free_bytes(self._path) < log_bytes(self._path) + _OPENING_BYTES
        ):
            raise StorageFull(*failure.args)
        self._end_scans(StorageError("the storage was opened anew during the scan"))
        database, self._database = self._database, None
        if database is not None:
            self._close(database)
            del database
        try:
            self._database = _open(self._path, self._use)
        except FirekeepError as error:
            self._failure = error
            raise
        self._failure = None
        self._upkeep = Upkeep(self._database)
        self._check_stamp()
        return self._database

    def _close(self, database: "Rdict") -> None:
        try:
            database.close()
        except Exception as error:
            # After a write error closing only says that error again, and closes.
            if self._failure is None and not self._is_synced:
                raise self._translated(error) from error

    def _sync(self, database: "Rdict") -> None:
        # Not with the write: that would wait for the disk under the interpreter's lock.
        database.flush_wal(sync=True)
        if self._stamp is not None:
            self._stamp.write(database.latest_sequence_number())

    def _check_stamp(self) -> None:
        if self._stamp is None or self._database is None:
            return
        last = self._database.latest_sequence_number()
        synced = self._stamp.read()
        if last < synced:
            self.close()
            raise CorruptRecord(
                f"damaged storage at {self._path}: it ends at change {last}, and {synced} were"
                " on the disk"
            )

    def _failed(self, error: Exception) -> FirekeepError:
        self._failure = self._translated(error)
        return self._failure

    def _translated(self, error: Exception) -> FirekeepError:
        if self._shadow is not None:
            error = Exception(self._shadow.named(str(error)))
        return translated(error, self._path)

    def _end_scans(self, failure: FirekeepError) -> None:
        for scan in list(self._scans):
            scan.end(failure)


def _open(path: Path, use: Use, *, can_write: bool = True) -> "Rdict":
    global _user_id
    library = _library()
    if _user_id is not None:
        check_process(_user_id)
    _user_id = os.getpid()
    let_children_end()
    remove_settings(path)
    remove_tables(path)
    is_read_only = use == "reader" or not can_write
    access = (
        library.AccessType.read_only(False) if is_read_only else library.AccessType.read_write()
    )
    try:
        database: Rdict = library.Rdict(str(path), options(use), access_type=access)
    except Exception as error:
        raise translated(error, path, is_opening=True) from error
    database.set_loads(_decode_nothing)
    return database


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the directory at a path from any other; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _library() -> ModuleType:
    try:
        import rocksdict
    except ImportError as error:
        raise StorageError(
            "persistence needs the package rocksdict, which is not installed; there are builds"
            " of it for 64-bit Linux, macOS and Windows on x86"
        ) from error
    return rocksdict


def _checked_bytes(rows: Sequence[Row]) -> int:
    """Return what rows bring; a `TypeError` for what is no bytes."""
    size_bytes = 0
    for key, value in rows:
        if type(key) is not bytes:
            raise _not_bytes(key, value)
        size_bytes += len(key)
        if type(value) is bytes:
            size_bytes += len(value)
        elif value is not None:
            raise _not_bytes(key, value)
    return size_bytes


def _batch(rows: Sequence[Row]) -> "WriteBatch":
    batch: WriteBatch = _library().WriteBatch(raw_mode=True)
    for key, value in rows:
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
    return batch


def _not_bytes(*parts: object) -> TypeError:
    shown = ", ".join(f"{part!r:.60}" for part in parts)
    return TypeError(f"keys and values are bytes and nothing like them: {shown}")


def _decode_nothing(data: bytes) -> object:
    """Stand in for rocksdict's unpickling, which would run whatever the file says."""
    raise StorageError(f"a value of {len(data)} bytes was about to be decoded")
