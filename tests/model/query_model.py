"""Queries of the model: orders, bounds and windows, evaluated by sorting everything."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from tests.model.tree_model import (
    MAX_RANK,
    MIN_RANK,
    Keys,
    Rank,
    Tree,
    children_of,
    get,
    key_rank,
    keys_of,
    priority_of,
    same,
    value_rank,
)

MIN_KEY = "[MIN_NAME]"
MAX_KEY = "[MAX_NAME]"

Post: TypeAlias = tuple[Rank, Rank]


@dataclass(frozen=True)
class Bound:
    """One end of a range; `key` None means beyond all ties, on the side that the bound is for."""

    value: bool | int | float | str | None
    key: str | None = None
    exclusive: bool = False


@dataclass(frozen=True)
class Query:
    """What a listener asks for: an order, a range and a limit (sync-engine §2.1).

    `order` is ``priority``, ``key``, ``value`` or ``child:`` and a path.
    """

    order: str = "priority"
    start: Bound | None = None
    end: Bound | None = None
    limit: int | None = None
    from_end: bool = False

    @property
    def loads_all(self) -> bool:
        """Say whether the query shows every child, in whatever order."""
        return self.start is None and self.end is None and self.limit is None

    @property
    def is_default(self) -> bool:
        """Say whether this is the query of a plain listener."""
        return self.loads_all and self.order == "priority"

    @cached_property
    def child_path(self) -> Keys:
        """Give the path that a child order looks at."""
        return keys_of(self.order.removeprefix("child:"))

    def ordered_by(self, key: str, child: Tree) -> Rank:
        """Give what a child sorts by, before its key breaks ties."""
        if self.order == "key":
            return key_rank(key)
        if self.order == "priority":
            return value_rank(priority_of(child))
        if self.order == "value":
            return value_rank(child)
        return value_rank(get(child, self.child_path))

    def post(self, item: tuple[str, Tree]) -> Post:
        """Give the place of a child in the order."""
        return self.ordered_by(*item), key_rank(item[0])

    def moves(self, key: str, old: Tree, new: Tree) -> bool:
        """Say whether a changed child's order key changed (sync-engine §1.6)."""
        if self.order == "value":
            return not same(old, new)
        return self.ordered_by(key, old) != self.ordered_by(key, new)

    def _bound_post(self, bound: Bound, beyond_ties: Rank) -> Post:
        if bound.key is not None:
            return value_rank(bound.value), key_rank(bound.key)
        if bound.exclusive:
            beyond_ties = MIN_RANK if beyond_ties == MAX_RANK else MAX_RANK
        if self.order == "key":
            ends = {MIN_KEY: MIN_RANK, MAX_KEY: MAX_RANK}
            return ends.get(str(bound.value)) or key_rank(str(bound.value)), beyond_ties
        return value_rank(bound.value), beyond_ties

    def matches(self, key: str, child: Tree) -> bool:
        """Say whether a child lies within the bounds (sync-engine §2.5, I-15)."""
        post = self.post((key, child))
        if self.start is not None:
            start = self._bound_post(self.start, MIN_RANK)
            if post < start or (self.start.exclusive and post == start):
                return False
        if self.end is not None:
            end = self._bound_post(self.end, MAX_RANK)
            if post > end or (self.end.exclusive and post == end):
                return False
        return True

    def window(self, tree: Tree) -> list[tuple[str, Tree]]:
        """Give the children that the query shows of a whole value, in order."""
        items = sorted(
            (item for item in children_of(tree).items() if self.matches(*item)), key=self.post
        )
        if self.limit is None or len(items) <= self.limit:
            return items
        return items[-self.limit :] if self.from_end else items[: self.limit]

    def filter(self, tree: Tree) -> Tree:
        """Give the value that the query shows: without priority, Empty for a leaf."""
        if self.loads_all:
            return tree
        return dict(self.window(tree)) or None


DEFAULT = Query()


def from_case(params: Mapping[str, Any]) -> Query:
    """Read the `params` of a case (syncpoint-format, "Queries"); the tag is not part of it."""
    order = "priority"
    start = end = None
    limit: int | None = None
    from_end = False
    for name, value in params.items():
        match name:
            case "orderBy":
                order = f"child:{value}"
            case "orderByKey" | "orderByValue" | "orderByPriority":
                order = name.removeprefix("orderBy").lower()
            case "startAt" | "startAfter":
                start = _bound(value, name == "startAfter")
            case "endAt" | "endBefore":
                end = _bound(value, name == "endBefore")
            case "equalTo":
                start = end = _bound(value, False)
            case "limitToFirst" | "limitToLast":
                limit, from_end = value, name == "limitToLast"
            case "tag":
                pass
            case _:
                raise ValueError(f"params: unknown key {name!r}")
    return Query(order, start, end, limit, from_end)


def _bound(post: Any, exclusive: bool) -> Bound:
    unknown = post.keys() - {"index", "name"}
    if unknown:
        raise ValueError(f"bound: unknown keys {sorted(unknown)}")
    return Bound(post["index"], post.get("name"), exclusive)
