"""Calls a user's function, plain or asynchronous, in order and one call at a time."""

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["BACKLOG", "SerialCallback"]

BACKLOG = 10_000
"""Calls of an asynchronous function that may wait, where not only the latest counts."""


class SerialCallback:
    """One function of a user's.

    A plain one runs within `call`. An asynchronous one, or a plain one that gives an awaitable, is
    called again when the call before is done; until then calls wait: up to `BACKLOG` of them, or
    only the last one if `is_latest_enough`. `start_soon` runs an asynchronous function in a task
    of the database's, and logs a failure.
    """

    __slots__ = (
        "_backlog",
        "_function",
        "_is_closed",
        "_is_running",
        "_overflowed",
        "_start_soon",
        "is_async",
    )

    def __init__(
        self,
        function: Callable[..., object],
        start_soon: Callable[..., None],
        *,
        is_latest_enough: bool = False,
        overflowed: Callable[[], None] | None = None,
    ) -> None:
        self._function = function
        self._start_soon = start_soon
        self._backlog: deque[tuple[Any, ...]] = deque(maxlen=1 if is_latest_enough else None)
        self._overflowed = overflowed
        self._is_running = False
        self._is_closed = False
        self.is_async = _is_async(function)
        """Whether the function is known to be asynchronous before it is called."""

    def call(self, *arguments: object) -> None:
        """Call the function, or put the call at the end of the line."""
        if self._is_closed:
            return
        if not (self.is_async or self._is_running):
            result = self._function(*arguments)
            if result is not None and inspect.isawaitable(result):
                self._start(result)
            return
        if len(self._backlog) >= BACKLOG:
            self.close()
            if self._overflowed is not None:
                self._overflowed()
            return
        self._backlog.append(arguments)
        if not self._is_running:
            self._start(None)

    def close(self) -> None:
        """Call it no more; a call that has begun goes on."""
        self._is_closed = True
        self._backlog.clear()

    def _start(self, first: Awaitable[object] | None) -> None:
        self._is_running = True
        self._start_soon(self._run, first)

    async def _run(self, first: Awaitable[object] | None) -> None:
        try:
            if first is not None:
                await first
            while self._backlog:
                result = self._function(*self._backlog.popleft())
                if result is not None and inspect.isawaitable(result):
                    await result
        except Exception:
            # Who started this logs it; what waits must not suffer from it.
            if self._backlog:
                self._start(None)
            else:
                self._is_running = False
            raise
        self._is_running = False


def _is_async(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004  an object with async __call__
    )
