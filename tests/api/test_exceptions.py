"""The error tree is complete, drawn as it is, and each error says what it has to."""

import copy
import inspect
import pickle
import re

import pytest

from firekeep import exceptions
from firekeep.exceptions import (
    AccountExists,
    AuthError,
    CredentialRejected,
    DataStale,
    Disconnected,
    ExpiredToken,
    FirekeepError,
    InvalidArgument,
    InvalidToken,
    NetworkUnavailable,
    NotAvailable,
    PermissionDenied,
    ServerError,
    SignInRefused,
    TimedOut,
    TooBig,
    TooManyAttempts,
    Unavailable,
    UsageError,
    auth_error,
    server_error,
)

CLASSES: dict[str, type[FirekeepError]] = {
    name: member
    for name, member in vars(exceptions).items()
    if inspect.isclass(member) and issubclass(member, FirekeepError)
}


def drawn_tree() -> dict[str, str]:
    """Read child → parent off the drawing in the module's docstring."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ]*(?:[├└]── )?)([A-Z]\w+)", line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        above[depth:] = [found[2]]
        if depth:
            parents[found[2]] = above[depth - 1]
    return parents


def test_the_drawing_shows_every_class_below_its_base() -> None:
    actual = {
        name: member.__bases__[0].__name__
        for name, member in CLASSES.items()
        if member is not FirekeepError
    }

    assert drawn_tree() == actual


def test_every_class_is_public() -> None:
    assert {*CLASSES, "auth_error", "server_error"} == set(exceptions.__all__)


def test_bad_arguments_and_bad_moments_are_also_the_errors_of_python() -> None:
    assert issubclass(InvalidArgument, ValueError)
    assert issubclass(UsageError, RuntimeError)
    assert issubclass(TimedOut, TimeoutError)
    assert issubclass(TimedOut, NotAvailable)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("permission_denied", PermissionDenied),
        ("datastale", DataStale),
        ("expired_token", ExpiredToken),
        ("invalid_token", InvalidToken),
        ("too_big", TooBig),
        ("write_too_big", TooBig),
        ("unavailable", Unavailable),
        ("failure", ServerError),
        ("something new", ServerError),
    ],
)
def test_a_status_becomes_its_error(status: str, kind: type[ServerError]) -> None:
    error = server_error(status, "Permission denied", "/rooms")

    assert type(error) is kind
    assert (error.code, error.text, error.path) == (status, "Permission denied", "/rooms")


def test_a_server_error_says_what_and_where() -> None:
    assert (
        str(server_error("permission_denied", "Permission denied", "/rooms"))
        == "permission_denied at /rooms: Permission denied"
    )
    assert str(server_error("failure")) == "failure"


def test_a_server_error_survives_copying_and_pickling() -> None:
    error = server_error("datastale", "hash", "/a")

    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is DataStale
        assert (other.code, other.text, other.path) == ("datastale", "hash", "/a")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_PASSWORD", SignInRefused),
        ("INVALID_LOGIN_CREDENTIALS", SignInRefused),
        ("EMAIL_EXISTS", AccountExists),
        ("USER_DISABLED", CredentialRejected),
        ("INVALID_REFRESH_TOKEN", CredentialRejected),
        ("TOKEN_EXPIRED", CredentialRejected),
        ("TOO_MANY_ATTEMPTS_TRY_LATER", TooManyAttempts),
        ("OPERATION_NOT_ALLOWED", AuthError),
    ],
)
def test_a_code_of_the_sign_in_service_becomes_its_error(code: str, kind: type[AuthError]) -> None:
    error = auth_error(code, "for humans")

    assert type(error) is kind
    assert (error.code, error.text, str(error)) == (code, "for humans", f"{code}: for humans")


def test_an_unreachable_service_is_no_refusal() -> None:
    assert issubclass(NetworkUnavailable, Disconnected)
    assert not issubclass(NetworkUnavailable, AuthError)


def test_an_auth_error_survives_copying_and_pickling() -> None:
    error = auth_error("EMAIL_EXISTS", "taken")

    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is AccountExists
        assert (other.code, other.text) == ("EMAIL_EXISTS", "taken")
