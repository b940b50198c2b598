"""The sign-in service over HTTP: Identity Toolkit and Secure Token."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote, urlencode

from firekeep.auth.grant import Tokens
from firekeep.exceptions import AuthError, NetworkUnavailable, TooManyAttempts, auth_error
from firekeep.net.http import HttpAnswer, request

__all__ = ["IdentityToolkit", "ProviderCredential"]

ACCOUNTS = "identitytoolkit.googleapis.com/v1/accounts"
TOKENS = "securetoken.googleapis.com/v1/token"

NOT_IMPLEMENTED = 501
BLOT = "…"
#: Fields whose values must not come back in an error.
SECRETS = frozenset(
    {"password", "newPassword", "token", "idToken", "refresh_token", "postBody", "oobCode"}
)
#: Shorter texts than this appear in any sentence by accident; none is a secret worth the name.
MIN_SECRET_LENGTH = 4


@dataclass(frozen=True, slots=True)
class ProviderCredential:
    """What an identity provider, such as Google, gave the app to prove who the user is.

    Example::

        ProviderCredential("google.com", id_token=token_from_google)
    """

    provider_id: str
    """``google.com``, ``apple.com``, ``github.com``, ``oidc.NAME``, …"""
    id_token: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    token_secret: str | None = field(default=None, repr=False)
    """Only Twitter has one."""
    nonce: str | None = field(default=None, repr=False)
    """What the ID token holds the hash of, where one was asked for."""

    def form(self) -> str:
        """Return it as the service wants it."""
        fields = {
            "id_token": self.id_token,
            "access_token": self.access_token,
            "oauth_token_secret": self.token_secret,
            "nonce": self.nonce,
            "providerId": self.provider_id,
        }
        return urlencode({name: value for name, value in fields.items() if value is not None})


class IdentityToolkit:
    """Each method is one request; nothing is remembered.

    All of them raise `AuthError` if the service refuses, and `NetworkUnavailable` if it does not
    answer; neither holds anything secret of what was sent.
    """

    def __init__(
        self, api_key: str, *, tenant: str | None, emulator_host: str | None, timeout_s: float
    ) -> None:
        self._base = "https://" if emulator_host is None else f"http://{emulator_host}/"
        self._key = quote(api_key, safe="")
        self._tenant = tenant
        self._timeout_s = timeout_s

    async def sign_up(
        self,
        email: str | None = None,
        password: str | None = None,
        display_name: str | None = None,
    ) -> Tokens:
        """Make an account: an anonymous one without an e-mail."""
        body = {"email": email, "password": password, "displayName": display_name}
        return _tokens(await self._accounts("signUp", body))

    async def sign_in_with_password(self, email: str, password: str) -> Tokens:
        """Return the tokens of the account with this e-mail."""
        body = {"email": email, "password": password}
        return _tokens(await self._accounts("signInWithPassword", body))

    async def sign_in_with_custom_token(self, token: str) -> Tokens:
        """Return the tokens of whom an administrator has vouched for."""
        return _tokens(await self._accounts("signInWithCustomToken", {"token": token}))

    async def sign_in_with_provider(self, credential: ProviderCredential) -> Tokens:
        """Return the tokens of whom another service vouches for."""
        body = {
            "postBody": credential.form(),
            # The service wants one; it counts only for redirects, of which there are none here.
            "requestUri": "http://localhost",
            "returnIdpCredential": True,
        }
        secrets = [credential.id_token, credential.access_token, credential.token_secret]
        answer = await self._accounts("signInWithIdp", body, secrets=secrets)
        if answer.get("needConfirmation"):
            raise auth_error("NEED_CONFIRMATION", "another account has the e-mail; sign in to that")
        return _tokens(answer)

    async def update(
        self, id_token: str, changes: Mapping[str, object], remove: list[str]
    ) -> Tokens | None:
        """Change an account; return its new tokens if the old ones are worth nothing any more."""
        body = {"idToken": id_token, **changes, "deleteAttribute": remove or None}
        answer = await self._accounts("update", body)
        return _tokens(answer) if answer.get("idToken") else None

    async def delete(self, id_token: str) -> None:
        """Delete an account."""
        await self._accounts("delete", {"idToken": id_token})

    async def send_password_reset(self, email: str) -> None:
        """Have a code sent to that address."""
        await self._accounts("sendOobCode", {"requestType": "PASSWORD_RESET", "email": email})

    async def confirm_password_reset(self, code: str, password: str) -> str:
        """Set the password of the account to which the code was sent; return its e-mail."""
        answer = await self._accounts("resetPassword", {"oobCode": code, "newPassword": password})
        return str(answer.get("email", ""))

    async def refresh(self, refresh_token: str) -> Tokens:
        """Return fresh tokens."""
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        answer = await self._post(
            TOKENS, "application/x-www-form-urlencoded", urlencode(fields), [refresh_token]
        )
        return _tokens({"idToken": answer.get("id_token"), "refreshToken": refresh_token, **answer})

    async def _accounts(
        self, action: str, fields: Mapping[str, object], *, secrets: list[str | None] | None = None
    ) -> dict[str, Any]:
        body = {name: value for name, value in fields.items() if value is not None}
        body["returnSecureToken"] = True
        if self._tenant is not None:
            body["tenantId"] = self._tenant
        hidden = [*(secrets or ()), *(str(body[name]) for name in SECRETS & body.keys())]
        return await self._post(
            f"{ACCOUNTS}:{action}", "application/json", json.dumps(body), hidden
        )

    async def _post(
        self, place: str, kind: str, body: str, secrets: list[str | None]
    ) -> dict[str, Any]:
        answer = await request(
            "POST",
            f"{self._base}{place}?key={self._key}",
            headers={"Content-Type": kind},
            body=body.encode(),
            timeout_s=self._timeout_s,
        )
        try:
            value: object = json.loads(answer.body)
        except (ValueError, RecursionError):
            value = None
        if answer.status != 200:
            raise _refusal(answer, value, [secret for secret in secrets if secret])
        if not isinstance(value, dict):
            raise NetworkUnavailable(f"{place}: an answer that is no JSON object")
        return cast("dict[str, Any]", value)


def _tokens(answer: Mapping[str, Any]) -> Tokens:
    if answer.get("errorMessage"):
        raise auth_error(*_split(str(answer["errorMessage"])))
    if answer.get("mfaPendingCredential"):
        raise AuthError("MFA_REQUIRED", "a second factor, which is not supported")
    id_token = answer.get("idToken")
    refresh_token = answer.get("refresh_token") or answer.get("refreshToken")
    if not isinstance(id_token, str) or not isinstance(refresh_token, str):
        raise AuthError("UNEXPECTED_ANSWER", "an answer without tokens")
    return Tokens(id_token, refresh_token)


def _refusal(
    answer: HttpAnswer, value: object, secrets: list[str]
) -> AuthError | NetworkUnavailable:
    message = _message(value)
    if message is None or (answer.status >= 500 and answer.status != NOT_IMPLEMENTED):
        return NetworkUnavailable(f"the sign-in service answered with status {answer.status}")
    for secret in _written(secrets):
        message = message.replace(secret, BLOT)
    error = auth_error(*_split(message))
    if answer.status == 429 and type(error) is AuthError:
        return TooManyAttempts(error.code, error.text)
    return error


def _message(value: object) -> str | None:
    """Return what an answer gives as the reason for a refusal; None if it is not of that form."""
    if isinstance(value, dict):
        error = cast("dict[str, Any]", value).get("error")
        if isinstance(error, dict):
            message = cast("dict[str, Any]", error).get("message")
            return message if isinstance(message, str) else None
        if isinstance(error, str):
            return error
    return None


def _split(message: str) -> tuple[str, str]:
    """Return the code and the text of ``CODE : text``; a sentence is a text without a code."""
    code, _, text = message.partition(":")
    code = code.strip()
    if code.isupper() and " " not in code:
        return code, text.strip()
    return "REFUSED", message


def _written(secrets: list[str]) -> Iterator[str]:
    """Give each secret in every way in which it may be written, the longest first."""
    ways = {
        way
        for secret in secrets
        for way in (secret, quote(secret, safe=""), quote(secret), urlencode({"": secret})[1:])
    }
    return iter(sorted((way for way in ways if len(way) >= MIN_SECRET_LENGTH), key=len)[::-1])
