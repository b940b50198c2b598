from collections.abc import Iterable
from typing import Any, Final, final

from firekeep_core.snap.node import Node
from firekeep_core.wire.control import AppCheckRevoked as AppCheckRevoked
from firekeep_core.wire.control import AuthRevoked as AuthRevoked
from firekeep_core.wire.control import Handshake as Handshake
from firekeep_core.wire.control import ListenRevoked as ListenRevoked
from firekeep_core.wire.control import Ping as Ping
from firekeep_core.wire.control import Pong as Pong
from firekeep_core.wire.control import Redirect as Redirect
from firekeep_core.wire.control import SecurityDebug as SecurityDebug
from firekeep_core.wire.control import ServerError as ServerError
from firekeep_core.wire.control import Shutdown as Shutdown
from firekeep_core.wire.control import Unknown as Unknown

@final
class Response:
    number: Final[int]
    status: Final[str]
    data: Final[Node]
    def __init__(self, number: int, status: str, data: Node = ...) -> None: ...
    @property
    def payload(self) -> Any: ...

@final
class Request:
    number: Final[int]
    action: Final[str]
    body: Final[dict[str, Any]]
    def __init__(self, number: int, action: str, body: dict[str, Any]) -> None: ...

def decode(messages: Iterable[bytes | bytearray | str]) -> list[object]: ...
def encode_request(number: int, action: str, body: dict[str, Any]) -> str: ...
