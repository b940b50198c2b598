"""What a test may do to the emulator and its clients."""

import json

import anyio
import pytest
from tests.api.emulator.raw_client import Closed, Message, connect

from firekeep.emulator import Clock, Emulator
from firekeep.exceptions import UsageError

pytestmark = pytest.mark.anyio

OK: Message = {"s": "ok", "d": ""}


async def test_dropped_clients_may_come_again() -> None:
    async with Emulator() as server:
        async with connect(server) as client:
            assert server.connections == 1
            server.drop_connections()
            with pytest.raises(Closed):
                await client.receive()
        await server.until(lambda: server.connections == 0)
        async with connect(server) as client:
            assert (await client.request("s", c={}))[0] == OK


async def test_connections_are_refused_until_told_otherwise() -> None:
    async with Emulator() as server:
        server.refuse_connections()
        async with connect(server, handshake=False) as client:
            with pytest.raises(Closed):
                await client.receive()
        server.refuse_connections(False)
        async with connect(server) as client:
            assert (await client.request("s", c={}))[0] == OK


async def test_held_messages_come_one_by_one_and_then_all() -> None:
    async with Emulator() as server, connect(server) as client:
        server.hold()
        for number in (1, 2, 3):
            await client.ask("s", number)
        await server.until(lambda: len(server.clients[0].held) == 3)
        server.release(1)
        assert (await client.receive())["d"]["r"] == 1
        server.release()
        assert [(await client.receive())["d"]["r"] for _ in range(2)] == [2, 3]
        assert (await client.request("s", c={}))[0] == OK


async def test_a_handshake_can_be_held() -> None:
    async with Emulator() as server:
        server.hold()
        async with connect(server, handshake=False) as client:
            await server.until(lambda: server.connections == 1)
            assert json.loads(server.clients[0].held[0])["d"]["t"] == "h"
            server.release()
            assert (await client.receive())["d"]["t"] == "h"


async def test_pushes_overtake_held_answers() -> None:
    async with Emulator() as server, connect(server) as client:
        await client.request("q", p="/a", h="")
        server.hold_answers()
        number = await client.ask("p", p="/a", d=1)
        assert (await client.receive())["d"]["a"] == "d"
        server.set("/a", 2)
        assert (await client.receive())["d"]["b"]["d"] == 2
        assert len(server.clients[0].held_answers) == 1
        server.release_answers()
        assert await client.answer(number) == (OK, [])


async def test_one_client_is_held_and_others_are_not() -> None:
    async with Emulator() as server, connect(server) as held, connect(server) as free:
        server.clients[0].hold()
        await held.ask("s", 1)
        await server.until(lambda: len(server.clients[0].held) == 1)
        assert (await free.request("s", c={}))[0] == OK


async def test_a_delayed_message_comes_later() -> None:
    async with Emulator() as server, connect(server) as client:
        server.delay(0.05)
        start_s = anyio.current_time()
        await client.request("s", c={})
        assert anyio.current_time() - start_s >= 0.05


async def test_a_connection_is_cut_in_the_middle_of_a_long_message() -> None:
    async with Emulator(data={"long": "x" * 200_000}) as server, connect(server) as client:
        server.cut_after(50_000)
        await client.ask("q", p="/long", h="")
        assert await client.receive_text() == "13"
        segments = [await client.receive_text() for _ in range(3)]
        assert [len(segment) for segment in segments] == [16384] * 3
        with pytest.raises(Closed):
            await client.receive_text()
        await server.until(lambda: server.connections == 0)


async def test_a_connection_is_cut_in_the_middle_of_what_a_client_sends() -> None:
    async with Emulator() as server, connect(server) as client:
        server.cut_after(50_000, incoming=True)
        with pytest.raises((Closed, anyio.BrokenResourceError)):
            await client.ask("p", p="/long", d="x" * 200_000)
            await client.receive()
        await server.until(lambda: server.connections == 0)
        assert server.value() is None


async def test_hostile_frames_reach_a_client_as_they_are() -> None:
    async with Emulator() as server, connect(server) as client:
        server.send_raw("{not json")
        assert await client.receive_text() == "{not json"
        server.send_raw(b'"\xff"')
        with pytest.raises(UnicodeDecodeError):
            await client.receive_text()


async def test_bytes_that_are_no_frame_reach_a_client() -> None:
    async with Emulator() as server, connect(server) as client:
        server.clients[0].send_bytes(b"\xff\xff")
        with pytest.raises(Closed):
            await client.receive_text()


async def test_clients_are_told_to_go_and_where_to_go() -> None:
    async with Emulator() as server, connect(server) as client:
        server.shutdown_clients("maintenance")
        assert await client.receive() == {"t": "c", "d": {"t": "s", "d": "maintenance"}}
        server.redirect("other:9000", new_connections=True)
        away = {"t": "c", "d": {"t": "r", "d": "other:9000"}}
        assert await client.receive() == away
        async with connect(server, handshake=False) as late:
            assert await late.receive() == away
        server.welcome()
        async with connect(server, handshake=False) as later:
            assert (await later.receive())["d"]["t"] == "h"


async def test_a_revoked_listen_is_named_and_hears_no_more() -> None:
    query = {"l": 1, "vf": "l"}
    async with Emulator(data={"a": 1}) as server, connect(server) as client:
        await client.request("q", p="/", h="")
        await client.request("q", p="/", h="", q=query, t=1)
        assert server.revoke("/") == 1
        assert server.revoke("/", query) == 1
        assert server.revoke("/") == 0
        server.set("/a", 2)
        assert await client.pushes() == [
            {"a": "c", "b": {"p": ""}},
            {"a": "c", "b": {"p": "", "q": [query]}},
        ]


async def test_a_revoked_login_is_told() -> None:
    async with Emulator() as server, connect(server) as client:
        server.revoke_login()
        push = {"a": "ac", "b": {"s": "expired_token", "d": "Auth token is expired."}}
        assert await client.pushes() == [push]


async def test_denied_reads_and_writes_are_refused_there_and_below() -> None:
    denied = {"s": "permission_denied", "d": "Permission denied"}
    async with Emulator(data={"a": {"b": 1}}) as server, connect(server) as client:
        server.deny("/a")
        assert (await client.request("q", p="/a/b", h=""))[0] == denied
        assert (await client.request("p", p="/a", d=1))[0] == denied
        assert (await client.request("m", p="/", d={"c": 1, "a/b": 1}))[0] == denied
        server.allow("/a")
        assert (await client.request("p", p="/a", d=1))[0] == OK


async def test_what_is_denied_in_the_end_is_not_written_on_disconnect() -> None:
    async with Emulator() as server:
        async with connect(server) as client:
            await client.request("o", p="/a", d=1)
            await client.request("o", p="/b", d=2)
            server.deny("/a")
        await server.until(lambda: server.connections == 0)
        assert server.value() == {"b": 2}


async def test_the_next_requests_of_an_action_are_refused() -> None:
    async with Emulator() as server, connect(server) as client:
        server.refuse_next("p", "unavailable", "later", count=2)
        refused = {"s": "unavailable", "d": "later"}
        answers = [(await client.request("p", p="/a", d=1))[0] for _ in range(3)]
        assert answers == [refused, refused, OK]


async def test_what_clients_send_is_recorded_whole() -> None:
    async with Emulator(record=True) as server, connect(server) as client:
        await client.request("p", p="/a", d="x" * 20_000)
        await client.request("g", p="/a", q={})
        actions = [json.loads(text)["d"]["a"] for _, text in server.received]
        assert actions == ["p", "g"]
        assert server.received[0][0] is server.clients[0]


async def test_a_client_that_does_not_read_is_dropped_and_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        Emulator(max_buffer_bytes=100_000) as server,
        connect(server) as slow,
        connect(server) as other,
    ):
        await slow.request("q", p="/a", h="")
        while server.connections == 2:
            await other.request("p", p="/a", d="x" * 50_000)
        assert (await other.request("s", c={}))[0] == OK
    assert "does not read" in caplog.text


async def test_a_client_that_asks_for_more_than_it_reads_is_kept() -> None:
    data = {"a": "x" * 3_000_000}
    async with Emulator(max_buffer_bytes=1_000_000, data=data) as server, connect(server) as client:
        numbers = [await client.ask("g", p="/a", q={}) for _ in range(5)]
        for number in numbers:
            assert (await client.answer(number))[0]["d"] == data["a"]


async def test_a_silent_client_is_dropped() -> None:
    async with Emulator(silence_s=0.02) as server, connect(server) as client:
        with pytest.raises(Closed):
            await client.receive()
        await server.until(lambda: server.connections == 0)


async def test_an_error_in_the_block_leaves_it_as_it_is() -> None:
    server = Emulator()
    with pytest.raises(LookupError, match="mine"):
        async with server, connect(server):
            raise LookupError("mine")
    with pytest.raises(OSError):
        await anyio.connect_tcp(server.host, server.port)


async def test_cancelling_ends_server_and_clients() -> None:
    server = Emulator()
    with anyio.CancelScope() as scope:
        async with server, connect(server):
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert server.connections == 0


async def test_the_data_outlive_a_run() -> None:
    server = Emulator(data={"a": 1})
    async with server:
        server.set("/b", 2)
        with pytest.raises(UsageError):
            await server.__aenter__()
    async with server, connect(server) as client:
        assert (await client.request("g", p="/", q={}))[0]["d"] == {"a": 1, "b": 2}


async def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    async with Emulator() as server:
        with pytest.raises(OSError):
            async with Emulator(server.port):
                pass


def test_a_clock_runs_stops_and_moves() -> None:
    now_ms = [1000.0]
    clock = Clock(lambda: now_ms[0])
    clock.advance(2)
    assert clock.now_ms() == 3000
    clock.freeze()
    now_ms[0] += 500
    clock.advance(-1)
    assert clock.now_ms() == 2000
    clock.freeze(50)
    assert clock.now_ms() == 50
    clock.run()
    now_ms[0] += 1
    assert clock.now_ms() == 51
