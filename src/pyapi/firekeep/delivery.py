"""The queue through which every effect passes, in order, however calls are nested."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from firekeep.engine.effects import Deliver, Effect
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.sync.event import Event

__all__ = ["Delivery"]

logger = logging.getLogger("firekeep")

# Calls from callbacks from calls …: beyond this depth the outermost one delivers the rest, in the
# same order, before it returns. Python's own limit on depth is not far above.
_MAX_NESTING = 40


class Delivery:
    """Performs effects first in, first out (I-30).

    A call made inside a callback puts its effects behind those that are there, and performs all of
    them before it returns; so each listener sees events in order, and none twice.
    """

    def __init__(
        self,
        performers: dict[type, Callable[[Any], None]],
        failed: Callable[[Exception], list[Effect]],
    ) -> None:
        self.performers = performers
        """What is called for each kind of effect but `Deliver`."""
        self._failed = failed
        self._queue: deque[Effect | deque[Event]] = deque()
        self._taken = 0
        """How many effects have left the queue: the number of the one at its front."""
        self._forgotten: dict[tuple[int, Path, QueryParams], int] = {}
        """Up to which number effects hold nothing for a registration, while any may be queued."""
        self._nesting = 0

    def perform(self, effects: list[Effect]) -> None:
        """Perform effects, after those that are being performed."""
        if not effects:
            return
        queue = self._queue
        queue.extend(effects)
        if self._nesting >= _MAX_NESTING:
            return
        self._nesting += 1
        try:
            while queue:
                item = queue[0]
                if type(item) is deque:
                    self._deliver(item, self._taken)
                    # A nested call may have finished it, and taken it off already.
                    if queue and queue[0] is item:
                        self._take()
                elif type(item) is Deliver:
                    queue[0] = deque(item.events)
                else:
                    self._take()
                    self.performers[type(item)](item)
        finally:
            self._nesting -= 1

    def forget(self, path: Path, params: QueryParams, registration: object) -> None:
        """Drop what is queued for a registration that has been removed (I-31).

        The queue is not searched, or removing every listener in callbacks would be quadratic.
        """
        if self._queue:
            self._forgotten[id(registration), path, params] = self._taken + len(self._queue)

    def clear(self) -> None:
        """Drop everything."""
        for item in self._queue:
            if type(item) is deque:
                item.clear()
        self._queue.clear()
        self._forgotten.clear()

    def _take(self) -> None:
        self._queue.popleft()
        self._taken += 1
        if not self._queue:
            self._forgotten.clear()

    def _deliver(self, events: deque[Event], number: int) -> None:
        while events:
            event = events.popleft()
            registration: Any = event.registration
            if self._forgotten:
                key = (id(registration), event.path, event.params)
                if number < self._forgotten.get(key, 0):
                    continue
            try:
                registration.deliver(event)
            # Whatever a callback raises must not reach the others, nor the caller (I-32).
            except Exception as error:
                logger.exception("a callback for %s at %s failed", event.kind, event.path)
                self._queue += self._failed(error)
