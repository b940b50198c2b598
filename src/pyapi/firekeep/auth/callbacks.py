"""Lists of callbacks, none of which can disturb another."""

import logging
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Generic, TypeVar

from firekeep.exceptions import StorageError

__all__ = ["Callbacks", "wait_for"]

ArgumentT = TypeVar("ArgumentT")

logger = logging.getLogger("firekeep.auth")


class Callbacks(Generic[ArgumentT]):
    """Called in the order in which they were added; a failure is logged."""

    def __init__(self) -> None:
        self._callbacks: dict[object, Callable[[ArgumentT], object]] = {}

    def add(self, callback: Callable[[ArgumentT], object]) -> Callable[[], None]:
        """Add a callback; return what removes it. One that is added twice is called twice."""
        name = object()
        self._callbacks[name] = callback

        def remove() -> None:
            self._callbacks.pop(name, None)

        return remove

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._callbacks)

    def call(self, argument: ArgumentT) -> list[Awaitable[object]]:
        """Call all that are there and are not removed by one of them; return what is to await."""
        results: list[Awaitable[object]] = []
        for name, callback in list(self._callbacks.items()):
            if name in self._callbacks:
                try:
                    result = callback(argument)
                except Exception:
                    logger.exception("a callback failed")
                else:
                    if isawaitable(result):
                        results.append(result)
        return results


async def wait_for(results: list[Awaitable[object]]) -> StorageError | None:
    """Await in order what callbacks have returned; return the first failure of a disk.

    Any other failure is logged.
    """
    failure: StorageError | None = None
    for result in results:
        try:
            await result
        except StorageError as error:
            failure = failure or error
        except Exception:
            logger.exception("a callback failed")
    return failure
