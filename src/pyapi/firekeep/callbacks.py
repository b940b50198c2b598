"""Lists of user callbacks, none of which can disturb another."""

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Callbacks"]

logger = logging.getLogger("firekeep")

ArgumentT = TypeVar("ArgumentT")


class Callbacks(Generic[ArgumentT]):
    """Called in the order in which they were added; a failure is logged and handed on (I-32)."""

    def __init__(self, failed: Callable[[Exception], object]) -> None:
        self._failed = failed
        self._callbacks: list[Callable[[ArgumentT], object]] = []

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def add(self, callback: Callable[[ArgumentT], object]) -> Callable[[], None]:
        """Add a callback; return what removes it. One that is added twice is called twice."""

        def call(argument: ArgumentT) -> object:
            return callback(argument)

        self._callbacks.append(call)

        def remove() -> None:
            if call in self._callbacks:
                self._callbacks.remove(call)

        return remove

    def call(self, argument: ArgumentT) -> None:
        """Call all that are there and have not been removed by one of them."""
        for callback in list(self._callbacks):
            if callback in self._callbacks:
                try:
                    callback(argument)
                except Exception as error:
                    logger.exception("a callback failed")
                    self._failed(error)
