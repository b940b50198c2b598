"""Signing in the users of an app."""

import logging
import os
import random
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import EllipsisType

from firekeep.auth.clock import wall_ms
from firekeep.auth.grant import fingerprint
from firekeep.auth.identity_toolkit import IdentityToolkit, ProviderCredential
from firekeep.auth.keeper import Keeper
from firekeep.auth.source import Credential, CredentialChange
from firekeep.auth.token_store import TokenStore
from firekeep.auth.user import User
from firekeep.exceptions import InvalidArgument, NetworkUnavailable, StorageError, UsageError
from firekeep.types import Registration

__all__ = ["EMULATOR_VARIABLE", "Auth"]

EMULATOR_VARIABLE = "FIREBASE_AUTH_EMULATOR_HOST"
"""Names the environment variable that `Auth` takes the address of an emulator from."""

logger = logging.getLogger("firekeep.auth")

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")


class Auth:
    """Knows who is signed in, and keeps their token fresh; a `CredentialSource` for databases.

    It has no tasks of its own: a token is refreshed when somebody asks for one, as a database does
    in time. `store` is where the credential outlives the program; without one that is beside the
    cache of the first database with persistence that uses this, or else nowhere. `emulator_host`
    is ``host:port``; without it the variable FIREBASE_AUTH_EMULATOR_HOST counts.

    Whatever asks the service raises `AuthError` if that refuses and `NetworkUnavailable` if it
    does not answer, and then has changed nothing; whatever changes who is signed in raises
    `StorageError` if that could not be stored, and has changed it all the same. All of it happens
    on the thread of the event loop, on asyncio or trio.

    Whatever has to know who was signed in raises `StorageError` too if the store cannot be read,
    then has changed nothing, and tries again when it is called again: a database when it is
    entered, `restore`, `token`, `id_token`, and `sign_in_anonymously`, which would replace a user
    whom nothing brings back. Signing in otherwise, or out, goes on without and replaces what is
    there; from then on nothing has to be read.

    Raises:
        InvalidArgument: the key is no text, or the emulator's address is none, at once.

    Example::

        auth = firekeep.auth.Auth("my-api-key")
        async with firekeep.open(url, auth=auth, persistence=True) as db:
            if auth.current_user is None:
                await auth.sign_in_with_email_and_password("ada@example.com", password)
            await db.reference("users").child(auth.current_user.uid).set({"online": True})
    """

    def __init__(
        self,
        api_key: str,
        store: TokenStore | None = None,
        *,
        tenant: str | None = None,
        emulator_host: str | None = None,
        timeout_s: float = 30.0,
        now_ms: Callable[[], int] = wall_ms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not isinstance(api_key, str) or not api_key:
            raise InvalidArgument("the API key is a text: see the project's settings")
        host = emulator_host or os.environ.get(EMULATOR_VARIABLE) or None
        if host is not None and not _ADDRESS.fullmatch(host):
            raise InvalidArgument(f"auth emulator {host!r:.80}: expected host:port")
        self._service = IdentityToolkit(
            api_key, tenant=tenant, emulator_host=host, timeout_s=timeout_s
        )
        self._keeper = Keeper(
            self._service.refresh,
            store,
            fingerprint(api_key, tenant, host),
            now_ms=now_ms,
            chance=chance,
        )

    @property
    def current_user(self) -> User | None:
        """Who is signed in, also while offline or with an expired token.

        None before what is stored has been read: `restore` does that, a database when it is
        entered, and every asynchronous method here.
        """
        return self._keeper.user

    def on_state_changed(self, callback: Callable[[User | None], object]) -> Registration:
        """Call back with the user after each sign-in, None after each sign-out, until closed.

        Also when what was stored has been read, and when the user is described differently; not
        for a fresh token alone, and not at once: see `current_user`. An asynchronous callback is
        awaited by the call that made the change.

        Example::

            auth.on_state_changed(lambda user: print(user.uid if user else "signed out"))
        """
        if not callable(callback):
            raise InvalidArgument(f"callback is {callback!r:.60}, which cannot be called")
        return _Registration(self._keeper.on_user(callback))

    # Signing in.

    async def sign_in_anonymously(self) -> User:
        """Sign in without anything; whoever is signed in anonymously stays the same user.

        Unless the service has rejected that user, who has no way to sign in again: then this is
        another one.

        Raises:
            StorageError: who was signed in cannot be read, and nobody is signed in; or this user
                could not be stored, and is signed in all the same.

        Example::

            user = await auth.sign_in_anonymously()
        """
        await self._keeper.restore()
        user = self._keeper.user
        if user is not None and user.is_anonymous and not self._keeper.is_rejected:
            return user
        return await self._keeper.adopt(await self._service.sign_up())

    async def sign_in_with_email_and_password(self, email: str, password: str) -> User:
        """Sign in a user who has a password.

        Raises:
            SignInRefused: there is no such user, or the password is another one.

        Example::

            user = await auth.sign_in_with_email_and_password("ada@example.com", password)
        """
        await self._restore_if_readable()
        return await self._keeper.adopt(await self._service.sign_in_with_password(email, password))

    async def sign_in_with_custom_token(self, token: str) -> User:
        """Sign in whom your own server vouches for, with a token that it made.

        Raises:
            SignInRefused: the token is not accepted.

        Example::

            user = await auth.sign_in_with_custom_token(token_from_my_server)
        """
        await self._restore_if_readable()
        return await self._keeper.adopt(await self._service.sign_in_with_custom_token(token))

    async def sign_in_with_credential(self, credential: ProviderCredential) -> User:
        """Sign in whom an identity provider vouches for.

        Raises:
            SignInRefused: the credential is not accepted.
            AccountExists: another account has the e-mail, and the provider has not verified it.

        Example::

            google = ProviderCredential("google.com", id_token=token_from_google)
            user = await auth.sign_in_with_credential(google)
        """
        await self._restore_if_readable()
        return await self._keeper.adopt(await self._service.sign_in_with_provider(credential))

    async def create_user_with_email_and_password(
        self, email: str, password: str, *, display_name: str | None = None
    ) -> User:
        """Make an account and sign in to it.

        Raises:
            AccountExists: there is one with this e-mail.
            SignInRefused: the e-mail is none, or the password is too weak.

        Example::

            user = await auth.create_user_with_email_and_password("ada@example.com", password)
        """
        await self._restore_if_readable()
        return await self._keeper.adopt(await self._service.sign_up(email, password, display_name))

    async def sign_out(self, *, clear: bool = False) -> None:
        """Forget the user and what proves who they are; asks no network.

        What databases hold of theirs stays on disk for when they come back, unsent writes included;
        `clear`: it is removed, and that has been done when this returns.

        Raises:
            UsageError: `clear`, and no database is open that could remove anything.
            StorageError: a disk has not done its part; of data that are to be removed, the database
                tries again. Nobody is signed in all the same.

        Example::

            await auth.sign_out(clear=True)
        """
        await self._restore_if_readable()
        await self._keeper.drop(clear=clear)

    # The account.

    async def update_profile(
        self,
        *,
        display_name: str | EllipsisType | None = ...,
        photo_url: str | EllipsisType | None = ...,
    ) -> User:
        """Change what the user is called and looks like; None removes it.

        Raises:
            UsageError: nobody is signed in.

        Example::

            user = await auth.update_profile(display_name="Ada", photo_url=None)
        """
        given = {"displayName": display_name, "photoUrl": photo_url}
        names = {"displayName": "DISPLAY_NAME", "photoUrl": "PHOTO_URL"}
        user = await self._update(
            {name: value for name, value in given.items() if isinstance(value, str)},
            [names[name] for name, value in given.items() if value is None],
        )
        if not isinstance(display_name, EllipsisType):
            user = replace(user, display_name=display_name)
        if not isinstance(photo_url, EllipsisType):
            user = replace(user, photo_url=photo_url)
        await self._keeper.amend(user)
        return user

    async def update_password(self, password: str) -> User:
        """Change the password of the user; wherever else they are signed in, they no longer are.

        Raises:
            UsageError: nobody is signed in.
            CredentialRejected: the sign-in is too long ago; sign in again, then try again.
            SignInRefused: the password is too weak.

        Example::

            await auth.update_password(new_password)
        """
        return await self._update({"password": password}, [])

    async def delete(self) -> None:
        """Delete the account of the user and sign out; open databases remove what they hold of it.

        Raises:
            UsageError: nobody is signed in.
            CredentialRejected: the sign-in is too long ago; sign in again, then try again.

        Example::

            await auth.delete()
        """
        token, uid = await self.id_token(), self._keeper.uid
        await self._service.delete(token)
        if self._keeper.uid == uid:
            await self._keeper.drop(clear=self._keeper.is_used)

    async def send_password_reset_email(self, email: str) -> None:
        """Have a code sent to a user who has forgotten their password.

        Raises:
            SignInRefused: there is no such user, if the project tells strangers so.

        Example::

            await auth.send_password_reset_email("ada@example.com")
        """
        await self._service.send_password_reset(email)

    async def confirm_password_reset(self, code: str, password: str) -> str:
        """Set a new password with the code that was sent; return the e-mail. Signs nobody in.

        Raises:
            SignInRefused: the code is wrong or too old, or the password is too weak.

        Example::

            email = await auth.confirm_password_reset(code, new_password)
            await auth.sign_in_with_email_and_password(email, new_password)
        """
        return await self._service.confirm_password_reset(code, password)

    async def id_token(self, *, force: bool = False) -> str:
        """Return a token that proves to your own server who the user is.

        `force` gets a fresh one, which knows claims that have just been changed.

        Raises:
            UsageError: nobody is signed in.

        Example::

            headers = {"Authorization": f"Bearer {await auth.id_token()}"}
        """
        credential = await self._keeper.token(force)
        if credential is None:
            raise UsageError("nobody is signed in")
        return credential.token

    # For databases.

    @property
    def uid(self) -> str | None:
        """The uid of `current_user`."""
        return self._keeper.uid

    async def restore(self, directory: Path | None = None) -> None:
        """Read who was signed in when the program last ended; asks no network.

        `directory` is where a database keeps its data, for want of a store of one's own.

        Raises:
            StorageError: what is stored cannot be reached.

        Example::

            await auth.restore()
            print(auth.current_user)
        """
        await self._keeper.restore(directory)

    async def token(
        self, force: bool = False, *, offset_ms: int | None = None
    ) -> Credential | None:
        """Return a credential that is good now, None if nobody is signed in.

        See `CredentialSource.token`.
        """
        return await self._keeper.token(force, offset_ms=offset_ms)

    def on_change(self, callback: Callable[[CredentialChange], object]) -> Callable[[], None]:
        """Call back after each change of user or token; see `CredentialSource.on_change`."""
        return self._keeper.on_change(callback)

    def __repr__(self) -> str:
        """Return who is signed in."""
        uid = self.uid
        return "<Auth: nobody is signed in>" if uid is None else f"<Auth: {uid!r} is signed in>"

    async def _restore_if_readable(self) -> None:
        """Read who was signed in; a store that cannot be read keeps nobody from signing in or out.

        What it holds is replaced by that, as it would have been if it could be read.
        """
        try:
            await self._keeper.restore()
        except StorageError as error:
            logger.warning("who was signed in cannot be read, and will be replaced: %s", error)

    async def _update(self, changes: dict[str, str], remove: list[str]) -> User:
        token, uid = await self.id_token(), self._keeper.uid
        tokens = await self._service.update(token, changes, remove)
        if tokens is not None and self._keeper.uid == uid:
            return await self._keeper.adopt(tokens, "refreshed")
        # The change is made, and if not this token then the next will tell of it.
        with suppress(NetworkUnavailable):
            await self._keeper.token(force=True)
        user = self._keeper.user
        if user is None or user.uid != uid:
            raise UsageError("the user has signed out meanwhile")
        return user


class _Registration:
    """A callback that is called until it is closed."""

    __slots__ = ("_remove",)

    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove = remove

    def close(self) -> None:
        """Call it no more; closing twice is closing once."""
        self._remove()
