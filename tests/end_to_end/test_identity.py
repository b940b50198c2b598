"""Signed in, over the whole way: the auth service, the token, the server's rules."""

from pathlib import Path

import pytest
from tests.end_to_end.served import client, served, until_connection, until_value

from firekeep.auth import Auth, FileTokenStore
from firekeep.emulator import Access, Emulator
from firekeep.exceptions import NetworkUnavailable, PermissionDenied

pytestmark = pytest.mark.anyio


def own(access: Access) -> bool:
    """Allow everybody what lies below their uid."""
    return access.uid is not None and access.path.front == access.uid


def auth_of(server: Emulator, path: Path | None = None) -> Auth:
    """Return a client of the auth service that lives by the server's clock."""
    store = None if path is None else FileTokenStore(path)
    return Auth("key", store, emulator_host=server.address, now_ms=server.clock.now_ms)


async def test_a_user_may_do_what_the_rules_permit_them() -> None:
    async with served(permit=own) as server:
        auth = auth_of(server)
        user = await auth.sign_in_anonymously()
        async with client(server, auth) as db:
            await db.reference(user.uid).set(1)
            with pytest.raises(PermissionDenied):
                await db.reference("other").set(1)

            assert db.status.auth == "valid"
            assert server.clients[0].credential == await auth.id_token()


async def test_nobody_is_signed_in_until_somebody_is() -> None:
    async with served() as server:
        auth = auth_of(server)
        async with client(server, auth) as db:
            await db.reference("a").set(1)

            assert db.status.auth == "signed_out"
            assert server.clients[0].credential is None


async def test_a_token_that_expires_is_replaced_and_work_goes_on() -> None:
    async with served({"n": 1}, permit=lambda access: access.uid == "ada") as server:
        server.accounts.add("ada", email="ada@b.co", password="secret1")
        auth = auth_of(server)
        await auth.sign_in_with_email_and_password("ada@b.co", "secret1")
        async with client(server, auth) as db:
            await until_value(db.reference("n"), 1)
            server.expire_tokens()
            await db.reference("n").set(2)
            server.clock.advance(2 * 3600)
            await db.reference("n").set(3)

            assert server.value("/n") == 3
            assert server.auth_requests["token"] == 2


async def test_writes_of_a_user_who_is_shut_out_wait_until_they_are_let_in_again() -> None:
    async with served(permit=lambda access: access.uid == "ada") as server:
        server.accounts.add("ada", email="ada@b.co", password="secret1")
        auth = auth_of(server)
        await auth.sign_in_with_email_and_password("ada@b.co", "secret1")
        async with client(server, auth) as db:
            await db.reference("n").set(0)
            server.accounts.disable("ada")
            server.expire_tokens()
            await until_connection(db, "waiting", "connecting")
            writes = [db.reference("n").set(number) for number in range(1, 10)]
            assert server.value("/n") == 0

            server.accounts.disable("ada", False)
            await auth.sign_in_with_email_and_password("ada@b.co", "secret1")
            for write in writes:
                await write
            assert server.value("/n") == 9


async def test_a_restart_while_the_service_is_away_is_the_same_user(tmp_path: Path) -> None:
    async with served(permit=lambda access: access.uid == "ada") as server:
        server.accounts.add("ada", email="ada@b.co", password="secret1")
        first = auth_of(server, tmp_path / "user.json")
        await first.sign_in_with_email_and_password("ada@b.co", "secret1")
        server.clock.advance(24 * 3600)
        server.fail_auth(503)

        later = auth_of(server, tmp_path / "user.json")
        await later.restore()
        assert later.uid == "ada"
        with pytest.raises(NetworkUnavailable):
            await later.token()
        async with client(server, later) as db:
            write = db.reference("n").set(1)
            await until_connection(db, "waiting")
            server.fail_auth(None)
            await write

        assert server.value("/n") == 1


async def test_everybody_has_what_is_theirs() -> None:
    async with served(permit=own) as server:
        for name in ("ada", "bob"):
            server.accounts.add(name, email=f"{name}@b.co", password="secret1")
        auth = auth_of(server)
        for name in ("ada", "bob"):
            await auth.sign_in_with_email_and_password(f"{name}@b.co", "secret1")
            async with client(server, auth) as db:
                await db.reference(name).set(name)
            await auth.sign_out()

        assert server.value() == {"ada": "ada", "bob": "bob"}
