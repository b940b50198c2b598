"""A keeper of tokens with a clock, a service and a store that are in the test's hand."""

import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread

from firekeep.auth.grant import Grant, Tokens
from firekeep.auth.keeper import Keeper
from firekeep.auth.source import Credential, CredentialChange
from firekeep.auth.token_store import MemoryTokenStore, TokenStore
from firekeep.auth.user import User
from firekeep.emulator import unsigned_token

#: In the middle of a second: then a token tells the clock exactly.
START_MS = 1_700_000_000_500
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
OWNER = "this app"


class HeldStore(MemoryTokenStore):
    """A store that can be made to wait, or fail, while it takes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.texts: list[str] = []
        self._is_let = threading.Event()
        self._is_let.set()
        self._begun = threading.Semaphore(0)
        self._ended = threading.Semaphore(0)

    def save(self, text: str) -> None:
        """Keep `text`, or fail."""
        self._begun.release()
        assert self._is_let.wait(10)
        if self.error is None:
            super().save(text)
            self.texts.append(text)
        self._ended.release()
        if self.error is not None:
            raise self.error

    def hold(self) -> None:
        """Take nothing from here on."""
        self._is_let.clear()

    def let(self) -> None:
        """Take what has been given, and whatever comes."""
        self._is_let.set()

    async def has_begun(self) -> None:
        """Wait until it is given one more text."""
        assert await anyio.to_thread.run_sync(self._begun.acquire, True, 10)

    async def has_ended(self) -> None:
        """Wait until it has taken or refused one more text."""
        assert await anyio.to_thread.run_sync(self._ended.acquire, True, 10)


class Scene:
    """One keeper; it signs in whom it is told to, and what it asks for is what `answer` does."""

    def __init__(self, store: TokenStore | None = None, *, server_ahead_ms: int = 0) -> None:
        self.now_ms = START_MS
        self.server_ahead_ms = server_ahead_ms
        self.store = MemoryTokenStore() if store is None else store
        self.asked: list[str] = []
        self.answer: Callable[[str], Awaitable[Tokens]] = self.renew
        self.is_held = False
        self.arrived = anyio.Event()
        self.released = anyio.Event()
        self.keeper = self.new_keeper()
        self.changes: list[CredentialChange] = []
        self.users: list[User | None] = []
        self.keeper.on_change(self.changes.append)
        self.keeper.on_user(self.users.append)
        self._made = 0

    def new_keeper(self) -> Keeper:
        """Return another keeper of the same store, as after a restart."""
        return Keeper(self._ask, self.store, OWNER, now_ms=lambda: self.now_ms, chance=lambda: 0.0)

    def tokens(self, uid: str = "ada", **claims: Any) -> Tokens:
        """Return fresh tokens, each unlike the others."""
        self._made += 1
        now_s = (self.now_ms + self.server_ahead_ms) // 1000
        told = {"user_id": uid, "iat": now_s, "exp": now_s + 3600, "number": self._made, **claims}
        return Tokens(unsigned_token(told), f"refresh-{uid}-{self._made}")

    async def sign_in(self, uid: str = "ada", **claims: Any) -> User:
        """Sign somebody in."""
        return await self.keeper.adopt(self.tokens(uid, **claims))

    async def renew(self, refresh_token: str) -> Tokens:
        """Answer as a service does that knows the token."""
        return self.tokens(refresh_token.split("-")[1])

    def fail_with(self, error: Exception) -> None:
        """Let every request fail."""

        async def fail(refresh_token: str) -> Tokens:
            raise error

        self.answer = fail

    def stored(self) -> Grant | None:
        """Return what the store holds."""
        text = self.store.load()
        return None if text is None else Grant.from_text(text, OWNER)

    async def _ask(self, refresh_token: str) -> Tokens:
        self.asked.append(refresh_token)
        if self.is_held:
            self.arrived.set()
            await self.released.wait()
        return await self.answer(refresh_token)


async def credential(scene: Scene, force: bool = False) -> Credential:
    """Return the credential of whoever is signed in."""
    found = await scene.keeper.token(force)
    assert found is not None
    return found
