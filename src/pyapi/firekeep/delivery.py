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
        failed: Callable[[Exception], None],
    ) -> None:
        self.performers = performers
        """What is called for each kind of effect but `Deliver`."""
        self._failed = failed
        self._queue: deque[Effect | deque[Event]] = deque()
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
                    self._deliver(item)
                    # A nested call may have finished it, and taken it off already.
                    if queue and queue[0] is item:
                        queue.popleft()
                elif type(item) is Deliver:
                    queue[0] = deque(item.events)
                else:
                    queue.popleft()
                    self.performers[type(item)](item)
        finally:
            self._nesting -= 1

    def forget(self, path: Path, params: QueryParams, registration: object) -> None:
        """Drop what is queued for a registration that has been removed (I-31)."""
        for position, item in enumerate(self._queue):
            if type(item) is Deliver:
                item = self._queue[position] = deque(item.events)
            if type(item) is deque:
                kept = [
                    event
                    for event in item
                    if event.registration is not registration
                    or event.path != path
                    or event.params != params
                ]
                if len(kept) != len(item):
                    item.clear()
                    item.extend(kept)

    def clear(self) -> None:
        """Drop everything."""
        for item in self._queue:
            if type(item) is deque:
                item.clear()
        self._queue.clear()

    def _deliver(self, events: deque[Event]) -> None:
        while events:
            event = events.popleft()
            registration: Any = event.registration
            try:
                registration.deliver(event)
            # Whatever a callback raises must not reach the others, nor the caller (I-32).
            except Exception as error:
                logger.exception("a callback for %s at %s failed", event.kind, event.path)
                self._failed(error)
