"""The queue of users' writes, from the call until the server's answer is dealt with."""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from firekeep.exceptions import CorruptRecord
from firekeep.storage.backend import Backend, Row
from firekeep.storage.frame import Frame, unpack_frame
from firekeep.storage.queue_rows import (
    BUCKET_IDS,
    ENVELOPE,
    ENVELOPES,
    GONE,
    GONE_BUCKETS,
    MORE_OF_ENVELOPE,
    MORE_OF_PAYLOAD,
    PAYLOAD,
    STATE,
    STATE_KEY,
    Gone,
    QueueState,
    RowCounts,
    gone_keys,
    gone_rows,
    joined,
    read_envelope,
    read_gone,
    read_payload,
    read_state,
    row_counts,
    rows_bytes,
    state_rows,
    write_keys,
    write_rows,
)
from firekeep.storage.space import SpaceKeeper
from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope

__all__ = ["LoadedWrites", "WriteJournal"]

_ONE_EACH = RowCounts(1, 1)


class LoadedWrites(NamedTuple):
    """Writes with their payloads, and the ids of those that cannot be read back."""

    writes: list[QueuedWrite]
    unreadable: list[int]


class WriteJournal:
    """Writes in the order of their ids, which are never used twice, in the rows of a backend.

    Every call blocks as long as the disk does, is made by one caller at a time, and either takes
    effect or raises a `StorageError` and may be made again. In memory is an id and a size of each
    write. What is appended or removed costs the same however many others wait.
    Source: sync-engine §5.6, I-57…I-59, I-73, I-79.

    Example::

        journal = WriteJournal(backend)
        waiting = journal.open()
        journal.append([write], sync=True)
        journal.remove([write.envelope.id])
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._space = SpaceKeeper(backend)
        self._state = QueueState(0, 1, 1, 0, 0)
        self._sequence = 0
        self._last_id = 0
        """The highest id that has been stored; a later write has a higher one."""
        self._sizes: dict[int, int] = {}
        """What the rows of each write that waits take."""
        self._counts: dict[int, RowCounts] = {}
        """In how many rows a write stands, of those with more than the two."""
        self._order: deque[int] = deque()
        """Ids that wait, ascending, and among them some that have gone meanwhile."""
        self._gone: dict[int, int] = {}
        """Bits of each bucket with ids above the oldest that have gone."""
        self._doubtful: set[int] = set()
        """Ids of appends that failed, of which the disk may hold something all the same."""
        self._sent_before = 0
        self._pending_bytes = 0

    def open(self) -> list[WriteEnvelope]:
        """Return what waits, without payloads, in the order of ids; to be called once, at first.

        Raises:
            CorruptRecord: some of it cannot be read back; see `salvage`.
        """
        self._read_state()
        self._sent_before = self._state.sent_through
        envelopes: list[WriteEnvelope] = []
        rows = self._backend.scan(*ENVELOPES)
        for _, value in rows:
            first = unpack_frame(value, ENVELOPE)
            counts = row_counts(first)
            more = [value for _, value in islice(rows, counts.envelope - 1)]
            frame = _joined(counts.envelope, MORE_OF_ENVELOPE, first, more)
            envelopes.append(self._marked(read_envelope(frame)))
            self._sizes[envelopes[-1].id] = rows_bytes(frame)
            self._note_counts(envelopes[-1].id, counts)
        self._order = deque(self._sizes)
        self._pending_bytes = sum(self._sizes.values())
        self._last_id = self._order[-1] if self._order else self._state.oldest_id - 1
        oldest_id = self._order[0] if self._order else self._state.oldest_id
        if (
            len(envelopes) != self._state.pending
            or oldest_id < self._state.oldest_id
            or self._last_id >= self._state.next_id
        ):
            raise CorruptRecord(
                f"the queue holds {len(envelopes)} writes, {oldest_id} to {self._last_id}, where"
                f" {self._state.pending} from {self._state.oldest_id} to"
                f" {self._state.next_id - 1} should wait"
            )
        return envelopes

    @property
    def next_id(self) -> int:
        """An id above every id ever given in this store."""
        return self._state.next_id

    @property
    def pending_bytes(self) -> int:
        """What the rows of all writes that wait take, keys included."""
        return self._pending_bytes

    @property
    def waiting(self) -> frozenset[int]:
        """The ids of what waits."""
        return frozenset(self._sizes)

    def __len__(self) -> int:
        """Return how many writes wait."""
        return len(self._sizes)

    def append(self, writes: Sequence[QueuedWrite], *, sync: bool) -> None:
        """Store new writes, all or none, in the order of ids and above those stored before.

        Raises:
            InvalidValue: a payload is nested too deep to be stored.
        """
        self.store(writes, (), sync=sync)

    def remove(self, write_ids: Iterable[int]) -> None:
        """Drop writes that have been dealt with; those that do not wait do not count."""
        self.store((), write_ids)

    def note_sent(self, through_id: int) -> None:
        """Note that writes up to this id, which has been given, may be given to a connection."""
        self.store((), (), sent_through=through_id)

    def reserve(self, write_id: int) -> None:
        """Note that an id has been given, to something that is not stored."""
        if write_id >= self._state.next_id:
            self._commit([], [], self._state._replace(next_id=write_id + 1), sync=False)

    def store(
        self,
        added: Sequence[QueuedWrite],
        removed: Iterable[int],
        *,
        sent_through: int = 0,
        sync: bool = False,
    ) -> None:
        """Append, remove and note what may be sent, as one unit; see the methods for each.

        What waits already is not stored again: it may be asked for once more, after an error that
        came when a part had been done.
        """
        dropped = set(removed)
        added = [write for write in added if write.envelope.id not in self._sizes]
        ids = [write.envelope.id for write in added]
        assert ids == sorted(set(ids)) and (not ids or ids[0] > self._last_id)
        last_id = ids[-1] if ids else self._last_id
        rows = {w.envelope.id: write_rows(w) for w in added if w.envelope.id not in dropped}
        sizes = {id: sum(len(key) + len(value) for key, value in rows[id]) for id in rows}
        gone = sorted(id for id in dropped if id in self._sizes)
        if not sizes and not gone and sent_through <= self._state.sent_through:
            if sync:
                self._backend.sync()
            return
        oldest_id = self._oldest(dropped, next(iter(sizes), last_id + 1))
        changed, passed = self._change_gone(gone, oldest_id)
        state = QueueState(
            0,
            max(self._state.next_id, last_id + 1, sent_through + 1),
            oldest_id,
            max(self._state.sent_through, sent_through),
            len(self._sizes) + len(sizes) - len(gone),
        )
        writes: list[Row] = [row for parts in rows.values() for row in parts]
        deleted = [*gone, *self._doubtful.difference(sizes)]
        writes += [(key, None) for id in deleted for key in self._keys(id)]
        writes += [(key, None) for bucket in passed for key in gone_keys(bucket)]
        self._doubtful.update(sizes)
        for id, parts in rows.items():
            if len(parts) > 2:
                self._note_counts(id, row_counts(unpack_frame(parts[0][1], ENVELOPE)))
        pending_bytes = self._pending_bytes + sum(sizes.values())
        pending_bytes -= sum(self._sizes[id] for id in gone)
        self._space.make_room(max(self._pending_bytes, pending_bytes), sum(sizes.values()))
        self._commit(changed, writes, state, sync=sync)
        self._doubtful.clear()
        self._last_id = last_id
        self._pending_bytes = pending_bytes
        for id in gone:
            del self._sizes[id]
        for id in deleted:
            self._counts.pop(id, None)
        self._sizes |= sizes
        self._order.extend(sizes)
        while self._order and self._order[0] < oldest_id:
            self._order.popleft()
        self._gone |= dict(changed)
        for bucket in passed:
            del self._gone[bucket]
        self._space.keep(pending_bytes)

    def load(self, write_ids: Iterable[int]) -> LoadedWrites:
        """Return writes with their payloads, in the order asked; those that do not wait left out.

        Raises:
            StorageError: the disk failed.
        """
        loaded = LoadedWrites([], [])
        for id in write_ids:
            if id not in self._sizes:
                continue
            try:
                loaded.writes.append(self._load(id))
            except CorruptRecord:
                loaded.unreadable.append(id)
        return loaded

    def _load(self, id: int) -> QueuedWrite:
        counts = self._counts.get(id, _ONE_EACH)
        rows = [self._row(key) for key in write_keys(id, counts)]
        head, payload = rows[: counts.envelope], rows[counts.envelope :]
        first = unpack_frame(head[0], ENVELOPE)
        envelope = read_envelope(_joined(counts.envelope, MORE_OF_ENVELOPE, first, head[1:]))
        first = unpack_frame(payload[0], PAYLOAD)
        frame = _joined(counts.payload, MORE_OF_PAYLOAD, first, payload[1:])
        return QueuedWrite(self._marked(envelope), read_payload(frame, envelope))

    def _row(self, key: bytes) -> bytes:
        row = self._backend.get(key)
        if row is None:
            raise CorruptRecord(f"the record {key!r} of a write is missing")
        return row

    def _keys(self, id: int) -> list[bytes]:
        return write_keys(id, self._counts.get(id, _ONE_EACH))

    def _note_counts(self, id: int, counts: RowCounts) -> None:
        if counts != _ONE_EACH:
            self._counts[id] = counts

    def _marked(self, envelope: WriteEnvelope) -> WriteEnvelope:
        if envelope.id > self._sent_before or envelope.maybe_sent:
            return envelope
        return envelope._replace(maybe_sent=True)

    def _read_state(self) -> None:
        value = self._backend.get(STATE_KEY)
        if value is not None:
            self._state = read_state(unpack_frame(value, STATE))
            self._sequence = self._state.sequence
        for _, value in self._backend.scan(*GONE_BUCKETS):
            bucket, bits = read_gone(unpack_frame(value, GONE))
            self._gone[bucket] = bits

    def _oldest(self, dropped: set[int], next_id: int) -> int:
        """Return the oldest id that waits without the dropped ones; `next_id` if none does."""
        for id in self._order:
            if id in self._sizes and id not in dropped:
                return id
        return next_id

    def _change_gone(self, gone: list[int], oldest_id: int) -> tuple[list[Gone], list[int]]:
        """Return buckets with more ids in them, and those that the oldest id leaves behind."""
        changed: dict[int, int] = {}
        for id in gone:
            if id > oldest_id:
                bucket, bit = divmod(id, BUCKET_IDS)
                bits = changed.get(bucket, self._gone.get(bucket, 0))
                changed[bucket] = bits | 1 << bit
        passed: list[int] = []
        if self._gone and oldest_id > self._state.oldest_id:
            end, offset = divmod(oldest_id, BUCKET_IDS)
            passed = [
                bucket
                for bucket, bits in self._gone.items()
                if bucket not in changed
                and (bucket < end or (bucket == end and not bits >> offset))
            ]
        return [Gone(*item) for item in changed.items()], passed

    def _commit(
        self, gone: Sequence[Gone], writes: list[Row], state: QueueState, *, sync: bool
    ) -> None:
        # Another number for each attempt: one that failed may have reached the disk.
        self._sequence += 1
        state = state._replace(sequence=self._sequence)
        first, last = state_rows(state)
        marks = [gone_rows(bucket) for bucket in gone]
        rows: list[Row] = [first]
        rows += [before for before, _ in marks]
        rows += writes
        rows += [after for _, after in marks]
        rows.append(last)
        self._backend.commit(rows, sync=sync)
        self._state = state


def _joined(count: int, kind_of_more: int, first: Frame, more: Sequence[bytes]) -> Frame:
    if len(more) < count - 1:
        raise CorruptRecord(f"the record {first.key!r} of a write is cut off")
    return joined([first, *(unpack_frame(row, kind_of_more) for row in more)])
