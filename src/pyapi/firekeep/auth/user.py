"""Who is signed in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast

__all__ = ["User"]

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class User:
    """A user of the app, as the last token described them; never changes, holds no secret.

    Example::

        user = await auth.sign_in_with_email_and_password("ada@example.com", password)
        print(user.uid, user.claims.get("role"))
    """

    uid: str
    email: str | None = None
    is_email_verified: bool = False
    display_name: str | None = None
    photo_url: str | None = None
    phone_number: str | None = None
    provider: str | None = None
    """How they signed in: ``password``, ``anonymous``, ``custom``, ``google.com``, …"""
    claims: Mapping[str, object] = field(
        default_factory=dict[str, object], repr=False, hash=False, compare=False
    )
    """Everything that the token says, custom claims among it; for rules they are ``auth.token``."""

    @property
    def is_anonymous(self) -> bool:
        """Whether they have no way yet to sign in again elsewhere."""
        return self.provider == ANONYMOUS

    @classmethod
    def from_claims(cls, claims: Mapping[str, object]) -> "User | None":
        """Return whom the claims of an ID token describe; None if they name nobody."""
        uid = claims.get("user_id") or claims.get("sub")
        if not isinstance(uid, str) or not uid:
            return None
        return cls(
            uid,
            email=_text(claims, "email"),
            is_email_verified=claims.get("email_verified") is True,
            display_name=_text(claims, "name"),
            photo_url=_text(claims, "picture"),
            phone_number=_text(claims, "phone_number"),
            provider=_provider(claims),
            claims=MappingProxyType(dict(claims)),
        )


def _text(claims: Mapping[str, object], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None


def _provider(claims: Mapping[str, object]) -> str | None:
    details = claims.get("firebase")
    if not isinstance(details, dict):
        return _text(claims, "provider_id")
    return _text(cast("dict[str, Any]", details), "sign_in_provider")
