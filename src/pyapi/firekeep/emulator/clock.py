"""The time that the server tells its clients."""

import time
from collections.abc import Callable

__all__ = ["Clock"]


def _system_ms() -> float:
    return time.time() * 1000


class Clock:
    """The server's clock: the computer's, until a test moves or stops it.

    It is what clients learn at the handshake, what timestamps become, and what tokens live by.

    Example::

        server.clock.freeze(1_700_000_000_000)
        server.clock.advance(90)
        assert server.clock.now_ms() == 1_700_000_090_000
    """

    def __init__(self, now_ms: Callable[[], float] = _system_ms) -> None:
        self._now_ms = now_ms
        self._offset_ms = 0.0
        self._frozen_ms: float | None = None
        self._watchers: list[Callable[[], None]] = []

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still."""
        return self._frozen_ms is not None

    def now_ms(self) -> int:
        """Return the time in ms since 1970."""
        base_ms = self._now_ms() if self._frozen_ms is None else self._frozen_ms
        return int(base_ms + self._offset_ms)

    def advance(self, seconds: float) -> None:
        """Move the clock; backwards if negative."""
        self._offset_ms += seconds * 1000
        self._moved()

    def freeze(self, at_ms: int | None = None) -> None:
        """Stop the clock, at a given time or where it is; `advance` still moves it."""
        self._frozen_ms = float(self.now_ms() if at_ms is None else at_ms)
        self._offset_ms = 0.0
        self._moved()

    def run(self) -> None:
        """Let the clock go on from where it stands."""
        self._offset_ms = self.now_ms() - self._now_ms()
        self._frozen_ms = None
        self._moved()

    def watch(self, callback: Callable[[], None]) -> None:
        """Call back whenever the clock has been moved, stopped or started."""
        self._watchers.append(callback)

    def _moved(self) -> None:
        for callback in self._watchers:
            callback()
