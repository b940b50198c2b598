"""Something that stays shut as long as anybody holds it."""

import anyio

__all__ = ["Gate"]


class Gate:
    """Open unless somebody keeps it shut."""

    def __init__(self) -> None:
        self._holders: set[object] = set()
        self._opened: anyio.Event | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody keeps it shut."""
        return not self._holders

    def shut(self, holder: object) -> None:
        """Keep it shut until the same holder calls `release`."""
        self._holders.add(holder)

    def release(self, holder: object) -> None:
        """Keep it shut no longer."""
        self._holders.discard(holder)
        if not self._holders and self._opened is not None:
            self._opened.set()

    async def wait(self) -> None:
        """Return once it is open; at once if it is."""
        while self._holders:
            self._opened = anyio.Event()
            await self._opened.wait()
