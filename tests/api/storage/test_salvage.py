"""What can be saved of a queue whose files are damaged: every write whose records are intact."""

import random
from pathlib import Path

import pytest
from tests.api.storage.queue import set_of

from firekeep.storage.memory import MemoryBackend
from firekeep.storage.queue_rows import write_rows
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
    """Return a write; each hundredth is longer than a block of a log."""
    text = f"{id}:" + "x" * (70_000 if id % 100 == 0 else id % 90)
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


@pytest.mark.parametrize("is_compacted", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_every_intact_write_is_found_whatever_is_damaged(
    tmp_path: Path, seed: int, is_compacted: bool
) -> None:
    waiting = filled(tmp_path, is_compacted=is_compacted)
    chance = random.Random(seed)
    files = [file for file in sorted(tmp_path.iterdir()) if file.stat().st_size]
    file = chance.choices(files, weights=[file.stat().st_size for file in files])[0]
    data = bytearray(file.read_bytes())
    if chance.random() < 0.3:
        del data[chance.randrange(len(data)) :]
    else:
        at = chance.randrange(len(data))
        data[at] ^= 1 << chance.randrange(8)
    file.write_bytes(data)
    intact = {id for id, stored in waiting.items() if is_intact(stored, contents(tmp_path))}

    found = carve(tmp_path)

    saved = {write.envelope.id: write.nodes for write in found.writes}
    assert saved.keys() >= intact
    assert all(saved[id] == waiting[id].nodes for id in saved if id in waiting)
    if len(data) == file.stat().st_size and intact == waiting.keys():
        assert not REMOVED & saved.keys(), "what has gone does not come back"


def test_what_is_saved_makes_a_queue_that_can_be_opened(tmp_path: Path) -> None:
    filled(tmp_path, is_compacted=False)

    found = carve(tmp_path)
    journal = WriteJournal(MemoryBackend(found.rows()))

    assert [envelope.id for envelope in journal.open()] == [w.envelope.id for w in found.writes]
    assert journal.next_id == COUNT + 1
