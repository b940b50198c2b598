"""What the service gave, and the form in which it is kept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firekeep.auth.grant import Grant, Tokens, fingerprint
from firekeep.auth.user import User
from firekeep.emulator import unsigned_token
from firekeep.exceptions import AuthError, CorruptRecord

NOW_MS = 1_700_000_000_000
OWNER = fingerprint("key", None, None)


def tokens(**claims: object) -> Tokens:
    return Tokens(unsigned_token({"user_id": "ada", **claims}), "refresh-secret")


def grant(**claims: object) -> Grant:
    return Grant.received(tokens(iat=NOW_MS // 1000, exp=NOW_MS // 1000 + 3600, **claims), NOW_MS)


def test_times_are_the_servers_and_its_clock_is_noted() -> None:
    received = Grant.received(tokens(iat=1_700_000_100, exp=1_700_003_700), NOW_MS)

    assert (received.issued_ms, received.expires_ms) == (1_700_000_100_000, 1_700_003_700_000)
    assert received.offset_ms == 100_500


@pytest.mark.parametrize("claims", [{}, {"iat": True, "exp": "soon"}, {"iat": 10**400}])
def test_a_token_without_times_is_good_for_an_hour_from_now(claims: dict[str, object]) -> None:
    received = Grant.received(tokens(**claims), NOW_MS)

    assert (received.issued_ms, received.expires_ms) == (NOW_MS, NOW_MS + 3_600_000)


@pytest.mark.parametrize("token", ["nonsense", unsigned_token({}), unsigned_token({"sub": 5})])
def test_a_token_that_names_nobody_signs_nobody_in(token: str) -> None:
    with pytest.raises(AuthError) as caught:
        Grant.received(Tokens(token, "refresh"), NOW_MS)

    assert token not in str(caught.value)


def test_a_user_is_what_the_token_says() -> None:
    user = grant(
        email="ada@example.com",
        email_verified=True,
        name="Ada",
        picture="https://example.com/ada",
        phone_number="+1",
        role="admin",
        firebase={"sign_in_provider": "password"},
    ).user

    assert user == User(
        "ada",
        "ada@example.com",
        True,
        "Ada",
        "https://example.com/ada",
        "+1",
        "password",
    )
    assert user.claims["role"] == "admin"
    with pytest.raises(TypeError):
        user.claims["role"] = "nobody"  # type: ignore[index]


def test_what_is_kept_comes_back_for_the_same_app_alone() -> None:
    kept = grant(email="ada@example.com")

    assert Grant.from_text(kept.to_text(OWNER), OWNER) == kept
    assert Grant.from_text(kept.to_text(OWNER), fingerprint("other", None, None)) is None
    assert Grant.from_text(kept.to_text(OWNER), fingerprint("key", "tenant", None)) is None
    assert Grant.from_text(kept.to_text(OWNER), fingerprint("key", None, "localhost:1")) is None


def test_the_app_is_not_named_in_what_is_kept() -> None:
    assert "my-api-key" not in grant().to_text(fingerprint("my-api-key", None, None))


def spoiled(name: str, value: object) -> str:
    record: dict[str, Any] = json.loads(grant().to_text(OWNER))
    return json.dumps({**record, name: value})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "refresh-secret",
        spoiled("version", 2),
        spoiled("uid", "bob"),
        spoiled("id_token", "refresh-secret"),
        spoiled("refresh_token", ""),
        spoiled("refresh_token", 5),
        spoiled("expires_ms", "soon"),
        spoiled("expires_ms", 10**400),
        "[" * 100_000,
    ],
)
def test_what_is_spoiled_says_so_and_not_what_it_is(text: str) -> None:
    with pytest.raises(CorruptRecord) as caught:
        Grant.from_text(text, OWNER)

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(st.text())
def test_no_text_does_more_harm_than_that(text: str) -> None:
    with pytest.raises(CorruptRecord):
        Grant.from_text(text, OWNER)


def test_secrets_are_not_shown() -> None:
    kept = grant()

    for shown in (repr(kept), repr(kept.tokens), repr(kept.user), str(kept)):
        assert "refresh-secret" not in shown
        assert kept.tokens.id_token not in shown
