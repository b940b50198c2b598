"""JSON Web Tokens, as far as one can read them without a key."""

import base64
import binascii
import json
from typing import Any, cast

__all__ = ["read_claims", "read_header"]


def read_claims(token: str) -> dict[str, Any] | None:
    """Return what a token says; None if it is no such token. Nothing is verified.

    Example::

        claims = read_claims("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.")
        assert claims == {"sub": "ada"}
    """
    parts = token.split(".")
    return _object(parts[1]) if len(parts) == 3 else None


def read_header(token: str) -> dict[str, Any] | None:
    """Return how a token says that it is signed; None if it is no such token."""
    parts = token.split(".")
    return _object(parts[0]) if len(parts) == 3 else None


def _object(part: str) -> dict[str, Any] | None:
    try:
        value: object = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
