from typing import TypedDict, type_check_only

@type_check_only
class _Statistics(TypedDict):
    objects: int
    bytes: int
    keys: int
    key_slots: int
    pending: int

def statistics() -> _Statistics: ...
def collect(budget: int = -1) -> int: ...
def trim() -> None: ...
