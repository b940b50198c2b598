from typing import final

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node

@final
class Window:
    params: QueryParams
    def __init__(self, params: QueryParams) -> None: ...
    def __len__(self) -> int: ...
    def follow(
        self, node: Node, changes: list[tuple[str, Node]]
    ) -> tuple[list[str], list[str]]: ...
    def shown(self, node: Node) -> list[tuple[str, str | None]]: ...
