"""What users do, and what has to come of it, with any auth service."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import pytest

from firekeep.auth import Auth, MemoryTokenStore, ProviderCredential
from firekeep.exceptions import (
    AccountExists,
    AuthError,
    CredentialRejected,
    SignInRefused,
    UsageError,
)
from firekeep.net.http import request
from firekeep.web_token import read_claims

PASSWORD = "correct horse battery"
OTHER_PASSWORD = "staple correct horse"


class Service:
    """An auth service under test."""

    def __init__(self, address: str, project: str) -> None:
        self.address = address
        self.project = project

    def auth(self, store: Any = None) -> Auth:
        """Return a client of it."""
        return Auth("any-key", store, emulator_host=self.address)

    async def reset_code(self, email: str) -> str:
        """Return the code that would have been sent to an address last."""
        url = f"http://{self.address}/emulator/v1/projects/{self.project}/oobCodes"
        codes = json.loads((await request("GET", url)).body)["oobCodes"]
        found: list[str] = [one["oobCode"] for one in codes if one["email"] == email]
        return found[-1]


def google(subject: str, **claims: object) -> ProviderCredential:
    """Return what an emulator takes for a credential from Google."""
    return ProviderCredential("google.com", id_token=json.dumps({"sub": subject, **claims}))


def custom_token(uid: str, claims: Mapping[str, object] | None = None) -> str:
    """Return what an emulator takes for a token that an administrator has made."""
    return json.dumps({"uid": uid, "claims": claims or {}})


async def an_anonymous_user_stays_the_same_until_they_sign_out(service: Service) -> None:
    auth = service.auth()

    user = await auth.sign_in_anonymously()
    again = await auth.sign_in_anonymously()
    await auth.sign_out()
    other = await auth.sign_in_anonymously()

    assert user.is_anonymous
    assert user.email is None
    assert again == user
    assert other.uid != user.uid


async def an_anonymous_user_who_is_rejected_is_followed_by_another(service: Service) -> None:
    store = MemoryTokenStore()
    auth, elsewhere = service.auth(store), service.auth(store)
    user = await elsewhere.sign_in_anonymously()
    await auth.restore()
    await elsewhere.delete()
    with pytest.raises(CredentialRejected):
        await auth.token(force=True)

    other = await auth.sign_in_anonymously()

    assert other.is_anonymous
    assert other.uid != user.uid
    assert await auth.token() is not None


async def a_user_signs_up_out_and_in(service: Service) -> None:
    auth = service.auth()

    made = await auth.create_user_with_email_and_password("Ada@example.com", PASSWORD)
    await auth.sign_out()
    signed_out = auth.current_user
    back = await auth.sign_in_with_email_and_password("ada@example.com", PASSWORD)

    assert (made.email, made.is_email_verified, made.provider) == (
        "ada@example.com",
        False,
        "password",
    )
    assert signed_out is None
    assert back.uid == made.uid
    assert auth.current_user == back
    assert auth.uid == made.uid


async def a_wrong_password_signs_nobody_in(service: Service) -> None:
    await service.auth().create_user_with_email_and_password("bob@example.com", PASSWORD)
    auth = service.auth()

    with pytest.raises(SignInRefused) as wrong:
        await auth.sign_in_with_email_and_password("bob@example.com", OTHER_PASSWORD)
    with pytest.raises(SignInRefused) as unknown:
        await auth.sign_in_with_email_and_password("nobody@example.com", PASSWORD)

    assert wrong.value.code == "INVALID_PASSWORD"
    assert unknown.value.code == "EMAIL_NOT_FOUND"
    assert auth.current_user is None


async def what_makes_no_account_says_why(service: Service) -> None:
    auth = service.auth()
    await auth.create_user_with_email_and_password("cid@example.com", PASSWORD)

    with pytest.raises(AccountExists) as taken:
        await auth.create_user_with_email_and_password("cid@example.com", PASSWORD)
    with pytest.raises(SignInRefused) as weak:
        await auth.create_user_with_email_and_password("new@example.com", "short")
    with pytest.raises(SignInRefused) as none:
        await auth.create_user_with_email_and_password("nonsense", PASSWORD)

    assert taken.value.code == "EMAIL_EXISTS"
    assert (weak.value.code, weak.value.text) == (
        "WEAK_PASSWORD",
        "Password should be at least 6 characters",
    )
    assert none.value.code == "INVALID_EMAIL"


async def a_custom_token_brings_its_claims(service: Service) -> None:
    auth = service.auth()

    user = await auth.sign_in_with_custom_token(custom_token("alice", {"role": "admin"}))
    fresh = read_claims(await auth.id_token(force=True)) or {}
    with pytest.raises(SignInRefused) as refused:
        await auth.sign_in_with_custom_token("no token")

    assert (user.uid, user.provider, user.claims["role"]) == ("alice", "custom", "admin")
    assert (fresh["user_id"], fresh["role"]) == ("alice", "admin")
    assert refused.value.code == "INVALID_CUSTOM_TOKEN"
    assert auth.uid == "alice"


async def an_identity_provider_vouches_for_a_user(service: Service) -> None:
    auth = service.auth()

    user = await auth.sign_in_with_credential(
        google("g-1", email="gil@example.com", email_verified=True, name="Gil")
    )
    again = await auth.sign_in_with_credential(google("g-1", email="gil@example.com"))

    assert (user.email, user.display_name, user.provider) == (
        "gil@example.com",
        "Gil",
        "google.com",
    )
    assert user.is_email_verified
    assert again.uid == user.uid


async def an_unverified_identity_takes_over_no_account(service: Service) -> None:
    auth = service.auth()
    owner = await auth.create_user_with_email_and_password("dan@example.com", PASSWORD)

    with pytest.raises(AccountExists) as refused:
        await auth.sign_in_with_credential(google("g-2", email="dan@example.com"))

    assert refused.value.code == "NEED_CONFIRMATION"
    assert auth.uid == owner.uid


async def a_profile_is_changed_and_shown(service: Service) -> None:
    auth = service.auth()
    await auth.create_user_with_email_and_password("eve@example.com", PASSWORD)

    named = await auth.update_profile(display_name="Eve", photo_url="https://example.com/eve")
    nameless = await auth.update_profile(photo_url=None)
    await auth.sign_out()
    back = await auth.sign_in_with_email_and_password("eve@example.com", PASSWORD)

    assert (named.display_name, named.photo_url) == ("Eve", "https://example.com/eve")
    assert (nameless.display_name, nameless.photo_url) == ("Eve", None)
    assert (back.display_name, back.photo_url) == ("Eve", None)


async def a_new_password_counts_and_the_old_one_does_not(service: Service) -> None:
    auth = service.auth()
    user = await auth.create_user_with_email_and_password("fay@example.com", PASSWORD)

    await auth.update_password(OTHER_PASSWORD)
    await auth.id_token(force=True)

    assert auth.uid == user.uid
    with pytest.raises(SignInRefused):
        await service.auth().sign_in_with_email_and_password("fay@example.com", PASSWORD)
    await service.auth().sign_in_with_email_and_password("fay@example.com", OTHER_PASSWORD)


async def a_forgotten_password_is_replaced_by_code(service: Service) -> None:
    auth = service.auth()
    await auth.create_user_with_email_and_password("guy@example.com", PASSWORD)
    await auth.sign_out()

    await auth.send_password_reset_email("guy@example.com")
    code = await service.reset_code("guy@example.com")
    with pytest.raises(SignInRefused) as wrong:
        await auth.confirm_password_reset("wrong-code", OTHER_PASSWORD)
    email = await auth.confirm_password_reset(code, OTHER_PASSWORD)
    user = await auth.sign_in_with_email_and_password(email, OTHER_PASSWORD)

    assert wrong.value.code == "INVALID_OOB_CODE"
    assert user.email == "guy@example.com"


async def a_deleted_user_is_gone(service: Service) -> None:
    auth, elsewhere = service.auth(), service.auth()
    await auth.create_user_with_email_and_password("hal@example.com", PASSWORD)
    await elsewhere.sign_in_with_email_and_password("hal@example.com", PASSWORD)

    await auth.delete()

    assert auth.current_user is None
    with pytest.raises(UsageError):
        await auth.id_token()
    with pytest.raises(CredentialRejected) as rejected:
        await elsewhere.token(force=True)
    assert rejected.value.code == "INVALID_REFRESH_TOKEN"
    assert elsewhere.current_user is not None


async def a_token_is_refreshed_for_the_same_user(service: Service) -> None:
    auth = service.auth()
    user = await auth.sign_in_anonymously()

    first = await auth.token()
    same = await auth.token()
    fresh = await auth.token(force=True)

    assert first is not None
    assert fresh is not None
    assert same == first
    assert first.uid == fresh.uid == user.uid
    assert first.expires_ms is not None
    assert first.refresh_ms is not None
    assert first.refresh_ms < first.expires_ms
    assert (read_claims(fresh.token) or {})["user_id"] == user.uid


async def a_user_comes_back_from_the_store(service: Service) -> None:
    store = MemoryTokenStore()
    user = await service.auth(store).create_user_with_email_and_password(
        "ida@example.com", PASSWORD
    )

    later = service.auth(store)
    await later.restore()

    assert later.current_user == user
    credential = await later.token(force=True)
    assert credential is not None
    assert credential.uid == user.uid


async def many_who_ask_at_once_are_given_tokens_of_one_user(service: Service) -> None:
    auth = service.auth()
    user = await auth.sign_in_anonymously()
    uids: list[str | None] = []

    async def ask() -> None:
        credential = await auth.token(force=True)
        uids.append(None if credential is None else credential.uid)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)

    assert uids == [user.uid] * 20


async def a_wrong_call_names_no_secret(service: Service) -> None:
    secret = "s3cret-of-a-provider"
    auth = service.auth()

    with pytest.raises(AuthError) as refused:
        await auth.sign_in_with_credential(ProviderCredential("google.com", id_token=secret))

    assert secret not in str(refused.value)
    assert secret not in repr(refused.value)


Flow = Callable[[Service], Awaitable[None]]

FLOWS: list[Flow] = [
    an_anonymous_user_stays_the_same_until_they_sign_out,
    an_anonymous_user_who_is_rejected_is_followed_by_another,
    a_user_signs_up_out_and_in,
    a_wrong_password_signs_nobody_in,
    what_makes_no_account_says_why,
    a_custom_token_brings_its_claims,
    an_identity_provider_vouches_for_a_user,
    an_unverified_identity_takes_over_no_account,
    a_profile_is_changed_and_shown,
    a_new_password_counts_and_the_old_one_does_not,
    a_forgotten_password_is_replaced_by_code,
    a_deleted_user_is_gone,
    a_token_is_refreshed_for_the_same_user,
    a_user_comes_back_from_the_store,
    many_who_ask_at_once_are_given_tokens_of_one_user,
    a_wrong_call_names_no_secret,
]
