"""The native engine with the model's methods: plain Python values in and out."""

from collections.abc import Iterable
from functools import cache
from typing import TypeAlias

from tests.model.engine_model import ListenChange
from tests.model.query_model import DEFAULT, Bound, Query
from tests.model.tree_model import Keys, Tree, from_export
from tests.model.view_model import ALL_KINDS, Event

from firekeep_core.operation.operation import (
    ListenComplete,
    Merge,
    Operation,
    Overwrite,
    RangeMerge,
)
from firekeep_core.operation.range_merge import apply_range_merge
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export
from firekeep_core.snap.value import from_export as node_of
from firekeep_core.sync import event as native
from firekeep_core.sync import listen_change as native_listens
from firekeep_core.sync import sync_tree as tree

Range: TypeAlias = tuple[Keys | None, Keys | None, Tree]  # after, up to, what is there now

# The model's query of each native one that was made from it.
QUERIES: dict[str, Query] = {}


@cache
def path_of(keys: Keys) -> Path:
    return Path.from_keys(keys)


@cache
def params_of(query: Query) -> QueryParams:
    """Build the native query by the methods that users call."""
    params = QueryParams.DEFAULT
    match query.order:
        case "priority":
            pass
        case "key":
            params = params.order_by_key()
        case "value":
            params = params.order_by_value()
        case order:
            params = params.order_by_child(order.removeprefix("child:"))
    if query.start is not None:
        start: Bound = query.start
        begin = params.start_after if start.exclusive else params.start_at
        params = begin(start.value) if start.key is None else begin(start.value, start.key)
    if query.end is not None:
        end: Bound = query.end
        finish = params.end_before if end.exclusive else params.end_at
        params = finish(end.value) if end.key is None else finish(end.value, end.key)
    if query.limit is not None:
        limit = params.limit_to_last if query.from_end else params.limit_to_first
        params = limit(query.limit)
    QUERIES[params.identifier] = query
    return params


params_of(DEFAULT)


def tree_of(node: Node) -> Tree:
    return from_export(export(node))


class NativeEngine:
    """A `SyncTree` that is asked and answers as `EngineModel` is and does."""

    def __init__(self) -> None:
        self.tree = tree.SyncTree()

    def add_registration(
        self, path: Keys, query: Query, registration: object, kinds: int = ALL_KINDS
    ) -> tuple[list[Event], list[ListenChange]]:
        events, listens = self.tree.add_registration(
            path_of(path), params_of(query), registration, kinds
        )
        return events_of(events), listens_of(listens)

    def remove_registration(
        self, path: Keys, query: Query, registration: object
    ) -> list[ListenChange]:
        removed = self.tree.remove_registration(path_of(path), params_of(query), registration)
        return listens_of(removed)

    def cancel(
        self, path: Keys, query: Query | None, error: object
    ) -> tuple[list[Event], list[ListenChange]]:
        params = None if query is None else params_of(query)
        events, listens = self.tree.cancel(path_of(path), params, error)
        return events_of(events), listens_of(listens)

    def overwrite(self, path: Keys, value: Tree, tag: int | None = None) -> list[Event]:
        return self._apply(Overwrite(path_of(path), node_of(value), tag))

    def merge(
        self, path: Keys, children: list[tuple[Keys, Tree]], tag: int | None = None
    ) -> list[Event]:
        return self._apply(Merge(path_of(path), nodes_of(children), tag))

    def listen_complete(self, path: Keys, tag: int | None = None) -> list[Event]:
        return self._apply(ListenComplete(path_of(path), tag))

    def range_merge(self, path: Keys, ranges: list[Range], tag: int | None = None) -> list[Event]:
        return self._apply(RangeMerge(path_of(path), native_ranges(ranges), tag))

    def _apply(self, operation: Operation) -> list[Event]:
        return events_of(self.tree.apply([operation]))

    def write(self, write_id: int, path: Keys, value: Tree, *, visible: bool = True) -> list[Event]:
        return events_of(self.tree.write(write_id, path_of(path), node_of(value), visible))

    def write_merge(
        self, write_id: int, path: Keys, children: list[tuple[Keys, Tree]]
    ) -> list[Event]:
        return events_of(self.tree.write_merge(write_id, path_of(path), nodes_of(children)))

    def mark_sent(self, write_id: int) -> None:
        self.tree.mark_sent(write_id)

    def connection_lost(self) -> list[Event]:
        return events_of(self.tree.connection_lost())

    def acknowledge(self, write_id: int) -> list[Event]:
        return events_of(self.tree.acknowledge(write_id))

    def revert(self, write_id: int) -> list[Event]:
        return events_of(self.tree.revert(write_id))

    def revert_all(self) -> list[Event]:
        return events_of(self.tree.revert_all())

    def server_node(self, path: Keys, query: Query) -> Tree:
        return tree_of(self.tree.server_node(path_of(path), params_of(query)))

    def is_complete(self, path: Keys, query: Query) -> bool:
        return self.tree.complete_value(path_of(path), params_of(query)) is not None

    def complete_value(self, path: Keys, query: Query) -> Tree:
        node = self.tree.complete_value(path_of(path), params_of(query))
        return None if node is None else tree_of(node)

    def latest_state(self, path: Keys, exclude: Iterable[int] = ()) -> Tree:
        return tree_of(self.tree.latest_state(path_of(path), frozenset(exclude)))

    def overlay(self, path: Keys, value: Tree) -> Tree:
        return tree_of(self.tree.overlay(path_of(path), node_of(value)))

    @property
    def is_empty(self) -> bool:
        return self.tree.is_empty


def native_ranges(ranges: list[Range]) -> list[tuple[Path | None, Path | None, Node]]:
    return [
        (
            None if start is None else path_of(start),
            None if end is None else path_of(end),
            node_of(value),
        )
        for start, end, value in ranges
    ]


def merge_ranges(value: Tree, ranges: list[Range]) -> Tree:
    """Replace what lies in the ranges of a value; the rules of wire §4.6 have their own tests."""
    return tree_of(apply_range_merge(node_of(value), native_ranges(ranges)))


def nodes_of(children: list[tuple[Keys, Tree]]) -> list[tuple[Path, Node]]:
    return [(path_of(path), node_of(value)) for path, value in children]


def events_of(events: list[native.Event]) -> list[Event]:
    return [
        Event(
            event.kind,
            event.registration,
            event.path.keys,
            QUERIES[event.params.identifier],
            event.key,
            event.previous_key,
            None if event.kind == "cancel" else tree_of(event.node),
            event.initial,
            event.origin,
            event.error,
        )
        for event in events
    ]


def listens_of(changes: list[native_listens.ListenChange]) -> list[ListenChange]:
    return [
        ListenChange(change.start, change.path.keys, QUERIES[change.params.identifier], change.tag)
        for change in changes
    ]
