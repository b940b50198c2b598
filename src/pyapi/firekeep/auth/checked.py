"""What a user's own code gives, held to what it promises."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from firekeep.auth.source import Credential, CredentialChange, CredentialSource
from firekeep.exceptions import FirekeepError, InvalidArgument, NetworkUnavailable

__all__ = ["CheckedSource", "own_errors"]


class CheckedSource:
    """A user's own source, whose mistakes are errors and not writes that wait for ever."""

    def __init__(self, source: CredentialSource) -> None:
        self._source = source

    @property
    def uid(self) -> str | None:
        """As the source has it."""
        return self._source.uid

    async def restore(self, directory: Path | None = None) -> None:
        """As the source does it."""
        await self._source.restore(directory)

    async def token(
        self, force: bool = False, *, offset_ms: int | None = None
    ) -> Credential | None:
        """Return what the source gives.

        Raises:
            InvalidArgument: it is no credential, or not that of the source's `uid`.
            NetworkUnavailable: the source raises what is no `FirekeepError`.
        """
        with own_errors("the credential source"):
            found = await self._source.token(force, offset_ms=offset_ms)
        # A source in Python may give anything.
        if not (found is None or isinstance(found, Credential)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument(
                f"a credential source gives a Credential or None, not {type(found).__name__}"
            )
        uid = self._source.uid
        if uid is not None and found is None:
            raise InvalidArgument(
                f"the credential source gives nothing, but its uid is {uid!r:.60}: to be nobody,"
                " that is None; to have no credential for now, raise NetworkUnavailable"
            )
        if uid is not None and found is not None and found.uid != uid:
            raise InvalidArgument(
                f"the uid of the credential is {found.uid!r:.60}, that of its source {uid!r:.60}"
            )
        return found

    def on_change(self, callback: Callable[[CredentialChange], object]) -> Callable[[], None]:
        """As the source does it."""
        return self._source.on_change(callback)

    def __repr__(self) -> str:
        """Return whom the source knows, and nothing that it says of itself."""
        return f"<{type(self._source).__name__} of {self.uid!r}>"


@contextmanager
def own_errors(who: str) -> Generator[None]:
    """Raise `NetworkUnavailable` for whatever is no `FirekeepError`.

    With its type alone: the text of a foreign error may hold anything, such as the address of a
    request with a key in it, and this one is logged and shown.
    """
    try:
        yield
    except FirekeepError:
        raise
    except Exception as error:  # noqa: BLE001
        raise NetworkUnavailable(f"{who} failed: {type(error).__name__}") from None
