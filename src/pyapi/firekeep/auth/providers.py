"""Whatever a user may pass as `auth`, as a source of credentials."""

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from inspect import isawaitable
from pathlib import Path
from types import MappingProxyType

import anyio.lowlevel

from firekeep.auth.callbacks import Callbacks
from firekeep.auth.checked import CheckedSource, own_errors
from firekeep.auth.clock import is_time_ms, wall_ms
from firekeep.auth.refresh import refresh_at_ms, retry_at_ms
from firekeep.auth.service_account import ServiceAccount
from firekeep.auth.source import ChangeKind, Credential, CredentialChange, CredentialSource
from firekeep.auth.user import User
from firekeep.auth.users import Auth
from firekeep.exceptions import CredentialRejected, FirekeepError, InvalidArgument
from firekeep.types import TokenProvider
from firekeep.web_token import read_claims, read_header

__all__ = ["ProvidedToken", "StaticToken", "as_source", "emulator_owner", "token_provider"]

OWNER = "owner"
HOUR_MS = 60 * 60 * 1000

logger = logging.getLogger("firekeep.auth")


class StaticToken:
    """One token for ever: of an administrator, or for a program that ends before the token does.

    Example::

        StaticToken("owner")
    """

    def __init__(self, token: str, *, now_ms: Callable[[], int] = wall_ms) -> None:
        # There is no other to be had in time.
        self._credential = replace(_credential(token, 0.0), refresh_ms=None)
        self._now_ms = now_ms

    @property
    def uid(self) -> str | None:
        """Whom the token names, if it can be read."""
        return self._credential.uid

    async def restore(self, directory: Path | None = None) -> None:
        """Do nothing: there is nothing to take up."""
        await anyio.lowlevel.checkpoint()

    async def token(
        self, force: bool = False, *, offset_ms: int | None = None
    ) -> Credential | None:
        """Return the token, also if it was refused: there is no other.

        Raises:
            CredentialRejected: it was refused, and says itself that its time is over.
        """
        await anyio.lowlevel.checkpoint()
        expires_ms = self._credential.expires_ms
        if force and expires_ms is not None and expires_ms <= self._now_ms() + (offset_ms or 0):
            raise CredentialRejected("TOKEN_EXPIRED", "the token that was given has expired")
        return self._credential

    def on_change(self, callback: Callable[[CredentialChange], object]) -> Callable[[], None]:
        """Do nothing: it never changes."""
        return _nothing

    def __repr__(self) -> str:
        """Return whom the token names, and not the token."""
        return f"<StaticToken of {self.uid!r}>"


class ProvidedToken:
    """What a user's own function gives; `uid` is that of the last token, as far as it says so.

    None is to be nobody until the database connects the next time, when the function is asked
    again. Before its first answer nobody is known either, also after a restart.

    Example::

        async def provide(force_refresh: bool) -> str | None:
            return await my_server.token()

        ProvidedToken(provide)
    """

    def __init__(
        self,
        provide: TokenProvider,
        *,
        now_ms: Callable[[], int] = wall_ms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._provide = provide
        self._now_ms = now_ms
        self._chance = chance
        self._credential: Credential | None = None
        self._failures = 0
        self._callbacks: Callbacks[CredentialChange] = Callbacks()

    @property
    def uid(self) -> str | None:
        """Whom the last token names; None before the first."""
        return None if self._credential is None else self._credential.uid

    async def restore(self, directory: Path | None = None) -> None:
        """Do nothing: whoever wrote the function knows what to keep."""
        await anyio.lowlevel.checkpoint()

    async def token(
        self, force: bool = False, *, offset_ms: int | None = None
    ) -> Credential | None:
        """Ask the function, each time: a call that never returns must not hold up the next.

        If it fails while the last token is still good, that is returned.

        Raises:
            FirekeepError: whatever of the kind it raises.
            NetworkUnavailable: it raises anything else, whose type is named and nothing more.
            InvalidArgument: it returns something else than a text or None.
        """
        now_ms = self._now_ms() + (offset_ms or 0)
        try:
            with own_errors("the token provider"):
                answer: object = self._provide(force)
                if not isawaitable(answer):
                    raise InvalidArgument(
                        f"a token provider is asynchronous: not {type(answer).__name__}"
                    )
                token = await answer
        except FirekeepError as error:
            held = self._credential
            if force or held is None or now_ms >= (held.expires_ms or 0):
                raise
            logger.warning("no fresh token: %s", error)
            self._credential = self._postponed(held, now_ms)
            return self._credential
        if not (token is None or isinstance(token, str)):
            # Not what it is: a token in some other form is as secret.
            raise InvalidArgument(
                f"a token provider gives a text or None, not {type(token).__name__}"
            )
        self._take(None if token is None else self._in_time(token, now_ms))
        return self._credential

    def on_change(self, callback: Callable[[CredentialChange], object]) -> Callable[[], None]:
        """As in `CredentialSource`; a change is noticed when a database asks for a token."""
        return self._callbacks.add(callback)

    def __repr__(self) -> str:
        """Return whom the last token names."""
        return f"<ProvidedToken of {self.uid!r}>"

    def _take(self, fresh: Credential | None) -> None:
        old, self._credential = self._credential, fresh
        previous = None if old is None else old.uid
        if fresh is not None and (old is None or previous != fresh.uid):
            self._announce("signed_in", previous)
        elif fresh is not None and old is not None and old.token != fresh.token:
            self._announce("refreshed", previous)
        elif fresh is None and old is not None:
            self._announce("signed_out", previous)

    def _announce(self, kind: ChangeKind, previous: str | None) -> None:
        self._callbacks.call(CredentialChange(kind, self.uid, previous))

    def _in_time(self, token: str, now_ms: int) -> Credential:
        """Return a token with a time to ask again that has not come yet, also if it is stale."""
        fresh = _credential(token, self._chance())
        if fresh.refresh_ms is not None and fresh.refresh_ms <= now_ms:
            return self._postponed(fresh, now_ms)
        self._failures = 0
        return fresh

    def _postponed(self, held: Credential, now_ms: int) -> Credential:
        self._failures += 1
        again_ms = retry_at_ms(self._failures, now_ms, held.expires_ms, self._chance())
        return replace(held, refresh_ms=again_ms)


OURS = (Auth, CheckedSource, ProvidedToken, ServiceAccount, StaticToken)


def emulator_owner() -> StaticToken:
    """Return the credential with which an emulator lets one do everything.

    Example::

        db = firekeep.open("http://localhost:9000?ns=my-app", auth=firekeep.auth.emulator_owner())
    """
    return StaticToken(OWNER)


def as_source(auth: str | TokenProvider | CredentialSource | None) -> CredentialSource | None:
    """Return what a user passed as `auth` as a source; None if that is None.

    Raises:
        InvalidArgument: it can be none.
    """
    if auth is None or isinstance(auth, OURS):
        return auth
    if isinstance(auth, CredentialSource):
        return CheckedSource(auth)
    if isinstance(auth, str):
        return StaticToken(auth)
    if callable(auth):
        return ProvidedToken(auth)
    raise InvalidArgument(
        "auth is a token, an asynchronous function that gives one, or a source such as"
        f" firekeep.auth.Auth, not {type(auth).__name__}"
    )


def token_provider(source: CredentialSource) -> TokenProvider:
    """Return a source as the function that a driver asks for tokens."""

    async def provide(force_refresh: bool) -> str | None:
        credential = await source.token(force_refresh)
        return None if credential is None else credential.token

    return provide


def _credential(token: str, chance: float) -> Credential:
    claims = read_claims(token) or {}
    user = User.from_claims(claims)
    expires_s, issued_s = claims.get("exp"), claims.get("iat")
    if issued_s == 0 and (read_header(token) or {}).get("alg") == "none":
        # A mock token of the official SDKs, which for an emulator never ends.
        expires_s = None
    expires_ms = expires_s * 1000 if isinstance(expires_s, int) else None
    refresh_ms = None
    if is_time_ms(expires_ms):
        issued_ms = issued_s * 1000 if isinstance(issued_s, int) else None
        if not is_time_ms(issued_ms):
            issued_ms = expires_ms - HOUR_MS
        refresh_ms = refresh_at_ms(issued_ms, expires_ms, chance)
    return Credential(
        token,
        None if user is None else user.uid,
        expires_ms,
        refresh_ms,
        MappingProxyType(claims),
    )


def _nothing() -> None:
    pass
