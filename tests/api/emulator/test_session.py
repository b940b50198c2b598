"""The protocol as a client sees it, message by message (wire §3 and §7.2)."""

import json
from typing import Any

import pytest
from tests.api.emulator.raw_client import Closed, Message, connect

from firekeep.emulator import Emulator

pytestmark = pytest.mark.anyio

OK: Message = {"s": "ok", "d": ""}
OK_LISTEN: Message = {"s": "ok", "d": {}}


def push(action: str, path: str, data: Any, tag: int | None = None) -> Message:
    body = {"p": path, "d": data}
    return {"a": action, "b": body if tag is None else {**body, "t": tag}}


async def test_the_handshake_names_the_host_that_the_client_asked_for() -> None:
    async with (
        Emulator() as server,
        connect(server, headers={"Host": "10.0.2.2:9000"}, handshake=False) as client,
    ):
        server.clock.freeze(1700000000000)
        hello = await client.receive()
        assert hello["d"]["t"] == "h"
        assert hello["d"]["d"]["h"] == "10.0.2.2:9000"
        assert hello["d"]["d"]["v"] == "5"


async def test_each_ping_is_answered_with_one_pong_that_has_a_payload() -> None:
    async with Emulator() as server, connect(server) as client:
        for _ in range(2):
            await client.send({"t": "c", "d": {"t": "p", "d": {}}})
        for _ in range(2):
            assert await client.receive() == {"t": "c", "d": {"t": "o", "d": None}}


async def test_signs_of_life_and_unknown_control_messages_are_ignored() -> None:
    async with Emulator() as server, connect(server) as client:
        await client.send_text("0")
        await client.send({"t": "c", "d": {"t": "a", "d": {}}})
        assert await client.pushes() == []


async def test_number_0_is_a_request_like_any_other() -> None:
    async with Emulator() as server, connect(server) as client:
        assert await client.answer(await client.ask("s", 0, c={})) == (OK, [])


async def test_listening_to_nothing_sends_no_data() -> None:
    async with Emulator() as server, connect(server) as client:
        assert await client.request("q", p="/nothing", h="") == (OK_LISTEN, [])


async def test_a_client_that_holds_the_value_is_sent_none() -> None:
    async with Emulator(data={"counter": 4}) as server, connect(server) as client:
        answer = await client.request("q", p="/counter", h="eVih19a6ZDz3NL32uVBtg9KSgQY=")
        assert answer == (OK_LISTEN, [])


async def test_a_repeated_listen_is_answered_again_and_stays_one() -> None:
    async with Emulator(data={"a": 1}) as server, connect(server) as client:
        for _ in range(2):
            assert await client.request("q", p="/a", h="") == (OK_LISTEN, [push("d", "a", 1)])
        server.set("/a", 2)
        assert await client.pushes() == [push("d", "a", 2)]
        await client.request("n", p="/a")
        server.set("/a", 3)
        assert await client.pushes() == []


async def test_a_change_is_sent_once_untagged_and_once_for_each_tag() -> None:
    async with Emulator(data={"list": {"a": 1, "b": 2}}) as server, connect(server) as client:
        query = {"i": ".value", "l": 1, "vf": "r"}
        await client.request("q", p="/list", h="")
        await client.request("q", p="/list/b", h="")
        await client.request("q", p="/list", h="", q=query, t=7)
        server.set("/list/b", 3)
        assert await client.pushes() == [push("d", "list/b", 3), push("d", "list/b", 3, 7)]


async def test_what_enters_and_leaves_a_window_comes_in_one_message() -> None:
    data = {"list": {"a": 1, "b": 2, "c": 3}}
    query = {"i": ".value", "l": 2, "vf": "r"}
    async with Emulator(data=data) as server, connect(server) as client:
        _, pushes = await client.request("q", p="/list", h="", q=query, t=1)
        assert pushes == [push("d", "list", {"b": 2, "c": 3}, 1)]
        server.set("/list/d", 9)
        assert await client.pushes() == [push("m", "list", {"d": 9, "b": None}, 1)]
        server.set("/list/d", None)
        assert await client.pushes() == [push("m", "list", {"d": None, "b": 2}, 1)]


async def test_a_query_is_unlistened_whatever_the_order_of_its_members() -> None:
    async with Emulator(data={"list": {"a": 1}}) as server, connect(server) as client:
        await client.request("q", p="/list", h="", q={"l": 1, "vf": "l", "i": ".key"}, t=1)
        await client.request("n", p="/list", q={"i": ".key", "vf": "l", "l": 1}, t=1)
        server.set("/list/a", 2)
        assert await client.pushes() == []


async def test_a_multi_path_update_reaches_a_listener_in_one_message() -> None:
    async with (
        Emulator() as server,
        connect(server) as writer,
        connect(server) as above,
        connect(server) as below,
    ):
        await above.request("q", p="/", h="")
        await below.request("q", p="/rooms/r1", h="")
        update = {"r1/a": 2, "/r1/b": [1, None, 3], "r2": {"x": 1}}
        assert (await writer.request("m", p="rooms", d=update))[0] == OK
        array = {"0": 1, "2": 3}
        assert await above.pushes() == [
            push("m", "rooms", {"r1/a": 2, "r1/b": array, "r2": {"x": 1}})
        ]
        assert await below.pushes() == [push("m", "rooms/r1", {"a": 2, "b": array})]


async def test_an_update_with_a_path_in_another_changes_nothing() -> None:
    async with Emulator() as server, connect(server) as client:
        answer, _ = await client.request("m", p="/", d={"a": 1, "a/b": 2})
        assert answer["s"] == "failure"
        assert server.value() is None


async def test_a_write_above_sends_a_listener_its_new_value_if_that_changes() -> None:
    async with Emulator(data={"a": {"b": 1, "c": 2}}) as server, connect(server) as client:
        await client.request("q", p="/a/b", h="")
        server.set("/a", {"b": 1, "c": 3})
        server.set("/a", {"c": 3})
        assert await client.pushes() == [push("d", "a/b", None)]


async def test_a_priority_is_written_and_pushed_by_its_own_path() -> None:
    async with Emulator(data={"a": {"b": 1}}) as server, connect(server) as client:
        await client.request("q", p="/a", h="")
        answer, pushes = await client.request("p", p="/a/b/.priority", d=5)
        assert (answer, pushes) == (OK, [push("d", "a/b/.priority", 5)])
        assert server.node("/a/b").priority == 5


async def test_nothing_has_no_priority() -> None:
    async with Emulator() as server, connect(server) as client:
        await client.request("q", p="/", h="")
        assert await client.request("p", p="/nothing/.priority", d=5) == (OK, [])
        assert server.value() is None


async def test_server_values_are_resolved_before_they_are_pushed() -> None:
    async with Emulator(data={"n": 5}) as server, connect(server) as client:
        server.clock.freeze(1234)
        await client.request("q", p="/", h="")
        stamp = {".sv": "timestamp"}
        update = {"a": stamp, "b/c": stamp, "n": {".sv": {"increment": 2}}}
        _, pushes = await client.request("m", p="/", d=update)
        assert pushes == [push("m", "", {"a": 1234, "b/c": 1234, "n": 7})]


async def test_a_stale_transaction_is_refused_after_the_new_value_was_sent() -> None:
    async with Emulator(data={"counter": 4}) as server, connect(server) as client:
        await client.request("q", p="/counter", h="")
        server.set("/counter", 5)
        hash_of_4 = "eVih19a6ZDz3NL32uVBtg9KSgQY="
        answer, pushes = await client.request("p", p="/counter", d=5, h=hash_of_4)
        assert answer == {"s": "datastale", "d": "Transaction hash does not match"}
        assert pushes == [push("d", "counter", 5)]


async def test_an_empty_hash_demands_that_there_is_nothing() -> None:
    async with Emulator(data={"a": 1}) as server, connect(server) as client:
        assert (await client.request("p", p="/a", d=2, h=""))[0]["s"] == "datastale"
        assert (await client.request("p", p="/b", d=2, h=""))[0] == OK
        assert server.value() == {"a": 1, "b": 2}


async def test_get_answers_with_the_value_and_leaves_no_listen() -> None:
    async with Emulator(data={"a": {"x": 1, "y": 2}}) as server, connect(server) as client:
        answer, _ = await client.request("g", p="/a", q={})
        assert answer == {"s": "ok", "d": {"x": 1, "y": 2}}
        answer, _ = await client.request("g", p="/a", q={"i": ".key", "l": 1, "vf": "r"})
        assert answer == {"s": "ok", "d": {"y": 2}}
        server.set("/a/x", 3)
        assert await client.pushes() == []


async def test_on_disconnect_writes_once_with_the_time_of_the_end() -> None:
    async with Emulator() as server, connect(server) as watcher:
        await watcher.request("q", p="/", h="")
        async with connect(server) as client:
            server.clock.freeze(1000)
            await client.request("o", p="/p/u1", d={".sv": "timestamp"})
            await client.request("om", p="/p", d={"u2/online": False, "u3": 1})
            await client.request("oc", p="/p/u3", d=None)
            server.clock.advance(1)
        await server.until(lambda: server.connections == 1)
        assert await watcher.pushes() == [push("m", "", {"p/u1": 2000, "p/u2/online": False})]


async def test_a_new_session_of_a_client_ends_its_old_one_first() -> None:
    async with Emulator() as server, connect(server) as old:
        await old.request("o", p="/online", d=False)
        async with connect(server, parameters={"ls": old.session_id}) as new:
            listened = await new.request("q", p="/online", h="")
            assert listened == (OK_LISTEN, [push("d", "online", False)])
            assert server.connections == 1
            with pytest.raises(Closed):
                await old.receive()


async def test_info_is_refused() -> None:
    async with Emulator() as server, connect(server) as client:
        bodies: list[tuple[str, Message]] = [
            ("q", {"h": ""}),
            ("g", {"q": {}}),
            ("p", {"d": 1}),
            ("o", {"d": 1}),
        ]
        for action, body in bodies:
            answer, _ = await client.request(action, p="/.info/connected", **body)
            assert answer["s"] == "permission_denied"


async def test_an_unknown_action_is_answered_and_the_connection_stays() -> None:
    async with Emulator() as server, connect(server) as client:
        assert (await client.request("zz", p="/"))[0]["s"] == "failure"
        assert (await client.request("s", c={}))[0] == OK


@pytest.mark.parametrize(
    "value",
    [
        '{"a.b": 1}',
        '{"a": {"$b": 1}}',
        '{".sv": "nonsense"}',
        '{".value": {"a": 1}}',
        "1e400",
        '{"a":' * 33 + "1" + "}" * 33,
    ],
)
async def test_a_value_that_no_database_can_hold_is_refused(value: str) -> None:
    async with Emulator() as server, connect(server) as client:
        await client.send_text(f'{{"t":"d","d":{{"r":1,"a":"p","b":{{"p":"/x","d":{value}}}}}}}')
        answer, _ = await client.answer(1)
        assert answer["s"] == "failure"
        assert server.value() is None


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        "{}",
        '{"t":"d"}',
        '{"t":"x","d":{}}',
        '{"t":"d","d":{"a":"s","b":{}}}',
        '{"t":"d","d":{"r":1.5,"a":"s","b":{}}}',
        '{"t":"d","d":{"r":true,"a":"s","b":{}}}',
        '{"t":"d","d":{"r":1,"a":7,"b":{}}}',
        '{"t":"d","d":{"r":1,"a":"p","b":{"d":1}}}',
        '{"t":"d","d":{"r":1,"a":"p","b":{"p":"/a"}}}',
        '{"t":"d","d":{"r":1,"a":"p","b":{"p":"/a","d":NaN}}}',
        '{"t":"d","d":{"r":1,"a":"q","b":{"p":"/a","h":"","q":{"l":"x"},"t":1}}}',
        '{"t":"d","d":{"r":1,"a":"q","b":{"p":"/a","h":"x","ch":{"hs":[""],"ps":["a"]}}}}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:60],
)
async def test_a_broken_message_ends_its_connection_and_no_other(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Emulator() as server, connect(server) as other:
        async with connect(server) as client:
            if len(text) > 16384:
                await client.send_text("1")
            await client.send_text(text)
            with pytest.raises(Closed):
                await client.receive()
        assert (await other.request("s", c={}))[0] == OK
    assert "closed" in caplog.text


async def test_long_messages_go_in_segments_both_ways() -> None:
    text = "✔🐵" * 40_000
    async with Emulator() as server, connect(server) as client:
        assert (await client.request("p", p="/long", d=text))[0] == OK
        number = await client.ask("g", p="/long", q={})
        count = int(await client.receive_text())
        segments = [await client.receive_text() for _ in range(count)]
        assert all(len(segment.encode("utf-16-le")) <= 2 * 16384 for segment in segments)
        answer = json.loads("".join(segments))
        assert answer["d"] == {"r": number, "b": {"s": "ok", "d": text}}


async def test_any_credential_is_accepted_and_recorded() -> None:
    async with Emulator() as server, connect(server) as client:
        answer, _ = await client.request("gauth", cred="owner")
        assert answer == {"s": "ok", "d": {"auth": None, "expires": None}}
        assert server.clients[0].credential == "owner"
        assert (await client.request("unauth"))[0] == {"s": "ok", "d": "unauthenticated"}
        assert server.clients[0].credential is None


async def test_the_claims_of_a_token_are_believed() -> None:
    async with Emulator() as server, connect(server) as client:
        answer, _ = await client.request("auth", cred="eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1MSJ9.")
        auth = {"uid": "u1", "provider": "custom", "token": {"sub": "u1"}}
        assert answer == {"s": "ok", "d": {"auth": auth, "expires": None}}


@pytest.mark.parametrize("action", ["appcheck", "unappcheck", "unappeck"])
async def test_app_check_is_acknowledged(action: str) -> None:
    async with Emulator() as server, connect(server) as client:
        assert (await client.request(action, token="x"))[0]["s"] == "ok"


async def test_nothing_behind_a_refused_login_is_done() -> None:
    async with Emulator() as server, connect(server) as client:
        server.refuse_logins("expired_token", "Auth token is expired.")
        answer, _ = await client.request("auth", cred="x")
        assert answer == {"s": "expired_token", "d": "Auth token is expired."}
        await client.ask("p", p="/a", d=1)
        await client.send({"t": "c", "d": {"t": "p", "d": {}}})
        assert (await client.receive())["d"]["t"] == "o"
        assert server.value() is None


@pytest.mark.parametrize(
    ("host", "parameters", "namespace"),
    [
        ("localhost:9000", {}, "default"),
        ("127.0.0.1:9000", {}, "default"),
        ("[::1]:9000", {}, "default"),
        ("emulator", {}, "default"),
        ("localhost:9000", {"ns": "other"}, "other"),
        ("My-Db.firebaseio.com", {}, "my-db"),
        ("my-db.firebaseio.com", {"ns": "other"}, "other"),
        ("my-db.localhost:9000", {}, "my-db"),
    ],
)
async def test_a_database_is_named_by_parameter_or_host(
    host: str, parameters: dict[str, str], namespace: str
) -> None:
    async with (
        Emulator() as server,
        connect(server, headers={"Host": host}, parameters=parameters) as client,
    ):
        await client.request("p", p="/a", d=1)
        assert server.value("/a", namespace=namespace) == 1
