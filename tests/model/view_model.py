"""Views of the model: what they know, what they have shown, and the events in between."""

from dataclasses import dataclass, field

from tests.model.query_model import Query
from tests.model.tree_model import (
    Keys,
    Tree,
    child_of,
    get,
    is_leaf,
    overlay_children,
    priority_of,
    same,
)

VALUE_EVENT = 1
CHILD_ADDED = 2
CHILD_REMOVED = 4
CHILD_MOVED = 8
CHILD_CHANGED = 16
CANCEL = 32
KINDS = {
    "value": VALUE_EVENT,
    "child_added": CHILD_ADDED,
    "child_removed": CHILD_REMOVED,
    "child_moved": CHILD_MOVED,
    "child_changed": CHILD_CHANGED,
    "cancel": CANCEL,
}
ALL_KINDS = 63


@dataclass(frozen=True)
class Event:
    """One thing that one registration is told."""

    kind: str
    registration: object
    path: Keys
    query: Query
    key: str | None = None
    previous_key: str | None = None
    value: Tree = None
    initial: bool = False
    origin: str = "server"
    error: object = None


@dataclass
class Knowledge:
    """What a view knows of its location, pending writes aside."""

    server: Tree = None
    complete: bool = False  # `server` is all there is (all of the window, when filtered)
    filtered: bool = False  # `server` holds only the window of the view's query
    confirmed: bool = False  # the server itself, or a covering view, made it complete
    assumed: Tree = None  # accepted writes about which the server has said nothing here
    assumed_complete: bool = False
    vacant: frozenset[str] = frozenset()  # children on show that are known to have no value
    # Increments that the server's data contain already (§5.7): write id and absolute path.
    absorbed: frozenset[tuple[int, Keys]] = frozenset()

    @property
    def whole(self) -> bool:
        return self.complete and not self.filtered

    def holds(self, path: Keys) -> bool:
        """Say whether the server's value at a path is known (§4.1 "complete for path")."""
        return self.whole or (bool(path) and child_of(self.server, path[0]) is not None)

    def knows(self, key: str) -> bool:
        """Say whether anything is known or assumed about a child."""
        return key in self.vacant or child_of(self.known(), key) is not None

    def known(self) -> Tree:
        """Give the server's children over the assumed ones."""
        return overlay_children(self.assumed, self.server)


def below(knowledge: Knowledge, rest: Keys) -> Knowledge:
    """Give what a view knows of its own place, or a complete one of a place below."""
    if not rest:
        return knowledge
    return Knowledge(
        get(knowledge.server, rest),
        complete=True,
        confirmed=knowledge.confirmed,
        absorbed=knowledge.absorbed,
    )


@dataclass
class Shown:
    """What the listeners of a view have been told so far."""

    complete: bool = False
    value: Tree = None
    items: list[tuple[str, Tree]] = field(default_factory=list[tuple[str, Tree]])


class View:
    """One query at one location, its listeners and its knowledge."""

    def __init__(self, path: Keys, query: Query, tag: int | None) -> None:
        self.path = path
        self.query = query
        self.tag = tag
        self.registrations: list[tuple[object, int]] = []
        self.knowledge = Knowledge()
        self.shown = Shown()

    @property
    def covers(self) -> bool:
        """Say whether everything at and below can be read from this view."""
        return self.query.loads_all and self.knowledge.whole and self.knowledge.confirmed


def events_between(view: View, old: Shown, origin: str, *, initial: bool = False) -> list[Event]:
    """Give the events that lead from what was shown to what is shown (§3.2 to §3.5)."""
    new, query = view.shown, view.query
    was, now = dict(old.items), dict(new.items)
    previous = dict(zip(now, [None, *now], strict=False))
    events: list[Event] = []

    def tell(kind: str, key: str | None, value: Tree, before: str | None = None) -> None:
        events.extend(
            Event(kind, registration, view.path, query, key, before, value, initial, origin)
            for registration, kinds in view.registrations
            if kinds & KINDS[kind]
        )

    for key, child in old.items:
        if key not in now:
            tell("child_removed", key, child)
    changed = [key for key, child in new.items if key in was and not same(was[key], child)]
    moved = {key for key in changed if query.moves(key, was[key], now[key])}
    for key, child in new.items:
        if key not in was:
            tell("child_added", key, child, previous[key])
        elif key in moved:
            tell("child_moved", key, child, previous[key])
    for key in changed:
        tell("child_changed", key, now[key], previous[key])
    if new.complete and (
        was.keys() != now.keys()
        or changed
        or not old.complete
        or ((is_leaf(new.value) or new.value is None) and not same(new.value, old.value))
        or priority_of(new.value) != priority_of(old.value)
    ):
        tell("value", None, new.value)
    return events
