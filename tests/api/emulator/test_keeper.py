"""An emulator that begins where the last one ended."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path as FilePath

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
from tests.api.emulator.raw_client import Message, RawClient, connect
from tests.api.storage.test_full_disk import no_file_grows_beyond

import firekeep
from firekeep.auth import Auth
from firekeep.emulator import Emulator
from firekeep.emulator.keeper import Keeper
from firekeep.emulator.state import State
from firekeep.exceptions import PersistenceInUse, StorageError
from firekeep.storage.tree_store import TreeStore
from firekeep_core.snap.node import EMPTY
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export

pytestmark = pytest.mark.anyio

ODD_NAMES = ["other", ".priority", ".value", "a/b", "=", "ü", "databases"]


async def test_databases_are_there_again(tmp_path: FilePath) -> None:
    data = {"a": {"b": 1, ".priority": "p"}, "c": [1, 2.5, True], "long": "x" * 10_000}
    async with Emulator(data=data, directory=tmp_path / "kept") as server:
        before = server.node()
        for name in ODD_NAMES:
            server.set("/here", name, namespace=name)
    async with Emulator(directory=tmp_path / "kept") as server:
        assert server.node() == before
        for name in ODD_NAMES:
            assert server.value(namespace=name) == {"here": name}


async def test_initial_data_are_for_the_first_time_only(tmp_path: FilePath) -> None:
    async with Emulator(data={"a": 1}, directory=tmp_path) as server:
        server.set("/", None)
    async with Emulator(data={"a": 1}, directory=tmp_path) as server:
        assert server.value() is None


async def test_what_is_imported_before_the_start_replaces_what_was_kept(
    tmp_path: FilePath,
) -> None:
    file = tmp_path / "data.json"
    file.write_text('{"b": 2}')
    async with Emulator(data={"a": 1}, directory=tmp_path / "kept") as server:
        server.set("/", 3, namespace="other")
    server = Emulator(directory=tmp_path / "kept")
    await server.import_file(file)
    async with server:
        assert server.value() == {"b": 2}
        assert server.value(namespace="other") == 3
    async with Emulator(directory=tmp_path / "kept") as server:
        assert server.value() == {"b": 2}


async def test_an_emulator_that_is_entered_again_goes_on_with_what_it_has(
    tmp_path: FilePath,
) -> None:
    server = Emulator(directory=tmp_path)
    async with server:
        server.set("/a", 1)
    server.set("/b", 2)
    async with server:
        assert server.value() == {"a": 1, "b": 2}
    async with Emulator(directory=tmp_path) as server:
        assert server.value() == {"a": 1, "b": 2}


async def test_users_are_there_again_and_stay_signed_in(tmp_path: FilePath) -> None:
    async with Emulator(directory=tmp_path) as server:
        port = server.port
        auth = Auth("any-key", emulator_host=server.address)
        user = await auth.create_user_with_email_and_password("ada@example.com", "secret1")
        token = await auth.id_token()
        account = server.accounts.get(user.uid)
    async with Emulator(port, directory=tmp_path) as server:
        assert server.accounts.get(user.uid) == account
        server.clock.advance(10)
        assert await auth.id_token(force=True) != token
        again = Auth("any-key", emulator_host=server.address)
        user = await again.sign_in_with_email_and_password("ada@example.com", "secret1")
        assert account is not None
        assert user.uid == account.uid


async def test_a_directory_has_one_emulator_at_a_time(tmp_path: FilePath) -> None:
    async with Emulator(directory=tmp_path):
        with pytest.raises(PersistenceInUse):
            async with Emulator(directory=tmp_path):
                pass
    async with Emulator(directory=tmp_path):
        pass


async def test_a_port_that_is_taken_does_not_keep_the_directory(tmp_path: FilePath) -> None:
    async with Emulator() as other:
        with pytest.raises((OSError, ExceptionGroup)):
            async with Emulator(other.port, directory=tmp_path):
                pass
    async with Emulator(directory=tmp_path):
        pass


async def test_data_of_a_newer_emulator_are_refused(tmp_path: FilePath) -> None:
    keeper = Keeper(tmp_path, lambda: State({}, {}))
    await keeper.open()
    await keeper.aclose()
    store = TreeStore.open(tmp_path)
    store.save(store.root.update(Path.parse("/version"), from_export(2)))
    store.close()
    for _ in range(2):
        with pytest.raises(StorageError, match="version 2"):
            async with Emulator(directory=tmp_path):
                pass


@asynccontextmanager
async def worker_threads_busy() -> AsyncGenerator[None]:
    """Let nothing be done in a worker thread meanwhile."""
    limiter = anyio.to_thread.current_default_thread_limiter()
    total = limiter.total_tokens
    limiter.total_tokens = 1
    await limiter.acquire_on_behalf_of("the test")
    try:
        yield
    finally:
        limiter.release_on_behalf_of("the test")
        limiter.total_tokens = total


async def test_nobody_hears_of_a_write_before_it_is_kept(tmp_path: FilePath) -> None:
    heard: list[Message] = []

    async def listen(client: RawClient) -> None:
        heard.append(await client.receive())

    async with (
        Emulator(directory=tmp_path) as server,
        connect(server) as writer,
        connect(server) as listener,
        anyio.create_task_group() as tasks,
    ):
        await listener.request("q", p="/", h="")
        async with worker_threads_busy():
            await writer.ask("p", p="/a", d=1)
            await server.until(lambda: server.value() == {"a": 1})
            tasks.start_soon(listen, writer)
            tasks.start_soon(listen, listener)
            for _ in range(50):
                await anyio.lowlevel.checkpoint()
            assert heard == []
    assert sorted(message["d"].get("a", "") for message in heard) == ["", "d"]


async def test_no_answer_over_http_rests_on_what_is_not_kept(tmp_path: FilePath) -> None:
    answers: list[int] = []

    async def put(address: str) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.put(f"http://{address}/a.json?ns=default", json=1)
            answers.append(response.status_code)

    async with (
        Emulator(directory=tmp_path) as server,
        anyio.create_task_group() as tasks,
        worker_threads_busy(),
    ):
        tasks.start_soon(put, server.address)
        await server.until(lambda: server.value() == {"a": 1})
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        assert answers == []
    assert answers == [200]


async def test_everybody_waits_until_a_full_disk_has_space_again(tmp_path: FilePath) -> None:
    noise = os.urandom(200_000).hex()
    state = {"default": EMPTY}
    keeper = Keeper(tmp_path, lambda: State(state, {}), retry_s=0.0)
    assert await keeper.open() is None
    is_kept = False

    async def wait() -> None:
        nonlocal is_kept
        await keeper.kept()
        is_kept = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keeper.run)
        await keeper.kept()
        with no_file_grows_beyond(100_000):
            state["default"] = from_export(noise)
            keeper.note_change()
            tasks.start_soon(wait)
            for _ in range(5):
                await anyio.to_thread.run_sync(lambda: None)
            assert not is_kept
        await keeper.kept()
        tasks.cancel_scope.cancel()
    await keeper.aclose()
    found = await keeper.open()
    assert found is not None
    assert export(found.databases["default"]) == noise
    await keeper.aclose()


async def test_what_a_killed_emulator_confirmed_is_there_again(tmp_path: FilePath) -> None:
    for round in range(3):
        process = await anyio.open_process(
            [*(sys.executable, "-m", "firekeep", "emulator"), "--port", "0", "--data", tmp_path],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        with anyio.fail_after(60):
            async with process:
                assert process.stdout is not None
                banner = (await process.stdout.receive()).decode()
                url = next(word for word in banner.split() if word.startswith("http://"))
                try:
                    async with firekeep.open(url) as db:
                        found = (await db.reference("/").get()).value or {}
                        assert found == {f"w{number}": number for number in range(round * 50)}
                        for number in range(round * 50, round * 50 + 50):
                            await db.reference(f"w{number}").set(number)
                finally:
                    process.send_signal(signal.SIGKILL)
