from typing import Final

from firekeep_core.snap.node import Node

MAX_TEXT_BYTES: Final[int]

def parse(data: bytes | bytearray | memoryview | str) -> Node: ...
def dump(node: Node, *, export: bool = True) -> bytes: ...
