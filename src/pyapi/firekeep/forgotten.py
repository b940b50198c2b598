"""What nobody refers to any more is closed by a task of the database's, at a moment that suits."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel

__all__ = ["Forgotten"]

logger = logging.getLogger("firekeep")


class Forgotten:
    """Takes notes from finalizers, and acts on them in the event loop.

    The garbage collector runs finalizers wherever something is allocated: in the middle of a turn
    of the engine, of the event loop's own work, or on another thread. None of these is a moment at
    which anything may be closed, so a finalizer only leaves a note and has the loop woken.
    """

    def __init__(self) -> None:
        self._notes: deque[Callable[[], None]] = deque()
        self._woken: anyio.Event | None = None
        self._call_soon: Callable[[Callable[[], None]], object] | None = None

    def add(self, close: Callable[[], None]) -> None:
        """Have something closed soon; may be called from anywhere, and does nothing else."""
        self._notes.append(close)
        if self._call_soon is not None:
            try:
                self._call_soon(self._wake)
            except RuntimeError:
                # The loop has ended, and with it whatever was to be closed.
                self._notes.clear()

    async def run(self) -> None:
        """Close what has been forgotten, for ever."""
        # An event must not be set by a finalizer: these calls, one of asyncio's and one of trio's,
        # are those that both make for signal handlers, finalizers and other threads.
        loop: Any = anyio.lowlevel.current_token().native_token
        self._call_soon = getattr(loop, "run_sync_soon", None) or loop.call_soon_threadsafe
        while True:
            self._woken = anyio.Event()
            while self._notes:
                self._close(self._notes.popleft())
            await self._woken.wait()

    def _close(self, close: Callable[[], None]) -> None:
        try:
            close()
        # A fault of ours must not end the user's program (W-38).
        except Exception:
            logger.exception("internal error while closing what was forgotten")

    def _wake(self) -> None:
        if self._woken is not None:
            self._woken.set()
