"""Databases in files, and the emulator as a program runs it."""

import json
from functools import partial
from pathlib import Path

import anyio
import pytest
from tests.api.emulator.raw_client import connect

from firekeep.emulator import Emulator, serve
from firekeep.exceptions import InvalidArgument

pytestmark = pytest.mark.anyio


async def test_a_file_is_imported_with_its_priorities_and_listeners_hear_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "data.json"
    file.write_text('{"a": {".value": 1, ".priority": 2}, "b": [1, 2]}')
    async with Emulator() as server, connect(server) as client:
        await client.request("q", p="/b", h="")
        await server.import_file(file)
        assert server.node("/a").priority == 2
        assert [push["b"]["d"] for push in await client.pushes()] == [{"0": 1, "1": 2}]


@pytest.mark.parametrize(
    "text", ["", "{broken", "\xff", '{"a": {"b.c": 1}}', '{"a": {".sv": "nonsense"}}']
)
async def test_a_file_that_no_database_can_hold_is_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    file.write_bytes(text.encode("latin-1"))
    server = Emulator(data={"a": 1})
    with pytest.raises(InvalidArgument, match=r"data\.json"):
        await server.import_file(file)
    assert server.value() == {"a": 1}


async def test_an_exported_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    file.write_text("old")
    server = Emulator(data={"a": {".value": 1, ".priority": 2}})
    await server.export_file(file)
    assert json.loads(file.read_text()) == {"a": {".value": 1, ".priority": 2}}
    assert [path async for path in anyio.Path(tmp_path).iterdir()] == [file]


async def test_serving_imports_first_and_exports_in_the_end(tmp_path: Path) -> None:
    source, target = tmp_path / "in.json", tmp_path / "out.json"
    source.write_text('{"a": 1}')
    async with anyio.create_task_group() as tasks:
        run = partial(serve, port=0, import_path=source, export_path=target)
        server = await tasks.start(run)
        assert server.value() == {"a": 1}
        async with connect(server) as client:
            await client.request("p", p="/b", d=2)
        tasks.cancel_scope.cancel()
    assert json.loads(target.read_text()) == {"a": 1, "b": 2}
