"""Sources that users write themselves, and the mistakes that are made in them."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from firekeep.auth import Credential, CredentialChange, CredentialSource
from firekeep.auth.providers import as_source
from firekeep.exceptions import CredentialRejected, InvalidArgument, NetworkUnavailable

pytestmark = pytest.mark.anyio


class Own:
    """A source that gives, or raises, what it is told to."""

    def __init__(self, uid: str | None, answer: Any) -> None:
        self.uid = uid
        self.answer = answer
        self.directory: Path | None = None
        self.callback: Callable[[CredentialChange], object] | None = None

    async def restore(self, directory: Path | None = None) -> None:
        await anyio.lowlevel.checkpoint()
        self.directory = directory

    async def token(
        self, force: bool = False, *, offset_ms: int | None = None
    ) -> Credential | None:
        await anyio.lowlevel.checkpoint()
        if isinstance(self.answer, Exception):
            raise self.answer
        found: Credential | None = self.answer
        return found

    def on_change(self, callback: Callable[[CredentialChange], object]) -> Callable[[], None]:
        self.callback = callback
        return lambda: None


def checked(uid: str | None, answer: Any) -> CredentialSource:
    source = as_source(Own(uid, answer))
    assert source is not None
    return source


@pytest.mark.parametrize(
    ("uid", "answer"),
    [
        ("ada", Credential("token", "ada")),
        (None, Credential("token")),
        (None, None),
        # Whose it is has not been known before.
        (None, Credential("token", "ada")),
    ],
)
async def test_a_source_that_keeps_its_promises_is_passed_on(
    uid: str | None, answer: Credential | None
) -> None:
    own = Own(uid, answer)
    source = as_source(own)
    assert source is not None
    heard: list[CredentialChange] = []

    await source.restore(Path("here"))
    source.on_change(heard.append)

    assert source.uid == uid
    assert await source.token() == answer
    assert own.directory == Path("here")
    assert own.callback == heard.append
    assert as_source(source) is source


async def test_a_credential_without_its_sources_uid_is_a_mistake() -> None:
    with pytest.raises(InvalidArgument, match="credential is None, that of its source 'ada'"):
        await checked("ada", Credential("token")).token()


async def test_a_credential_of_another_is_a_mistake() -> None:
    with pytest.raises(InvalidArgument, match="credential is 'bob', that of its source 'ada'"):
        await checked("ada", Credential("token", "bob")).token()


async def test_a_known_user_without_a_credential_is_a_mistake() -> None:
    with pytest.raises(InvalidArgument, match="gives nothing, but its uid is 'ada'"):
        await checked("ada", None).token()


async def test_what_is_no_credential_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidArgument, match="not str") as caught:
        await checked("ada", "secret").token()

    assert "secret" not in str(caught.value)


async def test_what_a_source_says_of_its_failure_is_not_shown() -> None:
    source = checked("ada", RuntimeError("GET https://example.com?key=secret failed"))

    with pytest.raises(NetworkUnavailable) as caught:
        await source.token()

    assert str(caught.value) == "the credential source failed: RuntimeError"
    assert "secret" not in "".join(traceback.format_exception(caught.value))


async def test_an_error_of_firekeeps_own_is_passed_on() -> None:
    with pytest.raises(CredentialRejected, match="TOKEN_EXPIRED"):
        await checked("ada", CredentialRejected("TOKEN_EXPIRED")).token()


def test_no_source_is_shown_as_it_shows_itself() -> None:
    assert repr(checked("ada", None)) == "<Own of 'ada'>"
