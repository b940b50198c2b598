from typing import final

from firekeep_core.query.index import Index

@final
class Ordered:
    count: int
    def __init__(self, index: Index) -> None: ...
    def __len__(self) -> int: ...
