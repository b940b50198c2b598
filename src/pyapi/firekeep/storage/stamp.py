"""How far a database was known to be on the disk, in a file of its own beside its logs."""

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

__all__ = ["SyncStamp"]

_NUMBER = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")


class SyncStamp:
    """The number of the last change that a sync brought to the disk.

    RocksDB does not miss a log that is gone, or one cut off between two records; a database that
    is behind its stamp has lost some. The stamp itself is never synced: it may be old, which tells
    less, but is never ahead of what it stands for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def read(self) -> int:
        """Return the number; 0 if there is none or it is damaged."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return 0
        number = data[: _NUMBER.size]
        if data[_NUMBER.size :] != _CHECKSUM.pack(zlib.crc32(number)):
            return 0
        return int(_NUMBER.unpack(number)[0])

    def write(self, number: int) -> None:
        """Replace the number; in place, so that a full disk does not prevent it.

        Where it cannot be written, as for the first time on a full disk, it tells less.
        """
        data = _NUMBER.pack(number)
        with suppress(OSError):
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.write(self._file, data + _CHECKSUM.pack(zlib.crc32(data)))

    def close(self) -> None:
        """Close the file; a later `write` opens it again."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
