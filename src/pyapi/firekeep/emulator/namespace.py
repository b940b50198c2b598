"""One database: its value, and everyone who is to hear of a change."""

import secrets
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

from firekeep.emulator.clock import Clock
from firekeep.emulator.listens import Piece
from firekeep.emulator.subscriptions import Subscriptions
from firekeep.push_id import RANDOM_BITS, PushIdGenerator
from firekeep_core.errors import InvalidPath, InvalidValue
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.server_value import contains_server_value, resolve
from firekeep_core.snap.value import from_python, validate_priority

__all__ = ["Namespace", "read_path", "read_piece", "read_update"]

PRIORITY = ".priority"
INFO = ".info"


class Namespace:
    """One database. Every commit is atomic: it is seen whole by whoever reads or listens."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        root: Node = EMPTY,
        *,
        note_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.root = root
        self._note_change = note_change
        self.clock = clock
        self.subscriptions = Subscriptions()
        self._denied: dict[Path, tuple[bool, bool]] = {}
        self._push_ids = PushIdGenerator()

    def commit(self, base: Path, pieces: Sequence[Piece]) -> list[Piece]:
        """Write the pieces, no path of which is above another, and tell the listeners.

        `base` contains all the paths; a message about several pieces is relative to it. Server
        values become what they stand for, all timestamps the same; returns what was written.

        Raises:
            InvalidValue: an unknown server value; nothing is changed.
        """
        now_ms = self.clock.now_ms()
        old = new = self.root
        written: list[Piece] = []
        for path, node in pieces:
            if contains_server_value(node):
                node = resolve(node, old.get(path), now_ms)
            if path.key == PRIORITY and path.parent is not None and old.get(path.parent).is_empty:
                continue
            written.append((path, node))
            new = new.update(path, node)
        self.root = new
        if written:
            self._note_change()
            self.subscriptions.deliver(old, new, base, written)
        return written

    def matches(self, path: Path, digest: str) -> bool:
        """Return whether the value at `path` has this hash; the empty hash is that of null."""
        return hash_v1(self.root.get(path)) == digest

    def next_push_id(self) -> str:
        """Return a key for a new child that sorts behind those made before."""
        return self._push_ids.next_id(self.clock.now_ms(), secrets.randbits(RANDOM_BITS))

    def deny(self, path: Path, *, read: bool, write: bool) -> None:
        """Refuse reads or writes, or neither again, at `path` and below."""
        self._denied[path] = (read, write)

    def allows_reading(self, path: Path) -> bool:
        """Return whether the value at `path` may be read."""
        return path.front != INFO and not self._is_denied(path, 0)

    def allows_writing(self, path: Path) -> bool:
        """Return whether `path` may be written."""
        return path.front != INFO and not self._is_denied(path, 1)

    def _is_denied(self, path: Path, which: int) -> bool:
        return any(denied[which] for place, denied in self._denied.items() if place.contains(path))


def read_path(text: str) -> Path:
    """Return the location that a client names; its last key may be ``.priority``.

    Raises:
        InvalidPath: a key that no child may have.
    """
    path = Path.from_wire(text)
    if path.key == PRIORITY and path.parent is not None:
        return Path.parse(str(path.parent)).child(PRIORITY)
    return Path.parse(text)


def read_piece(path: Path, value: object) -> Piece:
    """Return a client's write as a piece; the value may hold server values.

    Raises:
        InvalidArgument: a value that no database can hold there.
    """
    if path.key == PRIORITY and path.parent is not None:
        return path, validate_priority(value, path=path.parent)
    return path, from_python(value, path=path)


def read_update(base: Path, value: object) -> list[Piece]:
    """Return a client's update as pieces; an array stands for its indexes.

    Raises:
        InvalidArgument: no object, a path that contains another, or a value that cannot be held.
    """
    if isinstance(value, list):
        items = cast("list[object]", value)
        children = {str(index): item for index, item in enumerate(items)}
    elif isinstance(value, dict):
        children = cast("dict[str, object]", value)
    else:
        raise InvalidValue(f"update at {base}: an object is needed, not {value!r:.80}")
    pieces = [read_piece(base.child(read_path(key)), item) for key, item in children.items()]
    paths = sorted(path for path, _ in pieces)
    for path, other in pairwise(paths):
        # In key order, what lies below a path follows it at once.
        if path.contains(other):
            raise InvalidPath(f"update at {base}: {path} contains {other}")
    if base in paths:
        raise InvalidPath(f"update at {base}: a path has to name something below")
    return pieces
