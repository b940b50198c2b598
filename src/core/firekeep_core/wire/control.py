"""The server's messages that carry neither data nor answers.

Source: wire §2.5 and §3.5.
"""

from dataclasses import dataclass
from typing import final

from ..query.params import QueryParams
from ..snap.path import Path

__all__ = [
    "AppCheckRevoked",
    "AuthRevoked",
    "Handshake",
    "ListenRevoked",
    "Ping",
    "Pong",
    "Redirect",
    "SecurityDebug",
    "ServerError",
    "Shutdown",
    "Unknown",
]


@final
@dataclass(frozen=True, slots=True)
class Handshake:
    """The server's greeting: its clock, and where it and the session are found again."""

    timestamp_ms: int
    version: str
    host: str
    session_id: str


@final
@dataclass(frozen=True, slots=True)
class Redirect:
    """The database is served by another host."""

    host: str


@final
@dataclass(frozen=True, slots=True)
class Shutdown:
    """The server will not have this client again."""

    reason: str


@final
@dataclass(frozen=True, slots=True)
class ServerError:
    """Something the server has to say to people; the connection stays."""

    text: str


@final
@dataclass(frozen=True, slots=True)
class Ping:
    """A client asks whether the server is there."""


@final
@dataclass(frozen=True, slots=True)
class Pong:
    """The server is there."""


@final
@dataclass(frozen=True, slots=True)
class ListenRevoked:
    """The listen at ``path``, or only those queries there, may no longer be heard."""

    path: Path
    queries: list[QueryParams] | None = None


@final
@dataclass(frozen=True, slots=True)
class AuthRevoked:
    """The identity of this connection holds no longer."""

    status: str
    text: str = ""


@final
@dataclass(frozen=True, slots=True)
class AppCheckRevoked:
    """The App Check token of this connection holds no longer."""

    status: str
    text: str = ""


@final
@dataclass(frozen=True, slots=True)
class SecurityDebug:
    """What a developer may want to know about the rules."""

    text: str


@final
@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a kind that this version does not know; shortened."""

    text: str
