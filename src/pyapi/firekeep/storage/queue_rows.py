"""How the queue of writes stands in rows.

::

    0           the state                       h <id>   a write without its payload
    1 <bucket>  which ids have gone             p <id>   its payload
    y <bucket>  the same once more              p <id> <number>, where that is long: a piece of it
    z           the state once more

Ids and buckets are 8 bytes, numbers of pieces 4, big-endian, so that 9 comes before 10. Each value
is a frame with these as its key, and can be read without its row. What says that a write has gone is written twice,
before and after all others: no single damage to a file takes both.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from firekeep.exceptions import CorruptRecord
from firekeep.storage.frame import FRAME_BYTES, Frame, pack_frame
from firekeep.storage.pieces import PIECE_BYTES
from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.store.layout import path_bytes, path_from_bytes
from firekeep_core.store.record import decode_node, encode_node

__all__ = [
    "BUCKET_IDS",
    "ENVELOPE",
    "ENVELOPES",
    "GONE",
    "GONE_BUCKETS",
    "PAYLOAD",
    "PIECE",
    "STATE",
    "STATE_KEY",
    "Gone",
    "QueueState",
    "envelope_key",
    "fresh_rows",
    "gone_keys",
    "gone_rows",
    "joined_payload",
    "number_of",
    "payload_keys",
    "piece_of",
    "pieces_of",
    "read_envelope",
    "read_gone",
    "read_payload",
    "read_state",
    "rows_bytes",
    "state_rows",
    "write_rows",
]

ENVELOPE, PAYLOAD, STATE, GONE, PIECE = 1, 2, 3, 4, 5
"""The kinds of frames."""

BUCKET_IDS = 512
"""How many consecutive ids one row tells to have gone, or not."""

STATE_KEY = b"0"
GONE_BUCKETS = (b"1", b"2")
"""Between which the rows lie that say which ids have gone."""
ENVELOPES = (b"h", b"i")
"""Between which the rows lie that have a write without its payload."""

_NUMBER = struct.Struct(">Q")
_PIECE_NUMBER = struct.Struct(">QI")
_STATE = struct.Struct(">QQQQQ")
_ENVELOPE = struct.Struct(">qqqBHIII")
_PAYLOAD_BYTES_AT = _ENVELOPE.size - 4
_LENGTH = struct.Struct(">I")
_IS_UPDATE, _HAS_OWNER, _HAS_INCREMENT, _MAYBE_SENT = 1, 2, 4, 8


class QueueState(NamedTuple):
    """What is true of the whole queue; no part of it ever decreases but `pending`."""

    sequence: int
    """How many states there were before this one."""
    next_id: int
    """Above every id ever given."""
    oldest_id: int
    """No write below it waits, or ever will again."""
    sent_through: int
    """Writes up to this id may have been given to a connection."""
    pending: int
    """How many writes wait."""


class Gone(NamedTuple):
    """Which ids of a bucket have gone although older ones wait."""

    bucket: int
    bits: int
    """Bit i stands for the id ``bucket * BUCKET_IDS + i``."""


def state_rows(state: QueueState) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """Return the first and the last row of a batch."""
    frame = pack_frame(STATE, _NUMBER.pack(0), _STATE.pack(*state))
    return (STATE_KEY, frame), (b"z", frame)


def gone_rows(gone: Gone) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """Return the rows that are written before and after others."""
    number = _NUMBER.pack(gone.bucket)
    frame = pack_frame(GONE, number, gone.bits.to_bytes(BUCKET_IDS // 8, "little"))
    return (b"1" + number, frame), (b"y" + number, frame)


def gone_keys(bucket: int) -> tuple[bytes, bytes]:
    """Return the keys of those rows."""
    number = _NUMBER.pack(bucket)
    return b"1" + number, b"y" + number


def write_rows(write: QueuedWrite) -> list[tuple[bytes, bytes]]:
    """Return the rows of a write: the one without its payload, and those of its payload."""
    envelope, nodes = write
    number = _NUMBER.pack(envelope.id)
    payload: list[bytes] = []
    for node in nodes:
        encoded = encode_node(node)
        payload += (_LENGTH.pack(len(encoded)), encoded)
    body = b"".join(payload)
    head = pack_frame(ENVELOPE, number, _envelope_bytes(envelope, len(body)))
    rows = [(envelope_key(envelope.id), head)]
    keys = payload_keys(envelope.id, _piece_count(len(body)))
    if len(keys) == 1:
        return [*rows, (keys[0], pack_frame(PAYLOAD, number, body))]
    for index, key in enumerate(keys):
        part = body[index * PIECE_BYTES : (index + 1) * PIECE_BYTES]
        rows.append((key, pack_frame(PIECE, _PIECE_NUMBER.pack(envelope.id, index), part)))
    return rows


def envelope_key(write_id: int) -> bytes:
    """Return the key of the row that has a write without its payload."""
    return b"h" + _NUMBER.pack(write_id)


def payload_keys(write_id: int, pieces: int) -> list[bytes]:
    """Return the keys of the rows that have a payload; one piece is the whole."""
    if pieces == 1:
        return [b"p" + _NUMBER.pack(write_id)]
    return [b"p" + _PIECE_NUMBER.pack(write_id, index) for index in range(pieces)]


def fresh_rows(writes: Sequence[QueuedWrite], next_id: int) -> Iterator[tuple[bytes, bytes]]:
    """Give all rows of a new queue that holds these writes, in the order of their ids."""
    oldest_id = writes[0].envelope.id if writes else next_id
    first, last = state_rows(QueueState(0, next_id, oldest_id, 0, len(writes)))
    yield first
    for write in writes:
        yield from write_rows(write)
    yield last


def read_state(frame: Frame) -> QueueState:
    """Return the state that a frame holds; this and the others raise CorruptRecord."""
    _check_size(frame, _STATE.size)
    return QueueState(*_STATE.unpack(frame.body))


def read_gone(frame: Frame) -> Gone:
    """Return which ids of a bucket have gone."""
    _check_size(frame, BUCKET_IDS // 8)
    return Gone(number_of(frame), int.from_bytes(frame.body, "little"))


def read_envelope(frame: Frame) -> WriteEnvelope:
    """Return a write without its payload."""
    number, body = number_of(frame), frame.body
    try:
        created_ms, server_ms, size_bytes, flags, owner_bytes, path_size, count, _ = (
            _ENVELOPE.unpack_from(body)
        )
        at = _ENVELOPE.size
        owner = None
        if flags & _HAS_OWNER:
            owner = body[at : at + owner_bytes].decode("utf-8", "surrogatepass")
        at += owner_bytes
        path = path_from_bytes(body[at : at + path_size])
        children: tuple[Path, ...] = ()
        if count:
            children = tuple(path_from_bytes(part) for part in _parts(frame, at + path_size))
    except (struct.error, UnicodeDecodeError) as error:
        raise CorruptRecord(f"the record of write {number} is damaged: {error}") from error
    if len(children) != count:
        raise CorruptRecord(f"the record of write {number} is damaged: {count} children")
    return WriteEnvelope(
        number,
        owner,
        "update" if flags & _IS_UPDATE else "set",
        path,
        children,
        created_ms,
        server_ms,
        size_bytes,
        flags & _HAS_INCREMENT > 0,
        flags & _MAYBE_SENT > 0,
    )


def rows_bytes(frame: Frame) -> int:
    """Return what the rows of a write take, keys included, by its record without the payload."""
    keys = [envelope_key(number_of(frame)), *payload_keys(number_of(frame), pieces_of(frame))]
    # The key of a frame is that of its row, but for the first byte.
    in_keys_and_heads = sum(2 * len(key) - 1 + FRAME_BYTES for key in keys)
    return in_keys_and_heads + len(frame.body) + _payload_bytes(frame)


def pieces_of(frame: Frame) -> int:
    """Return in how many pieces a write's payload is, by its record without it."""
    return _piece_count(_payload_bytes(frame))


def piece_of(frame: Frame) -> tuple[int, int]:
    """Return the id of a write, and which piece of its payload a frame holds."""
    if len(frame.key) != _PIECE_NUMBER.size:
        raise CorruptRecord(f"a record of the queue has the key {frame.key!r:.80}")
    write_id, index = _PIECE_NUMBER.unpack(frame.key)
    return write_id, index


def joined_payload(write_id: int, pieces: Sequence[bytes]) -> Frame:
    """Return the payload whose pieces these are, all of them and in order."""
    return Frame(PAYLOAD, _NUMBER.pack(write_id), b"".join(pieces))


def read_payload(frame: Frame, envelope: WriteEnvelope) -> tuple[Node, ...]:
    """Return the payload of the write that `envelope` is of."""
    nodes = tuple(decode_node(part) for part in _parts(frame, 0))
    if len(nodes) != (len(envelope.children) if envelope.kind == "update" else 1):
        raise CorruptRecord(f"the payload of write {envelope.id} has {len(nodes)} parts")
    return nodes


def _envelope_bytes(envelope: WriteEnvelope, payload_bytes: int) -> bytes:
    flags = 0
    owner = b""
    if envelope.kind == "update":
        flags |= _IS_UPDATE
    if envelope.owner is not None:
        flags |= _HAS_OWNER
        owner = envelope.owner.encode("utf-8", "surrogatepass")
    if envelope.has_increment:
        flags |= _HAS_INCREMENT
    if envelope.maybe_sent:
        flags |= _MAYBE_SENT
    path = path_bytes(envelope.path)
    parts = [
        _ENVELOPE.pack(
            envelope.created_ms,
            envelope.server_ms,
            envelope.size_bytes,
            flags,
            len(owner),
            len(path),
            len(envelope.children),
            payload_bytes,
        ),
        owner,
        path,
    ]
    for child in envelope.children:
        encoded = path_bytes(child)
        parts += (_LENGTH.pack(len(encoded)), encoded)
    return b"".join(parts)


def _payload_bytes(frame: Frame) -> int:
    try:
        (length,) = _LENGTH.unpack_from(frame.body, _PAYLOAD_BYTES_AT)
    except struct.error as error:
        raise CorruptRecord(f"the record of write {number_of(frame)} is cut off") from error
    return int(length)


def _piece_count(payload_bytes: int) -> int:
    return max(1, -(-payload_bytes // PIECE_BYTES))


def _parts(frame: Frame, at: int) -> Iterator[bytes]:
    """Give what stands from there to the end, each part with its length before it."""
    body = frame.body
    while at < len(body):
        start = at + _LENGTH.size
        at = start + int.from_bytes(body[at:start], "big")
        if not start <= at <= len(body):
            raise CorruptRecord(f"the record of write {number_of(frame)} is cut off")
        yield body[start:at]


def number_of(frame: Frame) -> int:
    """Return the id or the bucket that a frame is of."""
    if len(frame.key) != _NUMBER.size:
        raise CorruptRecord(f"a record of the queue has the key {frame.key!r:.80}")
    return int.from_bytes(frame.key, "big")


def _check_size(frame: Frame, size: int) -> None:
    if len(frame.body) != size:
        raise CorruptRecord(f"a record of the queue has {len(frame.body)} bytes, not {size}")
