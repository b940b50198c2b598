from typing import Final, Literal, final

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

KINDS: Final[dict[str, int]]

@final
class Change: ...

@final
class Event:
    registration: object
    path: Path
    params: QueryParams
    key: str | None
    previous_key: str | None
    node: Node
    initial: bool
    origin: Literal["local", "server", "revert"]
    error: object
    @property
    def kind(self) -> str: ...
