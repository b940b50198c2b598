from collections.abc import Mapping, Sequence
from typing import Final, final

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

@final
class Handshake:
    timestamp_ms: Final[int]
    version: Final[str]
    host: Final[str]
    session_id: Final[str]

@final
class Redirect:
    host: Final[str]

@final
class Shutdown:
    reason: Final[str]

@final
class ServerError:
    text: Final[str]

@final
class Ping: ...

@final
class Pong: ...

@final
class Response:
    number: Final[int]
    status: Final[str]
    data: Final[Node]

@final
class ListenRevoked:
    path: Final[Path]
    queries: Final[list[QueryParams] | None]

@final
class AuthRevoked:
    status: Final[str]
    text: Final[str]

@final
class AppCheckRevoked:
    status: Final[str]
    text: Final[str]

@final
class SecurityDebug:
    text: Final[str]

@final
class Request:
    number: Final[int]
    action: Final[str]
    body: Final[Mapping[str, object]]

@final
class Unknown:
    text: Final[str]

def decode(messages: Sequence[bytes | str]) -> list[object]: ...
def encode_request(number: int, action: str, body: Mapping[str, object]) -> str: ...
