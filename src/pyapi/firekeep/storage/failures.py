"""What RocksDB says in plain text, as errors of firekeep."""

from pathlib import Path

from firekeep.exceptions import (
    CorruptRecord,
    FirekeepError,
    PersistenceInUse,
    StorageError,
    StorageFull,
)

__all__ = ["translated"]

_FULL = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "not enough space on the disk",
)
_IN_USE = (
    "lock hold by current process",
    "While lock file",
    "being used by another process",
)
_DAMAGED = ("Corruption:", "does not match existing comparator")
#: While opening: files that a sound database has, and directories that it has not.
_DAMAGED_AT_OPEN = (
    "No such file or directory",
    "Is a directory",
    "Not a directory",
    "does not exist",
)


def translated(error: Exception, path: Path, *, is_opening: bool = False) -> FirekeepError:
    """Return the error to raise for one that rocksdict raised, which has a text and no type."""
    text = str(error)
    if any(phrase in text for phrase in _FULL):
        return StorageFull(f"no space is left for {path}: {text:.300}")
    if any(phrase in text for phrase in _IN_USE):
        return PersistenceInUse(f"{path} is in use: {text:.300}")
    if any(phrase in text for phrase in _DAMAGED) or (
        is_opening and any(phrase in text for phrase in _DAMAGED_AT_OPEN)
    ):
        return CorruptRecord(f"damaged storage at {path}: {text:.300}")
    return StorageError(f"storage failed at {path}: {text:.300}")
