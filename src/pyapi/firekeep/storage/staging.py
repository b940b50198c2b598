"""Changes to rows that have not been committed, and reading through them."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from firekeep.storage.backend import Backend, Row

__all__ = ["Staging"]


class Staging:
    """One commit in the making: what is read is what would be there after it.

    `growth_bytes` is how much longer keys and values of all rows become by it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._rows: dict[bytes, bytes | None] = {}
        self._keys: list[bytes] = []
        self.growth_bytes = 0

    @property
    def rows(self) -> list[Row]:
        """What there is to commit."""
        return list(self._rows.items())

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a row, or None."""
        if key in self._rows:
            return self._rows[key]
        return self._backend.get(key)

    def scan(self, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the rows from `start` to before `end`; changes made meanwhile may be missed."""
        staged = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]
        if not staged:
            yield from self._backend.scan(start, end)
            return
        position = 0
        for key, value in self._backend.scan(start, end):
            while position < len(staged) and staged[position] < key:
                yield from self._staged(staged[position])
                position += 1
            if position < len(staged) and staged[position] == key:
                yield from self._staged(key)
                position += 1
            else:
                yield key, value
        for key in staged[position:]:
            yield from self._staged(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Write a row."""
        old = self.get(key)
        if old is None:
            self.put_new(key, value)
        elif old != value:
            self.growth_bytes += len(value) - len(old)
            self._set(key, value)

    def put_new(self, key: bytes, value: bytes) -> None:
        """Write a row that is known not to be there."""
        self.growth_bytes += len(key) + len(value)
        self._set(key, value)

    def delete(self, key: bytes) -> None:
        """Take a row away, if it is there."""
        old = self.get(key)
        if old is not None:
            self.delete_known(key, old)

    def delete_known(self, key: bytes, value: bytes) -> None:
        """Take a row away that holds this value."""
        self.growth_bytes -= len(key) + len(value)
        self._set(key, None)

    def clear(self) -> None:
        """Begin anew."""
        self._rows.clear()
        self._keys.clear()
        self.growth_bytes = 0

    def _staged(self, key: bytes) -> Iterator[tuple[bytes, bytes]]:
        value = self._rows[key]
        if value is not None:
            yield key, value

    def _set(self, key: bytes, value: bytes | None) -> None:
        if key not in self._rows:
            if not self._keys or key > self._keys[-1]:
                self._keys.append(key)
            else:
                insort(self._keys, key)
        self._rows[key] = value
