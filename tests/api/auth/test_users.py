"""Signing in, on our own auth service."""

import pytest
from tests.api.auth.flows import FLOWS, PASSWORD, Flow, Service

import firekeep
from firekeep.auth import MemoryTokenStore
from firekeep.emulator import Emulator
from firekeep.exceptions import StorageError

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("flow", FLOWS, ids=[flow.__name__ for flow in FLOWS])
async def test_sign_in(flow: Flow) -> None:
    async with Emulator() as server:
        await flow(Service(server.address, server.accounts.project))


class Unreadable(MemoryTokenStore):
    """A store that gives nothing, and takes what it is given if it is told to."""

    def __init__(self, *, is_full: bool = False) -> None:
        super().__init__()
        self.is_full = is_full
        self.cleared = 0

    def load(self) -> str | None:
        raise RuntimeError("locked")

    def save(self, text: str) -> None:
        if self.is_full:
            raise RuntimeError("full")
        super().save(text)

    def clear(self) -> None:
        self.cleared += 1
        super().clear()


async def test_a_store_that_cannot_be_read_locks_nobody_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Emulator() as server:
        service = Service(server.address, server.accounts.project)
        await service.auth().create_user_with_email_and_password("ada@example.com", PASSWORD)
        auth = service.auth(Unreadable())

        user = await auth.sign_in_with_email_and_password("ada@example.com", PASSWORD)

        async with firekeep.open(server.url, auth=auth) as db:
            await db.reference("a").set(1)
    assert auth.current_user == user
    assert "will be replaced: the token store failed: RuntimeError" in caplog.text


async def test_a_store_that_does_not_work_at_all_locks_nobody_out() -> None:
    async with Emulator() as server:
        service = Service(server.address, server.accounts.project)
        auth = service.auth(Unreadable(is_full=True))

        with pytest.raises(StorageError):
            await auth.create_user_with_email_and_password("ada@example.com", PASSWORD)

        async with firekeep.open(server.url, auth=auth) as db:
            await db.reference("a").set(1)
    assert auth.current_user is not None


async def test_whoever_cannot_be_read_is_signed_out_all_the_same() -> None:
    store = Unreadable()
    auth = Service("localhost:1", "none").auth(store)

    await auth.sign_out()

    assert store.cleared == 1
    assert await auth.token() is None


async def test_nobody_is_signed_in_anonymously_over_what_cannot_be_read() -> None:
    async with Emulator() as server:
        auth = Service(server.address, server.accounts.project).auth(Unreadable())

        for _ in range(2):
            with pytest.raises(StorageError):
                await auth.sign_in_anonymously()

        assert auth.current_user is None
        assert not server.auth_requests
