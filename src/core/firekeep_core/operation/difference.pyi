from firekeep_core.operation.cache_change import Replace
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

def differences(path: Path, old: Node, new: Node) -> list[Replace]: ...
