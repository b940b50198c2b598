"""Every error that firekeep raises on purpose, in one tree.

::

    FirekeepError
    ├── InvalidArgument (ValueError)    a bad argument: raised at once, nothing is changed
    │   ├── InvalidPath                 a path with a forbidden key, too long or too deep
    │   ├── InvalidKey                  a key that is empty, too long or has a forbidden character
    │   ├── InvalidValue                a value that has no place in a JSON tree
    │   ├── InvalidQuery                order, bounds and limits that make no sense together
    │   └── InvalidUrl                  a database or proxy address that cannot be understood
    ├── UsageError (RuntimeError)       a correct call at the wrong moment
    │   ├── DatabaseClosed              the database has been left
    │   ├── ConfiguredTooLate           a setter that had to come before the database was entered
    │   ├── PersistenceInUse            another database or process holds this directory
    │   ├── QueueFull                   too many or too large writes are waiting
    │   └── BufferOverflow              a consumer fell behind its bounded buffer
    ├── ServerError  .code .text .path  the server said no
    │   ├── PermissionDenied            permission_denied: the rules forbid it
    │   ├── DataStale                   datastale: the guarding hash did not match
    │   ├── ExpiredToken                expired_token
    │   ├── InvalidToken                invalid_token
    │   ├── TooBig                      too_big, write_too_big
    │   └── Unavailable                 unavailable
    ├── WriteFailed                     a write of ours that the server did not refuse
    │   ├── WriteCancelled              taken out of the queue before it was sent
    │   ├── MaybeApplied                in flight when the connection broke, and not sent again
    │   ├── TransactionAborted          ended by another write or by its own function
    │   └── TooManyRetries              the data changed under a transaction 25 times
    ├── NotAvailable                    a read that has nothing to give
    │   ├── Offline                     only the server knows, and there is no connection
    │   ├── NotCached                   asked of the cache alone, which does not know
    │   └── TimedOut (TimeoutError)     the server did not answer in time
    ├── AuthError  .code .text          the sign-in service said no
    │   ├── SignInRefused               wrong password, unknown e-mail, a code or token it rejects
    │   ├── AccountExists               another account has this e-mail or identity already
    │   ├── CredentialRejected          whoever is signed in has to sign in again
    │   └── TooManyAttempts             asked too often; later it may work
    ├── Disconnected                    the connection could not be made, or has ended
    │   └── NetworkUnavailable          the sign-in service cannot be reached
    ├── ProtocolError                   the peer broke the protocol
    └── StorageError                    the disk did not do what it was asked
        ├── CorruptRecord               a stored record that cannot be read back
        └── StorageFull                 no space is left for a write

Catching one of them::

    try:
        await reference.set(10)
    except firekeep.exceptions.PermissionDenied as error:
        print(error.path, error.text)
"""

from firekeep_core.errors import (
    CorruptRecord,
    FirekeepError,
    InvalidArgument,
    InvalidKey,
    InvalidPath,
    InvalidQuery,
    InvalidUrl,
    InvalidValue,
    ProtocolError,
    StorageError,
    StorageFull,
    UsageError,
)

__all__ = [
    "AccountExists",
    "AuthError",
    "BufferOverflow",
    "ConfiguredTooLate",
    "CorruptRecord",
    "CredentialRejected",
    "DataStale",
    "DatabaseClosed",
    "Disconnected",
    "ExpiredToken",
    "FirekeepError",
    "InvalidArgument",
    "InvalidKey",
    "InvalidPath",
    "InvalidQuery",
    "InvalidToken",
    "InvalidUrl",
    "InvalidValue",
    "MaybeApplied",
    "NetworkUnavailable",
    "NotAvailable",
    "NotCached",
    "Offline",
    "PermissionDenied",
    "PersistenceInUse",
    "ProtocolError",
    "QueueFull",
    "ServerError",
    "SignInRefused",
    "StorageError",
    "StorageFull",
    "TimedOut",
    "TooBig",
    "TooManyAttempts",
    "TooManyRetries",
    "TransactionAborted",
    "Unavailable",
    "UsageError",
    "WriteCancelled",
    "WriteFailed",
    "auth_error",
    "server_error",
]


class DatabaseClosed(UsageError):
    """The database has been left; nothing more can be asked of it."""


class ConfiguredTooLate(UsageError):
    """A setting that is read when the database is entered was changed after that."""


class PersistenceInUse(UsageError):
    """The directory with the stored data is held by another database or process."""


class QueueFull(UsageError):
    """A write would exceed the number or the size of writes that may wait; it was not applied."""


class BufferOverflow(UsageError):
    """A consumer of events fell behind its bounded buffer; what it missed is lost to it."""


class ServerError(FirekeepError):
    """The server answered a request, or ended a listen, with a status other than ok.

    Source: wire §3.6.
    """

    code: str
    """The status as it was on the wire, such as ``permission_denied``."""
    text: str
    """What the server said for humans; may be empty."""
    path: str | None
    """The location that the request was about; None where there is none."""

    def __init__(self, code: str, text: str = "", path: str | None = None) -> None:
        super().__init__(code, text, path)
        self.code = code
        self.text = text
        self.path = path

    def __str__(self) -> str:
        """Return the status, the place and what the server said."""
        place = "" if self.path is None else f" at {self.path}"
        return f"{self.code}{place}: {self.text}" if self.text else f"{self.code}{place}"


class PermissionDenied(ServerError):
    """The security rules forbid it for the user who asked."""


class DataStale(ServerError):
    """The data were not those that the request's hash stands for."""


class ExpiredToken(ServerError):
    """The credential was right once; a fresh one is needed."""


class InvalidToken(ServerError):
    """The server cannot read or does not trust the credential."""


class TooBig(ServerError):
    """The request, or its answer, is larger than the server allows."""


class Unavailable(ServerError):
    """The server cannot answer for the moment."""


class WriteFailed(FirekeepError):
    """A write ended without the server having refused it."""


class WriteCancelled(WriteFailed):
    """The write was taken out of the queue before it was sent."""


class MaybeApplied(WriteFailed):
    """The connection broke before the answer; the write may have happened, and is not repeated."""


class TransactionAborted(WriteFailed):
    """The transaction ended without a result of its own."""


class TooManyRetries(WriteFailed):
    """The data kept changing under the transaction until it gave up."""


class NotAvailable(FirekeepError):
    """A read could not be answered."""


class Offline(NotAvailable):
    """Only the server could answer, and there is no connection to it."""


class NotCached(NotAvailable):
    """Only the cache was asked, and it does not know the whole answer."""


class TimedOut(NotAvailable, TimeoutError):
    """The server did not answer in the time given."""


class AuthError(FirekeepError):
    """The sign-in service refused what it was asked; nothing of who is signed in has changed.

    Never holds what was sent: an answer that repeats a password or a token has it blotted out.
    """

    code: str
    """What the service calls it, such as ``EMAIL_EXISTS``."""
    text: str
    """What it said for humans; may be empty."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        """Return the code and what the service said."""
        return f"{self.code}: {self.text}" if self.text else self.code


class SignInRefused(AuthError):
    """What was given does not sign anybody in: a password, an e-mail, a code, another's token."""


class AccountExists(AuthError):
    """Another account has this e-mail or this identity already."""


class CredentialRejected(AuthError):
    """The credential of whoever is signed in is worth nothing any more.

    The user is disabled, deleted or signed out everywhere, or the sign-in is too long ago for what
    was asked. Only another sign-in helps; until then nothing is sent and nothing is lost.
    """


class TooManyAttempts(AuthError):
    """The service was asked too often and wants to be left alone for a while."""


class Disconnected(FirekeepError):
    """The connection could not be made, or has ended; another attempt may succeed."""


class NetworkUnavailable(Disconnected):
    """The sign-in service cannot be reached, or cannot answer; who is signed in is still known."""


_BY_STATUS: dict[str, type[ServerError]] = {
    "permission_denied": PermissionDenied,
    "datastale": DataStale,
    "expired_token": ExpiredToken,
    "invalid_token": InvalidToken,
    "too_big": TooBig,
    "write_too_big": TooBig,
    "unavailable": Unavailable,
}


def server_error(status: str, text: str = "", path: str | None = None) -> ServerError:
    """Return the error for a status of the wire; an unknown one is a plain `ServerError`.

    Source: wire §3.6.
    """
    return _BY_STATUS.get(status, ServerError)(status, text, path)


_BY_CODE: dict[str, type[AuthError]] = {
    **dict.fromkeys(
        (
            "INVALID_REFRESH_TOKEN",
            "MISSING_REFRESH_TOKEN",
            "TOKEN_EXPIRED",
            "INVALID_ID_TOKEN",
            "USER_DISABLED",
            "USER_NOT_FOUND",
            "CREDENTIAL_TOO_OLD_LOGIN_AGAIN",
        ),
        CredentialRejected,
    ),
    **dict.fromkeys(
        (
            "INVALID_PASSWORD",
            "INVALID_EMAIL",
            "INVALID_LOGIN_CREDENTIALS",
            "EMAIL_NOT_FOUND",
            "MISSING_EMAIL",
            "MISSING_PASSWORD",
            "WEAK_PASSWORD",
            "INVALID_CUSTOM_TOKEN",
            "MISSING_CUSTOM_TOKEN",
            "CREDENTIAL_MISMATCH",
            "INVALID_IDP_RESPONSE",
            "INVALID_CREDENTIAL_OR_PROVIDER_ID",
            "INVALID_OOB_CODE",
            "EXPIRED_OOB_CODE",
        ),
        SignInRefused,
    ),
    "EMAIL_EXISTS": AccountExists,
    "FEDERATED_USER_ID_ALREADY_LINKED": AccountExists,
    "NEED_CONFIRMATION": AccountExists,
    "TOO_MANY_ATTEMPTS_TRY_LATER": TooManyAttempts,
    "RESET_PASSWORD_EXCEED_LIMIT": TooManyAttempts,
    "QUOTA_EXCEEDED": TooManyAttempts,
}


def auth_error(code: str, text: str = "") -> AuthError:
    """Return the error for a code of the sign-in service; an unknown one is a plain `AuthError`."""
    return _BY_CODE.get(code, AuthError)(code, text)
