"""How calls that block are kept from blocking the event loop."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread

__all__ = ["RunBlocking", "run_in_thread"]

ResultT = TypeVar("ResultT")


class RunBlocking(Protocol):
    """How a call that blocks is run without blocking the event loop."""

    def __call__(self, function: Callable[..., ResultT], *arguments: Any) -> Awaitable[ResultT]:
        """Run it, and return what it returns or raise what it raises."""
        ...


async def run_in_thread(function: Callable[..., ResultT], *arguments: Any) -> ResultT:
    """Run a call in a worker thread; it is begun and waited for, whatever is cancelled."""
    # What it is to store has been taken from the engine: given up, it would be lost.
    results: list[ResultT] = []
    with anyio.CancelScope(shield=True):
        results.append(await anyio.to_thread.run_sync(function, *arguments))
    return results[0]
