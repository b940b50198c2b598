"""Signing in, the token that runs out, and whose writes are whose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.end_to_end.served import EAGER, PATIENCE_S, served, until_connection, until_value

import firekeep
from firekeep.auth import Auth, Credential, CredentialChange
from firekeep.emulator import Emulator, unsigned_token
from firekeep.exceptions import WriteCancelled

pytestmark = pytest.mark.anyio


def auth_of(server: Emulator) -> Auth:
    """Return somebody who can sign in at the emulator."""
    return Auth("fake-key", emulator_host=f"127.0.0.1:{server.port}")


def client(server: Emulator, auth: Auth | None, directory: Path | None = None) -> firekeep.Database:
    """Return a client that has not been entered."""
    return firekeep.open(server.url, auth=auth, persistence=directory, config=EAGER)


async def until_auth(db: firekeep.Database, state: str) -> firekeep.Status:
    """Wait until the credential is in a state."""
    async with db.status_changes() as changes:
        async for status in changes:
            if status.auth == state:
                return status
    raise AssertionError("the status ends only with its database")


async def until_value_of(server: Emulator, path: str, value: object) -> None:
    """Wait until the server has a value."""
    with anyio.fail_after(PATIENCE_S):
        await server.until(lambda: server.value(path) == value)


async def test_writes_wait_for_the_user_and_are_delivered_in_order(tmp_path: Path) -> None:
    """The token expires offline; a restart while it is; signing in again; nothing is lost."""
    async with served({"log": None}, token_lifetime_s=5) as server:
        server.permit(lambda request: request.uid is not None)
        auth = auth_of(server)
        user = await auth.create_user_with_email_and_password("ada@example.com", "secret1")
        async with client(server, auth, tmp_path) as db:
            await until_auth(db, "valid")
            await db.reference("log/0").set("online")
            heard: list[Any] = []
            cancelled: list[Exception] = []
            db.reference("log").on_value(
                lambda snapshot: heard.append(snapshot.value), cancelled.append
            )
            await until_value(db.reference("log"), ["online"])
            db.go_offline()
            db.reference("log/1").set("offline")

            server.fail_auth()
            server.expire_tokens()
            db.go_online()
            await until_auth(db, "expired")
            db.reference("log/2").set("expired")

            assert heard[-1] == ["online", "offline", "expired"]
            assert cancelled == []
            assert server.value("/log") == ["online"]

        again = auth_of(server)
        async with client(server, again, tmp_path) as db:
            assert again.current_user is not None
            assert again.current_user.uid == user.uid
            await until_auth(db, "expired")
            assert [str(write.path) for write in db.pending_writes()] == ["/log/1", "/log/2"]
            await until_value(db.reference("log"), ["online", "offline", "expired"])
            order: list[Any] = []
            server.fail_auth(None)

            await again.sign_in_with_email_and_password("ada@example.com", "secret1")
            async with firekeep.open(server.url, auth="owner", config=EAGER) as other:
                other.reference("log").on_child_added(
                    lambda snapshot, _previous: order.append(snapshot.value)
                )
                await db.wait_for_pending_writes()
                await until_value(other.reference("log"), ["online", "offline", "expired"])

            assert order == ["online", "offline", "expired"]


async def test_another_user_neither_sees_nor_sends_the_writes_of_the_first(
    tmp_path: Path,
) -> None:
    async with served() as server:
        auth = auth_of(server)
        await auth.create_user_with_email_and_password("ada@example.com", "secret1")
        db = client(server, auth, tmp_path)
        async with db:
            await until_auth(db, "valid")
            heard: list[Any] = []
            db.reference("note").on_value(lambda snapshot: heard.append(snapshot.value))
            await until_value(db.reference("note"), None)
            db.go_offline()
            db.reference("note").set("from ada")
            assert heard[-1] == "from ada"

            await auth.sign_out()
            await auth.create_user_with_email_and_password("bob@example.com", "secret2")

            assert heard[-1] is None
            assert db.pending_writes() == []
            assert db.status.held_writes == 1
            db.go_online()
            await until_connection(db, "online")
            await db.reference("own").set("from bob")
            assert server.value("/note") is None

        again = auth_of(server)
        async with client(server, again, tmp_path) as db:
            await until_auth(db, "valid")
            assert db.pending_writes() == []
            await db.reference("own").set("bob again")
            assert server.value("/note") is None

            await again.sign_in_with_email_and_password("ada@example.com", "secret1")
            await db.wait_for_pending_writes()

            await until_value_of(server, "/note", "from ada")


async def test_signing_out_for_good_removes_what_was_the_users(tmp_path: Path) -> None:
    async with served({"a": 1}) as server:
        auth = auth_of(server)
        await auth.create_user_with_email_and_password("ada@example.com", "secret1")
        async with client(server, auth, tmp_path) as db:
            await until_value(db.reference("a"), 1)
            db.go_offline()
            write = db.reference("b").set(2)

            await auth.sign_out(clear=True)

            with pytest.raises(WriteCancelled):
                await write
            assert db.status.held_writes == 0

        again = auth_of(server)
        db = client(server, again, tmp_path)
        db.go_offline()
        async with db:
            await again.sign_in_with_email_and_password("ada@example.com", "secret1")
            assert db.pending_writes() == []
            with pytest.raises(firekeep.exceptions.NotCached):
                await db.reference("a").get("cache")


async def test_a_write_that_was_nobodys_goes_out_under_whoever_comes_next(tmp_path: Path) -> None:
    async with served() as server:
        server.permit(lambda request: request.uid is not None)
        auth = auth_of(server)
        db = client(server, auth, tmp_path)
        db.go_offline()
        async with db:
            write = db.reference("a").set(1)
            await auth.create_user_with_email_and_password("ada@example.com", "secret1")
            db.go_online()
            await write

        assert server.value("/a") == 1


async def test_a_refusal_under_a_valid_credential_cancels_and_is_not_cached(
    tmp_path: Path,
) -> None:
    async with served({"a": 1}) as server:
        auth = auth_of(server)
        await auth.create_user_with_email_and_password("ada@example.com", "secret1")
        async with client(server, auth, tmp_path) as db:
            await until_value(db.reference("a"), 1)
            ended = anyio.Event()
            db.reference("a").on_value(lambda _snapshot: None, lambda _error: ended.set())
            server.deny("/a")
            server.revoke("/a")
            await ended.wait()
            db.go_offline()

            with pytest.raises(firekeep.exceptions.NotCached):
                await db.reference("a").get("cache")


class Rotating:
    """A source of credentials whose token changes as often as a test says."""

    def __init__(self) -> None:
        self.uid: str | None = "ada"
        self.given = 0
        self._callbacks: list[Callable[[CredentialChange], object]] = []

    async def restore(self, directory: Path | None = None) -> None:
        """Know the user already."""

    async def token(
        self, force: bool = False, *, offset_ms: int | None = None
    ) -> Credential | None:
        """Return another token each time."""
        self.given += 1
        claims = {"user_id": "ada", "iat": 1_700_000_000, "exp": 4_000_000_000, "n": self.given}
        return Credential(unsigned_token(claims), "ada", 4_000_000_000_000)

    def on_change(self, callback: Callable[[CredentialChange], object]) -> Callable[[], None]:
        """Call back with each rotation."""
        self._callbacks.append(callback)
        return self._callbacks.clear

    async def rotate(self) -> None:
        """Have the client present another token."""
        given = self.given
        for callback in self._callbacks:
            callback(CredentialChange("refreshed", "ada", "ada"))
        while self.given == given:
            await anyio.lowlevel.checkpoint()


def resident_bytes() -> int:
    """Return what this process has in memory, or 0 where that is not told."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 if statm.exists() else 0


async def test_ten_thousand_refreshes_are_not_noticed() -> None:
    source = Rotating()
    async with (
        served({"a": 1}) as server,
        firekeep.open(server.url, auth=source, config=EAGER) as db,
    ):
        heard: list[Any] = []
        cancelled: list[Exception] = []
        db.reference("a").on_value(lambda snapshot: heard.append(snapshot.value), cancelled.append)
        await until_auth(db, "valid")
        await until_value(db.reference("a"), 1)
        connection = server.clients[0]

        for _ in range(2_000):
            await source.rotate()
        await db.reference("b").set(1)
        settled_bytes = resident_bytes()
        for _ in range(8_000):
            await source.rotate()
        await db.reference("b").set(2)

        assert source.given > 10_000
        assert heard == [1]
        assert cancelled == []
        assert server.clients == [connection]
        assert resident_bytes() < settled_bytes + 20 * 1024 * 1024


async def test_refreshing_the_token_over_and_over_is_not_noticed() -> None:
    async with served({"a": 1}) as server:
        auth = auth_of(server)
        await auth.create_user_with_email_and_password("ada@example.com", "secret1")
        async with client(server, auth) as db:
            heard: list[Any] = []
            cancelled: list[Exception] = []
            db.reference("a").on_value(
                lambda snapshot: heard.append(snapshot.value), cancelled.append
            )
            await until_auth(db, "valid")
            await until_value(db.reference("a"), 1)
            connection = server.clients[0]

            for _ in range(50):
                await auth.id_token(force=True)
            await db.reference("b").set(1)

            assert heard == [1]
            assert cancelled == []
            assert server.clients == [connection]
