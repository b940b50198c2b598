"""The official JavaScript SDK signs in on our emulator, and works as who it is."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.interop.node_peer import NodePeer, PeerError, install, run

from firekeep.emulator import Access, Emulator
from firekeep.web_token import read_claims

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def sdk() -> Path:
    """Return where the SDK is installed."""
    return install("sdk")


@asynccontextmanager
async def connected(sdk: Path, server: Emulator) -> AsyncGenerator[NodePeer]:
    """Run the SDK on both services of the emulator until the block ends."""
    async with run(sdk, "client.mjs", server.url, f"http://{server.address}") as peer:
        yield peer


def own(access: Access) -> bool:
    """Allow everybody what lies below their uid."""
    return access.uid is not None and access.path.front == access.uid


async def test_a_user_signs_up_out_and_in(sdk: Path) -> None:
    name = "createUserWithEmailAndPassword"
    async with Emulator() as server, connected(sdk, server) as client:
        values = ["Ada@example.com", "secret1"]
        made = await client.call("identity", name=name, values=values)
        assert (made["email"], made["isAnonymous"]) == ("ada@example.com", False)
        assert await client.call("identity", name="signOut") is None
        with pytest.raises(PeerError, match="auth/wrong-password"):
            wrong = ["ada@example.com", "secret2"]
            await client.call("identity", name="signInWithEmailAndPassword", values=wrong)
        back = await client.call("identity", name="signInWithEmailAndPassword", values=values)
        assert back["uid"] == made["uid"]
        with pytest.raises(PeerError, match="auth/email-already-in-use"):
            await client.call("identity", name=name, values=values)


async def test_anonymous_custom_and_federated_users_sign_in(sdk: Path) -> None:
    async with Emulator() as server, connected(sdk, server) as client:
        anonymous = await client.call("identity", name="signInAnonymously")
        custom = await client.call(
            "identity", name="signInWithCustomToken", values=[json.dumps({"uid": "alice"})]
        )
        claims = {"sub": "g-1", "email": "gil@example.com", "email_verified": True, "name": "Gil"}
        federated = await client.call("signInWithGoogle", idToken=json.dumps(claims))

    assert anonymous["isAnonymous"]
    assert custom["uid"] == "alice"
    assert (federated["email"], federated["displayName"]) == ("gil@example.com", "Gil")


async def test_an_account_is_changed_and_deleted(sdk: Path) -> None:
    async with Emulator() as server, connected(sdk, server) as client:
        email = "ada@example.com"
        user = await client.call(
            "identity", name="createUserWithEmailAndPassword", values=[email, "secret1"]
        )
        named = await client.call("updateProfile", profile={"displayName": "Ada"})
        assert named["displayName"] == "Ada"
        claims = read_claims(await client.call("idToken", force=True)) or {}
        assert (claims["user_id"], claims["name"]) == (user["uid"], "Ada")
        await client.call("updatePassword", password="secret2")
        await client.call("identity", name="sendPasswordResetEmail", values=[email])
        (code,) = server.accounts.codes
        await client.call("identity", name="confirmPasswordReset", values=[code, "secret3"])
        back = await client.call(
            "identity", name="signInWithEmailAndPassword", values=[email, "secret3"]
        )
        assert back["uid"] == user["uid"]
        await client.call("deleteUser")
        assert server.accounts.get(user["uid"]) is None


async def test_it_works_as_who_it_is_and_goes_on_when_its_token_expires(sdk: Path) -> None:
    async with Emulator(permit=own) as server, connected(sdk, server) as client:
        with pytest.raises(PeerError, match="PERMISSION_DENIED"):
            await client.call("set", path="/alice", value=1)
        token = json.dumps({"uid": "alice"})
        await client.call("identity", name="signInWithCustomToken", values=[token])
        await client.call("set", path="/alice", value=1)
        await client.listen("alice", "/alice")
        await client.until_value("alice", 1)

        server.expire_tokens()
        await client.call("set", path="/alice", value=2)

        assert server.value() == {"alice": 2}
        assert [event["value"] for event in client.events("alice")] == [1, 2]
        assert server.auth_requests["token"] == 1
