"""A credential is seen by the service and the server, and by nobody else.

Not in logs at any level, not in what is raised or shown, not in an address, and in no file that
others can read. The HTTP library logs every address.
"""

import json
import logging
import os
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from tests.api.auth.flows import custom_token

import firekeep
from firekeep.auth import Auth, FileTokenStore, ProviderCredential, StaticToken
from firekeep.emulator import Emulator
from firekeep.exceptions import FirekeepError

pytestmark = pytest.mark.anyio

PASSWORD = "pass-word-of-ada"
OTHER_PASSWORD = "other-word-of-ada"
CODE = "code-that-was-guessed"
PROVIDER_TOKEN = "token-of-a-provider"
CUSTOM_TOKEN = "token-that-is-none"
DATABASE_SECRET = "secret-of-the-database"


class Search:
    """Collects what is secret and what can be seen."""

    def __init__(self, folder: Path) -> None:
        self.store = FileTokenStore(folder / "auth" / "user.json")
        self.secrets = {
            PASSWORD,
            OTHER_PASSWORD,
            CODE,
            PROVIDER_TOKEN,
            CUSTOM_TOKEN,
            DATABASE_SECRET,
        }
        self.seen: list[str] = []

    async def note(self, auth: Auth) -> None:
        """Remember the tokens of the moment, and look at what holds them."""
        credential = await auth.token()
        assert credential is not None
        record = json.loads(self.store.load() or "{}")
        for token in (credential.token, record["id_token"], record["refresh_token"]):
            # The middle of a token says everything; its signature alone is no use.
            self.secrets |= {token, *(part for part in token.split(".") if len(part) > 40)}
        self.secrets.discard("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0")
        self.see(auth, auth.current_user, credential, StaticToken(credential.token))

    def see(self, *things: object) -> None:
        """Look at how things show themselves."""
        self.seen += [shown for thing in things for shown in (repr(thing), str(thing))]

    async def fail(self, call: Callable[[], Awaitable[object]]) -> None:
        """Do what fails, and look at how."""
        with pytest.raises(FirekeepError) as caught:
            await call()
        self.see(caught.value, caught.value.args)
        self.seen += traceback.format_exception(caught.value)

    def found(self, *texts: str) -> list[str]:
        """Return what can be seen of the secrets."""
        return [secret for secret in self.secrets for text in texts if secret in text]


async def live(search: Search, server: Emulator) -> None:
    """Do everything that a user does, and much that goes wrong."""
    auth = Auth("api-key", search.store, emulator_host=server.address)
    auth.on_change(search.see)
    auth.on_state_changed(search.see)
    await auth.sign_in_anonymously()
    await search.note(auth)
    await auth.create_user_with_email_and_password("ada@example.com", PASSWORD)
    await search.note(auth)
    await auth.update_profile(display_name="Ada")
    await search.note(auth)

    await search.fail(lambda: auth.sign_in_with_email_and_password("ada@example.com", CODE))
    await search.fail(lambda: auth.sign_in_with_email_and_password("nonsense", PASSWORD))
    await search.fail(lambda: auth.create_user_with_email_and_password("ada@example.com", PASSWORD))
    await search.fail(lambda: auth.sign_in_with_custom_token(CUSTOM_TOKEN))
    provided = ProviderCredential("google.com", id_token=PROVIDER_TOKEN)
    await search.fail(lambda: auth.sign_in_with_credential(provided))
    await search.fail(lambda: auth.confirm_password_reset(CODE, OTHER_PASSWORD))
    server.fail_auth(500)
    await search.fail(lambda: auth.token(force=True))
    server.fail_auth(None)
    server.refuse_connections()
    await search.fail(lambda: auth.token(force=True))
    server.refuse_connections(False)

    await use(search, server, auth)

    server.accounts.disable(auth.uid or "")
    await search.fail(lambda: auth.token(force=True))
    server.accounts.disable(auth.uid or "", False)
    await auth.sign_in_with_email_and_password("ada@example.com", PASSWORD)
    await auth.update_password(OTHER_PASSWORD)
    await search.note(auth)
    await auth.delete()
    await auth.sign_in_with_custom_token(custom_token("bob"))
    await search.note(auth)
    later = Auth("api-key", search.store, emulator_host=server.address)
    await later.restore()
    search.see(later, later.current_user)


async def use(search: Search, server: Emulator, auth: Auth) -> None:
    """Show the credential to a database that takes it, refuses it, and takes it back."""
    async with firekeep.open(server.url, auth=auth) as db:
        await db.reference("a").set(1)
        search.see(db, db.status, server.clients, server.accounts, auth)
        server.refuse_logins("invalid_token", "no")
        server.revoke_login()
        async for status in db.status_changes():
            search.see(status, status.last_error)
            if status.auth == "expired":
                break
    server.refuse_logins(None)
    wrong = f"wrong.{DATABASE_SECRET}.token"
    async with (
        firekeep.open(server.url, auth=wrong) as db,
        db.status_changes() as changes,
    ):
        async for status in changes:
            search.see(db, status)
            if status.auth == "expired":
                break


def readable_by_others(folder: Path) -> list[str]:
    """Return the texts of files that not only their owner can read."""
    return [
        path.read_text(errors="replace")
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077
    ]


async def test_no_credential_is_found_where_it_does_not_belong(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    search = Search(tmp_path)

    async with Emulator() as server:
        with anyio.fail_after(30):
            await live(search, server)

    printed = capfd.readouterr()
    logged = [*(record.getMessage() for record in caplog.records), caplog.text]
    assert len(search.secrets) > 12
    assert len(logged) > 20
    assert any("/v1/accounts:signUp?key=api-key" in line for line in logged)
    assert search.found(*logged) == []
    assert search.found(*search.seen) == []
    assert search.found(printed.out, printed.err) == []
    if os.name == "posix":
        assert search.found(*readable_by_others(tmp_path)) == []
        assert search.store.path.exists()


def test_a_secret_that_is_shown_is_found(tmp_path: Path) -> None:
    search = Search(tmp_path)
    (tmp_path / "leak").write_text(f"password={PASSWORD}")
    (tmp_path / "leak").chmod(0o644)

    assert search.found(f"tried {PASSWORD}") == [PASSWORD]
    if os.name == "posix":
        assert search.found(*readable_by_others(tmp_path)) == [PASSWORD]
