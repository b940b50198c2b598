"""The queue on disk, against a dictionary; disks that fill up, fail, crash and are damaged."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.api.storage.queue import ids, queued_writes, sent, set_of, update_of

from firekeep.exceptions import CorruptRecord, InvalidValue, StorageError, StorageFull
from firekeep.storage.backend import Row
from firekeep.storage.memory import MemoryBackend
from firekeep.storage.pieces import PIECE_BYTES
from firekeep.storage.queue_rows import STATE_KEY, RowCounts, write_keys
from firekeep.storage.write_journal import WriteJournal
from firekeep_core.operation.queued_write import QueuedWrite
from firekeep_core.snap.node import EMPTY, from_scalar
from firekeep_core.snap.path import Path

ONE_EACH = RowCounts(1, 1)


def opened(backend: MemoryBackend) -> WriteJournal:
    journal = WriteJournal(backend)
    journal.open()
    return journal


class Model:
    """The obvious queue."""

    def __init__(self) -> None:
        self.writes: dict[int, QueuedWrite] = {}
        self.next_id = 1
        self.sent_through = 0

    def copy(self) -> "Model":
        other = Model()
        other.writes = dict(self.writes)
        other.next_id, other.sent_through = self.next_id, self.sent_through
        return other


class JournalMachine(RuleBasedStateMachine):
    """Whatever is done, and however the disk is left, the queue is what the model says."""

    def __init__(self) -> None:
        super().__init__()
        self.backend = MemoryBackend()
        self.journal = opened(self.backend)
        self.model = Model()
        self.past = [self.model.copy()]
        """What a power cut may leave: the model at the last sync, and after each commit since."""
        self.last_id = 0

    def committed(self) -> None:
        self.past = self.past[: self.backend.unsynced_count]
        self.past.append(self.model.copy())

    @rule(data=st.data(), count=st.integers(0, 4), gap=st.integers(0, 600), sync=st.booleans())
    def append(self, data: st.DataObject, count: int, gap: int, sync: bool) -> None:
        first = max(self.journal.next_id, self.last_id + 1) + gap
        writes = [data.draw(queued_writes(first + i)) for i in range(count)]

        self.journal.append(writes, sync=sync)

        for write in writes:
            self.model.writes[write.envelope.id] = write
            self.last_id = write.envelope.id
            self.model.next_id = write.envelope.id + 1
        self.committed()

    @rule(data=st.data(), count=st.integers(0, 3), more=st.integers(0, 2))
    def replace(self, data: st.DataObject, count: int, more: int) -> None:
        removed = data.draw(st.sets(st.sampled_from([0, *self.model.writes]), max_size=4))
        writes = [set_of(self.journal.next_id + i, i) for i in range(count)]
        through = self.model.sent_through + more

        self.journal.store(writes, removed, sent_through=through)

        for write_id in removed:
            self.model.writes.pop(write_id, None)
        self.model.writes |= {write.envelope.id: write for write in writes}
        self.model.next_id = max(self.model.next_id + count, through + 1)
        self.model.sent_through = through
        self.committed()

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        removed = data.draw(st.lists(st.sampled_from([0, 7, *self.model.writes]), max_size=9))

        self.journal.remove(removed)

        for write_id in removed:
            self.model.writes.pop(write_id, None)
        self.committed()

    @rule()
    def remove_the_oldest(self) -> None:
        removed = list(self.model.writes)[:1]

        self.journal.remove(removed)

        self.model.writes = dict(list(self.model.writes.items())[1:])
        self.committed()

    @rule(ahead=st.integers(-2, 2))
    def note_sent(self, ahead: int) -> None:
        self.journal.note_sent(self.model.next_id + ahead)

        through = self.model.next_id + ahead
        if through > self.model.sent_through:
            self.model.sent_through = through
            self.model.next_id = max(self.model.next_id, through + 1)
        self.committed()

    @rule(ahead=st.integers(-3, 3))
    def reserve(self, ahead: int) -> None:
        self.journal.reserve(self.model.next_id + ahead)

        self.model.next_id = max(self.model.next_id, self.model.next_id + ahead + 1)
        self.committed()

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        self.backend.is_full = True

        with pytest.raises(StorageFull):
            self.journal.append([set_of(self.journal.next_id, 1)], sync=data.draw(st.booleans()))
        if self.model.writes:
            with pytest.raises(StorageFull):
                self.journal.remove(self.model.writes)

        self.backend.is_full = False

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        kept = data.draw(st.integers(0, self.backend.unsynced_count))
        self.backend = self.backend.crashed(kept)
        self.model = self.past[kept].copy()
        self.past = [self.model.copy()]
        self.last_id = max(self.model.writes, default=0)

        self.journal = WriteJournal(self.backend)
        waiting = self.journal.open()

        for write_id, write in self.model.writes.items():
            if write_id <= self.model.sent_through:
                self.model.writes[write_id] = sent(write)
        assert waiting == [write.envelope for write in self.model.writes.values()]

    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        wanted = data.draw(st.permutations([0, *self.model.writes]))

        loaded = self.journal.load(wanted)

        assert loaded.writes == [self.model.writes[id] for id in wanted if id]
        assert loaded.unreadable == []

    @invariant()
    def it_counts_as_the_model_does(self) -> None:
        assert len(self.journal) == len(self.model.writes)
        assert self.journal.next_id == self.model.next_id
        assert self.journal.pending_bytes == sum(
            len(key) + len(value)
            for kind in (b"h", b"p")
            for key, value in self.backend.scan(kind, kind + b"\xff")
        )


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=60, stateful_step_count=25)


@given(st.integers(1, 2**64 - 2).flatmap(queued_writes))
def test_a_write_is_read_back_after_a_restart(write: QueuedWrite) -> None:
    backend = MemoryBackend()
    opened(backend).append([write], sync=True)

    journal = WriteJournal(backend.crashed(0))

    assert journal.open() == [write.envelope]
    assert journal.load([write.envelope.id]).writes == [write]


def test_an_empty_queue_remembers_which_ids_were_given() -> None:
    backend = MemoryBackend()
    journal = opened(backend)
    journal.append([set_of(41, 1)], sync=True)
    journal.remove([41])
    journal.reserve(50)
    journal.reserve(3)

    assert opened(backend).next_id == 51


def test_writes_are_opened_in_the_order_of_their_numbers() -> None:
    backend = MemoryBackend()
    opened(backend).append([set_of(id, id) for id in (9, 10, 255, 256, 65536)], sync=True)

    assert [entry.id for entry in WriteJournal(backend).open()] == [9, 10, 255, 256, 65536]


def test_opening_reads_no_payload() -> None:
    backend = MemoryBackend()
    opened(backend).append([set_of(1, 1), set_of(2, 2)], sync=True)
    for write_id in (1, 2):
        backend.damage(write_keys(write_id, ONE_EACH)[1])

    assert [entry.id for entry in WriteJournal(backend).open()] == [1, 2]


def test_a_damaged_payload_is_told_and_the_others_are_read() -> None:
    backend = MemoryBackend()
    journal = opened(backend)
    journal.append([set_of(id, id) for id in (1, 2, 3)], sync=True)
    backend.damage(write_keys(2, ONE_EACH)[1])

    loaded = journal.load([1, 2, 3])

    assert ids(loaded.writes) == [1, 3]
    assert loaded.unreadable == [2]


@pytest.mark.parametrize("key", [STATE_KEY, write_keys(1, ONE_EACH)[0]])
def test_a_damaged_record_ends_the_opening(key: bytes) -> None:
    backend = MemoryBackend()
    opened(backend).append([set_of(1, 1)], sync=True)
    value = backend.get(key)
    assert value is not None
    for damaged in (value[:-1] + bytes((value[-1] ^ 1,)), None):
        backend.commit([(key, damaged)])

        with pytest.raises(CorruptRecord):
            WriteJournal(backend).open()


def test_what_a_crash_may_leave_is_the_queue_after_some_call() -> None:
    backend = MemoryBackend()
    journal = opened(backend)
    journal.append([set_of(1, 1)], sync=True)
    journal.append([set_of(2, 2), set_of(3, 3)], sync=False)
    journal.remove([1, 3])
    expected = [[1], [1, 2, 3], [2]]

    for kept, left in enumerate(expected):
        assert [entry.id for entry in WriteJournal(backend.crashed(kept)).open()] == left


def test_a_call_is_one_commit() -> None:
    backend = MemoryBackend()
    journal = opened(backend)

    journal.store([set_of(1, 1), set_of(2, 2)], [], sent_through=0)
    journal.store([set_of(3, 3)], [1, 2], sent_through=3)

    assert backend.unsynced_count == 2


def test_nothing_to_do_is_no_commit() -> None:
    backend = MemoryBackend()
    journal = opened(backend)

    journal.append([], sync=False)
    journal.remove([1, 2])
    journal.note_sent(0)
    journal.reserve(0)

    assert backend.unsynced_count == 0


def test_a_write_appended_and_removed_at_once_is_not_stored_but_its_id_is_given() -> None:
    backend = MemoryBackend()
    journal = opened(backend)

    journal.store([set_of(1, 1), set_of(2, 2)], [2])
    journal.store([set_of(3, 3)], [3, 1])

    assert len(journal) == 0
    assert opened(backend).next_id == 4


def test_a_write_may_have_been_sent_if_an_earlier_process_noted_it() -> None:
    backend = MemoryBackend()
    journal = opened(backend)
    journal.append([set_of(1, 1), set_of(2, 2)], sync=True)
    journal.note_sent(1)
    assert not any(write.envelope.maybe_sent for write in journal.load([1, 2]).writes)

    journal = WriteJournal(backend)

    assert [entry.maybe_sent for entry in journal.open()] == [True, False]
    assert [write.envelope.maybe_sent for write in journal.load([1, 2]).writes] == [True, False]


def test_a_value_nested_too_deep_is_refused_and_nothing_is_stored() -> None:
    backend = MemoryBackend()
    journal = opened(backend)
    deep = EMPTY.update(Path.from_keys(["a"] * 600), from_scalar(1))

    with pytest.raises(InvalidValue):
        journal.append([set_of(1, 1)._replace(nodes=(deep,))], sync=True)

    assert len(journal) == 0
    assert journal.next_id == 1
    journal.append([set_of(1, 1)], sync=True)


class FailingSync(MemoryBackend):
    """Stores what is committed, and then fails, once."""

    fails = False

    def sync(self) -> None:
        if self.fails:
            self.fails = False
            raise StorageError("the disk is gone, as the test wants it")
        super().sync()


def test_an_append_that_failed_after_it_was_stored_can_be_made_again() -> None:
    backend = FailingSync()
    journal = opened(backend)
    backend.fails = True
    with pytest.raises(StorageError):
        journal.append([set_of(1, 1), set_of(2, 2)], sync=True)
    assert len(journal) == 0

    journal.append([set_of(1, 1), set_of(2, 2)], sync=True)

    assert ids(journal.load([1, 2]).writes) == [1, 2]
    assert [entry.id for entry in WriteJournal(backend).open()] == [1, 2]


def test_an_append_that_failed_and_is_not_made_again_leaves_nothing() -> None:
    backend = FailingSync()
    journal = opened(backend)
    backend.fails = True
    with pytest.raises(StorageError):
        journal.append([set_of(1, 1), set_of(2, 2)], sync=True)

    journal.append([set_of(2, 2), set_of(3, 3)], sync=True)

    assert [entry.id for entry in WriteJournal(backend).open()] == [2, 3]
    assert backend.get(write_keys(1, ONE_EACH)[1]) is None


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_batch_of_which_a_part_was_stored_can_be_stored_again(count: int) -> None:
    """Asked for one sync for each write, a disk may fill up between two of a batch."""
    backend = MemoryBackend()
    journal = opened(backend)
    writes = [set_of(id, id) for id in (1, 2, 3)]
    journal.append(writes[:count], sync=True)

    journal.append(writes, sync=True)

    assert ids(journal.load([1, 2, 3]).writes) == [1, 2, 3]
    assert [entry.id for entry in WriteJournal(backend).open()] == [1, 2, 3]


LENGTHS = [PIECE_BYTES - 20, PIECE_BYTES - 9, PIECE_BYTES - 8, 2 * PIECE_BYTES - 9, 10**6]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_long_payload_comes_back_and_goes_as_any_other(length: int) -> None:
    backend = MemoryBackend()
    journal = opened(backend)
    writes = [set_of(1, 1), set_of(2, "x" * length), set_of(3, 3)]

    journal.append(writes, sync=True)

    stored = list(backend.scan(b"h", b"q"))
    assert journal.pending_bytes == sum(len(key) + len(row) for key, row in stored)
    assert max(len(row) for _, row in stored) < PIECE_BYTES + 100
    again = WriteJournal(backend)
    again.open()
    for each in (journal, again):
        assert each.load([1, 2, 3]).writes == writes
        assert each.pending_bytes == journal.pending_bytes
    again.remove([2])
    assert len(list(backend.scan(b"p", b"q"))) == 2
    again.remove([1, 3])
    assert (again.pending_bytes, list(backend.scan(b"h", b"q"))) == (0, [])


def update_with(envelope_bytes: int) -> QueuedWrite:
    """Return an update whose envelope takes about so much."""
    return update_of(2, [f"{n:05}" + "x" * 691 for n in range(envelope_bytes // 700)], 1)


@pytest.mark.parametrize(
    "envelope_bytes", [PIECE_BYTES - 1400, PIECE_BYTES, PIECE_BYTES + 1400, 10**6]
)
def test_an_update_of_very_many_places_comes_back_and_goes_as_any_other(
    envelope_bytes: int,
) -> None:
    backend = MemoryBackend()
    journal = opened(backend)
    writes = [set_of(1, 1), update_with(envelope_bytes), set_of(3, "x" * 10**6)]

    journal.append(writes, sync=True)

    stored = list(backend.scan(b"h", b"q"))
    assert journal.pending_bytes == sum(len(key) + len(row) for key, row in stored)
    assert max(len(row) for _, row in stored) < PIECE_BYTES + 100
    again = WriteJournal(backend)
    assert again.open() == [write.envelope for write in writes]
    for each in (journal, again):
        assert each.load([1, 2, 3]).writes == writes
        assert each.pending_bytes == journal.pending_bytes
    again.remove([2])
    assert [key for key, _ in backend.scan(b"h", b"i")] == [b"h" + n.to_bytes(8) for n in (1, 3)]
    again.remove([1, 3])
    assert (again.pending_bytes, list(backend.scan(b"h", b"q"))) == (0, [])


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_an_update_that_lacks_a_part_of_its_places_is_damage(missing: int) -> None:
    backend = MemoryBackend()
    opened(backend).append([set_of(1, 1), update_with(10**6), set_of(3, 3)], sync=True)

    backend.commit([(write_keys(2, RowCounts(4, 1))[missing], None)])

    with pytest.raises(CorruptRecord):
        WriteJournal(backend).open()


def test_a_damaged_piece_of_a_payload_is_told() -> None:
    backend = MemoryBackend()
    journal = opened(backend)
    journal.append([set_of(1, "x" * 10**6), set_of(2, 2)], sync=True)

    backend.damage(write_keys(1, RowCounts(1, 4))[3])
    assert journal.load([1, 2]).unreadable == [1]

    backend.commit([(write_keys(1, RowCounts(1, 4))[3], None)])
    assert journal.load([1, 2]).unreadable == [1]
    assert ids(journal.load([1, 2]).writes) == [2]


def test_a_long_append_that_failed_and_is_not_made_again_leaves_nothing() -> None:
    backend = FailingSync()
    journal = opened(backend)
    backend.fails = True
    with pytest.raises(StorageError):
        journal.append([set_of(1, "x" * 10**6)], sync=True)

    journal.append([set_of(2, 2)], sync=True)

    assert [key for key, _ in backend.scan(b"p", b"q")] == write_keys(2, ONE_EACH)[1:]


class Counting(MemoryBackend):
    """Counts what is written."""

    written = 0

    def commit(self, rows: Sequence[Row], *, sync: bool = False) -> None:
        self.written += sum(len(key) + len(value or b"") for key, value in rows)
        super().commit(rows, sync=sync)

    def all_rows(self) -> Iterator[tuple[bytes, bytes]]:
        return self.scan(b"", b"\xff")


def test_answers_while_an_old_write_waits_cost_no_more_than_others() -> None:
    backend = Counting()
    journal = opened(backend)
    costs: list[int] = []
    journal.append([set_of(1, 1)], sync=True)
    for write_id in range(2, 6002):
        before = backend.written
        journal.append([set_of(write_id, 1)], sync=False)
        journal.remove([write_id])
        costs.append(backend.written - before)

    assert max(costs) < 700
    assert sum(1 for _ in backend.all_rows()) < 40
    journal.remove([1])
    assert sum(1 for _ in backend.all_rows()) == 2
