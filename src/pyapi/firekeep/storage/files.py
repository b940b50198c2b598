"""The files of a RocksDB database: how large they are, and whether it can be let near them."""

import os
import shutil
import struct
from pathlib import Path

from firekeep.exceptions import CorruptRecord
from firekeep.storage.failures import translated

__all__ = [
    "check_files",
    "free_bytes",
    "log_bytes",
    "remove_settings",
    "replace_file",
    "sync_directory",
    "used_bytes",
]

SETTINGS = "rocksdict-config.json"

_BLOCK_BYTES = 32 * 1024
_HEADER = struct.Struct("<IHB")
#: Kinds of records that only recycled logs hold, which are never asked for. Where damage makes one
#: of another record, RocksDB 9.8 reads it for ever (facebook/rocksdb#13333).
_RECYCLED_KINDS = frozenset((5, 6, 7, 8, 11, 131))


def used_bytes(path: Path) -> int:
    """Return what all files at or below a directory take on the disk, reserved space included.

    A file that goes away meanwhile does not count.
    """
    total = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += used_bytes(Path(entry.path))
                else:
                    total += _file_bytes(entry.path)
    except FileNotFoundError:
        pass
    return total


def _file_bytes(path: str) -> int:
    try:
        # Windows keeps the sizes that a listing gives up to date for closed files only.
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return 0
    return max(status.st_size, getattr(status, "st_blocks", 0) * 512)


def sync_directory(path: Path) -> None:
    """Bring what files a directory has to the disk; where the system keeps that for itself, not."""
    if os.name != "posix":
        return
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file as a whole, readable by its owner alone: a crash leaves it or the one before.

    Raises:
        StorageFull, StorageError: it cannot be written; the one before is still there.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with open(file, "wb", closefd=False) as stream:
                stream.write(data)
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(new, path)
        sync_directory(path.parent)
    except OSError as error:
        raise translated(error, path) from error


def free_bytes(path: Path) -> int:
    """Return what can still be written where a directory is, as far as the system says."""
    return shutil.disk_usage(path).free


def log_bytes(path: Path) -> int:
    """Return the size of the logs of writes, which the next open makes tables of."""
    return sum(_file_bytes(str(log)) for log in path.glob("*.log"))


def check_files(path: Path, *, is_in_use: bool = False) -> None:
    """Refuse what RocksDB would not notice or would not come back from.

    `is_in_use` says that somebody may be writing at this moment.

    Raises:
        CorruptRecord: a log has a record on which RocksDB never ends; the list of tables breaks
            off, and RocksDB would take the tables that are missing in it for leftovers; there are
            tables and no ``CURRENT``, which RocksDB takes for a new database; or there is a
            directory in the place of a file.
        StorageError: the files cannot be read.
    """
    names: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                names.append(entry.name)
                if entry.is_dir():
                    raise CorruptRecord(f"damaged storage: {entry.path} is a directory")
                is_list = entry.name.startswith("MANIFEST-")
                if is_list or entry.name.endswith(".log"):
                    fault = fault_in_log(entry.path, may_break_off=is_in_use or not is_list)
                    if fault is not None:
                        raise CorruptRecord(f"damaged storage: {entry.path}, {fault}")
    except OSError as error:
        raise translated(error, path, is_opening=True) from error
    if "CURRENT" not in names and any(name.endswith((".sst", ".log")) for name in names):
        raise CorruptRecord(f"damaged storage: {path / 'CURRENT'} is missing")


def fault_in_log(path: str | os.PathLike[str], *, may_break_off: bool) -> str | None:
    """Return what is wrong with the framing of a log of RocksDB, or None; checksums aside.

    A log is made of blocks of 32 KiB, these of records with checksum, length and kind, which is
    followed just as RocksDB does.
    """
    with open(path, "rb") as file:
        start = 0
        while block := file.read(_BLOCK_BYTES):
            offset = 0
            while offset + _HEADER.size <= len(block):
                _, length, kind = _HEADER.unpack_from(block, offset)
                if kind in _RECYCLED_KINDS:
                    return f"byte {start + offset}: a record of the kind {kind}"
                if kind == 0 and length == 0:
                    # Space that was reserved; the rest of a block is not looked at.
                    offset = len(block) if may_break_off else offset
                    break
                offset += _HEADER.size + length
            if not may_break_off and not _ends_well(block, offset):
                return f"byte {start + offset}: it breaks off"
            start += len(block)
    return None


def _ends_well(block: bytes, offset: int) -> bool:
    if len(block) < _BLOCK_BYTES:
        return offset == len(block)
    return len(block) - _HEADER.size < offset <= len(block)


def remove_settings(path: Path) -> None:
    """Take away the file in which rocksdict keeps how keys are ordered and values are decoded.

    What it says would win over what is passed, and it is neither written atomically nor synced.

    Raises:
        StorageError: it cannot be removed.
    """
    try:
        (path / SETTINGS).unlink(missing_ok=True)
    except OSError as error:
        raise translated(error, path) from error
