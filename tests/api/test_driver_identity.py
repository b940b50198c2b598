"""The driver and whoever gives it credentials: slow, failing, talkative, or changing their mind."""

import logging
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest
from tests.api.driven import World, put, settle

from firekeep.auth.source import ChangeKind, Credential, CredentialChange
from firekeep.exceptions import NetworkUnavailable, NotAvailable, PersistenceInUse
from firekeep.storage.store import Store

pytestmark = pytest.mark.anyio

ResultT = TypeVar("ResultT")


class Source:
    """Says who is signed in as a test wants it."""

    def __init__(self, uid: str | None) -> None:
        self.uid = uid
        self.is_restored = False
        self.callbacks: list[Callable[[CredentialChange], Any]] = []

    async def restore(self, directory: FilePath | None = None) -> None:
        await anyio.lowlevel.checkpoint()
        self.is_restored = True

    async def token(
        self, force: bool = False, *, offset_ms: int | None = None
    ) -> Credential | None:
        await anyio.lowlevel.checkpoint()
        return None if self.uid is None else Credential("owner", uid=self.uid)

    def on_change(self, callback: Callable[[CredentialChange], object]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def become(self, uid: str | None, *, clear: bool = False) -> list[Any]:
        previous, self.uid = self.uid, uid
        kind: ChangeKind = "signed_out" if uid is None else "signed_in"
        change = CredentialChange(kind, uid, previous, clear)
        return [callback(change) for callback in list(self.callbacks)]


def store_in(directory: FilePath) -> Store:
    return Store(directory, budget_bytes=1_000_000, durability="batch")


async def at_once(function: Callable[..., ResultT], *arguments: Any) -> ResultT:
    await anyio.lowlevel.checkpoint()
    return function(*arguments)


async def test_what_a_provider_says_in_its_error_is_not_passed_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def provide(force: bool, /) -> str | None:
        await anyio.lowlevel.checkpoint()
        raise RuntimeError("GET https://example.com/?key=SECRET failed")

    world = World(auth=provide)
    async with world.driver as driver:
        await settle()
        status = driver.status

    assert isinstance(status.last_error, NetworkUnavailable)
    assert "RuntimeError" in (status.auth_reason or "")
    assert "SECRET" not in repr(status) + caplog.text


@pytest.mark.parametrize("attestation", [b"SECRET", ["SECRET"], 5])
async def test_an_attestation_that_is_no_text_is_not_shown(
    attestation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def provide(force: bool, /) -> str | None:
        await anyio.lowlevel.checkpoint()
        return attestation  # type: ignore[no-any-return]

    world = World(app_check=provide)
    async with world.driver as driver:
        await world.connect()
        status = driver.status

    assert status.connection == "online"
    assert type(attestation).__name__ in caplog.text
    assert "SECRET" not in repr(status) + caplog.text


async def test_a_provider_that_never_answers_is_asked_by_one_task_at_a_time() -> None:
    asking: list[bool] = []

    async def never(force: bool, /) -> str | None:
        asking.append(force)
        try:
            await anyio.sleep_forever()
        finally:
            asking.pop()
        return None

    world = World(auth=never)
    async with world.driver as driver:
        await settle()
        for _ in range(5):
            await world.clock.advance(60.0)
            assert len(asking) <= 1
        assert driver.status.auth == "expired"
        assert driver.status.auth_reason is not None


@pytest.mark.parametrize("uid", [None, "bob"])
async def test_a_change_of_user_while_the_database_is_entered_counts(
    tmp_path: FilePath, uid: str | None
) -> None:
    source = Source("ada")

    async def run(function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        await anyio.lowlevel.checkpoint()
        if function == store.open:
            source.become(uid)
        return function(*arguments)

    first = World(auth=Source("ada"))
    first.driver.keep_in(store_in(tmp_path / "store"), tmp_path, run=at_once)
    async with first.driver as driver:
        put(driver, "/a", 1)

    world = World(auth=source)
    store = store_in(tmp_path / "store")
    world.driver.keep_in(store, tmp_path, run=run)
    async with world.driver as driver:
        await settle()
        assert driver.pending_writes() == []
        assert driver.status.held_writes == 1
        assert put(driver, "/b", 2).uid == uid


async def test_signing_out_for_good_while_the_database_is_entered_is_waited_for(
    tmp_path: FilePath,
) -> None:
    source = Source("ada")
    waits: list[Any] = []

    async def run(function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        await anyio.lowlevel.checkpoint()
        if function == store.open:
            waits.extend(source.become(None, clear=True))
        return function(*arguments)

    world = World(auth=source)
    store = store_in(tmp_path / "store")
    world.driver.keep_in(store, tmp_path, run=run)
    async with world.driver:
        with anyio.fail_after(5):
            await waits[0]


async def test_what_is_kept_in_a_directory_is_not_touched_while_another_holds_it(
    tmp_path: FilePath,
) -> None:
    source = Source("ada")
    world = World(auth=source)
    world.driver.keep_in(store_in(tmp_path / "store"), tmp_path, run=at_once)
    with store_in(tmp_path / "store"):
        with pytest.raises(PersistenceInUse):
            async with world.driver:
                pass
        assert not source.is_restored
        assert source.callbacks == []

    async with world.driver as driver:
        assert put(driver, "/a", 1).uid == "ada"
    assert source.callbacks == []


async def test_who_waits_for_all_writes_is_told_when_their_user_leaves() -> None:
    source = Source("ada")
    world = World(auth=source)
    async with world.driver as driver, anyio.create_task_group() as group:
        write = put(driver, "/a", 1)
        told: list[Exception] = []

        async def wait() -> None:
            try:
                await driver.wait_for_pending_writes()
            except NotAvailable as error:
                told.append(error)

        group.start_soon(wait)
        await settle()
        source.become("bob")
        await settle()

        assert len(told) == 1
        assert write.state == "queued"
