"""The children of one location in the order of a query, kept for everyone who queries it."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any, Final

from firekeep_core.snap.keys import MAX_KEY, MIN_KEY, integer_key
from firekeep_core.snap.node import Node, from_scalar
from firekeep_core.snap.path import Path

__all__ = ["Bounds", "Entry", "OrderedIndex"]

Entry = tuple[Any, ...]
"""Sorts as the child does: rank and value of what orders it, its key; then the key as text."""

# The name that Android gives to MAX_KEY on the wire (wire §3.4).
OTHER_MAX_KEY = "[MAX_KEY]"
_NOTHING: Final = (0, 0)


class OrderedIndex:
    """The entries of all children in one order.

    A change costs a search, and the move of a part of one list of pointers.
    Source: sync-engine §1.6.
    """

    __slots__ = ("_order", "entries")

    def __init__(self, order: str, node: Node) -> None:
        self._order = Order(order)
        self.entries: list[Entry] = []
        self.rebuild(node)

    def rebuild(self, node: Node) -> None:
        """Take the children of `node` instead of those before."""
        self.entries = sorted([self._order.entry(key, child) for key, child in node.items()])

    def replace(self, key: str, old: Node, new: Node) -> None:
        """Take note that the child `key` was `old` and is `new`; either may be null."""
        before = None if old.is_empty else self._order.entry(key, old)
        after = None if new.is_empty else self._order.entry(key, new)
        if before == after:
            return
        if before is not None:
            del self.entries[bisect_left(self.entries, before)]
        if after is not None:
            self.entries.insert(bisect_left(self.entries, after), after)

    def position(self, key: str, child: Node) -> int:
        """Return where the entry of a child is that is there."""
        return bisect_left(self.entries, self._order.entry(key, child))


class Order:
    """What of a child decides its place."""

    __slots__ = ("_kind", "_path")

    def __init__(self, order: str) -> None:
        self._kind = order if order in ("priority", "key", "value") else "child"
        self._path = Path.from_wire(order)

    def entry(self, key: str, child: Node) -> Entry:
        """Return the entry of a child."""
        if self._kind == "key":
            rank = _NOTHING
        elif self._kind == "priority":
            rank = _rank(from_scalar(child.priority))
        else:
            rank = _rank(child if self._kind == "value" else child.get(self._path))
        return (*rank, _key_rank(key), key)


class Bounds:
    """The range of a query, in terms of entries.

    Source: wire §3.4, sync-engine §2.1 and §2.2.
    """

    __slots__ = ("_end", "_end_inclusive", "_start", "_start_inclusive")

    def __init__(self, order: str, query: Mapping[str, object]) -> None:
        self._start = _bound(order, query, "sp", "sn", MIN_KEY)
        self._start_inclusive = query.get("sin", True) is not False
        self._end = _bound(order, query, "ep", "en", MAX_KEY)
        self._end_inclusive = query.get("ein", True) is not False

    def range(self, entries: list[Entry]) -> tuple[int, int]:
        """Return where in the sorted entries those within begin and end."""
        start, end = 0, len(entries)
        if self._start is not None:
            bisect = bisect_left if self._start_inclusive else bisect_right
            start = bisect(entries, self._start, key=_place)
        if self._end is not None:
            bisect = bisect_right if self._end_inclusive else bisect_left
            end = bisect(entries, self._end, key=_place)
        return start, max(start, end)


def _place(entry: Entry) -> Entry:
    return entry[:3]


def _bound(
    order: str, query: Mapping[str, object], value_name: str, key_name: str, open_key: str
) -> Entry | None:
    if value_name not in query:
        return None
    value = query[value_name]
    if order == "key":
        return (*_NOTHING, _key_rank(str(value)))
    name = query.get(key_name)
    return (*_rank(from_scalar(value)), _key_rank(name if isinstance(name, str) else open_key))


def _rank(node: Node) -> tuple[int, Any]:
    if node.is_map:
        return (4, 0)
    value = node.value
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return (1, value)
    if isinstance(value, str):
        return (3, _code_units(value))
    return (2, float(value))


def _key_rank(key: str) -> tuple[Any, ...]:
    if key == MIN_KEY:
        return (-1,)
    if key in (MAX_KEY, OTHER_MAX_KEY):
        return (2,)
    number = integer_key(key)
    return (1, _code_units(key)) if number is None else (0, number, len(key), key)


def _code_units(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")
