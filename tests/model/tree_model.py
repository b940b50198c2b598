"""Values of the model: plain Python structures in export form, never changed in place.

``None`` is Empty, a scalar is a leaf, ``{".value": scalar, ".priority": p}`` a leaf with a
priority, ``{".sv": …}`` an unresolved server value, any other dict an inner node whose only
key with a dot may be ``.priority`` (sync-engine §1.1, §1.3). No inner node is empty or holds
an Empty child (I-2).
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeAlias, cast

Tree: TypeAlias = "bool | int | float | str | dict[str, Tree] | None"
Keys: TypeAlias = tuple[str, ...]
Rank: TypeAlias = tuple[int | float | bytes, ...]

PRIORITY = ".priority"
VALUE = ".value"
SERVER_VALUE = ".sv"

INTEGER_KEY = re.compile(r"-?0*[0-9]{1,10}\Z")
MIN_RANK: Rank = (-1,)
MAX_RANK: Rank = (2,)


def keys_of(text: str) -> Keys:
    """Split a path; slashes at the ends and doubled ones mean nothing."""
    return tuple(key for key in text.split("/") if key)


def from_export(data: Any) -> Tree:
    """Bring JSON data into the one form that a value has in the model."""
    if data is None or isinstance(data, bool | int | float | str):
        return data
    if isinstance(data, list):
        data = {str(index): child for index, child in enumerate(cast(list[Any], data))}
    assert isinstance(data, dict)
    data = cast(dict[str, Any], data)
    priority = data.get(PRIORITY)
    if VALUE in data:
        return with_priority(from_export(data[VALUE]), priority)
    if SERVER_VALUE in data:
        return with_priority({SERVER_VALUE: data[SERVER_VALUE]}, priority)
    children: dict[str, Tree] = {}
    for key, value in data.items():
        child = from_export(value)
        if child is not None and not key.startswith("."):
            children[key] = child
    return with_priority(children, priority) if children else None


def is_leaf(tree: Tree) -> bool:
    """Say whether the value is a scalar or an unresolved server value."""
    if isinstance(tree, dict):
        return VALUE in tree or SERVER_VALUE in tree
    return tree is not None


def leaf_value(tree: Tree) -> Tree:
    """Give the scalar (or ``{".sv": …}``) of a leaf, without its priority."""
    return tree[VALUE] if isinstance(tree, dict) and VALUE in tree else tree


def children_of(tree: Tree) -> dict[str, Tree]:
    """Give the children of an inner node, none for a leaf."""
    if not isinstance(tree, dict) or VALUE in tree or SERVER_VALUE in tree:
        return {}
    if PRIORITY in tree:
        return {key: child for key, child in tree.items() if key != PRIORITY}
    return tree


def priority_of(tree: Tree) -> Any:
    """Give the value's own priority."""
    return tree.get(PRIORITY) if isinstance(tree, dict) else None


def with_priority(tree: Tree, priority: Any) -> Tree:
    """Replace the priority; Empty has none (sync-engine §1.4)."""
    if tree is None or priority == priority_of(tree):
        return tree
    if is_leaf(tree):
        value = leaf_value(tree)
        return value if priority is None else {VALUE: value, PRIORITY: priority}
    assert isinstance(tree, dict)
    if priority is None:
        return children_of(tree)
    return {**tree, PRIORITY: priority}


def child_of(tree: Tree, key: str) -> Tree:
    """Give one child; ``.priority`` is the priority as a leaf."""
    if not isinstance(tree, dict):
        return None
    if key == PRIORITY or not (VALUE in tree or SERVER_VALUE in tree):
        return tree.get(key)
    return None


def get(tree: Tree, path: Keys) -> Tree:
    """Give the value at a path below."""
    for key in path:
        tree = child_of(tree, key)
    return tree


def update_child(tree: Tree, key: str, child: Tree) -> Tree:
    """Replace one child by the rules of sync-engine §1.4 (I-8, I-10)."""
    if key == PRIORITY:
        return with_priority(tree, leaf_value(child))
    if is_leaf(tree):
        return tree if child is None else with_priority({key: child}, priority_of(tree))
    children = {**tree} if isinstance(tree, dict) else {}
    if child is None:
        children.pop(key, None)
        return children if any(key != PRIORITY for key in children) else None
    children[key] = child
    return children


def update(tree: Tree, path: Keys, value: Tree) -> Tree:
    """Replace the value at a path, and what that changes above it."""
    if not path:
        return value
    return update_child(tree, path[0], update(child_of(tree, path[0]), path[1:], value))


def same(one: Tree, other: Tree) -> bool:
    """Compare two values deeply: 1 equals 1.0 but neither true nor "1"."""
    if one is other:
        return True
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and len(one) == len(other)
            and all(key in other and same(child, other[key]) for key, child in one.items())
        )
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def overlay_children(tree: Tree, above: Tree) -> Tree:
    """Lay the children of one value over another value."""
    for key, child in children_of(above).items():
        tree = update_child(tree, key, child)
    return tree


@lru_cache(maxsize=10_000)
def key_rank(key: str) -> Rank:
    """Give what a key sorts by (sync-engine §1.5)."""
    text = key.encode("utf-16-be", "surrogatepass")
    if INTEGER_KEY.match(key) and -(2**31) <= int(key) < 2**31:
        return (0, int(key), len(key), text)
    return (1, text)


def value_rank(tree: Tree) -> Rank:
    """Give what a value sorts by in value, child and priority order (sync-engine §1.6)."""
    if isinstance(tree, dict):
        if VALUE in tree:
            return value_rank(tree[VALUE])
        return (1,) if SERVER_VALUE in tree else (5,)
    if tree is None:
        return (0,)
    if isinstance(tree, bool):
        return (2, tree)
    if isinstance(tree, str):
        return (4, tree.encode("utf-16-be", "surrogatepass"))
    return (3, float(tree))


def resolve(tree: Tree, existing: Tree, spent: Iterable[Keys] = (), at: Keys = ()) -> Tree:
    """Replace each pending increment by what it makes of the existing value (sync-engine §5.7).

    Increments whose path is in `spent` count as nothing: the existing value already has them.
    """
    if not isinstance(tree, dict):
        return tree
    if is_leaf(tree):
        delta = increment_of(tree)
        if delta is None:
            return tree
        if at in spent:
            return existing
        return with_priority(add(existing, delta), priority_of(tree))
    resolved: dict[str, Tree] = {}
    for key, child in tree.items():
        if key == PRIORITY:
            resolved[key] = child
        else:
            known = resolve(child, child_of(existing, key), spent, (*at, key))
            if known is not None:
                resolved[key] = known
    return resolved if any(key != PRIORITY for key in resolved) else None


def increment_of(tree: Tree) -> int | float | None:
    """Give the delta of a leaf that is a pending increment."""
    value = leaf_value(tree)
    kind = value.get(SERVER_VALUE) if isinstance(value, dict) else None
    delta = kind.get("increment") if isinstance(kind, dict) else None
    return delta if isinstance(delta, int | float) else None


def add(existing: Tree, delta: float) -> int | float:
    """Add to a number; anything else counts as none."""
    value = leaf_value(existing)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return delta
    total = value + delta
    return float(total) if isinstance(total, int) and not -(2**63) <= total < 2**63 else total


def increments_in(tree: Tree, at: Keys = ()) -> Iterable[tuple[Keys, int | float]]:
    """Find every pending increment of a value with its path."""
    if not isinstance(tree, dict):
        return
    if is_leaf(tree):
        delta = increment_of(tree)
        if delta is not None:
            yield at, delta
        return
    for key, child in tree.items():
        if key != PRIORITY:
            yield from increments_in(child, (*at, key))
