from typing import Final

from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

MIN_RANGE_UNITS: Final[int]

def compound_hash(node: Node, threshold: int | None = None) -> tuple[list[str], list[str]]: ...
def range_hashes(node: Node, paths: list[str]) -> list[str]: ...
def differing_ranges(
    node: Node, hashes: list[str], paths: list[str]
) -> list[tuple[Path | None, Path | None, Node]] | None: ...
