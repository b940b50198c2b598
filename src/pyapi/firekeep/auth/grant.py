"""What the sign-in service gave a user: the tokens, and the form in which they are kept."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, cast

from firekeep.auth.clock import is_time_ms
from firekeep.auth.refresh import offset_ms_of
from firekeep.auth.user import User
from firekeep.exceptions import AuthError, CorruptRecord
from firekeep.web_token import read_claims

__all__ = ["Grant", "Tokens", "fingerprint"]

VERSION = 1
DEFAULT_LIFETIME_S = 3600


@dataclass(frozen=True, slots=True)
class Tokens:
    """An answer of the service: what to present, and what to get the next one with."""

    id_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """A user and the tokens that prove it; times are by the server's clock, in ms since 1970."""

    user: User
    tokens: Tokens = field(repr=False)
    issued_ms: int
    expires_ms: int
    offset_ms: int
    """The server's clock minus this machine's, as it was when the tokens came."""

    @classmethod
    def received(cls, tokens: Tokens, now_ms: int) -> "Grant":
        """Return what tokens that have just come are worth.

        Raises:
            AuthError: the ID token cannot be read, or names nobody.
        """
        claims = read_claims(tokens.id_token) or {}
        user = User.from_claims(claims)
        if user is None:
            raise AuthError("UNREADABLE_ID_TOKEN", "the service sent a token that names no user")
        issued_s = _seconds(claims.get("iat"), now_ms // 1000)
        expires_s = _seconds(claims.get("exp"), issued_s + DEFAULT_LIFETIME_S)
        return cls(user, tokens, issued_s * 1000, expires_s * 1000, offset_ms_of(issued_s, now_ms))

    def to_text(self, owner: str) -> str:
        """Return what is kept of it; `owner` tells whose app it belongs to."""
        return json.dumps(
            {
                "version": VERSION,
                "owner": owner,
                "uid": self.user.uid,
                "refresh_token": self.tokens.refresh_token,
                "id_token": self.tokens.id_token,
                "issued_ms": self.issued_ms,
                "expires_ms": self.expires_ms,
                "offset_ms": self.offset_ms,
            }
        )

    @classmethod
    def from_text(cls, text: str, owner: str) -> "Grant | None":
        """Return what was kept; None if it belongs to another app.

        Raises:
            CorruptRecord: it cannot be read; the error does not say what is there.
        """
        try:
            fields: object = json.loads(text)
            if not isinstance(fields, dict):
                raise TypeError
            record = cast("dict[str, Any]", fields)
            if record["version"] != VERSION:
                raise ValueError
            if record["owner"] != owner:
                return None
            tokens = Tokens(_checked(record["id_token"]), _checked(record["refresh_token"]))
            user = User.from_claims(read_claims(tokens.id_token) or {})
            if user is None or user.uid != record["uid"]:
                raise ValueError
            times = [record[name] for name in ("issued_ms", "expires_ms", "offset_ms")]
            if not all(is_time_ms(time) for time in times):
                raise TypeError
        except (ValueError, TypeError, KeyError, RecursionError):
            # Without what caused it: that could quote what is there.
            raise CorruptRecord("the stored credential cannot be read") from None
        return cls(user, tokens, *times)


def fingerprint(api_key: str, tenant: str | None, emulator_host: str | None) -> str:
    """Return a text that tells one app's credential from another's, and says nothing of either."""
    text = json.dumps(["firekeep", api_key, tenant, emulator_host])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _seconds(claim: object, default_s: int) -> int:
    return claim if is_time_ms(claim) and is_time_ms(claim * 1000) else default_s


def _checked(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value
