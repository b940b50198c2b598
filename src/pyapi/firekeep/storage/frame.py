"""A record that can be found again in the bytes of a damaged file.

Each one says what and how long it is, and has a checksum over all of that. It begins with bytes
that no text can hold, so that nothing a user or a peer writes looks like a record.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from firekeep.exceptions import CorruptRecord

__all__ = ["FRAME_BYTES", "Frame", "find_frames", "pack_frame", "unpack_frame"]

#: Bytes that are no UTF-8, alone or together.
_MAGIC = b"\xffFK\xfe"
_VERSION = 1
_HEAD = struct.Struct(">4sBBHII")
_CHECKSUM = struct.Struct(">I")
#: Of the head, all but the checksum; then it goes on with the key and the body.
_COVERED_BYTES = _HEAD.size - _CHECKSUM.size
FRAME_BYTES = _HEAD.size
"""What a record takes besides its key and its body."""


class Frame(NamedTuple):
    """A record: its kind and its key say what it is, the body what it holds."""

    kind: int
    key: bytes
    body: bytes


def pack_frame(kind: int, key: bytes, body: bytes) -> bytes:
    """Return the bytes of a record; the key is shorter than 64 KiB, the body than 4 GiB."""
    head = _HEAD.pack(_MAGIC, _VERSION, kind, len(key), len(body), 0)[:_COVERED_BYTES]
    checksum = zlib.crc32(body, zlib.crc32(key, zlib.crc32(head)))
    return b"".join((head, _CHECKSUM.pack(checksum), key, body))


def unpack_frame(data: bytes, kind: int) -> Frame:
    """Return the record that is all of the bytes.

    Raises:
        CorruptRecord: they are none, or one of another kind or of a newer form.
    """
    if len(data) >= FRAME_BYTES:
        magic, version, found, key_bytes, body_bytes, checksum = _HEAD.unpack_from(data)
        rest = data[FRAME_BYTES:]
        if (
            magic == _MAGIC
            and version == _VERSION
            and key_bytes + body_bytes == len(rest)
            and zlib.crc32(rest, zlib.crc32(data[:_COVERED_BYTES])) == checksum
        ):
            if found == kind:
                return Frame(kind, rest[:key_bytes], rest[key_bytes:])
            raise CorruptRecord(f"a record of kind {kind} was expected, not {found}: {data!r:.80}")
        if magic == _MAGIC and version > _VERSION:
            raise CorruptRecord(
                f"a damaged record, or one of form {version} of a newer firekeep: {data!r:.80}"
            )
    raise CorruptRecord(f"a damaged record: {data!r:.80}")


def find_frames(data: bytes) -> Iterator[Frame]:
    """Give every intact record in any bytes, in the order in which they begin."""
    at = data.find(_MAGIC)
    while at >= 0:
        frame = _frame_at(data, at)
        step = 1
        if frame is not None:
            yield frame
            step = FRAME_BYTES + len(frame.key) + len(frame.body)
        at = data.find(_MAGIC, at + step)


def _frame_at(data: bytes, at: int) -> Frame | None:
    if len(data) - at < FRAME_BYTES:
        return None
    magic, version, kind, key_bytes, body_bytes, checksum = _HEAD.unpack_from(data, at)
    start = at + FRAME_BYTES
    middle = start + key_bytes
    end = middle + body_bytes
    if magic != _MAGIC or version != _VERSION or end > len(data):
        return None
    key, body = data[start:middle], data[middle:end]
    head = data[at : at + _COVERED_BYTES]
    if zlib.crc32(body, zlib.crc32(key, zlib.crc32(head))) != checksum:
        return None
    return Frame(kind, key, body)
