"""What is wanted of one task, and who waits until it is done."""

import anyio

from firekeep.pending import Pending

__all__ = ["Wanted"]


class Wanted:
    """Whether there is something to do, for the one task that does it."""

    def __init__(self) -> None:
        self._is_set = False
        self._event: anyio.Event | None = None
        self.waiting: list[Pending[None]] = []
        """Those who wait until it is done."""

    def set(self) -> None:
        """Want it done, once more if it is being done."""
        self._is_set = True
        if self._event is not None:
            self._event.set()

    def done(self) -> None:
        """Let go who waits, unless more has come meanwhile."""
        if not self._is_set:
            self.release()

    def release(self, error: Exception | None = None) -> None:
        """Let go who waits, whatever there is to do."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.settle(None, error)

    async def wait(self) -> None:
        """Return as soon as there is something, which then counts as seen."""
        while not self._is_set:
            self._event = anyio.Event()
            await self._event.wait()
            self._event = None
        self._is_set = False
