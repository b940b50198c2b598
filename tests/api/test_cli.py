"""The command: what it prints, and how it ends."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

import firekeep
from firekeep.cli import main
from firekeep.cli.output import Output
from firekeep.cli.progress import Progress, counting_connector
from firekeep.emulator import Emulator
from firekeep.net.memory import memory_pair
from firekeep.net.transport import Transport
from firekeep.snapshot import Event, Metadata

pytestmark = pytest.mark.anyio


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def anyio_backend() -> str:
    """Return one event loop: the command chooses its own."""
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[Emulator]:
    with anyio.fail_after(30):
        async with Emulator(data={"a": {"x": 1, "y": [1, 2]}}, record=True) as running:
            yield running


async def command(*arguments: str, capture: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run the command as a process would, on a thread of its own."""
    code = await anyio.to_thread.run_sync(partial(main, arguments))
    captured = capture.readouterr()
    return code, captured.out, captured.err


async def test_get_prints_json(server: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command("get", server.url, "a", "--json", capture=capsys) == (
        0,
        '{"x": 1, "y": [1, 2]}\n',
        "",
    )
    code, out, _ = await command("get", server.url, "a", capture=capsys)
    assert (code, json.loads(out)) == (0, {"x": 1, "y": [1, 2]})
    assert out.count("\n") > 3
    assert (await command("get", server.url, "none", capture=capsys))[:2] == (0, "null\n")


async def test_the_location_may_be_part_of_the_url(
    server: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://{server.address}/a?ns=default"

    assert (await command("get", url, "x", capture=capsys))[:2] == (0, "1\n")


async def test_queries_choose_children(
    server: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    server.set("/scores", {"ada": 3, "bob": 1, "cid": 2})
    run = partial(command, "get", server.url, "scores", "--json", capture=capsys)

    assert (await run("--order-by", "$value", "--limit-to-last", "1"))[1] == '{"ada": 3}\n'
    assert (await run("--order-by", "$value", "--equal-to", "2"))[1] == '{"cid": 2}\n'
    assert (await run("--order-by", "$key", "--end-before", "bob"))[1] == '{"ada": 3}\n'
    assert (await run("--order-by", "name", "--start-at", '"x"'))[1] == "null\n"


async def test_writing_changes_the_server(
    server: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    run = partial(command, capture=capsys)

    assert await run("set", server.url, "b", '{"c": true}') == (0, "", "")
    assert (await run("update", server.url, "b", '{"d/e": 1, "c": null}'))[0] == 0
    assert server.value("/b") == {"d": {"e": 1}}
    code, out, _ = await run("push", server.url, "list", '"hello"')
    assert (code, server.value(f"/list/{out.strip()}")) == (0, "hello")
    assert (await run("remove", server.url, "b"))[0] == 0
    assert server.value("/b") is None


async def test_a_value_is_read_from_standard_input(
    server: Emulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("[1, 2]"))

    assert (await command("set", server.url, "b", capture=capsys))[0] == 0
    assert server.value("/b") == [1, 2]


async def test_removing_everything_has_to_be_meant(
    server: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = await command("remove", server.url, capture=capsys)

    assert code == 2
    assert "--force" in err
    assert server.value("/a") is not None
    assert (await command("remove", server.url, "--force", capture=capsys))[0] == 0
    assert server.value() is None


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["get", "nonsense://x"], 2, "nonsense"),
        (["get", "URL", "a/$b"], 2, "$b"),
        (["get", "URL", "--limit-to-first", "1", "--limit-to-last", "1"], 2, "limit"),
        (["set", "URL", "a", "{bad"], 2, "not JSON"),
        (["set", "URL", "a", '{"a.b": 1}'], 2, "a.b"),
        (["update", "URL", "a", "5"], 2, "mapping"),
        (["push", "URL", "a", "null"], 2, "null"),
        (["get", "URL", "secret"], 1, "permission_denied"),
        (["set", "URL", "secret", "1"], 1, "permission_denied"),
        (["watch", "URL", "secret"], 1, "permission_denied"),
        (["emulator", "--port", "0", "--import", "/does/not/exist"], 1, "/does/not/exist"),
    ],
)
async def test_an_error_is_one_line_and_an_exit_code(
    server: Emulator,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    part: str,
) -> None:
    server.deny("/secret")
    arguments = [server.url if argument == "URL" else argument for argument in arguments]

    result, out, err = await command(*arguments, capture=capsys)

    assert (result, out) == (code, "")
    assert part in err
    assert err.startswith("firekeep: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["get"],
        ["set", "x"],
        ["emulator", "--port", "x"],
        ["watch", "x", "--count", "0"],
    ],
)
def test_wrong_arguments_end_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2
    assert "usage: firekeep" in capsys.readouterr().err


async def test_without_a_server_it_gives_up_in_time(capsys: pytest.CaptureFixture[str]) -> None:
    url = "http://127.0.0.1:1?ns=x"

    code, _, err = await command("get", url, "--timeout", "0.1", capture=capsys)
    assert (code, "127.0.0.1:1" in err) == (1, True)
    code, _, err = await command("set", url, "a", "1", "--timeout", "0.1", capture=capsys)
    assert (code, "nothing was written" in err) == (1, True)


async def test_watch_prints_the_value_then_a_line_for_each_change(
    server: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    result: list[tuple[int, str, str]] = []
    async with anyio.create_task_group() as group:

        async def run() -> None:
            result.append(await command("watch", server.url, "a", "--count", "4", capture=capsys))

        group.start_soon(run)
        await _until_listening(server)
        server.set("/a/z", {"new": True})
        server.set("/a/x", 2)
        server.set("/a/z", None)
        server.set("/a", 5)

    code, out, _ = result[0]
    lines = [line.partition(" ")[2] for line in out.splitlines()[3:]]
    assert code == 0
    assert out.splitlines()[:3] == ["/a  2 children, about 46 bytes", "  x  1", "  y  [1, 2]"]
    assert lines[:3] == ['+ z  {"new": true}', "~ x  2", "- z"]


@pytest.mark.parametrize(("form", "expected"), [("--tree", "/n 2"), ("--json", '"value": 2')])
async def test_watch_has_other_forms(
    server: Emulator, capsys: pytest.CaptureFixture[str], form: str, expected: str
) -> None:
    server.set("/n", 1)
    result: list[tuple[int, str, str]] = []
    async with anyio.create_task_group() as group:

        async def run() -> None:
            result.append(
                await command("watch", server.url, "n", form, "--count", "1", capture=capsys)
            )

        group.start_soon(run)
        await _until_listening(server)
        server.set("/n", 2)

    first, last = result[0][1].splitlines()
    assert "1" in first
    assert expected in last


async def test_an_emulator_runs_until_it_is_interrupted(tmp_path: Path) -> None:
    data = tmp_path / "data.json"
    data.write_text('{"a": 1}')
    process = await anyio.open_process(
        [
            *(sys.executable, "-m", "firekeep", "emulator", "--port", "0"),
            *("--import", str(data), "--export", str(tmp_path / "out.json")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with anyio.fail_after(30):
        async with process:
            assert process.stdout is not None
            banner = (await process.stdout.receive()).decode()
            url = next(word for word in banner.split() if word.startswith("http://"))
            async with firekeep.open(url) as db:
                assert (await db.reference("a").get()).value == 1
                await db.reference("b").set(2)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130

    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 1, "b": 2}


def test_colours_are_for_people_who_want_them() -> None:
    for stream, environ, coloured in (
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ):
        output = Output(stream, stream, environ)
        output.error(firekeep.exceptions.Offline("no\nconnection"))
        assert ("\033[" in stream.getvalue()) is coloured
        assert "no connection\n" in stream.getvalue()


def test_a_long_value_is_cut_short_for_people_only() -> None:
    snapshot = _snapshot({f"k{number}": "x" * 500 for number in range(100)})
    for stream, cut in ((Terminal(), True), (io.StringIO(), False)):
        output = Output(stream, stream, {"NO_COLOR": "1"})
        output.tree(snapshot)
        text = stream.getvalue()
        assert ("… 60 more" in text) is cut
        assert (max(map(len, text.splitlines())) < 300) is cut


def test_a_move_says_where_to() -> None:
    stream = io.StringIO()
    output = Output(stream, stream, {})
    for previous_key in (None, "b"):
        output.change(Event("child_moved", _snapshot(1), previous_key, False, "server"))

    assert "to the front" in stream.getvalue()
    assert "after b" in stream.getvalue()


async def test_progress_counts_the_parts_of_a_long_message() -> None:
    shown: list[str] = []
    near, far = memory_pair()

    async def connect(_effect: Any) -> Transport:
        return near

    transport = await counting_connector(connect, Progress(shown.append))(None)  # type: ignore[arg-type]
    await far.send(["20", *["x" * 1000] * 10])
    await transport.receive()
    await far.send(["x" * 1000] * 10)
    await transport.receive()
    await transport.aclose()

    assert "50%" in shown[0]
    assert shown[-1] == ""


def test_a_short_message_shows_no_progress() -> None:
    shown: list[str] = []
    progress = Progress(shown.append)

    progress.take([b"2", b"a", b"b", b'{"t":"d"}'])

    assert shown == []


def _snapshot(value: Any) -> firekeep.Snapshot:
    from firekeep_core.query.params import QueryParams
    from firekeep_core.snap.value import from_python

    return firekeep.Snapshot(
        from_python(value),
        firekeep.Path.parse("a"),
        QueryParams.DEFAULT,
        Metadata(False, False, True),
    )


async def _until_listening(server: Emulator) -> None:
    await server.until(lambda: any('"q"' in text for _, text in server.received))
