"""Waiting until the writes of a moment have their answers."""

from collections import OrderedDict, deque
from collections.abc import Mapping, Reversible
from itertools import takewhile
from typing import cast

import anyio

from firekeep.exceptions import DatabaseClosed, NotAvailable, TimedOut
from firekeep.pending import Pending
from firekeep.write import Write

__all__ = ["Draining"]


class Draining:
    """Those who wait, each for the newest write that was pending when they began.

    Each write costs the same, however many wait and however many are waited for.
    """

    def __init__(self) -> None:
        self._writes: Mapping[int, Write] = {}
        self._ids: deque[int] = deque()
        """The writes that somebody waits for, oldest first; those done are dropped at the front."""
        self._waiters: OrderedDict[int, Pending[None]] = OrderedDict()
        """By the newest write that they wait for, in its order."""

    async def wait(self, writes: Mapping[int, Write], timeout_s: float | None) -> None:
        """Wait until none of these writes is pending; later ones do not count.

        Raises:
            TimedOut: some are after `timeout_s`.
            NotAvailable: some wait for their user to return, who is not signed in any more.
        """
        self._note(writes)
        if self._oldest_id(writes) is None:
            return
        last_id = self._ids[-1]
        waiter = self._waiters.get(last_id)
        if waiter is None:
            waiter = self._waiters[last_id] = Pending()
        try:
            with anyio.move_on_after(timeout_s):
                await waiter
                return
            raise TimedOut(f"writes are still pending after {timeout_s:g} s")
        finally:
            if not waiter.is_awaited:
                self._waiters.pop(last_id, None)

    def completed(self, writes: Mapping[int, Write]) -> None:
        """Let go whoever has waited for what is no longer among these."""
        if not self._waiters:
            return
        oldest_id = self._oldest_id(writes)
        while self._waiters:
            last_id = next(iter(self._waiters))
            if oldest_id is not None and last_id >= oldest_id:
                return
            self._waiters.popitem(last=False)[1].settle(None, None)

    def held(self, writes: Mapping[int, Write]) -> None:
        """Tell whoever waits for one of these that it is not sent for now."""
        if not self._waiters:
            return
        first_id = next((id for id in self._ids if id in writes), None)
        while first_id is not None and self._waiters and next(reversed(self._waiters)) >= first_id:
            _, waiter = self._waiters.popitem()
            waiter.settle(None, NotAvailable("writes are pending whose user is not signed in"))

    def end(self) -> None:
        """Tell everybody that there will be no more answers."""
        for waiter in self._waiters.values():
            waiter.settle(None, DatabaseClosed("the database was left with writes pending"))

    def _note(self, writes: Mapping[int, Write]) -> None:
        if writes is self._writes:
            last_id = self._ids[-1] if self._ids else 0
            latest_first = reversed(cast("Reversible[int]", writes))
            newer = list(takewhile(lambda id: id > last_id, latest_first))
            self._ids.extend(reversed(newer))
        else:
            # A user who comes back brings older writes along, and so another mapping.
            self._writes = writes
            self._ids = deque(writes)

    def _oldest_id(self, writes: Mapping[int, Write]) -> int | None:
        ids = self._ids
        while ids and ids[0] not in writes:
            ids.popleft()
        return ids[0] if ids else None
