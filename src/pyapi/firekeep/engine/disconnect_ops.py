"""What the server will do when the connection ends, and its local effect when it has."""

from firekeep.engine.requests import PendingWrite, Updates
from firekeep_core.operation.operation import Operation, Overwrite
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.server_value import contains_server_value, resolve
from firekeep_core.sync.sync_tree import SyncTree

__all__ = ["DisconnectOperations", "Values"]


class Rearmed(PendingWrite):
    """An operation that one more connection is told of; nobody waits for it."""

    __slots__ = ()

    def __init__(self, write: PendingWrite) -> None:
        super().__init__(
            write.id, write.path, write.kind, write.payload, write.size_bytes, 0, False
        )

    def settle(self, result: object, error: Exception | None) -> None:
        """Do nothing: the operation had its outcome when it was registered first."""


class Values:
    """A sparse tree of values; the last one set at a place is the one that counts there."""

    __slots__ = ("_children", "_node")

    def __init__(self) -> None:
        self._node: Node | None = None
        self._children: dict[str, Values] = {}

    def remember(self, path: Path, node: Node) -> None:
        """Set the value of a place; what was set below it is gone."""
        place = self
        for depth, key in enumerate(path.keys):
            if place._node is not None:
                rest = Path.from_keys(path.keys[depth:])
                place._node = place._node.update(rest, node)
                return
            place = place._children.setdefault(key, Values())
        place._node = node
        place._children.clear()

    def forget(self, path: Path) -> None:
        """Drop what was set at a place and below it; what surrounds it stays (I-94)."""
        place = self
        for key in path.keys:
            if place._node is not None:
                if not place._node.is_map:
                    return
                # One value covers the place: leave its siblings armed, each by itself.
                for name, child in place._node.items():
                    place._children.setdefault(name, Values())._node = child
                place._node = None
            child_place = place._children.get(key)
            if child_place is None:
                return
            place = child_place
        place._node = None
        place._children.clear()

    def items(self) -> Updates:
        """Return every place that has a value; none lies below another."""
        found: Updates = []
        self._collect((), found)
        return found

    def _collect(self, keys: tuple[str, ...], found: Updates) -> None:
        if self._node is not None:
            found.append((Path.from_keys(keys), self._node))
        for key, child in self._children.items():
            child._collect((*keys, key), found)


class DisconnectOperations:
    """The operations of one connection that await its end, and those that await a connection.

    Source: sync-engine §7.1.
    """

    def __init__(self, tree: SyncTree) -> None:
        self._tree = tree
        self._armed = Values()
        self._persistent: list[PendingWrite] = []
        self._queued: dict[PendingWrite, bool] = {}

    def queue(self, write: PendingWrite, *, persistent: bool) -> None:
        """Have an operation sent to the next connection, and to each later one if `persistent`."""
        self._cancel_persistent(write)
        self._queued[write] = persistent

    def sent(self, write: PendingWrite, *, persistent: bool) -> None:
        """Note that an operation was sent at once; `persistent`: have each connection told."""
        self._cancel_persistent(write)
        if persistent:
            self._persistent.append(write)

    def to_send(self) -> list[PendingWrite]:
        """Return what a new connection is to be told: what earlier ones were told comes first."""
        operations: list[PendingWrite] = [Rearmed(write) for write in self._persistent]
        operations += self._queued
        self._persistent += [write for write, persistent in self._queued.items() if persistent]
        self._queued.clear()
        return operations

    def confirmed(self, write: PendingWrite) -> None:
        """Remember what the server has agreed to do."""
        payload = write.payload
        if write.kind == "on_disconnect_cancel":
            self._armed.forget(write.path)
        elif type(payload) is list:
            for path, node in payload:
                self._armed.remember(write.path.child(path), node)
        elif isinstance(payload, Node):
            self._armed.remember(write.path, payload)

    def purge(self) -> list[PendingWrite]:
        """Drop and return what has not been sent."""
        dropped = list(self._queued)
        self._queued.clear()
        return dropped

    def _cancel_persistent(self, write: PendingWrite) -> None:
        """Stop repeating what a cancel covers."""
        if write.kind != "on_disconnect_cancel":
            return
        self._persistent = [kept for kept in self._persistent if not write.path.contains(kept.path)]
        for queued in self._queued:
            if write.path.contains(queued.path):
                self._queued[queued] = False

    def take_effects(self, now_ms: int) -> list[Operation]:
        """Return what the server has done by now, as one batch of its messages, once (I-93)."""
        armed, self._armed = self._armed, Values()
        operations: list[Operation] = []
        for path, node in armed.items():
            if contains_server_value(node):
                node = resolve(node, self._tree.latest_state(path), now_ms)
            operations.append(Overwrite(path, node))
        return operations
