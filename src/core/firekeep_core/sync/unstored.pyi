from typing import final

from firekeep_core.operation.cache_change import CacheChange
from firekeep_core.sync.view import View

@final
class Unstored:
    def is_empty(self) -> bool: ...
    def take(self) -> list[CacheChange]: ...

def by_touch(view: View) -> int: ...
