"""Drives engines side by side: they must agree on everything, and their events make sense."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.model.engine_model import EngineModel, ListenChange, depth_first
from tests.model.listener_model import Listener
from tests.model.native_engine import Range, merge_ranges
from tests.model.query_model import DEFAULT, Query
from tests.model.tree_model import Keys, Tree, same
from tests.model.view_model import ALL_KINDS, CANCEL, Event, View


class LockStep:
    """The model, and other engines with the same methods that must do as it does."""

    def __init__(self, *others: Any) -> None:
        self.model = EngineModel()
        self.others = others
        self.listeners: list[Listener] = []
        self.active: dict[tuple[Keys, Query], ListenChange] = {}
        self.tags: set[int] = set()
        self.raised = 0  # how many events, by now

    # Operations.

    def listen(self, path: Keys, query: Query, kinds: int = ALL_KINDS) -> list[ListenChange]:
        """Add a listener of its own."""
        listener = Listener(path, query, kinds)
        events, changes = self._both("add_registration", path, query, listener, kinds)
        assert all(event.registration is listener for event in events), "nobody else (I-25)"
        assert all(event.initial for event in events)
        self.listeners.append(listener)
        self._note(changes)
        self._hear(events)
        return changes

    def unlisten(self, listener: Listener) -> list[ListenChange]:
        """Take a listener off."""
        self.listeners.remove(listener)
        changes = self._both("remove_registration", listener.path, listener.query, listener)
        self._note(changes)
        self._hear([])
        return changes

    def cancel(self, path: Keys, query: Query, error: object) -> list[ListenChange]:
        """Have the server refuse a listen that is active."""
        gone = [
            listener
            for listener in self.listeners
            if listener.path == path and (query.is_default or listener.query == query)
        ]
        del self.active[path, query]
        events, changes = self._both("cancel", path, query, error)
        for listener in gone:
            listener.hear([event for event in events if event.registration is listener])
            assert listener.cancelled == bool(listener.kinds & CANCEL), "one cancel (I-56)"
            self.listeners.remove(listener)
        assert all(event.registration in gone and event.error is error for event in events)
        self._note(changes)
        self._hear([])
        return changes

    def operate(self, name: str, *arguments: Any, **named: Any) -> list[Event]:
        """Do anything else that raises events."""
        events: list[Event] = self._both(name, *arguments, **named)
        self._hear(events)
        return events

    def merge_ranges(self, path: Keys, query: Query, ranges: list[Range], tag: int | None) -> None:
        """Have the server send the ranges in which its data differ from those held."""
        merged = merge_ranges(self.model.server_node(path, query), ranges)
        events = self.model.overwrite(path, merged, tag)
        for other in self.others:
            assert_alike(other.range_merge(path, ranges, tag), events)
        self._hear(events)

    def operate_silently(self, name: str, *arguments: Any) -> None:
        """Do something that raises nothing."""
        for engine in (self.model, *self.others):
            getattr(engine, name)(*arguments)

    # Comparing.

    def _both(self, name: str, *arguments: Any, **named: Any) -> Any:
        result = getattr(self.model, name)(*arguments, **named)
        for other in self.others:
            assert_alike(getattr(other, name)(*arguments, **named), result)
        return result

    def _note(self, changes: Sequence[ListenChange]) -> None:
        """Keep count of the listens; new ones come before the ones they replace (I-49)."""
        for change in changes:
            key = (change.path, change.query)
            if change.start:
                assert key not in self.active, f"listened twice: {key}"
                self.active[key] = change
            else:
                assert self.active.pop(key).tag == change.tag
        starts = [change.start for change in changes]
        assert starts == sorted(starts, reverse=True), "starts first (I-49)"
        assert self.active.keys() == set(self._minimal(())), "minimal (I-48)"
        for view in self.model.all_views():
            assert (view.tag is None) == view.query.loads_all
        tags = {view.tag for view in self.model.all_views() if view.tag is not None}
        new = tags - self.tags
        assert not new or min(new) > max(self.tags, default=0), "no tag again (I-52)"
        self.tags |= tags

    def _minimal(self, path: Keys) -> Iterable[tuple[Keys, Query]]:
        """Give the fewest listens that serve all views, from the views alone (I-48)."""
        queries = {listener.query for listener in self.listeners if listener.path == path}
        if any(query.loads_all for query in queries):
            yield path, DEFAULT
            return
        yield from ((path, query) for query in queries)
        depth = len(path)
        below = {
            listener.path[depth]
            for listener in self.listeners
            if len(listener.path) > depth and listener.path[:depth] == path
        }
        for key in below:
            yield from self._minimal((*path, key))

    def _hear(self, events: Sequence[Event]) -> None:
        """Let the listeners hear the events of one operation, and check what they then know."""
        self.raised += len(events)
        places = [depth_first(event.path) for event in events]
        assert places == sorted(places), "deeper locations first (I-26)"
        heard: dict[int, list[Event]] = {}
        for event in events:
            assert isinstance(event.registration, Listener)
            heard.setdefault(id(event.registration), []).append(event)
        for listener in self.listeners:
            listener.hear(heard.pop(id(listener), []))
        assert not heard, "nothing for those who are gone (I-31)"
        for listener in self.listeners:
            listener.check(self.view_of(listener).shown)
        for other in self.others:
            for view in self.model.all_views():
                self._compare_view(other, view)
            for where in self.active:
                ours, theirs = self.model.server_node(*where), other.server_node(*where)
                assert same(ours, theirs), f"server_node{where}: {ours} in the model, {theirs}"
            assert other.is_empty == self.model.is_empty

    def view_of(self, listener: Listener) -> View:
        """Give the model's view that a listener listens to."""
        return self.model.views[listener.path][listener.query]

    def _compare_view(self, other: Any, view: View) -> None:
        where = (view.path, view.query)
        assert other.is_complete(*where) == view.shown.complete
        ours, theirs = self.model.complete_value(*where), other.complete_value(*where)
        assert same(ours, theirs), f"complete_value{where}: {ours} in the model, {theirs}"
        ours, theirs = self.model.latest_state(view.path), other.latest_state(view.path)
        assert same(ours, theirs), f"latest_state{view.path}: {ours} in the model, {theirs}"


def assert_alike(actual: Any, expected: Any) -> None:
    """Compare events and listens, order and all."""
    if isinstance(expected, tuple):
        assert_alike(actual[0], expected[0])
        assert actual[1] == expected[1], f"listens {actual[1]}, the model {expected[1]}"
        return
    alike = len(actual) == len(expected) and all(map(event_alike, actual, expected))
    assert alike, f"raised {actual}, the model {expected}"


def event_alike(actual: Event | ListenChange, expected: Event | ListenChange) -> bool:
    """Compare two events field by field, values by their trees."""
    if isinstance(expected, ListenChange) or isinstance(actual, ListenChange):
        return actual == expected
    plain: Callable[[Event], tuple[object, ...]] = lambda event: (
        event.kind,
        event.registration,
        event.path,
        event.query,
        event.key,
        event.previous_key,
        event.initial,
        event.origin,
        event.error,
    )
    value: Tree = actual.value
    return plain(actual) == plain(expected) and same(value, expected.value)
