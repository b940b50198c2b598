from typing import final

from firekeep_core.sync.write_tree import WriteTree

@final
class Descent:
    def __init__(self, writes: WriteTree, sent: set[int]) -> None: ...
