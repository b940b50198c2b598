"""The queue on disk as the engine sees it: what it is to store, and what it has stored."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from firekeep.engine.effects import Effect, LoadWrites, StoreWrites
from firekeep.engine.requests import PendingWrite
from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.server_value import resolve_timestamps

__all__ = ["Journal", "JournalBatch", "queued_write", "shown_parts"]

# How much of an old queue is read, and sent without an answer, at a time.
_WINDOW_WRITES = 512
_WINDOW_BYTES = 1 << 20


class JournalBatch(NamedTuple):
    """What the queue on disk is to do next, as one unit."""

    added: list[PendingWrite]
    """In the order of their ids."""
    removed: list[int]
    sent_through: int
    """Writes up to this id may be given to a connection from now on."""


class Journal:
    """Which writes are on disk, which have yet to get there, and which are of no more use.

    A write is sent once it is stored (W-41). Of the writes of an earlier process only the
    envelopes are in memory; a payload is read when its turn to be sent has come, or when
    somebody listens where it acts (W-8).
    """

    def __init__(self) -> None:
        self._added: dict[int, PendingWrite] = {}
        self._removed: list[int] = []
        self._perhaps_stored: set[int] = set()
        """Ids of batches that failed: of several writes in one, the disk may hold some."""
        self._noted_through = 0
        """Writes up to this id are marked on disk as perhaps sent."""
        self._is_asked = False
        self._unloaded = _ByPlace()
        self._wanted: set[int] = set()
        """Ids of payloads that have been asked for to be sent, and have not come."""
        self._flying: dict[int, int] = {}
        """Writes that were read to be sent and have no answer, and their sizes in bytes."""
        self._flying_bytes = 0
        self.is_failing = False
        """Whether the disk takes nothing for now: writes are then sent without it."""

    def restore(self, writes: Sequence[PendingWrite]) -> None:
        """Take over the queue of an earlier process, in the order of ids."""
        self._unloaded = _ByPlace(writes)

    def append(self, write: PendingWrite, out: list[Effect]) -> None:
        """Have a new write stored."""
        self._added[write.id] = write
        self._ask(out)

    def remove(self, write: PendingWrite, out: list[Effect]) -> None:
        """Have a write dropped that has an outcome and no effect on the cache."""
        if self._added.pop(write.id, None) is None or write.id in self._perhaps_stored:
            self._removed.append(write.id)
            self._ask(out)
        write.note_stored(None)
        self.land(write.id)
        self._unloaded.forget(write.id)
        self._wanted.discard(write.id)

    def hold(self, write_id: int) -> None:
        """Note that a write is not to be sent for now, so that others may be read in its place."""
        self.land(write_id)
        self._wanted.discard(write_id)

    def land(self, write_id: int) -> None:
        """Note that a write has its answer, so that others may be read in its place."""
        self._flying_bytes -= self._flying.pop(write_id, 0)

    def remove_stored(self, write_ids: Iterable[int], out: list[Effect]) -> None:
        """Have acknowledged writes dropped whose effect the cache has stored."""
        self._removed += write_ids
        if self._removed:
            self._ask(out)

    def take(self, sent_through: int) -> JournalBatch:
        """Return what there is to do; it counts as being done.

        Once it is, writes up to `sent_through` may be given to a connection.
        """
        self._is_asked = False
        batch = JournalBatch(list(self._added.values()), self._removed, sent_through)
        self._added = {}
        self._removed = []
        return batch

    def stored(self, batch: JournalBatch) -> None:
        """Note that a batch is on disk."""
        self.is_failing = False
        self._noted_through = max(self._noted_through, batch.sent_through)
        self._perhaps_stored.difference_update(write.id for write in batch.added)
        self._perhaps_stored.difference_update(batch.removed)
        for write in batch.added:
            write.is_stored = True
            write.note_stored(None)

    def failed(self, batch: JournalBatch, error: Exception) -> None:
        """Take back a batch that the disk did not take; it comes again with the next one."""
        self.is_failing = True
        self._perhaps_stored.update(write.id for write in batch.added)
        # What has got its outcome meanwhile need not be added any more.
        undone = {write.id for write in batch.added}.intersection(self._removed)
        again = {write.id: write for write in batch.added if write.id not in undone}
        self._added = {**again, **self._added}
        self._removed = [*batch.removed, *self._removed]
        for write in batch.added:
            write.note_stored(error)

    def can_send(self, write: PendingWrite, out: list[Effect]) -> bool:
        """Return whether a write is stored, and may be sent as far as the disk goes."""
        if self.is_failing:
            return True
        if not write.is_stored:
            return False
        if write.id > self._noted_through:
            self._ask(out)
            return False
        return True

    def overlapping(self, path: Path) -> list[int]:
        """Return the writes at, above or below a path whose payload has to be read first."""
        return self._unloaded.overlapping(path)

    def ask_for(self, waiting: Iterable[PendingWrite], out: list[Effect]) -> None:
        """Have the next payloads read that are to be sent, unless enough are on their way."""
        if self._wanted or 2 * len(self._flying) > _WINDOW_WRITES:
            return
        if 2 * self._flying_bytes > _WINDOW_BYTES:
            return
        ids: list[int] = []
        for write in waiting:
            if (
                write.is_loaded
                or len(self._flying) == _WINDOW_WRITES
                or self._flying_bytes >= _WINDOW_BYTES
            ):
                break
            ids.append(write.id)
            self._flying[write.id] = write.size_bytes
            self._flying_bytes += write.size_bytes
        self._wanted.update(ids)
        out.append(LoadWrites(ids))

    def loaded(
        self, stored: Sequence[QueuedWrite], writes: Mapping[int, PendingWrite]
    ) -> list[tuple[int, list[tuple[Path, Node]]]]:
        """Take in payloads; return what each write puts where, as the tree is to show it."""
        parts: list[tuple[int, list[tuple[Path, Node]]]] = []
        for envelope, nodes in stored:
            self._wanted.discard(envelope.id)
            write = writes.get(envelope.id)
            if write is None or write.is_loaded:
                continue
            self._unloaded.forget(envelope.id)
            write.is_loaded = True
            if envelope.kind == "set":
                write.payload = nodes[0]
            else:
                write.payload = list(zip(envelope.children, nodes, strict=True))
            parts.append((write.id, shown_parts(write)))
        return parts

    def _ask(self, out: list[Effect]) -> None:
        if not self._is_asked:
            self._is_asked = True
            out.append(StoreWrites())


class _ByPlace:
    """Writes that are not loaded, found by where they act.

    A sub-tree is a range of a sorted list, and a place has few above it.
    """

    def __init__(self, writes: Sequence[PendingWrite] = ()) -> None:
        places = sorted(
            [(place, write.id) for write in writes for place in write.places()],
        )
        self._paths = [place for place, _ in places]
        self._ids = [id for _, id in places]
        self._left = {write.id for write in writes}

    def overlapping(self, path: Path) -> list[int]:
        """Return the ids of those at, above or below a path, in order."""
        if not self._left:
            return []
        found: set[int] = set()
        at = bisect_left(self._paths, path)
        while at < len(self._paths) and path.contains(self._paths[at]):
            found.add(self._ids[at])
            at += 1
        above = path.parent
        while above is not None:
            at = bisect_left(self._paths, above)
            while at < len(self._paths) and self._paths[at] == above:
                found.add(self._ids[at])
                at += 1
            above = above.parent
        return sorted(found & self._left)

    def forget(self, id: int) -> None:
        self._left.discard(id)
        if not self._left:
            self._paths = []
            self._ids = []


def shown_parts(write: PendingWrite) -> list[tuple[Path, Node]]:
    """Return what a loaded write puts where, as the tree shows it: with its own timestamp."""
    payload = write.payload
    if isinstance(payload, list):
        return [
            (write.path.child(child), resolve_timestamps(node, write.server_ms))
            for child, node in payload
        ]
    assert payload is not None
    return [(write.path, resolve_timestamps(payload, write.server_ms))]


def envelope_of(write: PendingWrite, *, maybe_sent: bool) -> WriteEnvelope:
    """Return what is stored of a write besides its payload."""
    payload = write.payload
    return WriteEnvelope(
        write.id,
        write.uid,
        "update" if write.kind == "update" else "set",
        write.path,
        tuple(path for path, _ in payload) if isinstance(payload, list) else (),
        write.created_ms,
        write.server_ms,
        write.size_bytes,
        write.has_increment,
        maybe_sent,
    )


def queued_write(write: PendingWrite) -> QueuedWrite:
    """Return what is stored of a write."""
    payload = write.payload
    if isinstance(payload, list):
        nodes = tuple(node for _, node in payload)
    else:
        assert payload is not None
        nodes = (payload,)
    return QueuedWrite(envelope_of(write, maybe_sent=False), nodes)
