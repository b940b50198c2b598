"""Opening what is stored although it may be damaged, so that no damage keeps an app from starting.

The cache can be fetched again: it is moved away and starts empty. Writes that wait cannot: what
can be read of them is stored anew before anything is moved.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

from firekeep.exceptions import CorruptRecord
from firekeep.storage.directory import StoreDirectory
from firekeep.storage.failures import translated
from firekeep.storage.files import sync_directory
from firekeep.storage.rocksdb import BATCH_ROWS, RocksBackend

__all__ = ["Opened", "Salvage", "Salvager", "forget_kept", "open_cache", "open_queue"]


class Salvage(NamedTuple):
    """What is worth keeping of a damaged queue."""

    rows: Iterable[tuple[bytes, bytes]]
    """Of a new queue; they are asked for once."""
    saved: int
    """How many writes they hold."""
    lost: int
    """How many more are known to have waited."""


Salvager: TypeAlias = Callable[[Path], Salvage]
"""Finds that in the directory with the files of the queue.

It may raise a `StorageError`, which ends the opening, but must not change the files.
"""


class Opened(NamedTuple):
    """A database, and what had to be done about it."""

    backend: RocksBackend
    reports: list[str]
    """In plain words, for a log and the user; empty as a rule."""


def open_cache(directory: StoreDirectory, damage: CorruptRecord | None = None) -> Opened:
    """Open the cache; a damaged one is moved to the quarantine, and an empty one takes its place.

    `damage` is what came to light later, when a row was read: the cache has to be closed then, and
    is not looked at again.

    Raises:
        StorageError: it cannot be opened for a reason other than damage.
    """
    damage = damage or _damage_of(directory)
    if damage is None:
        try:
            return Opened(RocksBackend.open(directory.cache, role="cache"), [])
        except CorruptRecord as error:
            damage = error
    reports: list[str] = []
    if os.path.lexists(directory.cache):
        place = directory.quarantine("cache")
        reports.append(
            f"the cache was damaged ({damage}) and starts empty; the damaged files are in {place}"
        )
    return Opened(RocksBackend.open(directory.cache, role="cache"), reports)


def open_queue(
    directory: StoreDirectory, salvage: Salvager, damage: CorruptRecord | None = None
) -> Opened:
    """Open the queue; of a damaged one, what `salvage` gives is stored in a new one.

    Only when that is on the disk is the damaged one moved to the quarantine: whenever this ends,
    by an error or a crash, the next call finds the one or the other. `damage` is as for
    `open_cache`.

    Raises:
        StorageFull: there is no space for the new one; the damaged one is where it was.
        StorageError: it cannot be opened for a reason other than damage.
    """
    new = directory.path / "queue.new"
    try:
        if os.path.lexists(new) and not os.path.lexists(directory.queue):
            # Everything had been stored in it before the damaged one was moved.
            os.rename(new, directory.queue)
        elif os.path.lexists(new):
            shutil.rmtree(new)
    except OSError as error:
        raise translated(error, new) from error
    damage = damage or _damage_of(directory)
    if damage is None or not os.path.lexists(directory.queue):
        _keep(directory)
        try:
            return Opened(RocksBackend.open(directory.queue, role="queue"), [])
        except CorruptRecord as error:
            damage = error
    _bring_back(directory)
    rows, saved, lost = salvage(directory.queue)
    _store(new, rows)
    place = directory.quarantine("queue")
    try:
        os.rename(new, directory.queue)
        sync_directory(directory.path)
    except OSError as error:
        raise translated(error, new) from error
    report = (
        f"the queue of writes was damaged ({damage}); {_number(saved)} could be saved,"
        f" {_number(lost)} that waited could not, and the damaged files are in {place}"
    )
    return Opened(RocksBackend.open(directory.queue, role="queue"), [report])


def forget_kept(directory: StoreDirectory) -> None:
    """Let go of what `open_queue` has kept of the files, as nothing is missing in the queue."""
    shutil.rmtree(_kept(directory), ignore_errors=True)


def _kept(directory: StoreDirectory) -> Path:
    return directory.path / "queue.kept"


def _keep(directory: StoreDirectory) -> None:
    """Give each file with records a second name, where the system has such.

    RocksDB deletes the tables that its list does not name, and the list may have lost its end.
    """
    with suppress(OSError):
        _kept(directory).mkdir(mode=0o700, exist_ok=True)
        for file in directory.queue.iterdir():
            if file.suffix in (".log", ".sst"):
                with suppress(FileExistsError):
                    os.link(file, _kept(directory) / file.name)


def _bring_back(directory: StoreDirectory) -> None:
    """Put kept files that have gone, or are others now, where the records are searched for."""
    with suppress(OSError):
        for file in _kept(directory).iterdir():
            place = directory.queue / file.name
            if place.exists() and not place.samefile(file):
                place = place.with_name(f"kept-{file.name}")
            with suppress(FileExistsError):
                os.link(file, place)


def _damage_of(directory: StoreDirectory) -> CorruptRecord | None:
    if not directory.is_damaged:
        return None
    return CorruptRecord(f"nobody knows in which format {directory.path} was written")


def _number(writes: int) -> str:
    return "1 write" if writes == 1 else f"{writes} writes"


def _store(path: Path, rows: Iterable[tuple[bytes, bytes]]) -> None:
    """Store the rows in a database of their own, on the disk."""
    backend = RocksBackend.open(path, role="queue")
    try:
        for part in _parts(rows):
            backend.commit(part)
        backend.sync()
    finally:
        backend.close()


def _parts(rows: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    rest = iter(rows)
    while part := list(islice(rest, BATCH_ROWS)):
        yield part
