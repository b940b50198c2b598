"""What users write, checked and turned into what the core takes."""

from collections.abc import Mapping
from itertools import pairwise

from firekeep.exceptions import InvalidPath, InvalidValue
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_python, validate_priority

__all__ = ["check_writable", "priority_path", "read_updates"]

_PRIORITY = ".priority"


def check_writable(path: Path) -> None:
    """Refuse a location that only the client itself writes.

    Raises:
        InvalidPath: it lies at or below ``/.info``.
    """
    if path.front == ".info":
        raise InvalidPath(f"{path} is read-only")


def priority_path(path: Path) -> Path:
    """Return the location of a location's priority."""
    return path.child(_PRIORITY)


def read_updates(path: Path, values: Mapping[str, object]) -> list[tuple[Path, Node]]:
    """Return what a multi-path update at `path` writes where, relative to it, in order of paths.

    Raises:
        InvalidValue: it is no mapping, or one of the values can be nowhere.
        InvalidPath: one of its keys is no path, or lies at or below another one.
    """
    if not isinstance(values, Mapping):
        raise InvalidValue(f"update at {path}: expected a mapping, not {values!r:.60}")
    try:
        items = list(values.items())
    # Whatever a user's own mapping raises is why it cannot be written.
    except Exception as error:
        name = type(values).__name__
        raise InvalidValue(f"update at {path}: {name} cannot be read: {error!r:.60}") from error
    updates = [_read_update(path, key, value) for key, value in items]
    updates.sort(key=_path_of)
    for (above, _), (below, _) in pairwise(updates):
        # In this order what lies below a path follows it at once.
        if above.contains(below):
            raise InvalidPath(f"update at {path}: {above} and {below} overlap")
    return updates


def _read_update(path: Path, key: object, value: object) -> tuple[Path, Node]:
    if not isinstance(key, str):
        raise InvalidPath(f"update at {path}: {key!r:.60} is not a path")
    head, _, last = key.rstrip("/").rpartition("/")
    if last == _PRIORITY:
        below = Path.parse(head)
        _check_below(path, below)
        return below.child(_PRIORITY), validate_priority(value, path=path.child(below))
    below = Path.parse(key)
    if not below:
        raise InvalidPath(f"update at {path}: {key!r:.60} names no child")
    _check_below(path, below)
    return below, from_python(value, path=path.child(below))


def _check_below(path: Path, below: Path) -> None:
    if below.front == ".info":
        raise InvalidPath(f"update at {path}: {below} is read-only, and only at the root")


def _path_of(update: tuple[Path, Node]) -> Path:
    return update[0]
