from typing import final

from firekeep_core.query.params import QueryParams

@final
class Window:
    def __init__(self, params: QueryParams) -> None: ...
    def __len__(self) -> int: ...
