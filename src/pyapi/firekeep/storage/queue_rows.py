"""How the queue of writes stands in rows.

::

    0           the state                       h <id>   a write without its payload
    1 <bucket>  which ids have gone             p <id>   its payload
    y <bucket>  the same once more              h, p <id> <number>   more of either, where
    z           the state once more                                  that is long

Ids and buckets are 8 bytes, numbers 4, big-endian, so that 9 comes before 10. Each value is a frame
with these as its key, and can be read without its row. What says that a write has gone is written
twice, before and after all others: no single damage to a file takes both.
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
    "MORE_OF_ENVELOPE",
    "MORE_OF_PAYLOAD",
    "PAYLOAD",
    "STATE",
    "STATE_KEY",
    "Gone",
    "QueueState",
    "RowCounts",
    "fresh_rows",
    "gone_keys",
    "gone_rows",
    "joined",
    "more_of",
    "number_of",
    "read_envelope",
    "read_gone",
    "read_payload",
    "read_state",
    "row_counts",
    "rows_bytes",
    "state_rows",
    "write_keys",
    "write_rows",
]

ENVELOPE, PAYLOAD, STATE, GONE, MORE_OF_ENVELOPE, MORE_OF_PAYLOAD = 1, 2, 3, 4, 5, 6
"""The kinds of frames."""

BUCKET_IDS = 512
"""How many consecutive ids one row tells to have gone, or not."""

STATE_KEY = b"0"
GONE_BUCKETS = (b"1", b"2")
"""Between which the rows lie that say which ids have gone."""
ENVELOPES = (b"h", b"i")
"""Between which the rows lie that have a write without its payload."""

_NUMBER = struct.Struct(">Q")
_MORE_NUMBER = struct.Struct(">QI")
_STATE = struct.Struct(">QQQQQ")
_ENVELOPE = struct.Struct(">qqqBHIII")
_LENGTH = struct.Struct(">I")
_IS_UPDATE, _HAS_OWNER, _HAS_INCREMENT, _MAYBE_SENT, _IS_LONG = 1, 2, 4, 8, 16


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


class RowCounts(NamedTuple):
    """In how many rows a write stands; one each as a rule."""

    envelope: int
    """Those without its payload."""
    payload: int


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
    """Return the rows of a write: those without its payload, and those of its payload."""
    envelope, nodes = write
    payload: list[bytes] = []
    for node in nodes:
        encoded = encode_node(node)
        payload += (_LENGTH.pack(len(encoded)), encoded)
    body = b"".join(payload)
    head = _envelope_bytes(envelope, len(body))
    keys = write_keys(envelope.id, RowCounts(_row_count(len(head)), _row_count(len(body))))
    frames = [
        *_frames(ENVELOPE, MORE_OF_ENVELOPE, envelope.id, head),
        *_frames(PAYLOAD, MORE_OF_PAYLOAD, envelope.id, body),
    ]
    return list(zip(keys, frames, strict=True))


def write_keys(write_id: int, counts: RowCounts) -> list[bytes]:
    """Return the keys of those rows."""
    return [*_keys(b"h", write_id, counts.envelope), *_keys(b"p", write_id, counts.payload)]


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
        at = _ENVELOPE.size + (_LENGTH.size if flags & _IS_LONG else 0)
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


def row_counts(first: Frame) -> RowCounts:
    """Return in how many rows a write stands, by the first of them."""
    try:
        *_, flags, _, _, _, payload_bytes = _ENVELOPE.unpack_from(first.body)
        count = 1
        if flags & _IS_LONG:
            (count,) = _LENGTH.unpack_from(first.body, _ENVELOPE.size)
    except struct.error as error:
        raise CorruptRecord(f"the record of write {number_of(first)} is cut off") from error
    return RowCounts(max(1, count), _row_count(payload_bytes))


def joined(frames: Sequence[Frame]) -> Frame:
    """Return what stands in several rows as if it were in one.

    Raises:
        CorruptRecord: they are not all that there is from the first on, one after the other.
    """
    first, *more = frames
    for index, frame in enumerate(more, 1):
        if more_of(frame) != (number_of(first), index):
            raise CorruptRecord(f"a part of the record of write {number_of(first)} is missing")
    return first._replace(body=b"".join(frame.body for frame in frames)) if more else first


def more_of(frame: Frame) -> tuple[int, int]:
    """Return the id of a write, and which row after the first one a frame is from."""
    if len(frame.key) != _MORE_NUMBER.size:
        raise CorruptRecord(f"a record of the queue has the key {frame.key!r:.80}")
    write_id, index = _MORE_NUMBER.unpack(frame.key)
    return write_id, index


def rows_bytes(frame: Frame) -> int:
    """Return what the rows of a write take, keys included, by all of it without the payload."""
    keys = write_keys(number_of(frame), row_counts(frame))
    payload_bytes = int(_ENVELOPE.unpack_from(frame.body)[-1])
    # The key of a frame is that of its row, but for the first byte.
    return sum(2 * len(key) - 1 + FRAME_BYTES for key in keys) + len(frame.body) + payload_bytes


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
    parts = [owner, path]
    for child in envelope.children:
        encoded = path_bytes(child)
        parts += (_LENGTH.pack(len(encoded)), encoded)
    rest = b"".join(parts)
    if _ENVELOPE.size + len(rest) > PIECE_BYTES:
        flags |= _IS_LONG
        rest = _LENGTH.pack(_row_count(_ENVELOPE.size + _LENGTH.size + len(rest))) + rest
    head = _ENVELOPE.pack(
        envelope.created_ms,
        envelope.server_ms,
        envelope.size_bytes,
        flags,
        len(owner),
        len(path),
        len(envelope.children),
        payload_bytes,
    )
    return head + rest


def _row_count(size_bytes: int) -> int:
    return max(1, -(-size_bytes // PIECE_BYTES))


def _keys(letter: bytes, write_id: int, count: int) -> list[bytes]:
    more = [letter + _MORE_NUMBER.pack(write_id, index) for index in range(1, count)]
    return [letter + _NUMBER.pack(write_id), *more]


def _frames(kind: int, kind_of_more: int, write_id: int, body: bytes) -> Iterator[bytes]:
    yield pack_frame(kind, _NUMBER.pack(write_id), body[:PIECE_BYTES])
    for index in range(1, _row_count(len(body))):
        part = body[index * PIECE_BYTES : (index + 1) * PIECE_BYTES]
        yield pack_frame(kind_of_more, _MORE_NUMBER.pack(write_id, index), part)


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
