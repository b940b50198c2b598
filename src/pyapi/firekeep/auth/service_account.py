"""Credentials of programs that administer a project; Google's library, in a worker thread."""

import logging
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from firekeep.auth.clock import wall_ms
from firekeep.auth.refresh import refresh_at_ms, retry_at_ms
from firekeep.auth.source import Credential, CredentialChange
from firekeep.exceptions import (
    CredentialRejected,
    FirekeepError,
    InvalidArgument,
    NetworkUnavailable,
    UsageError,
)
from firekeep.net.http import request

__all__ = ["SCOPES", "ServiceAccount"]

SCOPES = (
    "https://www.googleapis.com/auth/firebase.database",
    "https://www.googleapis.com/auth/userinfo.email",
)
LIFETIME_MS = 60 * 60 * 1000
TIMEOUT_S = 30.0

logger = logging.getLogger("firekeep.auth")


class ServiceAccount:
    """An administrator of the project: rules do not bind it, and its writes are nobody's.

    `source` is the file with the account's key, or what that holds. Needs the extra
    ``firekeep[admin]``. The key never leaves this object; what goes out is a signature.

    Raises:
        UsageError: the package `google-auth` is not installed, at once.
        InvalidArgument: `source` is neither a path nor a mapping, at once.

    Example::

        db = firekeep.open(url, auth=firekeep.auth.ServiceAccount("service-account.json"))
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Mapping[str, object],
        *,
        scopes: Sequence[str] = SCOPES,
        now_ms: Callable[[], int] = wall_ms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not isinstance(source, str | os.PathLike | Mapping):
            raise InvalidArgument(
                f"a service account is a file or what it holds, not {type(source).__name__}"
            )
        self._prepare(lambda: _from_key(source, scopes), now_ms, chance)

    @classmethod
    def application_default(
        cls,
        *,
        scopes: Sequence[str] = SCOPES,
        now_ms: Callable[[], int] = wall_ms,
        chance: Callable[[], float] = random.random,
    ) -> "ServiceAccount":
        """Return whoever the environment says that the program is.

        That is what GOOGLE_APPLICATION_CREDENTIALS names, who is signed in to ``gcloud``, or the
        machine's own account on Google's servers.

        Raises:
            UsageError: the package `google-auth` is not installed, at once.

        Example::

            db = firekeep.open(url, auth=firekeep.auth.ServiceAccount.application_default())
        """
        account = cls.__new__(cls)
        account._prepare(lambda: _from_environment(scopes), now_ms, chance)
        return account

    def _prepare(
        self, load: Callable[[], Any], now_ms: Callable[[], int], chance: Callable[[], float]
    ) -> None:
        if find_spec("google") is None or find_spec("google.auth") is None:
            raise UsageError("ServiceAccount needs google-auth: pip install 'firekeep[admin]'")
        self._load = load
        self._now_ms = now_ms
        self._chance = chance
        self._google: Any = None
        self._credential: Credential | None = None
        self._failures = 0
        self._asking = anyio.Lock()

    @property
    def uid(self) -> str | None:
        """None: what an administrator writes belongs to no user."""
        return None

    async def restore(self, directory: Path | None = None) -> None:
        """Do nothing: there is nothing to take up."""
        await anyio.lowlevel.checkpoint()

    async def token(
        self, force: bool = False, *, offset_ms: int | None = None
    ) -> Credential | None:
        """Return an access token; several callers at a time cause one request.

        Raises:
            NetworkUnavailable: Google cannot be reached.
            CredentialRejected: the key cannot be read, or Google does not take it.
        """
        seen = self._credential
        async with self._asking:
            now_ms = self._now_ms() + (offset_ms or 0)
            held = self._credential
            if force and held is seen:
                held = None
            if held is not None and now_ms < (held.refresh_ms or 0):
                return held
            try:
                return await self._fetch(offset_ms or 0)
            except (NetworkUnavailable, CredentialRejected) as error:
                if held is None or now_ms >= (held.expires_ms or 0):
                    raise
                logger.info("no fresh token: %s", error)
                self._failures += 1
                again_ms = retry_at_ms(self._failures, now_ms, held.expires_ms, self._chance())
                self._credential = replace(held, refresh_ms=again_ms)
                return self._credential

    def on_change(self, callback: Callable[[CredentialChange], object]) -> Callable[[], None]:
        """Do nothing: it is always the same account."""
        return _nothing

    def __repr__(self) -> str:
        """Return that it is one, and nothing of it."""
        return "<ServiceAccount>"

    async def _fetch(self, offset_ms: int) -> Credential:
        google = await anyio.to_thread.run_sync(self._refreshed)
        now_ms = self._now_ms() + offset_ms
        expires_ms = now_ms + LIFETIME_MS
        if google.expiry is not None:
            # Google's library counts from the moment of the request, in UTC without saying so.
            expires_ms = round(google.expiry.replace(tzinfo=UTC).timestamp() * 1000) + offset_ms
        self._failures = 0
        self._credential = Credential(
            google.token, None, expires_ms, refresh_at_ms(now_ms, expires_ms, self._chance())
        )
        return self._credential

    def _refreshed(self) -> Any:
        """Return Google's object with a fresh token; runs in a worker thread."""
        errors = import_module("google.auth.exceptions")
        try:
            if self._google is None:
                self._google = self._load()
            self._google.refresh(_transport)
        except FirekeepError:
            raise
        except errors.TransportError as error:
            raise NetworkUnavailable(f"Google cannot be reached: {_reason(error)}") from None
        except errors.GoogleAuthError as error:
            if isinstance(error, ValueError):
                raise _unusable(error) from None
            # Without what caused it: the answer may be attached there.
            if getattr(error, "retryable", False):
                raise NetworkUnavailable(f"Google gave no token: {_reason(error)}") from None
            code = "INVALID_SERVICE_ACCOUNT" if self._google is None else "INVALID_GRANT"
            raise CredentialRejected(code, _reason(error)) from None
        except Exception as error:  # noqa: BLE001
            raise _unusable(error) from None
        return self._google


def _from_key(source: str | os.PathLike[str] | Mapping[str, object], scopes: Sequence[str]) -> Any:
    kind: Any = import_module("google.oauth2.service_account").Credentials
    if isinstance(source, Mapping):
        return kind.from_service_account_info(dict(source), scopes=list(scopes))
    return kind.from_service_account_file(os.fspath(source), scopes=list(scopes))


def _from_environment(scopes: Sequence[str]) -> Any:
    found, _ = import_module("google.auth").default(scopes=list(scopes), request=_transport)
    return found


def _transport(
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
    **_: object,
) -> SimpleNamespace:
    """Make one request for Google's library, from a worker thread, on the event loop."""

    async def ask() -> SimpleNamespace:
        answer = await request(
            method,
            url,
            headers=headers,
            body=body.encode() if isinstance(body, str) else body or b"",
            timeout_s=timeout or TIMEOUT_S,
        )
        return SimpleNamespace(status=answer.status, headers=answer.headers, data=answer.body)

    try:
        return anyio.from_thread.run(ask)
    except NetworkUnavailable as error:
        raise import_module("google.auth.exceptions").TransportError(str(error)) from error


def _unusable(error: Exception) -> CredentialRejected:
    # Not its text: a key that cannot be read may be quoted there.
    return CredentialRejected(
        "INVALID_SERVICE_ACCOUNT", f"the key cannot be used: {type(error).__name__}"
    )


def _reason(error: Exception) -> str:
    """Return what Google's library says in words, without the answer that it may have attached."""
    text = str(error.args[0]) if error.args else ""
    return text.partition("\n")[0][:200] or type(error).__name__


def _nothing() -> None:
    pass
