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
from firekeep.exceptions import StorageFull
from firekeep.storage.inspection import Inspection
from firekeep.storage.store import Store
from firekeep.storing import Storing
from firekeep.url import parse_url
from firekeep.write import Write
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

    async def run(self, function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        with anyio.CancelScope(shield=True):
            await self.gate.wait()
        return function(*arguments)

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
        await bench.clock.advance(5)
        await settle()
        await bench.storing.flush()
        await bench.storing.close()

    assert ("ada", "/hers") in kept(tmp_path / "store")


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
