from typing import final

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path

@final
class ListenChange:
    start: bool
    path: Path
    params: QueryParams
    tag: int | None
