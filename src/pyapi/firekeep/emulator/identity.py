"""Who a client says it is; nothing is verified."""

import base64
import binascii
import json
from typing import Any, cast

__all__ = ["login_answer"]

OWNER = "owner"


def login_answer(credential: str) -> dict[str, object]:
    """Return what a login is answered with: the ``auth`` variable and when it ends.

    The claims of a token are believed, signed or not; any other credential is an administrator's,
    whose variable is null. Source: wire §3.3 and §6.5.
    """
    claims = None if credential == OWNER else _claims(credential)
    if claims is None:
        return {"auth": None, "expires": None}
    expires = claims.get("exp")
    auth = {
        "uid": claims.get("user_id", claims.get("sub")),
        "provider": claims.get("provider_id", "custom"),
        "token": claims,
    }
    return {"auth": auth, "expires": expires if isinstance(expires, int) else None}


def _claims(token: str) -> dict[str, Any] | None:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        text = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims: object = json.loads(text)
    except (binascii.Error, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", claims) if isinstance(claims, dict) else None
