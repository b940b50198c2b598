"""Administrators, with Google's library and a token server of our own."""

import json
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

import firekeep
from firekeep.auth import ServiceAccount
from firekeep.emulator import Emulator
from firekeep.emulator.http import HttpConnection, HttpResponse
from firekeep.exceptions import (
    CredentialRejected,
    InvalidArgument,
    NetworkUnavailable,
    UsageError,
)
from firekeep.web_token import read_claims

pytest.importorskip("google.auth", reason="needs the extra admin")
pytestmark = pytest.mark.anyio

ACCESS_TOKEN = "ya29.access-secret"


@pytest.fixture(scope="module")
def private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


class TokenServer:
    """Gives tokens, or refuses to."""

    def __init__(self) -> None:
        self.port = 0
        self.status = 200
        self.answer: dict[str, Any] = {
            "access_token": ACCESS_TOKEN,
            "expires_in": 3600,
            "token_type": "Bearer",
        }
        self.assertions: list[dict[str, Any]] = []

    def key(self, private_key: str) -> dict[str, object]:
        """Return an account that asks here for tokens."""
        return {
            "type": "service_account",
            "project_id": "demo",
            "private_key_id": "1",
            "private_key": private_key,
            "client_email": "robot@demo.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"http://127.0.0.1:{self.port}/token",
        }

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            http = HttpConnection(stream)
            request = await http.receive()
            assert request is not None
            assertion = parse_qs(request.body.decode())["assertion"][0]
            self.assertions.append(read_claims(assertion) or {})
            headers = {"Content-Type": "application/json"}
            await http.send(HttpResponse(self.status, json.dumps(self.answer).encode(), headers))


@asynccontextmanager
async def serving() -> AsyncGenerator[TokenServer]:
    server = TokenServer()
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        server.port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(listener.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


async def test_an_account_signs_for_its_tokens(private_key: str) -> None:
    async with serving() as server:
        account = ServiceAccount(server.key(private_key), chance=lambda: 0.0)
        found = await account.token()

    assert found is not None
    assert (found.token, found.uid) == (ACCESS_TOKEN, None)
    assert found.expires_ms is not None
    assert found.refresh_ms is not None
    hour_s = found.expires_ms / 1000 - datetime.now().timestamp()
    assert 3500 < hour_s < 3700
    assert found.expires_ms - found.refresh_ms == pytest.approx(300_000, abs=2000)
    assert server.assertions[0]["iss"] == "robot@demo.iam.gserviceaccount.com"
    assert "firebase.database" in server.assertions[0]["scope"]
    assert account.uid is None


async def test_a_token_is_kept_until_it_is_refused_or_old(private_key: str) -> None:
    async with serving() as server:
        account = ServiceAccount(server.key(private_key))
        for force in (False, False, True):
            await account.token(force)
        await account.token(offset_ms=56 * 60 * 1000)

    assert len(server.assertions) == 3


async def test_many_who_ask_at_once_are_one_request(private_key: str) -> None:
    async with serving() as server:
        account = ServiceAccount(server.key(private_key))
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(account.token, True)

    assert len(server.assertions) == 1


async def test_a_key_may_lie_in_a_file(private_key: str, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    async with serving() as server:
        path.write_text(json.dumps(server.key(private_key)))
        found = await ServiceAccount(path).token()

    assert found is not None


async def test_the_environment_names_the_account(
    private_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    async with serving() as server:
        path.write_text(json.dumps(server.key(private_key)))
        found = await ServiceAccount.application_default().token()

    assert found is not None
    assert found.token == ACCESS_TOKEN


async def test_a_key_that_is_refused_has_to_be_replaced(private_key: str) -> None:
    async with serving() as server:
        server.status, server.answer = 400, {"error": "invalid_grant"}
        account = ServiceAccount(server.key(private_key))
        with pytest.raises(CredentialRejected) as caught:
            await account.token()

    assert caught.value.code == "INVALID_GRANT"
    assert "BEGIN" not in str(caught.value)


async def test_a_server_that_is_not_there_is_unavailable(private_key: str) -> None:
    async with serving() as server:
        key = server.key(private_key)

    with pytest.raises(NetworkUnavailable):
        await ServiceAccount(key).token()


async def test_a_good_token_is_given_on_although_no_other_can_be_had(private_key: str) -> None:
    async with serving() as server:
        account = ServiceAccount(server.key(private_key))
        first = await account.token()
    assert first is not None

    held = await account.token(offset_ms=56 * 60 * 1000)
    again = await account.token(offset_ms=56 * 60 * 1000)

    assert held is not None
    assert held.token == first.token
    assert held == again
    with pytest.raises(NetworkUnavailable):
        await account.token(offset_ms=61 * 60 * 1000)


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"type": "service_account", "private_key": "secret-key", "client_email": "a"},
        {
            "client_email": "a",
            "token_uri": "http://localhost/",
            "private_key": "-----BEGIN PRIVATE KEY-----\nsecret-key\n-----END PRIVATE KEY-----",
        },
    ],
)
async def test_a_key_that_cannot_be_read_is_not_quoted(key: dict[str, object]) -> None:
    with pytest.raises(CredentialRejected) as caught:
        await ServiceAccount(key).token()

    assert caught.value.code == "INVALID_SERVICE_ACCOUNT"
    assert "secret-key" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_what_else_a_refusal_holds_is_in_no_traceback(private_key: str) -> None:
    async with serving() as tokens:
        tokens.status = 400
        tokens.answer = {"error": "invalid_grant", "assertion": "echo-of-what-was-sent"}
        with pytest.raises(CredentialRejected, match="invalid_grant") as caught:
            await ServiceAccount(tokens.key(private_key)).token()

    assert "echo-of" not in "".join(traceback.format_exception(caught.value))


async def test_a_key_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(CredentialRejected, match="FileNotFoundError"):
        await ServiceAccount(tmp_path / "nothing.json").token()


async def test_a_database_is_opened_as_an_administrator(private_key: str) -> None:
    async with (
        serving() as tokens,
        Emulator(secret=ACCESS_TOKEN, permit=lambda access: False) as server,
        firekeep.open(server.url, auth=ServiceAccount(tokens.key(private_key))) as db,
    ):
        await db.reference("a").set(1)
        assert server.value("/a") == 1


def test_nonsense_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgument):
        ServiceAccount(5)  # type: ignore[arg-type]


def test_the_extra_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firekeep.auth.service_account.find_spec", lambda name: None)

    with pytest.raises(UsageError, match=r"firekeep\[admin\]"):
        ServiceAccount({})


def test_nothing_of_the_key_is_shown(private_key: str) -> None:
    assert repr(ServiceAccount({"private_key": private_key})) == "<ServiceAccount>"
