"""Folds what happened to each child into what a consumer has to know (sync-engine §3.2)."""

from collections import OrderedDict
from collections.abc import Collection
from typing import Final, cast

from firekeep.snapshot import Event
from firekeep.types import EventKind

__all__ = ["FoldedEvents"]

# (what waits, what comes) -> what is left of both; no entry: what comes.
_FOLDED: Final[dict[tuple[str, str], EventKind | None]] = {
    ("child_removed", "child_added"): "child_changed",
    ("child_added", "child_removed"): None,
    ("child_added", "child_changed"): "child_added",
}


class _Child:
    """What waits of one child: what became of it, and whether it has another place."""

    __slots__ = ("change", "move")

    def __init__(self) -> None:
        self.change: Event | None = None
        self.move: Event | None = None


class FoldedEvents:
    """The events of a query that wait, at most a change and a move of each child, and one value.

    A child keeps its place in the line. `previous_key` is that of its last event, and may name a
    child whose own event is still in the line. What two events become is dropped where its kind is
    not `wanted`: a child that left and came back is no news to whoever asked for neither.
    """

    __slots__ = ("_children", "_value", "_wanted")

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = wanted
        # A plain dict passes over all that were ever taken whenever its first key is asked for.
        self._children: OrderedDict[str, _Child] = OrderedDict()
        self._value: Event | None = None

    def __bool__(self) -> bool:
        """Return whether anything waits."""
        return self._value is not None or bool(self._children)

    def add(self, event: Event) -> None:
        """Fold one event into what waits."""
        if event.kind == "value":
            self._value = event
            return
        key = cast("str", event.snapshot.key)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = _Child()
        if event.kind == "child_moved":
            _move(child, event)
        else:
            self._change(child, event)
        if child.change is None and child.move is None:
            del self._children[key]

    def take(self) -> Event | None:
        """Take the next event; None if there is none."""
        key = next(iter(self._children), None)
        if key is None:
            value, self._value = self._value, None
            return value
        child = self._children[key]
        # An order that changed is told before the value that changed it, as it happened.
        if child.move is not None:
            event, child.move = child.move, None
        else:
            event, child.change = cast("Event", child.change), None
        if child.change is None and child.move is None:
            del self._children[key]
        return event

    def _change(self, child: _Child, event: Event) -> None:
        before = child.change
        if before is None:
            child.change = event
            if event.kind == "child_removed":
                child.move = None
            return
        kind = _FOLDED.get((before.kind, event.kind), event.kind)
        if kind is None or kind not in self._wanted:
            child.change = None
            return
        child.change = event._replace(kind=kind, initial=before.initial and event.initial)
        if before.kind == "child_removed" and kind == "child_changed":
            if "child_moved" in self._wanted:
                # It may have come back to another place.
                child.move = child.change._replace(kind="child_moved")
        elif kind == "child_removed":
            child.move = None
        elif child.move is not None:
            child.move = child.move._replace(
                snapshot=event.snapshot, previous_key=event.previous_key
            )


def _move(child: _Child, event: Event) -> None:
    if child.change is not None and child.change.kind == "child_added":
        child.change = child.change._replace(
            snapshot=event.snapshot, previous_key=event.previous_key
        )
        return
    child.move = event
    if child.change is not None:
        child.change = child.change._replace(snapshot=event.snapshot)
