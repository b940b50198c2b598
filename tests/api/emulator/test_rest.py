"""The database over HTTP (wire §6.1 and §6.2)."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from tests.api.emulator.raw_client import connect

from firekeep.emulator import Emulator

pytestmark = pytest.mark.anyio

DATA = {
    "dinosaurs": {
        "bruhathkayosaurus": {"height": 25, "order": "saurischia"},
        "lambeosaurus": {"height": 2.1, "order": "ornithischia"},
        "linhenykus": {"height": 0.6, "order": "theropoda"},
        "stegosaurus": {"height": 4, "order": "ornithischia"},
    },
    "list": ["a", "b"],
    "prioritised": {".value": 5, ".priority": 2},
}


@asynccontextmanager
async def served(data: Any = None) -> AsyncGenerator[tuple[Emulator, httpx.AsyncClient]]:
    """Give an emulator and a client whose URLs are relative to it."""
    async with (
        Emulator(data=data) as server,
        httpx.AsyncClient(base_url=f"http://{server.address}", trust_env=False) as client,
    ):
        yield server, client


async def test_get_reads_a_value_and_null_for_none() -> None:
    async with served(DATA) as (_, client):
        assert (await client.get("/dinosaurs/stegosaurus/height.json")).json() == 4
        assert (await client.get("/list.json")).json() == ["a", "b"]
        nothing = await client.get("/nothing.json")
        assert (nothing.status_code, nothing.json()) == (200, None)


async def test_put_patch_post_and_delete_write_and_push() -> None:
    async with served() as (server, client), connect(server) as listener:
        await listener.request("q", p="/", h="")
        put = await client.put("/a.json", json={"b": [1, 2]})
        assert (put.status_code, put.json()) == (200, {"b": [1, 2]})
        patch = await client.patch("/a.json", json={"b/0": 9, "c": True})
        assert (patch.status_code, patch.json()) == (200, {"b/0": 9, "c": True})
        post = await client.post("/a/list.json", json="x")
        key = post.json()["name"]
        assert len(key) == 20
        delete = await client.delete("/a/c.json")
        assert (delete.status_code, delete.json()) == (200, None)
        assert server.value() == {"a": {"b": [9, 2], "list": {key: "x"}}}
        assert [push["a"] for push in await listener.pushes()] == ["d", "m", "d", "d"]


async def test_server_values_are_resolved_in_the_answer() -> None:
    async with served({"n": 1}) as (server, client):
        server.clock.freeze(77)
        assert (await client.put("/t.json", json={".sv": "timestamp"})).json() == 77
        assert (await client.put("/n.json", json={".sv": {"increment": 4}})).json() == 5


async def test_keys_of_a_url_are_percent_encoded() -> None:
    async with served() as (server, client):
        await client.put("/a%20b/%C3%A9.json", json=1)
        assert server.value() == {"a b": {"é": 1}}


async def test_a_method_may_be_given_in_a_header_or_parameter() -> None:
    async with served({"a": 1}) as (server, client):
        await client.post("/a.json", json=2, headers={"X-HTTP-Method-Override": "PUT"})
        assert server.value() == {"a": 2}
        await client.post("/.json?x-http-method-override=PATCH", json={"b": 3})
        assert server.value() == {"a": 2, "b": 3}


async def test_print_shallow_export_callback_and_download() -> None:
    async with served(DATA) as (_, client):
        assert (await client.get("/list.json?print=pretty")).text == '[\n  "a",\n  "b"\n]\n'
        silent = await client.put("/x.json?print=silent", json=1)
        assert (silent.status_code, silent.content) == (204, b"")
        shallow = await client.get("/.json?shallow=true")
        assert shallow.json() == {"dinosaurs": True, "list": True, "prioritised": 5, "x": 1}
        exported = await client.get("/.json?format=export")
        assert exported.json()["list"] == {"0": "a", "1": "b"}
        assert exported.json()["prioritised"] == {".value": 5, ".priority": 2}
        assert (await client.get("/x.json?callback=got")).text == "got(1);"
        download = await client.get("/x.json?download=a.json")
        assert download.headers["content-disposition"] == 'attachment; filename="a.json"'


@pytest.mark.parametrize(
    ("parameters", "keys"),
    [
        ({"orderBy": '"height"', "startAt": "3"}, {"bruhathkayosaurus", "stegosaurus"}),
        ({"orderBy": '"order"', "equalTo": '"theropoda"'}, {"linhenykus"}),
        (
            {"orderBy": '"$key"', "startAfter": '"l"', "endAt": '"m"'},
            {"lambeosaurus", "linhenykus"},
        ),
        ({"orderBy": '"height"', "limitToLast": "2"}, {"bruhathkayosaurus", "stegosaurus"}),
        ({"orderBy": '"$priority"', "limitToFirst": "1"}, {"bruhathkayosaurus"}),
        ({"shallow": "true", "limitToFirst": "1"}, {"bruhathkayosaurus"}),
    ],
)
async def test_queries_answer_with_the_children_that_match(
    parameters: dict[str, str], keys: set[str]
) -> None:
    async with served(DATA) as (_, client):
        answer = await client.get("/dinosaurs.json", params=parameters)
        assert set(answer.json()) == keys


async def test_a_query_on_an_array_answers_with_an_object() -> None:
    async with served(DATA) as (_, client):
        answer = await client.get("/list.json", params={"orderBy": '"$value"'})
        assert answer.json() == {"0": "a", "1": "b"}


async def test_a_priority_is_read_and_written_at_its_own_url() -> None:
    async with served(DATA) as (server, client):
        assert (await client.get("/prioritised/.priority.json")).json() == 2
        await client.put("/prioritised/.priority.json", json="high")
        assert server.node("/prioritised").priority == "high"


@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        ("GET", "/a", None, 404),
        ("PUT", "/a.json", "", 400),
        ("PUT", "/a.json", "{broken", 400),
        ("PUT", "/a.json", "NaN", 400),
        ("PUT", "/a.json", '{"b.c": 1}', 400),
        ("PUT", "/a.json", '{".sv": "nonsense"}', 400),
        ("PATCH", "/a.json", "[1]", 400),
        ("PATCH", "/a.json", '{"b": 1, "b/c": 2}', 400),
        ("GET", "/a$b.json", None, 400),
        ("GET", "/a%2Fb.json", None, 400),
        ("GET", "/a.json?startAt=1", None, 400),
        ("GET", "/a.json?orderBy=a", None, 400),
        ("GET", '/a.json?orderBy="a"&limitToFirst=0', None, 400),
        ("GET", "/a.json?timeout=3", None, 400),
        ("GET", "/a.json?print=ugly", None, 400),
        ("PUT", "/a.json?writeSizeLimit=huge", "1", 400),
        ("BREW", "/a.json", None, 405),
        ("GET", "/.info/connected.json", None, 401),
        ("PUT", "/denied.json", "1", 401),
        ("GET", "/denied/below.json", None, 401),
    ],
)
async def test_a_request_that_cannot_be_done_is_refused_with_a_reason(
    method: str, url: str, body: str | None, status: int
) -> None:
    async with served({"a": 1}) as (server, client):
        server.deny("/denied")
        answer = await client.request(method, url, content=body)
        assert answer.status_code == status
        assert answer.json()["error"]
        assert server.value() == {"a": 1}


async def test_a_conditional_write_needs_the_current_tag() -> None:
    async with served({"a": 1}) as (server, client):
        tag = (await client.get("/a.json", headers={"X-Firebase-ETag": "true"})).headers["etag"]
        stale = await client.put("/a.json", json=2, headers={"if-match": "other"})
        assert (stale.status_code, stale.json(), stale.headers["etag"]) == (412, 1, tag)
        fresh = await client.put(
            "/a.json", json=2, headers={"if-match": tag, "X-Firebase-ETag": "true"}
        )
        assert fresh.status_code == 200
        gone = await client.delete("/a.json", headers={"if-match": fresh.headers["etag"]})
        assert gone.status_code == 200
        assert server.value() is None
        nothing = await client.get("/a.json", headers={"X-Firebase-ETag": "true"})
        assert nothing.headers["etag"] == "null_etag"


async def test_an_unchanged_value_is_not_sent_again() -> None:
    async with served({"a": 1}) as (_, client):
        first = await client.get("/a.json", headers={"if-none-match": "x"})
        same = await client.get("/a.json", headers={"if-none-match": first.headers["etag"]})
        assert (first.status_code, first.json()) == (200, 1)
        assert (same.status_code, same.content) == (304, b"")


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
async def test_only_put_and_delete_may_be_conditional(method: str) -> None:
    async with served({"a": 1}) as (_, client):
        answer = await client.request(method, "/a.json", content="{}", headers={"if-match": "x"})
        assert answer.status_code == 400


async def test_databases_are_apart_and_listed() -> None:
    async with served() as (server, client):
        await client.put("/a.json?ns=other", json=1)
        assert server.value() is None
        assert server.value(namespace="other") == {"a": 1}
        listed = (await client.get("/.inspect/databases.json?ns=other")).json()
        assert {"name": "other"} in listed


async def test_a_large_value_goes_both_ways() -> None:
    value = {f"key{i}": "x" * 1000 for i in range(3000)}
    async with served() as (server, client):
        assert (await client.put("/large.json?print=silent", json=value)).status_code == 204
        assert server.value("/large") == value
        assert (await client.get("/large.json")).json() == value


async def test_a_body_is_sent_on_after_the_server_agrees_to_it() -> None:
    head = b"PUT /a.json HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    async with Emulator() as server, await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        await stream.send(head)
        assert b"100" in await stream.receive()
        await stream.send(b"7")
        assert b"200" in await stream.receive()
        assert server.value("/a") == 7


@pytest.mark.parametrize("request_text", [b"nonsense\r\n\r\n", b"PUT /a.json HTTP/1.1\r\n\r\n"])
async def test_broken_http_ends_its_connection_and_no_other(
    request_text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with served({"a": 1}) as (server, client):
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            await stream.send(request_text)
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        assert (await client.get("/a.json")).json() == 1
    assert "closed" in caplog.text


async def test_head_answers_like_get_without_the_value() -> None:
    async with served({"a": 1}) as (_, client):
        answer = await client.head("/a.json")
        assert (answer.status_code, answer.content) == (200, b"")
        assert (await client.get("/a.json")).json() == 1


async def test_a_plain_request_for_the_socket_is_told_to_upgrade() -> None:
    async with served() as (_, client):
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
        answer = await client.get("/.ws?v=5", headers=headers)
        assert answer.status_code == 400


async def test_pages_from_elsewhere_may_use_it() -> None:
    async with served({"a": 1}) as (_, client):
        preflight = await client.options("/a.json")
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert (await client.get("/a.json")).headers["access-control-allow-origin"] == "*"


async def test_a_request_may_do_what_its_user_may() -> None:
    async with served() as (server, client):
        server.permit(lambda access: access.uid == "ada")
        account = server.accounts.add("ada")
        token, _ = server.accounts.sign_in(account, "custom")
        for query, headers, status in (
            ("", {}, 401),
            (f"?auth={token}", {}, 200),
            (f"?access_token={token}", {}, 200),
            ("", {"Authorization": f"Bearer {token}"}, 200),
            ("", {"Authorization": "Bearer owner"}, 200),
            ("?auth=owner&auth_variable_override=null", {}, 401),
            ('?auth=owner&auth_variable_override={"uid":"ada"}', {}, 200),
            ("?auth=nonsense", {}, 401),
        ):
            for method in ("GET", "PUT"):
                answer = await client.request(
                    method, f"/a.json{query}", headers=headers, content=b"1"
                )
                assert answer.status_code == status, (method, query)


async def test_a_request_with_an_expired_token_is_told_so() -> None:
    async with served() as (server, client):
        token, _ = server.accounts.sign_in(server.accounts.add("ada"), "custom")
        server.expire_tokens()
        answer = await client.get(f"/a.json?auth={token}")
        assert (answer.status_code, answer.json()) == (401, {"error": "Auth token is expired"})
