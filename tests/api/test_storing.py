"""The work on the disk, and in which order it is done."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path as FilePath
from typing import Any, TypeVar

import anyio
import pytest
from tests.api.driven import FrozenClock, settle
from tests.api.storage.chronicle import write_of
from tests.api.storage.test_full_disk import no_file_grows_beyond

from firekeep.config import Config
from firekeep.engine.effects import Effect, Load, LoadWrites, StoreCache, StoreWrites, SwitchOwner
from firekeep.engine.engine import Engine
from firekeep.exceptions import CorruptRecord, StorageError, StorageFull
from firekeep.storage.inspection import Inspection
from firekeep.storage.store import Store
from firekeep.storing import Storing
from firekeep.url import parse_url
from firekeep.write import Write
from firekeep_core.operation.cache_change import Complete, Forget, Replace
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_export

pytestmark = pytest.mark.anyio

DEFAULT = QueryParams.DEFAULT
ResultT = TypeVar("ResultT")


class Bench:
    """A disk whose work is done only while it is let, and an engine that has no network."""

    def __init__(self, directory: FilePath) -> None:
        self.engine = Engine(
            parse_url("https://db.example.com"), Config(), Write, lambda: 0.5, has_disk=True
        )
        self.clock = FrozenClock()
        self.storing = Storing(
            Store(directory, budget_bytes=1_000_000, durability="batch"),
            self.engine,
            nullcontext(),
            self.perform,
            self.clock,
            run=self.run,
        )
        self.gate = anyio.Event()
        self.gate.set()
        self.failing: dict[str, Exception] = {}
        """What the disk fails with, by what is asked of it."""

    async def run(self, function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        with anyio.CancelScope(shield=True):
            await self.gate.wait()
        if function.__name__ in self.failing:
            raise self.failing[function.__name__]
        return function(*arguments)

    def listen(self, path: str) -> None:
        self.perform(self.engine.add_listener(Path.parse(path), DEFAULT, object(), 0))

    def knows(self, path: str) -> bool:
        return self.engine.overview.is_complete(Path.parse(path), DEFAULT)

    def perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case StoreWrites():
                    self.storing.store_writes(effect)
                case StoreCache():
                    self.storing.store_cache(effect)
                case LoadWrites():
                    self.storing.load_writes(effect)
                case Load():
                    self.storing.load(effect)
                case SwitchOwner():
                    self.storing.switch_owner(effect)
                case _:
                    pass

    def keep_synced(self, path: str) -> None:
        self.perform(self.engine.keep_synced(Path.parse(path), DEFAULT, True, 0.0, 0))

    def change_user(self, uid: str) -> None:
        self.perform(self.engine.change_user(uid, 0.0, 0))


def kept(directory: FilePath) -> set[tuple[str | None, str]]:
    with Inspection(directory) as inspection:
        entries = inspection.entries()
    return {(entry.owner, str(entry.path)) for entry in entries if entry.is_pinned}


@pytest.mark.parametrize("is_closed_early", [False, True])
async def test_what_one_user_keeps_is_not_stored_as_anothers(
    tmp_path: FilePath, is_closed_early: bool
) -> None:
    bench = Bench(tmp_path / "store")
    await bench.storing.open("ada")
    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        bench.keep_synced("/hers")
        await bench.clock.advance(1)
        await settle()
        bench.gate = anyio.Event()
        bench.change_user("bob")
        bench.keep_synced("/his")
        await settle()
        bench.gate.set()
        if not is_closed_early:
            await settle()
        await bench.storing.close()

    assert kept(tmp_path / "store") >= {("ada", "/hers"), ("bob", "/his")}
    assert ("ada", "/his") not in kept(tmp_path / "store")


async def test_who_waits_for_the_disk_goes_on_when_the_database_is_left(
    tmp_path: FilePath,
) -> None:
    bench = Bench(tmp_path / "store")
    await bench.storing.open("ada")
    done: list[bool] = []

    async def wait() -> None:
        await bench.storing.flush()
        done.append(True)

    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        await settle()
        bench.gate = anyio.Event()
        bench.change_user("bob")
        tasks.start_soon(wait)
        await settle()
        tasks.start_soon(bench.storing.close)
        await settle()
        tasks.start_soon(wait)
        await settle()
        assert done == []
        bench.gate.set()
        await settle()

    assert done == [True, True]
    await bench.storing.flush()


async def test_who_waits_for_the_disk_is_told_that_it_is_full(tmp_path: FilePath) -> None:
    bench = Bench(tmp_path / "store")
    await bench.storing.open("ada")
    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        bench.keep_synced("/hers")
        with no_file_grows_beyond(0), pytest.raises(StorageFull):
            bench.change_user("bob")
            await bench.storing.flush()
        await settle()
        await bench.clock.advance(5)
        await bench.storing.flush()
        await bench.storing.close()

    assert ("ada", "/hers") in kept(tmp_path / "store")


async def test_payloads_that_the_disk_does_not_give_are_asked_for_again(tmp_path: FilePath) -> None:
    directory = tmp_path / "store"
    with Store(directory, budget_bytes=1_000_000, durability="batch") as store:
        store.store_writes([write_of(id) for id in (1, 3)], (), 0)
    bench = Bench(directory)
    await bench.storing.open(None)
    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        bench.failing["load_writes"] = StorageError("cannot read")
        bench.storing.load_writes(LoadWrites([1]))
        bench.listen("/")
        await settle()
        assert bench.storing.state == "failed"
        write, effects = bench.engine.set(Path.parse("/new"), from_export(1), 0.0, 0)
        bench.perform(effects)
        del bench.failing["load_writes"]
        await bench.clock.advance(5)
        assert [write.is_loaded for write in bench.engine.writes.values()] == [True, True, True]
        assert write.is_stored
        assert bench.storing.state == "disk"
        await bench.storing.close()


async def test_what_is_cached_is_served_while_the_disk_takes_nothing(tmp_path: FilePath) -> None:
    directory = tmp_path / "store"
    with Store(directory, budget_bytes=1_000_000, durability="batch") as store:
        for key in ("a", "b", "denied"):
            path = Path.from_keys([key])
            store.apply([Replace(path, from_export(1)), Complete(path, DEFAULT)])
    bench = Bench(directory)
    await bench.storing.open(None)
    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        bench.failing["apply"] = StorageFull("no space is left")
        bench.listen("/a")
        await settle()
        assert bench.knows("/a")
        bench.listen("/b")
        bench.engine._tree.note(Forget(Path.parse("/denied"), DEFAULT))  # pyright: ignore[reportPrivateUsage]
        bench.listen("/denied")
        await settle()
        assert bench.knows("/b")
        assert not bench.knows("/denied")
        assert bench.storing.state == "full"
        await bench.storing.close()


async def test_what_was_denied_while_the_disk_took_nothing_is_removed_at_the_end(
    tmp_path: FilePath,
) -> None:
    directory = tmp_path / "store"
    denied = Path.from_keys(["denied"])
    with Store(directory, budget_bytes=1_000_000, durability="batch") as store:
        store.apply([Replace(denied, from_export(1)), Complete(denied, DEFAULT)])
    bench = Bench(directory)
    await bench.storing.open(None)
    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        bench.failing["apply"] = StorageFull("no space is left")
        bench.engine._tree.note(Forget(denied, DEFAULT))  # pyright: ignore[reportPrivateUsage]
        bench.keep_synced("/other")
        await bench.clock.advance(1)
        assert bench.storing.state == "full"
        bench.failing.clear()
        await bench.storing.close()

    with Store(directory, budget_bytes=1_000_000, durability="batch") as store:
        assert not store.load(denied, DEFAULT).is_complete


async def test_the_worse_of_queue_and_cache_shows_in_the_status(tmp_path: FilePath) -> None:
    bench = Bench(tmp_path / "store")
    await bench.storing.open(None)
    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        bench.failing["_store_batch"] = StorageFull("no space is left")
        bench.perform(bench.engine.set(Path.parse("/new"), from_export(1), 0.0, 0)[1])
        bench.keep_synced("/a")
        await bench.clock.advance(1)
        assert bench.storing.state == "full"
        bench.failing["apply"] = StorageError("broken")
        bench.keep_synced("/b")
        await bench.clock.advance(1)
        assert bench.storing.state == "failed"
        bench.failing.clear()
        await bench.clock.advance(10)
        await bench.clock.advance(1)
        assert bench.storing.state == "disk"
        await bench.storing.close()


async def test_leaving_on_a_disk_that_fails_is_leaving(
    tmp_path: FilePath, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path / "store")
    await bench.storing.open(None)
    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        for name in ("_store_batch", "apply", "close"):
            bench.failing[name] = StorageError(f"{name} failed")
        bench.perform(bench.engine.set(Path.parse("/new"), from_export(1), 0.0, 0)[1])
        await bench.storing.close()

    assert "could not be stored" in caplog.text


async def test_what_one_user_saw_before_the_disk_failed_is_not_stored_as_anothers(
    tmp_path: FilePath,
) -> None:
    bench = Bench(tmp_path / "store")
    await bench.storing.open("ada")
    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        bench.failing["apply"] = StorageFull("no space is left")
        bench.keep_synced("/hers")
        await bench.clock.advance(1)
        bench.change_user("bob")
        bench.keep_synced("/his")
        await settle()
        bench.failing.clear()
        await bench.clock.advance(5)
        await bench.storing.close()

    assert ("ada", "/hers") in kept(tmp_path / "store")
    assert ("ada", "/his") not in kept(tmp_path / "store")


async def test_a_damaged_cache_is_put_aside_when_the_disk_allows_it(tmp_path: FilePath) -> None:
    bench = Bench(tmp_path / "store")
    await bench.storing.open(None)
    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        bench.failing["apply"] = CorruptRecord("a record is damaged")
        bench.failing["reset_cache"] = StorageFull("no space is left")
        bench.keep_synced("/a")
        await bench.clock.advance(1)
        assert bench.storing.state == "failed"
        await bench.clock.advance(1)
        assert bench.storing.state == "full"
        bench.failing.clear()
        await bench.clock.advance(5)
        await bench.clock.advance(1)
        assert bench.storing.state == "disk"
        await bench.storing.close()

    assert (None, "/a") in kept(tmp_path / "store")
    assert list((tmp_path / "store" / "quarantine").iterdir())


async def test_payloads_are_read_while_the_disk_takes_nothing(tmp_path: FilePath) -> None:
    directory = tmp_path / "store"
    with Store(directory, budget_bytes=1_000_000, durability="batch") as store:
        store.store_writes([write_of(id) for id in (1, 3)], (), 0)
    bench = Bench(directory)
    await bench.storing.open(None)
    async with anyio.create_task_group() as tasks:
        bench.storing.start(tasks)
        with no_file_grows_beyond(0):
            bench.perform(bench.engine.set(Path.parse("/new"), from_export(1), 0.0, 0)[1])
            await settle()
            assert bench.storing.state == "full"
            bench.storing.load_writes(LoadWrites([1, 3]))
            await settle()
            writes = bench.engine.writes.values()
            assert [write.is_loaded for write in writes] == [True, True, True]
        await bench.clock.advance(5)
        await settle()
        assert bench.storing.state == "disk"
        await bench.storing.close()
