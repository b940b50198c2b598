"""Shows how much of a long message has come: the first value of a large location."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from firekeep.connection import Connector
from firekeep.net.transport import Transport

__all__ = ["Progress", "counting_connector"]

# A message comes in parts of 16 kB each, and says first how many there are (wire §2.2).
_WORTH_SHOWING: Final = 16
_PAUSE_S: Final = 0.05
_BAR_CHARACTERS: Final = 30


class Progress:
    """Counts the parts of the message that is coming, and shows a bar if there are many."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._expected = 0
        self._parts = 0
        self._bytes = 0
        self._shown_at_s = 0.0

    def take(self, messages: Sequence[bytes]) -> None:
        """Count what has come."""
        for message in messages:
            if self._expected:
                self._parts += 1
                self._bytes += len(message)
                if self._parts == self._expected:
                    self._end()
            elif len(message) < 8 and message.isdigit() and int(message) >= _WORTH_SHOWING:
                self._expected, self._parts, self._bytes = int(message), 0, 0
        now_s = time.monotonic()
        if self._expected and now_s - self._shown_at_s >= _PAUSE_S:
            self._shown_at_s = now_s
            self._show(self._text())

    def _text(self) -> str:
        share = self._parts / self._expected
        full = round(share * _BAR_CHARACTERS)
        bar = "█" * full + "░" * (_BAR_CHARACTERS - full)
        return f"loading {bar} {share:4.0%}  {self._bytes / 1e6:.1f} MB"

    def _end(self) -> None:
        self._expected = 0
        if self._shown_at_s:
            self._show("")
            self._shown_at_s = 0.0


class _CountingTransport:
    """A transport that tells what it receives."""

    def __init__(self, transport: Transport, progress: Progress) -> None:
        self._transport = transport
        self._progress = progress

    async def send(self, messages: Sequence[str]) -> None:
        await self._transport.send(messages)

    async def receive(self) -> list[bytes]:
        messages = await self._transport.receive()
        self._progress.take(messages)
        return messages

    async def aclose(self) -> None:
        await self._transport.aclose()


def counting_connector(connector: Connector, progress: Progress) -> Connector:
    """Return a connector whose transports tell `progress` what they receive."""

    async def connect(effect: Any) -> Transport:
        return _CountingTransport(await connector(effect), progress)

    return connect
