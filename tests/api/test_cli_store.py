"""The commands that look into a store on disk."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.end_to_end.served import EAGER, served, until_value

import firekeep
from firekeep.cli import main


def fill(directory: Path) -> None:
    """Leave a store with a cache and a queue."""

    async def use() -> None:
        async with (
            served({"a": {"x": 1}, "b": 2}) as server,
            firekeep.open(server.url, persistence=directory, config=EAGER) as db,
        ):
            await until_value(db.reference("a"), {"x": 1})
            db.reference("b").keep_synced(True)
            await until_value(db.reference("b"), 2)
            db.go_offline()
            db.reference("a/x").set(5)
            db.reference().update({"c/d": 6, "e": None})

    anyio.run(use)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("app") / "store"
    fill(directory)
    return directory


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run a command that succeeds; return the JSON that it prints."""
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_info_says_how_much_there_is(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = printed(capsys, "cache", "info", str(store))

    assert (facts["queries"], facts["kept_synced"], facts["pending_writes"]) == (2, 1, 2)
    assert 0 < facts["cached_bytes"] < facts["disk_bytes"]


def test_list_names_the_queries(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = printed(capsys, "cache", "list", str(store))

    assert {row["path"]: row["kept_synced"] for row in rows} == {"/a": False, "/b": True}
    assert main(["cache", "list", str(store)]) == 0
    assert "/b  all  kept synced" in capsys.readouterr().out


def test_export_prints_what_is_known(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "cache", "export", str(store)) == {"a": {"x": 1}, "b": 2}


def test_verify_finds_nothing_wrong(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "cache", "verify", str(store)) == []


def test_the_queue_is_listed_and_exported(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = printed(capsys, "queue", "list", str(store))
    assert [(row["id"], row["kind"], row["path"], row["children"]) for row in rows] == [
        (1, "set", "/a/x", []),
        (2, "update", "/", ["c/d", "e"]),
    ]

    assert main(["queue", "export", str(store)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["data"] for line in lines] == [5, {"c/d": 6, "e": None}]


def test_a_running_app_can_be_looked_at_and_not_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "store")

    async def look() -> None:
        db = firekeep.open("http://127.0.0.1:1?ns=default", persistence=tmp_path / "store")
        db.go_offline()
        async with db:
            assert printed(capsys, "cache", "export", str(tmp_path / "store"))["b"] == 2
            assert main(["queue", "cancel", str(tmp_path / "store"), "1"]) == 1
            assert "in use" in capsys.readouterr().err

    anyio.run(look)


def test_cancelled_writes_and_a_cleared_cache_are_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = str(tmp_path / "store")
    fill(tmp_path / "store")

    assert main(["queue", "cancel", directory, "1"]) == 0
    assert main(["cache", "clear", directory]) == 0

    assert [row["id"] for row in printed(capsys, "queue", "list", directory)] == [2]
    assert printed(capsys, "cache", "export", directory) == {"b": 2}


def damage(directory: Path) -> None:
    """Change what lies in every table and log of a database."""
    for file in [*directory.glob("*.sst"), *directory.glob("*.log")]:
        data = bytearray(file.read_bytes())
        for place in range(60, min(len(data), 80)):
            data[place] ^= 0xFF
        file.write_bytes(data)


def test_what_is_damaged_does_not_hide_the_rest(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("cache", "queue"):
        shutil.copytree(store, tmp_path / part)
        damage(tmp_path / part / part)
    no_cache, no_queue = str(tmp_path / "cache"), str(tmp_path / "queue")

    assert [row["id"] for row in printed(capsys, "queue", "list", no_cache)] == [1, 2]
    assert printed(capsys, "cache", "export", no_queue) == {"a": {"x": 1}, "b": 2}
    assert main(["cache", "info", no_cache, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["pending_writes"] == 2
    assert main(["cache", "info", no_queue, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["queries"] == 2


@pytest.mark.parametrize("part", ["cache", "queue"])
def test_verify_lists_the_damage_where_it_lies(
    store: Path, tmp_path: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(store, tmp_path / "app")
    damage(tmp_path / "app" / part)

    assert main(["cache", "verify", str(tmp_path / "app"), "--json"]) == 1

    wrong = json.loads(capsys.readouterr().out)
    assert len(wrong) >= 2
    assert wrong[0].startswith(f"the {part} cannot be read")
    for text in wrong:
        for name in re.findall(r"/\S+\.(?:sst|log)", text):
            assert Path(name).is_file()


def test_a_write_that_does_not_wait_is_not_cancelled_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "store")
    directory = str(tmp_path / "store")

    assert main(["queue", "cancel", directory, "1", "999"]) == 2

    assert "no write 999 waits" in capsys.readouterr().err
    assert [row["id"] for row in printed(capsys, "queue", "list", directory)] == [1, 2]


@pytest.mark.parametrize("command", [("cache", "clear"), ("queue", "cancel")])
def test_what_is_put_aside_in_passing_is_said(
    store: Path, tmp_path: Path, command: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(store, tmp_path / "app")
    damage(tmp_path / "app" / "cache")

    identifiers = ["1"] if command[1] == "cancel" else []
    assert main([*command, str(tmp_path / "app"), *identifiers]) == 0

    assert "the cache was damaged" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("cache", "info"), ("queue", "list"), ("cache", "clear")])
def test_what_is_no_store_is_left_alone(
    tmp_path: Path, command: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, str(tmp_path)]) in (1, 2)

    assert "no directory of firekeep's" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
