"""What a session needs of a network connection, and nothing about how it is made."""

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Transport"]


class Transport(Protocol):
    """An open connection that carries whole text messages, in order, until one side ends it.

    One task may send and one may receive at the same time.
    """

    async def send(self, messages: Sequence[str]) -> None:
        """Send each as one message; returns when the operating system has taken all of them.

        Cancelling it may leave half a message on the wire: then nothing can be sent any more.

        Raises:
            Disconnected: the connection has ended; any number of them may have been sent.
        """
        ...

    async def receive(self) -> list[bytes]:
        """Wait until something comes; return every message that is complete by now, as UTF-8.

        That may be none: a part of a long one shows that the peer is there.

        Raises:
            Disconnected: the connection has ended, and all that came before was returned.
            ProtocolError: the peer broke the rules of the connection, likewise.
        """
        ...

    async def aclose(self) -> None:
        """End the connection, politely if that is quick; never raises, also when cancelled.

        Whoever still waits to send or receive gets `Disconnected`. Closing twice does nothing.
        """
        ...
