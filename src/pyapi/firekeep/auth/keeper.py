"""Who is signed in and with which tokens: in memory, in the store, and always fresh."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread

from firekeep.auth.callbacks import Callbacks, wait_for
from firekeep.auth.grant import Grant, Tokens
from firekeep.auth.refresh import refresh_at_ms, retry_at_ms
from firekeep.auth.saver import Saver, Saving, store_failure
from firekeep.auth.source import ChangeKind, Credential, CredentialChange
from firekeep.auth.token_store import FileTokenStore, TokenStore
from firekeep.auth.user import User
from firekeep.exceptions import (
    AuthError,
    CorruptRecord,
    CredentialRejected,
    NetworkUnavailable,
    StorageError,
    UsageError,
)

__all__ = ["Keeper"]

FOLDER = "auth"
FILE = "user.json"

logger = logging.getLogger("firekeep.auth")


class Keeper:
    """A `CredentialSource` over a function that refreshes tokens and a store that keeps them.

    Every change happens at once, in memory; then callbacks are called; meanwhile it is stored. To
    be cancelled anywhere leaves the old state or the new one, and the store soon holds that too.
    """

    def __init__(
        self,
        refresh: Callable[[str], Awaitable[Tokens]],
        store: TokenStore | None,
        owner: str,
        *,
        now_ms: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        self._refresh_tokens = refresh
        self._store = store
        self._saver = None if store is None else Saver(store)
        self._owner = owner
        self._now_ms = now_ms
        self._chance = chance
        self._grant: Grant | None = None
        self._user: User | None = None
        self._refresh_ms = 0
        self._failures = 0
        self._rejection: CredentialRejected | None = None
        self._flight: _Flight | None = None
        self._is_known = False
        """Whether somebody has signed in or out, or what is stored has been read."""
        self._is_restored = False
        self._restoring = anyio.Lock()
        self._changes: Callbacks[CredentialChange] = Callbacks()
        self._watchers: Callbacks[User | None] = Callbacks()

    @property
    def user(self) -> User | None:
        """Who is signed in."""
        return self._user

    @property
    def uid(self) -> str | None:
        """As in `CredentialSource`."""
        return None if self._user is None else self._user.uid

    @property
    def is_rejected(self) -> bool:
        """Whether the service has refused whoever is signed in: they have to sign in again."""
        return self._rejection is not None

    @property
    def is_used(self) -> bool:
        """Whether a database hears of changes."""
        return bool(self._changes)

    # What is kept.

    async def restore(self, directory: Path | None = None) -> None:
        """As in `CredentialSource`; without a store, a file in `directory` becomes it."""
        async with self._restoring:
            if self._store is None and directory is not None:
                self._store = FileTokenStore(directory / FOLDER / FILE)
                self._saver = Saver(self._store)
                self._is_restored = False
            if self._is_restored or self._store is None:
                return
            found = None
            if self._is_known:
                # Somebody has signed in or out before there was a place to keep it.
                await _wait(self._save())
            else:
                found = await self._load(self._store)
            self._is_restored = True
            if found is None or self._is_known:
                return
            change = self._switch(found, "signed_in")
        # Not before: callbacks may call what waits for this.
        await self._tell(change)

    async def _load(self, store: TokenStore) -> Grant | None:
        try:
            text = await anyio.to_thread.run_sync(store.load)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001
            raise store_failure(error) from None
        try:
            return None if text is None else Grant.from_text(text, self._owner)
        except CorruptRecord as error:
            logger.warning("nobody is signed in: %s", error)
            return None

    def _save(self, failed: Callable[[StorageError], object] | None = None) -> Saving | None:
        """Let the store come to hold what memory holds."""
        if self._saver is None:
            return None
        grant = self._grant
        return self._saver.put(None if grant is None else grant.to_text(self._owner), failed=failed)

    # Who is signed in.

    async def adopt(self, tokens: Tokens, kind: ChangeKind = "signed_in") -> User:
        """Take tokens that have just come; whoever they belong to is signed in.

        Raises:
            AuthError: they cannot be read; nothing is changed.
            StorageError: they could not be stored; the user is signed in all the same.
        """
        grant = Grant.received(tokens, self._now_ms())
        await self._become(grant, kind)
        return grant.user

    async def amend(self, user: User) -> None:
        """Describe the user who is signed in anew, until the next token does."""
        if self.uid == user.uid and self._user != user:
            self._user = user
            await wait_for(self._watchers.call(user))

    async def drop(self, *, clear: bool = False) -> None:
        """Sign out; nothing happens if nobody is signed in.

        Raises:
            UsageError: `clear`, and no database is open that could remove anything.
            StorageError: the credential, or what `clear` is to remove, is still stored; in memory
                nobody is signed in.
        """
        if self._grant is None and self._is_known:
            return
        if clear and not self.is_used:
            raise UsageError("no database of this user is open: what is stored cannot be removed")
        await self._become(None, "signed_out", clear=clear)

    async def _become(self, grant: Grant | None, kind: ChangeKind, *, clear: bool = False) -> None:
        change = self._switch(grant, kind, clear=clear)
        saving = self._save()
        failure = await self._tell(change)
        await _wait(saving)
        if failure is not None:
            raise failure

    def _switch(self, grant: Grant | None, kind: ChangeKind, *, clear: bool = False) -> "_Change":
        """Change who is signed in, and call whoever has to know at once."""
        old = self._user
        self._grant = grant
        self._user = None if grant is None else grant.user
        self._is_known = True
        # What the store holds is replaced, whatever it is.
        self._is_restored = self._store is not None
        self._failures = 0
        self._rejection = None
        if grant is not None:
            self._refresh_ms = refresh_at_ms(grant.issued_ms, grant.expires_ms, self._chance())
        previous = None if old is None else old.uid
        results = self._changes.call(CredentialChange(kind, self.uid, previous, clear))
        is_awaited = kind in ("signed_in", "signed_out")
        return _Change(results if is_awaited else [], kind == "signed_in" or old != self._user)

    async def _tell(self, change: "_Change") -> StorageError | None:
        """Call whoever is interested in the user, and wait for all who were called.

        Return why a disk did not do its part. For databases last, which wait for a disk: that is to keep nobody from hearing.
        """
        if change.is_of_user:
            await wait_for(self._watchers.call(self._user))
        return await wait_for(change.results)

    # Fresh tokens.

    async def token(
        self, force: bool = False, *, offset_ms: int | None = None
    ) -> Credential | None:
        """As in `CredentialSource`."""
        await self.restore()
        while (grant := self._grant) is not None:
            now_ms = self._now_ms() + (grant.offset_ms if offset_ms is None else offset_ms)
            is_good = not force and now_ms < grant.expires_ms
            if is_good and now_ms < self._refresh_ms:
                return self._credential()
            try:
                await self._refresh(grant, now_ms)
            except (AuthError, NetworkUnavailable):
                if self._grant is grant:
                    if is_good:
                        return self._credential()
                    raise
            # Whoever is signed in now may not be who was when this began.
            force = False
            if self.uid == grant.user.uid:
                return self._credential()
        return None

    def on_change(self, callback: Callable[[CredentialChange], object]) -> Callable[[], None]:
        """As in `CredentialSource`."""
        return self._changes.add(callback)

    def on_user(self, callback: Callable[[User | None], object]) -> Callable[[], None]:
        """Call back when the user is another, or described differently; return what ends that."""
        return self._watchers.add(callback)

    def _credential(self) -> Credential:
        grant = self._grant
        assert grant is not None
        return Credential(
            grant.tokens.id_token,
            grant.user.uid,
            grant.expires_ms,
            self._refresh_ms,
            grant.user.claims,
        )

    async def _refresh(self, grant: Grant, now_ms: int) -> None:
        """Replace the tokens of `grant`; return at once if it is not the one that counts."""
        rejection = self._rejection
        if rejection is not None and now_ms < self._refresh_ms:
            raise CredentialRejected(rejection.code, rejection.text)
        while self._grant is grant:
            flight = self._flight
            if flight is None or flight.grant is not grant:
                await self._fly(grant, now_ms)
                return
            await flight.is_over.wait()
            if flight.error is not None:
                raise flight.error
            # Without an error the tokens are there, or who was to get them was cancelled.

    async def _fly(self, grant: Grant, now_ms: int) -> None:
        flight = self._flight = _Flight(grant)
        try:
            tokens = await self._refresh_tokens(grant.tokens.refresh_token)
            if self._grant is grant:
                await self._take(grant, tokens, now_ms)
        except (AuthError, NetworkUnavailable) as error:
            flight.error = error
            if self._grant is grant:
                self._failed(grant, error, now_ms)
            raise
        finally:
            if self._flight is flight:
                self._flight = None
            flight.is_over.set()

    async def _take(self, grant: Grant, tokens: Tokens, now_ms: int) -> None:
        fresh = Grant.received(tokens, self._now_ms())
        if fresh.user.uid != grant.user.uid:
            raise AuthError("UNEXPECTED_ANSWER", "the service sent the token of another user")
        failures = self._failures
        change = self._switch(fresh, "refreshed")
        if self._refresh_ms <= now_ms:
            # By the clock of whoever asks it is stale already, and so would the next one be.
            self._failures = failures + 1
            self._refresh_ms = retry_at_ms(self._failures, now_ms, fresh.expires_ms, self._chance())
        # Nobody waits for that: until it is done, the token in the store leads to another one.
        self._save(_unsaved)
        await self._tell(change)

    def _failed(self, grant: Grant, error: AuthError | NetworkUnavailable, now_ms: int) -> None:
        self._failures += 1
        self._refresh_ms = retry_at_ms(self._failures, now_ms, grant.expires_ms, self._chance())
        logger.info("no fresh token: %s", error)
        if isinstance(error, CredentialRejected):
            is_news = self._rejection is None
            # A copy: the error itself holds on to every frame that it went through.
            self._rejection = CredentialRejected(error.code, error.text)
            if is_news:
                uid = grant.user.uid
                self._changes.call(CredentialChange("rejected", uid, uid))


class _Change(NamedTuple):
    """What is still to be done about a change."""

    results: list[Awaitable[object]]
    is_of_user: bool


class _Flight:
    """One request for fresh tokens, and everybody who waits for it."""

    __slots__ = ("error", "grant", "is_over")

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.is_over = anyio.Event()
        self.error: AuthError | NetworkUnavailable | None = None


async def _wait(saving: Saving | None) -> None:
    if saving is not None:
        await saving.wait()


def _unsaved(error: StorageError) -> None:
    logger.warning("a fresh token could not be stored: %s", error)
