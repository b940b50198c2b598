"""What can be saved of a queue whose files are damaged: every write whose records are intact."""

import random
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.api.storage.queue import set_of, update_of

from firekeep.storage.frame import unpack_frame
from firekeep.storage.memory import MemoryBackend
from firekeep.storage.queue_rows import STATE, STATE_KEY, read_state, write_rows
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.salvage import carve
from firekeep.storage.write_journal import WriteJournal
from firekeep_core.operation.queued_write import QueuedWrite
from firekeep_core.snap.node import from_scalar

COUNT = 200
REMOVED = {2, 3, 77, 150}
BLOCK_BYTES = 32 * 1024
BLOCK_HEAD_BYTES = 7


def write(id: int) -> QueuedWrite:
    """Return a write; each hundredth is longer than a block of a log, two are in many rows."""
    if id == 80:
        return update_of(id, [f"{n:04}" + "x" * 700 for n in range(800)], id)
    length = 600_000 if id == 120 else 70_000 if id % 100 == 0 else id % 90
    text = f"{id}:" + "x" * length
    return set_of(id, 0)._replace(nodes=(from_scalar(text),))


def filled(path: Path, *, is_compacted: bool) -> dict[int, QueuedWrite]:
    """Make a queue on disk, in logs or in tables; return what waits in it."""
    backend = RocksBackend.open(path, role="queue")
    journal = WriteJournal(backend)
    journal.open()
    for first in range(1, COUNT + 1, 20):
        journal.append([write(id) for id in range(first, first + 20)], sync=False)
    journal.remove(sorted(REMOVED))
    journal.remove([1])
    if is_compacted:
        backend.compact()
    backend.close()
    return {id: write(id) for id in range(2, COUNT + 1) if id not in REMOVED}


def without_block_heads(data: bytes) -> bytes:
    """Return a log without what RocksDB puts at the beginning of each of its blocks."""
    return b"".join(
        data[at + BLOCK_HEAD_BYTES : at + BLOCK_BYTES] for at in range(0, len(data), BLOCK_BYTES)
    )


def is_intact(stored: QueuedWrite, files: list[bytes]) -> bool:
    """Return whether both records of a write can be found in some file."""
    return all(any(record in data for data in files) for _, record in write_rows(stored))


def contents(path: Path) -> list[bytes]:
    """Return the bytes of all files, logs also as they were before they were cut into blocks."""
    found = [file.read_bytes() for file in sorted(path.iterdir()) if file.is_file()]
    return found + [without_block_heads(data) for data in found]


@pytest.mark.parametrize("is_compacted", [False, True])
def test_all_of_a_sound_queue_is_found_and_nothing_that_has_gone(
    tmp_path: Path, is_compacted: bool
) -> None:
    waiting = filled(tmp_path, is_compacted=is_compacted)

    found = carve(tmp_path)

    assert {write.envelope.id: write.nodes for write in found.writes} == {
        id: write.nodes for id, write in waiting.items()
    }
    assert found.lost == 0
    assert found.next_id == COUNT + 1
    assert all(write.envelope.maybe_sent for write in found.writes)


class Story(NamedTuple):
    """What became of a queue."""

    stored: dict[int, QueuedWrite]
    """All writes that were ever in it."""
    waiting: set[int]
    states: list[tuple[bytes, set[int]]]
    """What it said of itself after each call, and which writes had gone by then."""


def lived(path: Path, chance: random.Random) -> Story:
    """Let a queue have a long life, with restarts and answers out of order, and kill it."""
    live = path.with_name("live")
    backend = RocksBackend.open(live, role="queue")
    journal = WriteJournal(backend)
    journal.open()
    story = Story({}, set(), [])
    for _ in range(60):
        step = chance.choice(["append", "answer", "oldest", "turn"] * 3 + ["restart"])
        gone: list[int] = []
        if step in ("append", "turn"):
            first = journal.next_id + chance.choice([0, 0, 0, 3, 700])
            added = [write(id) for id in range(first, first + chance.randrange(1, 12))]
            gone = [id for id in story.waiting if step == "turn" and chance.random() < 0.2]
            journal.store(added, gone, sent_through=first)
            story.stored.update((each.envelope.id, each) for each in added)
            story.waiting.update(each.envelope.id for each in added)
        elif step in ("answer", "oldest"):
            waiting = sorted(story.waiting)
            count = min(chance.randrange(1, 6), len(waiting))
            gone = waiting[:count] if step == "oldest" else chance.sample(waiting, count)
            journal.remove(gone)
        else:
            if chance.random() < 0.3:
                backend.compact()
            backend.close()
            backend = RocksBackend.open(live, role="queue")
            journal = WriteJournal(backend)
            journal.open()
        story.waiting.difference_update(gone)
        state = backend.get(STATE_KEY)
        if state is not None:
            story.states.append((state, story.stored.keys() - story.waiting))
    backend.sync()
    shutil.copytree(live, path)
    backend.close()
    return story


def check_what_is_saved(path: Path, story: Story, *, is_cut: bool) -> None:
    found = carve(path)
    saved = {stored.envelope.id: stored for stored in found.writes}
    files = contents(path)
    intact = {id for id in story.waiting if is_intact(story.stored[id], files)}

    assert list(saved) == sorted(saved)
    assert all(
        stored.nodes == story.stored[id].nodes
        and stored.envelope == story.stored[id].envelope._replace(maybe_sent=True)
        for id, stored in saved.items()
    )
    if not is_cut:
        # One changed bit takes one of two copies of what the queue says of itself.
        assert saved.keys() == intact
        assert found.lost == len(story.waiting - intact)
        assert found.next_id > max(story.stored)
        return
    assert saved.keys() >= intact
    for state, gone in reversed(story.states):
        if any(state in data for data in files):
            oldest_id = read_state(unpack_frame(state, STATE)).oldest_id
            assert not {id for id in gone if id < oldest_id} & saved.keys()
            break


@pytest.mark.parametrize("seed", range(8))
def test_every_intact_write_is_found_and_none_that_has_gone_whatever_is_damaged(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    path = tmp_path / "queue"
    story = lived(path, chance)
    files = [file for file in sorted(path.iterdir()) if file.stat().st_size]

    check_what_is_saved(path, story, is_cut=False)
    for number in range(40):
        file = chance.choice(files)
        if number % 2:
            file = chance.choice([file for file in files if file.suffix in (".log", ".sst")])
        sound = file.read_bytes()
        damaged = bytearray(sound)
        at = chance.randrange(len(sound))
        is_cut = chance.random() < 0.3
        if is_cut:
            del damaged[at:]
        else:
            damaged[at] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        check_what_is_saved(path, story, is_cut=is_cut)
        file.write_bytes(sound)


def test_what_is_saved_makes_a_queue_that_can_be_opened(tmp_path: Path) -> None:
    filled(tmp_path, is_compacted=False)

    found = carve(tmp_path)
    journal = WriteJournal(MemoryBackend(found.rows()))

    assert [envelope.id for envelope in journal.open()] == [w.envelope.id for w in found.writes]
    assert journal.next_id == COUNT + 1
