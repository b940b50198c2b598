"""The auth service over HTTP: what the official emulator says, and that it counts time.

That the two say the same is shown by `tests.interop`, where the same flows run on both.
"""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from firekeep.emulator import Emulator
from firekeep.web_token import read_claims

pytestmark = pytest.mark.anyio

ACCOUNTS = "identitytoolkit.googleapis.com/v1/accounts"
TOKENS = "securetoken.googleapis.com/v1/token"
NOW_S = 1_700_000_000


class Caller:
    """Calls the service of one server."""

    def __init__(self, server: Emulator) -> None:
        self.base = f"http://{server.address}"

    async def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send one request."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.request(method, f"{self.base}/{path}", **more)

    async def ask(self, action: str, **body: object) -> dict[str, Any]:
        """Ask for something that is granted."""
        answer = await self.send("POST", f"{ACCOUNTS}:{action}?key=k", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def refused(self, action: str, **body: object) -> str:
        """Ask for something that is refused; return how."""
        return _message(await self.send("POST", f"{ACCOUNTS}:{action}?key=k", json=body))

    async def refresh(self, token: str) -> httpx.Response:
        """Ask for a fresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await self.send("POST", f"{TOKENS}?key=k", data=form)


def _message(answer: httpx.Response) -> str:
    error: Mapping[str, Any] = answer.json()["error"]
    assert error["code"] == answer.status_code == 400
    assert error["errors"] == [
        {"message": error["message"], "reason": "invalid", "domain": "global"}
    ]
    message: str = error["message"]
    return message


async def test_an_anonymous_user_has_the_tokens_of_one() -> None:
    async with Emulator(token_lifetime_s=5, project="demo-x") as server:
        server.clock.freeze(NOW_S * 1000)
        answer = await Caller(server).ask("signUp", returnSecureToken=True)

    uid = answer["localId"]
    assert (len(uid), answer["expiresIn"]) == (28, "5")
    assert read_claims(answer["idToken"]) == {
        "provider_id": "anonymous",
        "auth_time": NOW_S,
        "user_id": uid,
        "firebase": {"identities": {}, "sign_in_provider": "anonymous"},
        "iat": NOW_S,
        "exp": NOW_S + 5,
        "aud": "demo-x",
        "iss": "https://securetoken.google.com/demo-x",
        "sub": uid,
    }


async def test_a_refresh_keeps_the_sign_in_and_moves_the_end() -> None:
    async with Emulator() as server:
        server.clock.freeze(NOW_S * 1000)
        caller = Caller(server)
        token = '{"uid":"ada","claims":{"role":"x"}}'
        signed_in = await caller.ask("signInWithCustomToken", token=token)
        server.clock.advance(60)
        server.token_lifetime_s = 10
        fresh = (await caller.refresh(signed_in["refreshToken"])).json()

    claims = read_claims(fresh["id_token"]) or {}
    assert (claims["auth_time"], claims["iat"], claims["exp"]) == (NOW_S, NOW_S + 60, NOW_S + 70)
    assert claims["role"] == "x"
    assert fresh["access_token"] == fresh["id_token"]
    assert fresh["refresh_token"] == signed_in["refreshToken"]
    assert (fresh["expires_in"], fresh["user_id"], fresh["token_type"]) == ("10", "ada", "Bearer")


async def test_a_refresh_may_be_asked_for_in_json() -> None:
    async with Emulator() as server:
        caller = Caller(server)
        token = (await caller.ask("signUp"))["refreshToken"]
        body = {"grantType": "refresh_token", "refreshToken": token}
        answer = await caller.send("POST", f"{TOKENS}?key=k", json=body)

    assert answer.status_code == 200


async def test_a_refresh_is_refused_in_the_words_of_the_official_emulator() -> None:
    async with Emulator() as server:
        caller = Caller(server)
        user = await caller.ask("signUp")

        assert _message(await caller.refresh("nonsense")) == "INVALID_REFRESH_TOKEN"
        assert _message(await caller.refresh("")) == "MISSING_REFRESH_TOKEN"
        empty = await caller.send("POST", f"{TOKENS}?key=k", json={})
        assert _message(empty) == "MISSING_GRANT_TYPE"
        wrong = await caller.send("POST", f"{TOKENS}?key=k", json={"grant_type": "x"})
        assert _message(wrong) == "INVALID_GRANT_TYPE"
        server.accounts.disable(user["localId"])
        assert _message(await caller.refresh(user["refreshToken"])) == "USER_DISABLED"
        server.accounts.delete(user["localId"])
        assert _message(await caller.refresh(user["refreshToken"])) == "INVALID_REFRESH_TOKEN"


async def test_a_revoked_user_cannot_refresh() -> None:
    async with Emulator() as server:
        caller = Caller(server)
        user = await caller.ask("signUp")
        server.revoke_user(user["localId"])

        assert _message(await caller.refresh(user["refreshToken"])) == "INVALID_REFRESH_TOKEN"
        assert await caller.refused("lookup", idToken=user["idToken"]) == "TOKEN_EXPIRED"


async def test_an_account_is_its_owners_while_the_token_is_good() -> None:
    async with Emulator() as server:
        server.clock.freeze(NOW_S * 1000)
        caller = Caller(server)
        user = await caller.ask("signUp", email="A@b.co", password="secret1", displayName="A")
        (found,) = (await caller.ask("lookup", idToken=user["idToken"]))["users"]
        server.clock.advance(3600)
        refused = await caller.refused("update", idToken=user["idToken"], displayName="B")

    assert (found["email"], found["displayName"], found["emailVerified"]) == ("a@b.co", "A", False)
    assert [one["providerId"] for one in found["providerUserInfo"]] == ["password"]
    assert "password" not in found
    assert refused == "TOKEN_EXPIRED"


async def test_a_new_password_ends_every_other_sign_in() -> None:
    async with Emulator() as server:
        server.clock.freeze(NOW_S * 1000)
        caller = Caller(server)
        user = await caller.ask("signUp", email="a@b.co", password="secret1")
        server.clock.advance(1)
        changed = await caller.ask("update", idToken=user["idToken"], password="secret2")

        assert _message(await caller.refresh(user["refreshToken"])) == "INVALID_REFRESH_TOKEN"
        assert await caller.refused("lookup", idToken=user["idToken"]) == "TOKEN_EXPIRED"
        assert (await caller.refresh(changed["refreshToken"])).status_code == 200


async def test_an_anonymous_user_can_be_given_a_password() -> None:
    async with Emulator() as server:
        caller = Caller(server)
        user = await caller.ask("signUp")
        named = await caller.ask(
            "signUp", idToken=user["idToken"], email="a@b.co", password="secret1"
        )
        back = await caller.ask("signInWithPassword", email="a@b.co", password="secret1")

    assert user["localId"] == named["localId"] == back["localId"]


@pytest.mark.parametrize(
    ("action", "body", "message"),
    [
        ("signUp", {"email": "a@b.co"}, "MISSING_PASSWORD"),
        ("signUp", {"password": "secret1"}, "MISSING_EMAIL"),
        ("signUp", {"localId": "x"}, "UNEXPECTED_PARAMETER : User ID"),
        ("signUp", {"email": "nonsense", "password": "secret1"}, "INVALID_EMAIL"),
        ("signInWithPassword", {}, "MISSING_EMAIL"),
        ("signInWithPassword", {"email": "a@b.co"}, "MISSING_PASSWORD"),
        ("signInWithPassword", {"email": "a", "password": "b"}, "INVALID_EMAIL"),
        ("signInWithPassword", {"email": "a@b", "password": "b"}, "EMAIL_NOT_FOUND"),
        ("signInWithCustomToken", {}, "MISSING_CUSTOM_TOKEN"),
        ("signInWithCustomToken", {"token": "{}"}, "MISSING_IDENTIFIER"),
        (
            "signInWithCustomToken",
            {"token": "x"},
            "INVALID_CUSTOM_TOKEN : Invalid assertion format",
        ),
        (
            "signInWithCustomToken",
            {"token": '{"uid":"a","claims":{"sub":"b"}}'},
            "FORBIDDEN_CLAIM : sub",
        ),
        ("signInWithCustomToken", {"token": '{"uid":"a","claims":[]}'}, "INVALID_CLAIMS"),
        ("signInWithIdp", {}, "MISSING_REQUEST_URI"),
        ("lookup", {}, "MISSING_ID_TOKEN"),
        ("lookup", {"idToken": "x"}, "INVALID_ID_TOKEN"),
        ("update", {}, "INVALID_REQ_TYPE : Unsupported request parameters."),
        ("update", {"idToken": "x", "customAttributes": "{}"}, "INSUFFICIENT_PERMISSION"),
        ("delete", {}, "MISSING_ID_TOKEN"),
        ("sendOobCode", {}, "MISSING_REQ_TYPE"),
        ("sendOobCode", {"requestType": "PASSWORD_RESET"}, "MISSING_EMAIL"),
        (
            "sendOobCode",
            {"requestType": "PASSWORD_RESET", "email": "a@b.co"},
            "EMAIL_NOT_FOUND",
        ),
        ("resetPassword", {}, "MISSING_OOB_CODE"),
        ("resetPassword", {"oobCode": "x"}, "INVALID_OOB_CODE"),
    ],
)
async def test_a_refusal_has_the_words_of_the_official_emulator(
    action: str, body: dict[str, object], message: str
) -> None:
    async with Emulator() as server:
        assert await Caller(server).refused(action, **body) == message


async def test_what_is_no_request_of_the_service_is_refused() -> None:
    async with Emulator() as server:
        caller = Caller(server)
        keyless = await caller.send("POST", f"{ACCOUNTS}:signUp", json={})
        unknown = await caller.send("POST", f"{ACCOUNTS}:nothing?key=k", json={})
        other = await caller.send("GET", f"{ACCOUNTS}:signUp?key=k")
        broken = await caller.send("POST", f"{ACCOUNTS}:signUp?key=k", content=b"{")
        later = await caller.send(
            "POST", f"{ACCOUNTS}:sendOobCode?key=k", json={"requestType": "VERIFY_EMAIL"}
        )
        asked = await caller.send("OPTIONS", f"{ACCOUNTS}:signUp")

    assert (keyless.status_code, keyless.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert (unknown.status_code, other.status_code) == (404, 404)
    assert (broken.status_code, broken.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert later.status_code == 501
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")


async def test_what_would_be_sent_by_email_can_be_looked_up_and_everybody_forgotten() -> None:
    async with Emulator() as server:
        caller = Caller(server)
        await caller.ask("signUp", email="a@b.co", password="secret1")
        await caller.ask("sendOobCode", requestType="PASSWORD_RESET", email="A@b.co")
        codes = (await caller.send("GET", "emulator/v1/projects/any/oobCodes")).json()["oobCodes"]
        await caller.send("DELETE", "emulator/v1/projects/any/accounts")

        assert [(one["email"], one["requestType"]) for one in codes] == [
            ("a@b.co", "PASSWORD_RESET")
        ]
        assert server.accounts.with_email("a@b.co") is None


async def test_users_may_be_there_from_the_beginning() -> None:
    async with Emulator() as server:
        server.accounts.add("ada", email="ada@b.co", password="secret1", claims={"role": "x"})
        answer = await Caller(server).ask(
            "signInWithPassword", email="ada@b.co", password="secret1"
        )

        assert answer["localId"] == "ada"
        assert (read_claims(answer["idToken"]) or {})["role"] == "x"
        assert server.auth_requests == {"signInWithPassword": 1}


async def test_a_service_that_fails_is_asked_for() -> None:
    async with Emulator() as server:
        caller = Caller(server)
        server.fail_auth(503)
        failed = await caller.send("POST", f"{ACCOUNTS}:signUp?key=k", json={})
        server.fail_auth(None)
        done = await caller.send("POST", f"{ACCOUNTS}:signUp?key=k", json={})

    assert (failed.status_code, done.status_code) == (503, 200)
