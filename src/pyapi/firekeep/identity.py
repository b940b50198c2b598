"""Asks whoever gives a database its credentials, and tells the engine who is signed in."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path as FilePath
from typing import Any

import anyio
import anyio.abc

from firekeep.auth.source import Credential, CredentialChange, CredentialSource
from firekeep.clock import Clock
from firekeep.engine.effects import Effect, FetchToken, StatusChanged, TokenKind
from firekeep.engine.engine import Engine
from firekeep.engine.session import LAPSE_MARGIN_S
from firekeep.exceptions import FirekeepError, NetworkUnavailable
from firekeep.pending import Pending
from firekeep.timer import NEVER
from firekeep.write import Write

__all__ = ["Identity"]

_LAPSING_PART = 0.1


class Identity:
    """The sources of one database's credentials, from its entry to its end.

    `stored` returns what is to be awaited until the disk has done all that it was told; `switched`
    is called when somebody else is signed in, before anybody is told what came of that.
    """

    def __init__(
        self,
        source: CredentialSource | None,
        app_check: CredentialSource | None,
        engine: Engine[Write],
        lock: AbstractContextManager[Any],
        perform: Callable[[list[Effect]], None],
        clock: Clock,
        stored: Callable[[], Awaitable[None] | None],
        switched: Callable[[], None],
    ) -> None:
        self._sources = {"auth": source, "app_check": app_check}
        self._engine = engine
        self._lock = lock
        self._perform = perform
        self._clock = clock
        self._stored = stored
        self._switched = switched
        self._group: anyio.abc.TaskGroup | None = None
        self._is_over = False
        self._unsubscribe: Callable[[], None] | None = None
        self._early: list[tuple[CredentialChange, Pending[None]]] = []
        """What has happened to who is signed in before there was a task group."""
        self._fetches: dict[TokenKind, anyio.CancelScope] = {}

    async def restore(self, directory: FilePath | None) -> str | None:
        """Take up who was signed in when the program last ended, and return the user.

        Raises:
            StorageError: what was kept cannot be reached.
        """
        source = self._sources["auth"]
        if source is None:
            return None
        await source.restore(directory)
        self._unsubscribe = source.on_change(self._changed)
        return source.uid

    def start(self, group: anyio.abc.TaskGroup) -> None:
        """Act from now on, also on what has happened meanwhile."""
        self._group = group
        early, self._early = self._early, []
        for change, done in early:
            waits = self._changed(change)
            if waits is None:
                done.settle(None, None)
            else:
                group.start_soon(_pass_on, waits, done)

    def stop(self) -> None:
        """Hear of nothing any more; who waits for it goes on."""
        self._is_over = True
        if self._unsubscribe is not None:
            self._unsubscribe()
        for _, done in self._early:
            done.settle(None, None)

    def fetch(self, effect: FetchToken) -> None:
        """Ask for a credential, and hand it to the engine."""
        if self._group is None:
            return
        earlier = self._fetches.get(effect.kind)
        if earlier is not None:
            # Nobody waits for it any more, and it may never come.
            earlier.cancel()
        scope = self._fetches[effect.kind] = anyio.CancelScope()
        self._group.start_soon(self._fetch, effect, scope)

    async def _fetch(self, effect: FetchToken, scope: anyio.CancelScope) -> None:
        with scope:
            credential: Credential | None = None
            error: Exception | None = None
            source = self._sources[effect.kind]
            try:
                if source is not None:
                    offset_ms = self._engine.overview.offset_ms
                    credential = await source.token(effect.force, offset_ms=offset_ms)
            except FirekeepError as failure:
                error = failure
            # Sources raise errors of the tree. Should one not, that must not end the program (W-38);
            # its kind alone is told, since the text of a foreign error may hold anything.
            except Exception as failure:  # noqa: BLE001
                error = NetworkUnavailable(f"the provider raised {type(failure).__name__}")
            self._fetched(effect, credential, error)

    def _fetched(
        self, effect: FetchToken, credential: Credential | None, error: Exception | None
    ) -> None:
        with self._lock:
            engine = self._engine
            now_s, wall_ms = self._clock.monotonic_s(), self._clock.wall_ms()
            # A user's own function says only with the token whose it is.
            if effect.kind == "auth" and credential is not None and credential.uid != engine.uid:
                effects = engine.change_user(credential.uid, now_s, wall_ms)
                self._switched()
                self._perform(effects)
                return
            until = _monotonic(now_s, engine.overview.server_time_ms(wall_ms))
            self._perform(
                engine.token(
                    effect.kind,
                    effect.attempt,
                    None if credential is None else credential.token,
                    error,
                    now_s,
                    refresh_s=NEVER if credential is None else until(credential.refresh_ms),
                    expires_s=NEVER if credential is None else until(credential.expires_ms),
                    margin_s=_margin_s(credential),
                )
            )

    def _changed(self, change: CredentialChange) -> Awaitable[None] | None:
        """Go on as whoever is signed in; return what has to be awaited before all is done."""
        with self._lock:
            if self._is_over:
                return None
            if self._group is None:
                done: Pending[None] = Pending()
                self._early.append((change, done))
                return done
            now_s, wall_ms = self._clock.monotonic_s(), self._clock.wall_ms()
            effects: list[Effect] = [StatusChanged()]
            if change.kind in ("signed_in", "signed_out"):
                effects = self._engine.change_user(change.uid, now_s, wall_ms, clear=change.clear)
            elif change.kind == "refreshed":
                effects = self._engine.refresh_token(now_s)
            if change.uid != change.previous_uid:
                self._switched()
            self._perform(effects)
        return self._stored() if change.clear else None


def _margin_s(credential: Credential | None) -> float:
    """Return how long before its end a credential counts as lapsed.

    Of one that is good for seconds only, a part: else no refusal under it would be final.
    """
    if credential is None or credential.expires_ms is None:
        return LAPSE_MARGIN_S
    issued_s = credential.claims.get("iat")
    if not isinstance(issued_s, int):
        return LAPSE_MARGIN_S
    lifetime_s = credential.expires_ms / 1000 - issued_s
    return min(LAPSE_MARGIN_S, max(0.0, lifetime_s) * _LAPSING_PART)


async def _pass_on(waits: Awaitable[None], done: Pending[None]) -> None:
    """Let who waits for one thing go with the outcome of another."""
    error: Exception | None = None
    try:
        await waits
    except FirekeepError as failure:
        error = failure
    done.settle(None, error)


def _monotonic(now_s: float, server_ms: int) -> Callable[[int | None], float]:
    """Return what turns a time of the server's clock into one of the monotonic clock."""
    return lambda at_ms: NEVER if at_ms is None else now_s + (at_ms - server_ms) / 1000
