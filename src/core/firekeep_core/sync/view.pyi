from typing import final

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path

@final
class Registration: ...

@final
class View:
    def __init__(self, path: Path, params: QueryParams) -> None: ...
