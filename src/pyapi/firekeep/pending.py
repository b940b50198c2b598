"""A result that comes later, for one caller or several."""

from collections.abc import Generator
from typing import Any, Generic, TypeVar, cast

import anyio

__all__ = ["Pending"]

ResultT = TypeVar("ResultT")


class Pending(Generic[ResultT]):
    """Await it for the result; it costs no event as long as nobody does.

    Raises: what the operation failed with.
    """

    __slots__ = ("_error", "_event", "_result", "_waiting", "is_settled")

    def __init__(self) -> None:
        self._event: anyio.Event | None = None
        self._result: ResultT | None = None
        self._error: Exception | None = None
        self._waiting = 0
        self.is_settled = False
        """Whether the outcome is known."""

    @property
    def is_awaited(self) -> bool:
        """Whether somebody is waiting; who gave up does not count."""
        return self._waiting > 0

    def settle(self, result: object, error: Exception | None) -> None:
        """Take the outcome; a second one means nothing."""
        if self.is_settled:
            return
        self.is_settled = True
        self._result = cast("ResultT", result)
        self._error = error
        if self._event is not None:
            self._event.set()

    def __await__(self) -> Generator[Any, Any, ResultT]:
        """Wait for the outcome."""
        return self._wait().__await__()

    async def _wait(self) -> ResultT:
        if not self.is_settled:
            if self._event is None:
                self._event = anyio.Event()
            self._waiting += 1
            try:
                await self._event.wait()
            finally:
                self._waiting -= 1
        if self._error is not None:
            raise self._error
        return cast("ResultT", self._result)
