from typing import final

from typing_extensions import disjoint_base

from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

@disjoint_base
class Operation:
    path: Path
    tag_number: int
    @property
    def tag(self) -> int | None: ...

@final
class Overwrite(Operation):
    node: Node
    def __init__(self, path: Path, node: Node, tag: int | None = None) -> None: ...

@final
class Merge(Operation):
    children: list[tuple[Path, Node]]
    def __init__(
        self, path: Path, children: list[tuple[Path, Node]], tag: int | None = None
    ) -> None: ...

@final
class RangeMerge(Operation):
    ranges: list[tuple[Path | None, Path | None, Node]]
    def __init__(
        self,
        path: Path,
        ranges: list[tuple[Path | None, Path | None, Node]],
        tag: int | None = None,
    ) -> None: ...

@final
class ListenComplete(Operation):
    def __init__(self, path: Path, tag: int | None = None) -> None: ...
