"""Rows in memory that count how often they are asked for: time without a clock."""

from collections.abc import Iterator

from firekeep.storage.memory import MemoryBackend

__all__ = ["CountingBackend"]


class CountingBackend(MemoryBackend):
    """Counts the rows that are read, by key or in a scan."""

    reads = 0

    def get(self, key: bytes) -> bytes | None:
        self.reads += 1
        return super().get(key)

    def first_key(self, start: bytes, end: bytes) -> bytes | None:
        self.reads += 1
        return super().first_key(start, end)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        for row in super().scan(start, end):
            self.reads += 1
            yield row
