"""Finding the writes that wait in what is left of a queue's files.

No file has to be sound and none is changed: every record is looked for in the bytes.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from firekeep.exceptions import CorruptRecord
from firekeep.storage.frame import Frame, find_frames
from firekeep.storage.queue_rows import (
    BUCKET_IDS,
    ENVELOPE,
    GONE,
    MORE_OF_ENVELOPE,
    MORE_OF_PAYLOAD,
    PAYLOAD,
    STATE,
    QueueState,
    fresh_rows,
    joined,
    more_of,
    number_of,
    read_envelope,
    read_gone,
    read_payload,
    read_state,
    row_counts,
)
from firekeep_core.operation.queued_write import QueuedWrite

__all__ = ["SalvagedQueue", "carve"]

#: In a log of RocksDB each block begins with 7 bytes of its own, also in the middle of a record.
_BLOCK_BYTES = 32 * 1024
_BLOCK_HEAD_BYTES = 7


class SalvagedQueue(NamedTuple):
    """What was found in the files of a damaged queue."""

    writes: list[QueuedWrite]
    """In the order of ids, and all of them as ones that may have been sent: whether the last note
    about that was found, nobody can say."""
    lost: int
    """How many more are known to have waited; what the last changes brought may be missing too."""
    next_id: int
    """Above every id of which anything was found."""

    def only(self, write_ids: Collection[int]) -> "SalvagedQueue":
        """Return what was found of these writes, for somebody who knows which of them wait."""
        writes = [write for write in self.writes if write.envelope.id in write_ids]
        return self._replace(writes=writes, lost=len(write_ids) - len(writes))

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Give the rows of a new queue that holds the writes; `WriteJournal` opens it."""
        return fresh_rows(self.writes, self.next_id)


def carve(directory: str | os.PathLike[str]) -> SalvagedQueue:
    """Return every write that waits of which both records are intact in some file.

    A write that has gone does not come back as long as one copy of what the queue last said about
    it is intact. A file that cannot be read counts as empty. Takes memory for all that is found.
    """
    found = _Found()
    for path in _files(Path(directory)):
        try:
            data = path.read_bytes()
        except OSError:
            continue
        for frame in find_frames(data):
            found.add(frame)
        if path.suffix == ".log":
            for frame in find_frames(_without_block_heads(data)):
                found.add(frame)
    return found.result()


def _files(directory: Path) -> list[Path]:
    return [
        Path(folder, name)
        for folder, _, names in sorted(os.walk(directory))
        for name in sorted(names)
        if name.endswith((".log", ".sst"))
    ]


def _without_block_heads(data: bytes) -> bytes:
    return b"".join(
        data[start + _BLOCK_HEAD_BYTES : start + _BLOCK_BYTES]
        for start in range(0, len(data), _BLOCK_BYTES)
    )


class _Found:
    def __init__(self) -> None:
        self._newest: QueueState | None = None
        self._oldest_id = 0
        self._gone: dict[int, int] = {}
        self._envelopes: dict[int, dict[int, Frame]] = {}
        """By id, and by the row in which they stand: 0 is the first."""
        self._payloads: dict[int, dict[int, Frame]] = {}

    def add(self, frame: Frame) -> None:
        """Take a record; one of an unknown kind, or whose body is none of ours, says nothing."""
        try:
            if frame.kind == STATE:
                state = read_state(frame)
                self._oldest_id = max(self._oldest_id, state.oldest_id)
                if self._newest is None or state.sequence > self._newest.sequence:
                    self._newest = state
            elif frame.kind == GONE:
                bucket, bits = read_gone(frame)
                self._gone[bucket] = self._gone.get(bucket, 0) | bits
            elif frame.kind in (ENVELOPE, PAYLOAD):
                self._of(frame).setdefault(number_of(frame), {}).setdefault(0, frame)
            elif frame.kind in (MORE_OF_ENVELOPE, MORE_OF_PAYLOAD):
                write_id, index = more_of(frame)
                self._of(frame).setdefault(write_id, {}).setdefault(index, frame)
        except CorruptRecord:
            pass

    def _of(self, frame: Frame) -> dict[int, dict[int, Frame]]:
        return self._envelopes if frame.kind in (ENVELOPE, MORE_OF_ENVELOPE) else self._payloads

    def result(self) -> SalvagedQueue:
        ids = self._envelopes.keys() | self._payloads.keys()
        waiting = sorted(id for id in ids if not self._is_gone(id))
        writes = [write for write in map(self._write, waiting) if write is not None]
        lost = len(waiting) - len(writes)
        next_id = max(ids, default=0) + 1
        if self._newest is not None:
            next_id = max(next_id, self._newest.next_id)
            known = sum(write.envelope.id < self._newest.next_id for write in writes)
            lost = max(lost, self._newest.pending - known)
        return SalvagedQueue(writes, lost, next_id)

    def _is_gone(self, id: int) -> bool:
        bucket, bit = divmod(id, BUCKET_IDS)
        return id < self._oldest_id or self._gone.get(bucket, 0) >> bit & 1 == 1

    def _write(self, id: int) -> QueuedWrite | None:
        heads, payloads = self._envelopes.get(id, {}), self._payloads.get(id, {})
        try:
            counts = row_counts(heads[0])
            envelope = read_envelope(joined([heads[n] for n in range(counts.envelope)]))
            payload = joined([payloads[n] for n in range(counts.payload)])
            nodes = read_payload(payload, envelope)
        except (KeyError, CorruptRecord):
            return None
        return QueuedWrite(envelope._replace(maybe_sent=True), nodes)
