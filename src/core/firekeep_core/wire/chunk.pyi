from collections.abc import Sequence
from typing import Final, final

SEGMENT_UNITS: Final[int]
MAX_COUNT_DIGITS: Final[int]
MAX_SEGMENTS: Final[int]
MAX_MESSAGE_BYTES: Final[int]

def split(text: str) -> list[str]: ...

@final
class Joiner:
    def __init__(self, max_bytes: int = ...) -> None: ...
    def feed(self, message: bytes | str) -> bytes | bytearray | str | None: ...
    def join(self, messages: Sequence[bytes]) -> list[bytes | bytearray]: ...
