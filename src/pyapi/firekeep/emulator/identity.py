"""Who a client is: what its credential says, and whether that still counts."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from firekeep.emulator.clock import Clock
from firekeep.web_token import read_claims, read_header

__all__ = ["ADMIN", "NOBODY", "Identity", "LoginRefused", "Verifier"]

OWNER = "owner"

UNREADABLE = ("invalid_token", "Could not parse auth token.")
EXPIRED = ("expired_token", "Auth token is expired.")
REVOKED = ("invalid_token", "Auth token is revoked.")


class LoginRefused(Exception):
    """The credential does not count; `status` and `text` are for whoever presented it."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a connection or a request acts for."""

    variable: Mapping[str, object] | None = field(default=None, repr=False)
    """What rules call ``auth``; None for nobody, and for an administrator."""
    uid: str | None = None
    is_admin: bool = False
    issued_s: int = 0
    expires_s: int | None = None
    """None if time does not end it."""

    def answer(self) -> dict[str, object]:
        """Return what a login is answered with (wire §3.3)."""
        return {"auth": self.variable, "expires": self.expires_s}


NOBODY = Identity()
ADMIN = Identity(is_admin=True)


class Verifier:
    """Tells what a credential is worth, by the server's clock.

    ``owner`` and the shared secret, if there is one, are an administrator's. Unsigned tokens, as
    emulators make them, are believed until they expire or are revoked; those whose ``iat`` is 0 are
    mock tokens of the official SDKs, which never expire. Of signed ones only those signed with the
    secret can be verified; others are believed likewise, without a secret all. Anything else is
    refused.

    Source: wire §3.3 and §6.5.
    """

    def __init__(self, clock: Clock, secret: str | None = None) -> None:
        self._clock = clock
        self._secret = secret
        self._expired_until_s = -1
        self._revoked_until_s: dict[str, int] = {}

    def verify(
        self,
        credential: str,
        *,
        variable: Mapping[str, object] | None = None,
        as_nobody: bool = False,
    ) -> Identity:
        """Return whose credential it is; an administrator may act for another, or for nobody.

        Raises:
            LoginRefused: nobody's, or not any more.
        """
        identity = self.identity(credential)
        refusal = self.refusal(identity)
        if refusal is not None:
            raise LoginRefused(*refusal)
        if identity.is_admin and as_nobody:
            return NOBODY
        if identity.is_admin and variable is not None:
            return Identity(variable, _uid(variable))
        return identity

    def identity(self, credential: str) -> Identity:
        """Return whose credential it is, or was.

        Raises:
            LoginRefused: it never was anybody's.
        """
        header, claims = read_header(credential), read_claims(credential)
        if header is None or claims is None:
            if credential == OWNER or (self._secret and _equal(credential, self._secret)):
                return ADMIN
            raise LoginRefused(*UNREADABLE)
        self._check_signature(credential, header.get("alg"))
        legacy = claims.get("d")
        if isinstance(legacy, dict) and "v" in claims:
            # A token that the app's own server has made with the secret.
            if claims.get("admin") is True:
                return ADMIN
            variable = cast("dict[str, object]", legacy)
        else:
            variable = {
                "uid": claims.get("user_id", claims.get("sub")),
                "provider": _provider(claims),
                "token": claims,
            }
        issued_s, expires_s = claims.get("iat"), claims.get("exp")
        is_mock = issued_s == 0
        return Identity(
            variable,
            _uid(variable),
            issued_s=issued_s if isinstance(issued_s, int) else 0,
            expires_s=expires_s if isinstance(expires_s, int) and not is_mock else None,
        )

    def refusal(self, identity: Identity) -> tuple[str, str] | None:
        """Return why someone who was let in is not to be any more; None if they still are."""
        if identity.variable is None or identity.is_admin:
            return None
        expires_s = identity.expires_s
        if expires_s is not None and self._clock.now_ms() >= expires_s * 1000:
            return EXPIRED
        if identity.issued_s <= self._revoked_until_s.get(identity.uid or "", -1):
            return REVOKED
        return EXPIRED if identity.issued_s <= self._expired_until_s else None

    def issue_s(self, uid: str) -> int:
        """Return when a token that is made now was made: after all that do not count any more."""
        now_s = self._clock.now_ms() // 1000
        return max(now_s, self._expired_until_s + 1, self._revoked_until_s.get(uid, -1) + 1)

    def expire_all(self) -> None:
        """Let every token that there is be expired, whatever it says."""
        self._expired_until_s = max(self._expired_until_s, self._clock.now_ms() // 1000)

    def revoke(self, uid: str) -> None:
        """Let no token that a user has count any more."""
        self._revoked_until_s[uid] = self.issue_s(uid)

    def _check_signature(self, token: str, algorithm: object) -> None:
        signed, _, signature = token.rpartition(".")
        if algorithm == "none":
            is_right = not signature
        elif algorithm == "HS256" and self._secret is not None:
            digest = hmac.new(self._secret.encode(), signed.encode(), hashlib.sha256).digest()
            right = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            is_right = _equal(signature, right)
        else:
            is_right = isinstance(algorithm, str)
        if not is_right:
            raise LoginRefused(*UNREADABLE)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _uid(variable: Mapping[str, object]) -> str | None:
    uid = variable.get("uid")
    return uid if isinstance(uid, str) else None


def _provider(claims: Mapping[str, Any]) -> object:
    details = claims.get("firebase")
    named = cast("dict[str, object]", details) if isinstance(details, dict) else {}
    return named.get("sign_in_provider") or claims.get("provider_id", "custom")
