"""How the sign-in service is asked, and what its answers mean."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, quote

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from firekeep.auth import Auth, ProviderCredential
from firekeep.auth.identity_toolkit import IdentityToolkit
from firekeep.emulator import Emulator, unsigned_token
from firekeep.emulator.http import HttpConnection, HttpRequest, HttpResponse
from firekeep.exceptions import (
    AccountExists,
    AuthError,
    InvalidArgument,
    NetworkUnavailable,
    SignInRefused,
    TooManyAttempts,
)

pytestmark = pytest.mark.anyio

ID_TOKEN = unsigned_token({"user_id": "ada"})
TOKENS = {"idToken": ID_TOKEN, "refreshToken": "refresh-secret", "expiresIn": "3600"}


class CannedService:
    """A service that gives one answer, and remembers what it was asked."""

    def __init__(self, status: int, answer: object) -> None:
        self.status = status
        self.answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.asked: list[HttpRequest] = []
        self.port = 0

    def client(self, tenant: str | None = None) -> IdentityToolkit:
        """Return what asks it."""
        return IdentityToolkit(
            "my key", tenant=tenant, emulator_host=f"127.0.0.1:{self.port}", timeout_s=10
        )

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            http = HttpConnection(stream)
            request = await http.receive()
            assert request is not None
            self.asked.append(request)
            await http.send(HttpResponse(self.status, self.answer))


@asynccontextmanager
async def answering(status: int, answer: object) -> AsyncGenerator[CannedService]:
    service = CannedService(status, answer)
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        service.port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(listener.serve, service.serve)
        yield service
        tasks.cancel_scope.cancel()


def refusal(message: str, status: int = 400) -> dict[str, Any]:
    return {"error": {"code": status, "message": message}}


async def test_a_request_carries_key_tenant_and_nothing_that_was_not_given() -> None:
    async with answering(200, TOKENS) as service:
        await service.client(tenant="t-1").sign_up()

    (asked,) = service.asked
    assert asked.method == "POST"
    assert asked.target == "/identitytoolkit.googleapis.com/v1/accounts:signUp?key=my%20key"
    assert json.loads(asked.body) == {"returnSecureToken": True, "tenantId": "t-1"}


async def test_a_providers_credential_is_a_form_in_the_body() -> None:
    credential = ProviderCredential("twitter.com", access_token="a/b", token_secret="c&d")
    async with answering(200, TOKENS) as service:
        await service.client().sign_in_with_provider(credential)

    body = json.loads(service.asked[0].body)
    assert dict(parse_qsl(body["postBody"])) == {
        "access_token": "a/b",
        "oauth_token_secret": "c&d",
        "providerId": "twitter.com",
    }
    assert "a/b" not in service.asked[0].target


async def test_a_refresh_is_a_form_and_may_bring_another_refresh_token() -> None:
    answer = {"id_token": ID_TOKEN, "refresh_token": "another", "user_id": "ada"}
    async with answering(200, answer) as service:
        tokens = await service.client().refresh("first/one")

    asked = service.asked[0]
    assert asked.path == "/securetoken.googleapis.com/v1/token"
    assert dict(parse_qsl(asked.body.decode())) == {
        "grant_type": "refresh_token",
        "refresh_token": "first/one",
    }
    assert (tokens.id_token, tokens.refresh_token) == (ID_TOKEN, "another")


@pytest.mark.parametrize(
    ("status", "answer", "kind", "code", "text"),
    [
        (400, refusal("INVALID_PASSWORD"), SignInRefused, "INVALID_PASSWORD", ""),
        (
            400,
            refusal("WEAK_PASSWORD : Password should be longer: much"),
            SignInRefused,
            "WEAK_PASSWORD",
            "Password should be longer: much",
        ),
        (
            403,
            refusal("The request is missing a valid API key."),
            AuthError,
            "REFUSED",
            "The request is missing a valid API key.",
        ),
        (429, refusal("Quota exceeded."), TooManyAttempts, "REFUSED", "Quota exceeded."),
        (400, {"error": "invalid_grant"}, AuthError, "REFUSED", "invalid_grant"),
        (501, refusal("Not here."), AuthError, "REFUSED", "Not here."),
        (200, {"idToken": ID_TOKEN}, AuthError, "UNEXPECTED_ANSWER", None),
        (200, {"mfaPendingCredential": "secret"}, AuthError, "MFA_REQUIRED", None),
        (200, {"needConfirmation": True}, AccountExists, "NEED_CONFIRMATION", None),
        (
            200,
            {"errorMessage": "FEDERATED_USER_ID_ALREADY_LINKED"},
            AccountExists,
            "FEDERATED_USER_ID_ALREADY_LINKED",
            "",
        ),
    ],
)
async def test_a_refusal_has_its_code_and_kind(
    status: int, answer: object, kind: type[AuthError], code: str, text: str | None
) -> None:
    async with answering(status, answer) as service:
        with pytest.raises(AuthError) as caught:
            await service.client().sign_in_with_provider(ProviderCredential("google.com"))

    assert type(caught.value) is kind
    assert caught.value.code == code
    assert text is None or caught.value.text == text


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, refusal("INTERNAL", 500)),
        (503, b"<html>try later</html>"),
        (404, b"no such thing"),
        (302, b""),
        (200, b"<html>sign in to this hotel</html>"),
        (200, [1]),
    ],
)
async def test_a_service_that_is_not_itself_is_unavailable(status: int, answer: object) -> None:
    async with answering(status, answer) as service:
        with pytest.raises(NetworkUnavailable):
            await service.client().sign_up()


SECRET = "s3cret/of us+all"


@pytest.mark.parametrize(
    "written", [SECRET, quote(SECRET), quote(SECRET, safe=""), "s3cret%2Fof+us%2Ball"]
)
async def test_an_answer_that_repeats_a_secret_is_blotted(written: str) -> None:
    message = f"INVALID_IDP_RESPONSE : cannot read {written} here"
    async with answering(400, refusal(message)) as service:
        client = service.client()
        calls = [
            lambda: client.sign_in_with_password("a@b.co", SECRET),
            lambda: client.sign_in_with_custom_token(SECRET),
            lambda: client.sign_in_with_provider(ProviderCredential("x", id_token=SECRET)),
            lambda: client.sign_in_with_provider(ProviderCredential("x", access_token=SECRET)),
            lambda: client.refresh(SECRET),
            lambda: client.delete(SECRET),
            lambda: client.confirm_password_reset(SECRET, "other"),
        ]
        for call in calls:
            with pytest.raises(AuthError) as caught:
                await call()
            assert caught.value.text == "cannot read … here"


async def test_a_server_error_is_no_reason_to_sign_in_again() -> None:
    async with Emulator() as server:
        auth = Auth("key", emulator_host=server.address)
        user = await auth.sign_in_anonymously()
        server.fail_auth(503)
        with pytest.raises(NetworkUnavailable, match="503"):
            await auth.token(force=True)
        server.fail_auth(None)

        assert auth.current_user == user
        assert await auth.token(force=True) is not None


def test_the_emulator_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "nonsense/here")
    with pytest.raises(InvalidArgument, match="host:port"):
        Auth("key")
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "[::1]:9099")
    Auth("key")
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "")
    Auth("key")


@pytest.mark.parametrize("key", ["", None, 5])
def test_a_key_is_a_text(key: Any) -> None:
    with pytest.raises(InvalidArgument):
        Auth(key)


def test_nothing_secret_is_shown() -> None:
    credential = ProviderCredential(
        "x", id_token="secret", access_token="secret", token_secret="secret", nonce="secret"
    )

    assert repr(credential) == "ProviderCredential(provider_id='x')"
    assert "my-key" not in repr(Auth("my-key", emulator_host="localhost:1"))
