"""What a database asks of whoever gives it a credential."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from firekeep.auth.clock import is_time_ms
from firekeep.exceptions import InvalidArgument

__all__ = ["ChangeKind", "Credential", "CredentialChange", "CredentialSource"]

ChangeKind = Literal["signed_in", "signed_out", "refreshed", "rejected"]
"""``signed_in``: by the user of before, or by another; ``signed_out``: on purpose; ``refreshed``:
another token of the same user; ``rejected``: the user is known, but has to sign in again."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What is presented to the server, and what is known about it.

    Raises:
        InvalidArgument: the token or the uid is no text, or a time is not an integer of ms since
            1970, at once.

    Example::

        Credential(token, uid="ada", expires_ms=1_700_003_600_000)
    """

    token: str = field(repr=False)
    """A JSON Web Token, which goes by ``auth``, or anything else, which goes by ``gauth``."""
    uid: str | None = None
    """Whose writes are sent under it; None where it is nobody's, as an administrator's.

    That of its source, where that has one: it is not read from the token.
    """
    expires_ms: int | None = None
    """When the server takes it no more, by the server's clock in ms since 1970; None: unknown."""
    refresh_ms: int | None = None
    """When to ask for the next one, by the same clock; None: not before this one is refused."""
    claims: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)
    """What the token says of its user; empty where it cannot be read."""

    def __post_init__(self) -> None:
        """Refuse what would fail only where it is used; a token is not shown."""
        if not isinstance(self.token, str):
            raise InvalidArgument(f"the token is a text, not {type(self.token).__name__}")
        if not isinstance(self.uid, str | None):
            raise InvalidArgument(f"the uid is a text or None, not {type(self.uid).__name__}")
        for name, value in (("expires_ms", self.expires_ms), ("refresh_ms", self.refresh_ms)):
            if value is not None and not is_time_ms(value):
                # An integer may have more digits than can be written.
                shown = "a larger number" if isinstance(value, int) else f"{value!r:.60}"
                raise InvalidArgument(f"{name} is an integer of ms since 1970 or None, not {shown}")


@dataclass(frozen=True, slots=True)
class CredentialChange:
    """Something happened to who is signed in; `CredentialSource.uid` is `uid` already."""

    kind: ChangeKind
    uid: str | None
    """Who is known from here on."""
    previous_uid: str | None
    """Who was known before."""
    clear: bool = False
    """Whether what is stored for `previous_uid`, cache and queue, is to be removed."""


@runtime_checkable
class CredentialSource(Protocol):
    """Knows who is signed in, without a network too, and gives the token of the moment.

    All of it is called on the thread of the event loop. One source may serve several databases.
    """

    @property
    def uid(self) -> str | None:
        """Who is signed in, with a valid token or without; None: nobody, or not known.

        Right from the end of `restore` on, also offline. Writes made meanwhile are this user's.
        """
        ...

    async def restore(self, directory: Path | None = None) -> None:
        """Take up who was signed in when the program last ended; asks no network.

        `directory` is where the database keeps its data, None if it keeps none: a source that has
        no place of its own keeps what it must keep there. Calling it twice is calling it once.

        Raises:
            StorageError: what was kept cannot be reached; the next call tries again.
        """
        ...

    async def token(
        self, force: bool = False, *, offset_ms: int | None = None
    ) -> Credential | None:
        """Return a credential that is good now; None: nobody is signed in, and that is on purpose.

        A token that is about to expire is replaced first; if that fails while it is still good,
        it is returned with a later `Credential.refresh_ms`, and so is one that is about to expire
        when it comes. `force`: the last one was refused, get another. `offset_ms` is the server's clock minus this machine's, where that is known.
        However many ask at a time, the service is asked once. What is returned belongs to `uid`:
        while that is not None, a credential that has another, or none, is taken for a mistake, and
        so is None. To be cancelled while waiting changes nothing.

        Raises:
            NetworkUnavailable: the service cannot be reached; the user is still known: retry.
            CredentialRejected: the user has to sign in again; `on_change` tells when that has
                happened. To ask again meanwhile is cheap: the service is asked ever less often.
            Exception: anything else is taken for `NetworkUnavailable`; its text is shown nowhere.
        """
        ...

    def on_change(self, callback: Callable[[CredentialChange], object]) -> Callable[[], None]:
        """Call back after each change, in order, until the result is called.

        A ``refreshed`` may be the echo of one's own `token`: compare with what was presented. An
        awaitable that `callback` returns for ``signed_in`` or ``signed_out`` is awaited before the
        call that signed in or out returns, so that ``clear`` has been done by then.
        """
        ...
