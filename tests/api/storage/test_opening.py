"""Opening what may be damaged: the app starts, and no write that can be read is lost."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.storage.damaging import ROWS, damage_one_file, make_crashed, rows_of
from tests.api.storage.queue import set_of

from firekeep.exceptions import CorruptRecord, DatabaseClosed, StorageError
from firekeep.storage.directory import StoreDirectory
from firekeep.storage.opening import Salvage, open_cache, open_queue
from firekeep.storage.store import Store
from firekeep_core.operation.cache_change import Acknowledged

SAVED = [(b"saved/%d" % number, b"%d" % number) for number in range(9000)]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[StoreDirectory]:
    one = StoreDirectory.open(tmp_path / "store")
    yield one
    one.close()


def salvage(path: Path) -> Salvage:
    assert path.name == "queue"
    return Salvage(SAVED, 4500, 1)


def no_salvage(path: Path) -> Salvage:
    raise AssertionError(f"{path} was not damaged")


def break_manifest(path: Path) -> None:
    (manifest,) = path.glob("MANIFEST-*")
    manifest.write_bytes(manifest.read_bytes()[:-1])


def everything_in(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }


def test_what_is_sound_is_opened_and_nothing_is_reported(directory: StoreDirectory) -> None:
    for _ in range(2):
        cache, cache_reports = open_cache(directory)
        queue, queue_reports = open_queue(directory, no_salvage)
        cache.commit([(b"a", b"1")])
        queue.commit([(b"b", b"1")])
        cache.close()
        queue.close()
        assert cache_reports + queue_reports == []

    queue = open_queue(directory, no_salvage).backend
    assert rows_of(queue) == {b"b": b"1"}
    queue.close()


def test_a_damaged_cache_is_moved_away_and_an_empty_one_is_there(directory: StoreDirectory) -> None:
    make_crashed(directory.cache, "cache")
    break_manifest(directory.cache)
    damaged = everything_in(directory.cache)

    cache, reports = open_cache(directory)

    assert rows_of(cache) == {}
    (place,) = (directory.path / "quarantine").iterdir()
    assert everything_in(place) == damaged
    assert len(reports) == 1
    assert str(place) in reports[0]
    cache.close()
    cache, reports = open_cache(directory)
    assert reports == []
    cache.close()


def test_damage_that_is_found_while_reading_can_be_handed_in(directory: StoreDirectory) -> None:
    cache = open_cache(directory).backend
    cache.commit([(b"a", b"1")])
    cache.close()

    cache, reports = open_cache(directory, CorruptRecord("the record b'a'"))

    assert rows_of(cache) == {}
    assert "the record b'a'" in reports[0]
    cache.close()


def test_of_a_damaged_queue_what_can_be_saved_is_there_again(directory: StoreDirectory) -> None:
    make_crashed(directory.queue, "queue")
    break_manifest(directory.queue)
    damaged = everything_in(directory.queue)

    queue, reports = open_queue(directory, salvage)

    assert rows_of(queue) == dict(SAVED)
    (place,) = (directory.path / "quarantine").iterdir()
    assert everything_in(place) == damaged
    assert len(reports) == 1
    assert "4500 writes could be saved, 1 write that waited could not" in reports[0]
    queue.close()
    queue, reports = open_queue(directory, no_salvage)
    assert rows_of(queue) == dict(SAVED)
    assert reports == []
    queue.close()


def test_a_queue_from_which_nothing_can_be_saved_starts_empty(directory: StoreDirectory) -> None:
    directory.queue.touch()

    queue, reports = open_queue(directory, lambda path: Salvage([], 0, 0))

    assert rows_of(queue) == {}
    assert "0 writes could be saved" in reports[0]
    queue.close()


def test_a_salvager_that_fails_leaves_everything_where_it_was(directory: StoreDirectory) -> None:
    make_crashed(directory.queue, "queue")
    break_manifest(directory.queue)
    damaged = everything_in(directory.queue)

    def rows() -> Iterator[tuple[bytes, bytes]]:
        yield b"a", b"1"
        raise StorageError("the disk failed")

    def fail(path: Path) -> Salvage:
        return Salvage(rows(), 1, 0)

    with pytest.raises(StorageError, match="the disk failed"):
        open_queue(directory, fail)

    assert everything_in(directory.queue) == damaged
    queue = open_queue(directory, salvage).backend
    assert rows_of(queue) == dict(SAVED)
    queue.close()


def test_a_crash_while_the_new_queue_is_written_starts_over(directory: StoreDirectory) -> None:
    make_crashed(directory.path / "queue.new", "queue")
    make_crashed(directory.queue, "queue")
    break_manifest(directory.queue)

    queue = open_queue(directory, salvage).backend

    assert rows_of(queue) == dict(SAVED)
    assert not (directory.path / "queue.new").exists()
    queue.close()


def test_a_crash_after_the_damaged_queue_was_moved_goes_on_with_the_new_one(
    directory: StoreDirectory,
) -> None:
    make_crashed(directory.path / "queue.new", "queue")

    queue, reports = open_queue(directory, no_salvage)

    assert (rows_of(queue), reports) == (ROWS, [])
    assert not (directory.path / "queue.new").exists()
    queue.close()


def test_links_that_lead_nowhere_count_as_damaged(directory: StoreDirectory) -> None:
    for name in ("cache", "queue", "queue.new"):
        (directory.path / name).symlink_to(directory.path / "nowhere")

    cache, cache_reports = open_cache(directory)
    (directory.path / "queue.new").unlink()
    queue, queue_reports = open_queue(directory, lambda path: Salvage([], 0, 0))

    assert [len(reports) for reports in (cache_reports, queue_reports)] == [1, 1]
    assert sorted(os.listdir(directory.path / "quarantine")) == ["cache-1", "queue-1"]
    cache.close()
    queue.close()


def test_the_report_says_how_many_writes_were_saved_and_lost(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", budget_bytes=1_000_000, durability="write")
    with store:
        store.store_writes([set_of(number, "x" * 100) for number in range(1, 40)], (), 0)
    with store:
        pass
    (table,) = (tmp_path / "store" / "queue").glob("*.sst")
    data = bytearray(table.read_bytes())
    data[data.index(b"x" * 100)] ^= 1
    table.write_bytes(data)

    with store:
        (note,) = store.notes

    assert "38 writes could be saved, 1 write that waited could not" in note


def test_a_directory_of_unknown_format_is_treated_as_damaged(tmp_path: Path) -> None:
    directory = StoreDirectory.open(tmp_path / "store")
    make_crashed(directory.queue, "queue")
    make_crashed(directory.cache, "cache")
    directory.close()
    (directory.path / "format").write_text("…")
    directory = StoreDirectory.open(tmp_path / "store")

    queue, queue_reports = open_queue(directory, salvage)
    cache, cache_reports = open_cache(directory)
    directory.write_format()

    assert rows_of(queue) == dict(SAVED)
    assert rows_of(cache) == {}
    assert [len(reports) for reports in (queue_reports, cache_reports)] == [1, 1]
    queue.close()
    cache.close()
    directory.close()


def test_a_store_that_is_in_use_no_more_opens_nothing(directory: StoreDirectory) -> None:
    directory.cache.touch()
    directory.close()

    with pytest.raises(DatabaseClosed):
        open_cache(directory)


@pytest.mark.parametrize("seed", range(100, 120))
def test_whatever_happens_to_a_file_both_open_in_the_end(
    directory: StoreDirectory, seed: int
) -> None:
    chance = random.Random(seed)
    make_crashed(directory.queue, "queue")
    make_crashed(directory.cache, "cache")
    damage_one_file(directory.queue, chance)
    damage_one_file(directory.cache, chance)

    queue = open_queue(directory, salvage).backend
    cache = open_cache(directory).backend

    for backend in (queue, cache):
        backend.commit([(b"later", b"1")], sync=True)
        backend.close()


def test_an_id_that_only_the_cache_still_knows_is_not_given_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", budget_bytes=1_000_000, durability="none")
    store.open()
    store.store_writes([set_of(1, "a")], (), 0)
    store.close()
    shutil.copytree(tmp_path / "store" / "queue", tmp_path / "queue")
    store.open()
    store.store_writes([set_of(2, "b"), set_of(3, "c")], (), 3)
    store.apply([Acknowledged(3)])
    store.close()
    # The power fails before the end of the queue is on the disk, and after that of the cache is.
    shutil.rmtree(tmp_path / "store" / "queue")
    shutil.copytree(tmp_path / "queue", tmp_path / "store" / "queue")

    for _ in range(2):
        opened = store.open()
        store.close()

        assert [envelope.id for envelope in opened.envelopes] == [1]
        assert opened.next_write_id == 4
        assert opened.notes == []
