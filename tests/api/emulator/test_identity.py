"""Logging in, and what ends it (wire §3.3, §3.5 and §5.4)."""

import base64
import hashlib
import hmac
import json
from typing import Any

import anyio
import pytest
from tests.api.emulator.raw_client import Message, RawClient, connect

from firekeep.emulator import Emulator, unsigned_token
from firekeep.emulator.accounts import Account

pytestmark = pytest.mark.anyio

NOW_S = 1_700_000_000
OK: Message = {"s": "ok", "d": ""}
EXPIRED: Message = {"s": "expired_token", "d": "Auth token is expired."}
REVOKED: Message = {"s": "invalid_token", "d": "Auth token is revoked."}
UNREADABLE: Message = {"s": "invalid_token", "d": "Could not parse auth token."}


def token(uid: str = "ada", *, lifetime_s: int = 3600, **claims: object) -> str:
    """Return an unsigned token that was made now."""
    return unsigned_token(
        {"sub": uid, "user_id": uid, "iat": NOW_S, "exp": NOW_S + lifetime_s, **claims}
    )


def signed(claims: dict[str, object], secret: str) -> str:
    """Return a token that an app's server has signed with the database's secret."""

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    head = encode(b'{"alg":"HS256","typ":"JWT"}')
    text = f"{head}.{encode(json.dumps(claims).encode())}"
    return f"{text}.{encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())}"


def frozen(**options: Any) -> Emulator:
    """Return a server whose clock stands at `NOW_S`."""
    server = Emulator(**options)
    server.clock.freeze(NOW_S * 1000)
    return server


async def log_in(client: RawClient, credential: str, **more: object) -> Message:
    """Log in and return the answer."""
    answer, pushes = await client.request("auth", cred=credential, **more)
    assert pushes == []
    return answer


def revoked(answer: Message) -> Message:
    """Return the push that takes an identity away."""
    return {"a": "ac", "b": answer}


async def test_an_unsigned_token_names_its_user_and_its_end() -> None:
    async with frozen() as server, connect(server) as client:
        provider = {"sign_in_provider": "password"}
        answer = await log_in(client, token(firebase=provider, role="admin"))

    assert answer["s"] == "ok"
    assert answer["d"]["expires"] == NOW_S + 3600
    assert answer["d"]["auth"]["uid"] == "ada"
    assert answer["d"]["auth"]["provider"] == "password"
    assert answer["d"]["auth"]["token"]["role"] == "admin"


@pytest.mark.parametrize("action", ["auth", "gauth"])
async def test_the_owner_and_the_secret_are_administrators(action: str) -> None:
    async with frozen(secret="hush") as server, connect(server) as client:
        for credential in ("owner", "hush"):
            answer, _ = await client.request(action, cred=credential)
            assert answer == {"s": "ok", "d": {"auth": None, "expires": None}}


@pytest.mark.parametrize(
    "credential",
    ["", "hush", "a.b.c", "e30.e30.", token() + "signature", f"{token()}.", "ya29.access"],
)
async def test_anything_else_is_refused(credential: str) -> None:
    async with frozen() as server, connect(server) as client:
        assert await log_in(client, credential) == UNREADABLE


async def test_a_token_that_is_signed_with_the_secret_is_verified() -> None:
    claims: dict[str, object] = {"v": 0, "iat": NOW_S, "d": {"uid": "ada", "role": "x"}}
    async with frozen(secret="hush") as server, connect(server) as client:
        answer = await log_in(client, signed(claims, "hush"))
        assert answer["d"]["auth"] == {"uid": "ada", "role": "x"}
        admin = await log_in(client, signed({**claims, "admin": True}, "hush"))
        assert admin["d"]["auth"] is None
        assert await log_in(client, signed(claims, "wrong")) == UNREADABLE


async def test_an_administrator_may_act_for_a_user_or_for_nobody() -> None:
    async with (
        frozen(permit=lambda access: access.uid == "ada") as server,
        connect(server) as client,
    ):
        answer, _ = await client.request("gauth", cred="owner", authvar={"uid": "ada"})
        assert answer["d"]["auth"] == {"uid": "ada"}
        assert (await client.request("p", p="/a", d=1))[0] == OK
        await client.request("gauth", cred="owner", noauth=True)
        assert (await client.request("p", p="/a", d=1))[0]["s"] == "permission_denied"


async def test_an_expired_token_is_refused_and_nothing_behind_it_is_done() -> None:
    async with frozen() as server, connect(server) as client:
        server.clock.advance(3600)
        assert await log_in(client, token()) == EXPIRED
        await client.ask("p", p="/a", d=1)
        await client.send({"t": "c", "d": {"t": "p", "d": {}}})
        assert (await client.receive())["d"]["t"] == "o"
        assert server.value() is None


async def test_a_mock_token_never_expires() -> None:
    async with frozen() as server, connect(server) as client:
        mock = unsigned_token({"sub": "ada", "iat": 0, "exp": 3600})
        assert (await log_in(client, mock))["d"]["expires"] is None


async def test_a_client_is_told_when_time_ends_its_credential() -> None:
    async with frozen() as server, connect(server) as client:
        await log_in(client, token())
        server.clock.advance(3599)
        assert await client.pushes() == []
        server.clock.advance(1)
        assert await client.pushes() == [revoked(EXPIRED)]
        assert server.clients[0].credential is None


async def test_a_running_clock_ends_a_credential_by_itself() -> None:
    async with Emulator(token_lifetime_s=1) as server, connect(server) as client:
        await log_in(client, _token_of(server, server.accounts.add("ada")))
        assert (await client.receive())["d"] == revoked(EXPIRED)


async def test_a_clock_that_is_moved_ends_a_credential_sooner() -> None:
    async with Emulator(token_lifetime_s=100) as server, connect(server) as client:
        await log_in(client, _token_of(server, server.accounts.add("ada")))
        server.clock.advance(99)
        assert (await client.receive())["d"] == revoked(EXPIRED)


def _token_of(server: Emulator, account: Account) -> str:
    return server.accounts.sign_in(account, "custom")[0]


async def test_another_credential_counts_in_place_of_the_first() -> None:
    async with frozen() as server, connect(server) as client:
        await log_in(client, token(lifetime_s=10))
        await log_in(client, token(lifetime_s=100))
        server.clock.advance(50)
        assert await client.pushes() == []
        server.clock.advance(50)
        assert await client.pushes() == [revoked(EXPIRED)]


async def test_a_thousand_refreshes_of_one_connection_are_one_identity() -> None:
    async with frozen(data={"a": 1}) as server, connect(server) as client:
        await client.request("q", p="/a", h="")
        for number in range(1000):
            await client.ask("auth", cred=token(number=number))
            if number % 100 == 99:
                for _ in range(100):
                    assert (await client.receive())["d"]["b"]["s"] == "ok"
        assert await client.pushes() == []


async def test_expired_on_command_is_expired_for_everybody_and_new_tokens_are_good() -> None:
    async with frozen() as server, connect(server) as client, connect(server) as admin:
        account = server.accounts.add("ada")
        old = _token_of(server, account)
        await log_in(client, old)
        await log_in(admin, "owner")
        server.expire_tokens()
        assert await client.pushes() == [revoked(EXPIRED)]
        assert await admin.pushes() == []
        assert (await log_in(client, _token_of(server, account)))["s"] == "ok"
        assert await log_in(client, old) == EXPIRED


async def test_a_revoked_user_is_out_until_they_sign_in_again() -> None:
    async with frozen() as server, connect(server) as ada, connect(server) as bob:
        account = server.accounts.add("ada")
        old = _token_of(server, account)
        await log_in(ada, old)
        await log_in(bob, token("bob"))
        server.revoke_user("ada")
        assert await ada.pushes() == [revoked(REVOKED)]
        assert await bob.pushes() == []
        assert (await log_in(ada, _token_of(server, account)))["s"] == "ok"
        assert await log_in(ada, old) == REVOKED


async def test_a_login_is_revoked_with_any_reason_for_one_user_or_for_all() -> None:
    async with frozen() as server, connect(server) as ada, connect(server) as bob:
        await log_in(ada, token("ada"))
        await log_in(bob, token("bob"))
        server.revoke_login("permission_denied", "Go away", uid="ada")
        assert await ada.pushes() == [revoked({"s": "permission_denied", "d": "Go away"})]
        assert await bob.pushes() == []
        server.revoke_login()
        assert await ada.pushes() == await bob.pushes() == [revoked(EXPIRED)]
        assert (await log_in(ada, token("ada")))["s"] == "ok"


async def test_what_is_written_at_the_end_is_written_for_whoever_asked() -> None:
    async with frozen(permit=lambda access: access.uid == "ada") as server:
        async with connect(server) as client:
            await log_in(client, token())
            await client.request("o", p="/gone", d=True)
            server.clock.advance(3600)
            assert await client.pushes() == [revoked(EXPIRED)]
        with anyio.fail_after(10):
            await server.until(lambda: server.value("/gone") is True)


@pytest.mark.parametrize(
    "text",
    [
        '{"t":"d","d":{"r":1,"a":"auth","b":{"cred":["secret"]}}}',
        '{"t":"d","d":{"r":1,"a":"auth","b":"secret"}}',
        '{"t":"d","d":{"r":1,"a":"auth","b":{"cred":"secret"}}',
        '{"t":"d","d":{"r":"1","b":{"cred":"secret"},"a":"auth"}}',
    ],
)
async def test_a_login_that_makes_no_sense_is_not_quoted(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with frozen() as server, connect(server) as client:
        await client.send_text(text)
        await server.until(lambda: server.connections == 0)

    assert "closed" in caplog.text
    assert "secret" not in caplog.text
