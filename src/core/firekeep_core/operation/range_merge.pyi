from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

def apply_range_merge(node: Node, ranges: list[tuple[Path | None, Path | None, Node]]) -> Node: ...
