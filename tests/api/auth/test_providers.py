"""Tokens, functions and emulators as sources of credentials."""

import traceback
from typing import Any

import anyio
import pytest
from tests.api.auth.scene import HOUR_MS, MINUTE_MS, START_MS

from firekeep.auth import (
    Auth,
    Credential,
    CredentialChange,
    CredentialSource,
    ProvidedToken,
    ServiceAccount,
    StaticToken,
    emulator_owner,
)
from firekeep.auth.providers import as_source, token_provider
from firekeep.emulator import unsigned_token
from firekeep.exceptions import CredentialRejected, InvalidArgument, NetworkUnavailable

pytestmark = pytest.mark.anyio

EXPIRES_MS = START_MS - 500 + HOUR_MS
REFRESH_MS = EXPIRES_MS - 5 * MINUTE_MS


def token(uid: str = "ada", number: int = 1, expires_ms: int = EXPIRES_MS) -> str:
    return unsigned_token(
        {
            "user_id": uid,
            "number": number,
            "iat": (expires_ms - HOUR_MS) // 1000,
            "exp": expires_ms // 1000,
        }
    )


class Provider:
    """A function of a user that gives what it is told to, at a time that stands still."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.forced: list[bool] = []
        self.now_ms = START_MS
        self.source = ProvidedToken(self, now_ms=lambda: self.now_ms, chance=lambda: 0.0)
        self.changes: list[CredentialChange] = []
        self.source.on_change(self.changes.append)

    async def __call__(self, force_refresh: bool, /) -> str | None:
        self.forced.append(force_refresh)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        found: str | None = answer
        return found

    async def ask(self, force: bool = False) -> Credential:
        found = await self.source.token(force)
        assert found is not None
        return found


def test_everything_that_may_be_passed_becomes_a_source() -> None:
    auth = Auth("key", emulator_host="localhost:1")

    assert as_source(None) is None
    assert as_source(auth) is auth
    assert isinstance(as_source("owner"), StaticToken)
    assert isinstance(as_source(Provider("x")), ProvidedToken)
    for source in (auth, StaticToken("x"), ProvidedToken(Provider("x")), emulator_owner()):
        assert isinstance(source, CredentialSource)


@pytest.mark.parametrize("nonsense", [5, b"token", ["token"], object()])
def test_anything_else_is_refused_and_not_shown(nonsense: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        as_source(nonsense)

    assert "'token'" not in str(caught.value)


async def test_a_service_account_is_a_source() -> None:
    pytest.importorskip("google.auth", reason="needs the extra admin")

    assert isinstance(ServiceAccount({}), CredentialSource)


# One token.


async def test_a_token_says_whose_it_is_and_for_how_long() -> None:
    source = StaticToken(token("ada"))

    assert source.uid == "ada"
    found = await source.token()
    assert found is not None
    assert (found.uid, found.expires_ms, found.refresh_ms) == ("ada", EXPIRES_MS, None)
    assert found.claims["number"] == 1


async def test_a_token_of_another_kind_is_nobodys_and_has_no_end() -> None:
    source = emulator_owner()

    assert source.uid is None
    assert await source.token() == Credential("owner")
    assert await source.token(force=True) == Credential("owner")


async def test_a_mock_token_of_the_official_sdks_never_ends() -> None:
    mock = unsigned_token({"sub": "ada", "iat": 0, "exp": 3600})

    for source in (StaticToken(mock), Provider(mock).source):
        for force in (False, True):
            found = await source.token(force)

            assert found is not None
            assert (found.uid, found.expires_ms, found.refresh_ms) == ("ada", None, None)


async def test_a_signed_token_is_no_mock_token() -> None:
    claims = unsigned_token({"sub": "ada", "iat": 0, "exp": 3600}).split(".")[1]

    found = await StaticToken(f"e30.{claims}.signature").token()

    assert found is not None
    assert found.expires_ms == HOUR_MS


def test_a_token_that_ends_at_no_time_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgument, match="expires_ms"):
        StaticToken(unsigned_token({"sub": "ada", "exp": 10**400}))


async def test_a_token_that_began_at_no_time_lives_for_an_hour() -> None:
    claims = {"sub": "ada", "iat": 10**400, "exp": EXPIRES_MS // 1000}

    assert (await Provider(unsigned_token(claims)).ask()).refresh_ms == REFRESH_MS


async def test_an_only_token_is_given_again_until_its_time_is_over() -> None:
    now_ms = EXPIRES_MS - 1
    source = StaticToken(token(), now_ms=lambda: now_ms)

    assert await source.token(force=True) == await source.token()
    with pytest.raises(CredentialRejected):
        await source.token(force=True, offset_ms=1)
    now_ms = EXPIRES_MS
    with pytest.raises(CredentialRejected) as caught:
        await source.token(force=True)
    assert caught.value.code == "TOKEN_EXPIRED"


# A function.


async def test_a_function_is_told_whether_the_last_token_was_refused() -> None:
    provider = Provider(token())

    await provider.ask()
    await provider.ask(force=True)

    assert provider.forced == [False, True]


async def test_whose_tokens_a_function_gives_is_known_and_told() -> None:
    provider = Provider(token("ada", 1), token("ada", 2), token("ada", 2), token("bob"), None)
    assert provider.source.uid is None

    uids = [provider.source.uid for _ in range(5) if await provider.source.token() or True]

    assert uids == ["ada", "ada", "ada", "bob", None]
    assert provider.changes == [
        CredentialChange("signed_in", "ada", None),
        CredentialChange("refreshed", "ada", "ada"),
        CredentialChange("signed_in", "bob", "ada"),
        CredentialChange("signed_out", None, "bob"),
    ]


async def test_a_function_is_asked_again_in_time() -> None:
    found = await Provider(token()).ask()

    assert (found.expires_ms, found.refresh_ms) == (EXPIRES_MS, REFRESH_MS)


async def test_a_function_that_gives_a_stale_token_is_asked_ever_less_often() -> None:
    provider = Provider(token())
    provider.now_ms = REFRESH_MS

    delays_s: list[float] = []
    for _ in range(3):
        at_ms = (await provider.ask()).refresh_ms
        assert at_ms is not None
        delays_s.append((at_ms - provider.now_ms) / 1000)

    assert delays_s == [30, 60, 120]


async def test_a_function_that_fails_has_its_last_token_used_while_that_is_good() -> None:
    provider = Provider(token(), NetworkUnavailable("the server is away"))
    first = await provider.ask()

    provider.now_ms = REFRESH_MS
    held = await provider.ask()
    assert (held.token, held.refresh_ms) == (first.token, REFRESH_MS + 30_000)
    with pytest.raises(NetworkUnavailable, match="is away"):
        await provider.ask(force=True)
    provider.now_ms = EXPIRES_MS
    with pytest.raises(NetworkUnavailable, match="is away"):
        await provider.ask()
    assert provider.source.uid == "ada"


async def test_what_a_function_says_of_its_failure_is_not_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    provider = Provider(token(), RuntimeError("GET https://example.com?key=secret failed"))
    await provider.ask()
    await provider.ask()

    with pytest.raises(NetworkUnavailable) as caught:
        await provider.ask(force=True)

    assert str(caught.value) == "the token provider failed: RuntimeError"
    shown = [*traceback.format_exception(caught.value), caplog.text]
    assert not any("secret" in text for text in shown)


async def test_a_function_that_gives_something_else_is_refused_and_it_is_not_shown() -> None:
    with pytest.raises(InvalidArgument) as caught:
        await Provider(b"secret").ask()

    assert "secret" not in str(caught.value)


async def test_a_function_that_is_not_asynchronous_is_refused_and_its_token_not_shown() -> None:
    def provide(force_refresh: bool, /) -> str:
        return "secret"

    with pytest.raises(InvalidArgument, match="asynchronous: not str"):
        await ProvidedToken(provide).token()  # type: ignore[arg-type]


async def test_a_call_that_never_returns_holds_up_no_other() -> None:
    is_first = True

    async def provide(force_refresh: bool, /) -> str | None:
        nonlocal is_first
        if is_first:
            is_first = False
            await anyio.sleep_forever()
        return "second"

    source = ProvidedToken(provide)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.token)
        await anyio.wait_all_tasks_blocked()
        assert await source.token() == Credential("second")
        tasks.cancel_scope.cancel()


async def test_a_source_is_a_function_for_a_driver() -> None:
    provider = Provider(token(), None)
    provide = token_provider(provider.source)

    assert await provide(True) == token()
    assert await provide(False) is None
    assert provider.forced == [True, False]


def test_no_token_is_shown() -> None:
    sources = [StaticToken(token()), Provider(token()).source, StaticToken("secret")]

    for source in sources:
        assert token() not in repr(source)
        assert "secret" not in repr(source)
