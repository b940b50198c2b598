from typing import final

from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

@final
class WriteEntry:
    id: int
    visible: bool

@final
class Increment: ...

@final
class WriteNode: ...

@final
class Reading: ...

@final
class WriteTree:
    last_id: int
    def __len__(self) -> int: ...
    def __contains__(self, key: int, /) -> bool: ...
    def add(self, write_id: int, parts: list[tuple[Path, Node]], visible: bool) -> None: ...
    def remove(self, write_id: int) -> None: ...
    def paths(self, write_id: int) -> list[Path]: ...
