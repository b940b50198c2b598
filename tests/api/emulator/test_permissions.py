"""Who may read and write what, as a test says."""

import pytest
from tests.api.emulator.raw_client import Message, connect
from tests.api.emulator.test_identity import frozen, log_in, token

from firekeep.emulator import Access, Emulator

pytestmark = pytest.mark.anyio

OK: Message = {"s": "ok", "d": ""}
DENIED: Message = {"s": "permission_denied", "d": "Permission denied"}


def own(access: Access) -> bool:
    """Allow everybody what lies below their uid."""
    return access.uid is not None and access.path.front == access.uid


async def test_a_client_may_do_what_its_user_may() -> None:
    async with (
        frozen(permit=own, data={"ada": 1, "bob": 2}) as server,
        connect(server) as client,
    ):
        await log_in(client, token("ada"))
        for action, more in (("q", {"h": ""}), ("g", {"q": {}})):
            assert (await client.request(action, p="/ada", **more))[0]["s"] == "ok"
            assert (await client.request(action, p="/bob", **more))[0] == DENIED
        for action in ("p", "o"):
            assert (await client.request(action, p="/ada/x", d=1))[0] == OK
            assert (await client.request(action, p="/bob/x", d=1))[0] == DENIED
        for action in ("m", "om"):
            assert (await client.request(action, p="/", d={"ada/y": 1}))[0] == OK
            mixed = {"ada/y": 2, "bob/y": 2}
            assert (await client.request(action, p="/", d=mixed))[0] == DENIED
        assert server.value() == {"ada": {"x": 1, "y": 1}, "bob": 2}


async def test_nobody_is_asked_about_like_everybody_else() -> None:
    asked: list[Access] = []

    def note(access: Access) -> bool:
        asked.append(access)
        return False

    async with Emulator(permit=note) as server, connect(server) as client:
        assert (await client.request("p", p="/a/.priority", d=1))[0] == DENIED
        assert (await client.request("q", p="/a", h=""))[0] == DENIED

    assert [(one.action, str(one.path), one.uid) for one in asked] == [
        ("write", "/a/.priority", None),
        ("read", "/a", None),
    ]


async def test_an_administrator_is_not_asked_about() -> None:
    async with (
        Emulator(permit=lambda access: False) as server,
        connect(server) as client,
    ):
        await log_in(client, "owner")
        assert (await client.request("p", p="/a", d=1))[0] == OK


async def test_listens_end_that_another_user_is_not_permitted() -> None:
    async with frozen(permit=own, data={"ada": 1}) as server, connect(server) as client:
        await log_in(client, token("ada"))
        await client.request("q", p="/ada", h="")
        query = {"l": 1, "vf": "l"}
        await client.request("q", p="/ada", h="", q=query, t=1)

        await log_in(client, token("ada", again=True))
        assert await client.pushes() == []
        await log_in(client, token("bob"))
        assert await client.pushes() == [
            {"a": "c", "b": {"p": "ada"}},
            {"a": "c", "b": {"p": "ada", "q": [query]}},
        ]
        server.set("/ada", 2)
        assert await client.pushes() == []


@pytest.mark.parametrize("way", ["unauth", "expiry"])
async def test_listens_end_that_nobody_is_permitted(way: str) -> None:
    async with frozen(permit=own) as server, connect(server) as client:
        await log_in(client, token("ada"))
        await client.request("q", p="/ada", h="")

        if way == "unauth":
            await client.request("unauth")
        else:
            server.clock.advance(3600)

        pushes = await client.pushes()
        assert [push["a"] for push in pushes] == (["c"] if way == "unauth" else ["ac", "c"])
        assert (await client.request("p", p="/ada", d=1))[0] == DENIED


async def test_listens_end_when_permission_is_taken_back() -> None:
    async with Emulator(data={"a": 1, "b": 2}) as server, connect(server) as client:
        for path in ("/a", "/b"):
            await client.request("q", p=path, h="")

        server.permit(lambda access: access.path.front == "a")
        assert await client.pushes() == [{"a": "c", "b": {"p": "b"}}]
        server.permit(None)
        assert (await client.request("q", p="/b", h=""))[0]["s"] == "ok"
