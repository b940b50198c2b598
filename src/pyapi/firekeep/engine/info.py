"""``/.info``: what the client knows of itself, read like any other location."""

from firekeep_core.operation.operation import Overwrite
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY, Node, from_scalar
from firekeep_core.snap.path import Path
from firekeep_core.sync.event import Event
from firekeep_core.sync.sync_tree import SyncTree

__all__ = ["INFO", "Info"]

INFO = Path.from_keys((".info",))


class Info:
    """Serves ``.info/connected`` and ``.info/serverTimeOffset`` from a tree of its own.

    Nothing of it reaches the server, and nothing is said while a value is unknown.
    Source: sync-engine §7.2.
    """

    def __init__(self) -> None:
        self._tree = SyncTree()
        self._values: Node = EMPTY.update_child("connected", from_scalar(False))

    def set(self, key: str, value: bool | int) -> list[Event]:
        """Change one value; the same one again says nothing."""
        node = from_scalar(value)
        if self._values.child(key) == node:
            return []
        self._values = self._values.update_child(key, node)
        return self._tree.apply([Overwrite(INFO.child(key), node)])

    def add_registration(
        self, path: Path, params: QueryParams, registration: object, kinds: int
    ) -> list[Event]:
        """Add a listener, and answer its listen at once if there is something to say."""
        events, changes = self._tree.add_registration(path, params, registration, kinds)
        for change in changes:
            value = self.value(change.path)
            if change.start and not value.is_empty:
                events += self._tree.apply([Overwrite(change.path, value, change.tag)])
        return events

    def remove_registration(self, path: Path, params: QueryParams, registration: object) -> None:
        """Remove a listener."""
        self._tree.remove_registration(path, params, registration)

    def value(self, path: Path) -> Node:
        """Return what is at a path at or below ``/.info``; null if unknown."""
        return self._values.get(path.pop_front())
