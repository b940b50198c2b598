"""What one client wants written when its connection ends."""

from collections.abc import Sequence

from firekeep_core.snap.node import Node
from firekeep_core.snap.path import ROOT, Path

__all__ = ["OnDisconnect"]


class OnDisconnect:
    """The writes that wait, as a sparse tree: at most one on each way from the root.

    A later write replaces what waits there and below; below one that waits it becomes part of it.
    Server values stay as they are until the writes are made.
    Source: wire §3.3, sync-engine §7.1.
    """

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root = _Waiting()

    def set(self, path: Path, node: Node) -> None:
        """Let `node` be written at `path`."""
        self._root.remember(path.keys, node)

    def update(self, children: Sequence[tuple[Path, Node]]) -> None:
        """Let each node be written at its path."""
        for path, node in children:
            self.set(path, node)

    def cancel(self, path: Path) -> None:
        """Forget what waits at `path` and below, also if it is part of a write above."""
        self._root.forget(path.keys)

    def take(self) -> list[tuple[Path, Node]]:
        """Return the writes, no path of which is above another, and forget them."""
        writes: list[tuple[Path, Node]] = []
        self._root.collect(ROOT, writes)
        self._root = _Waiting()
        return writes


class _Waiting:
    __slots__ = ("children", "node")

    def __init__(self) -> None:
        self.node: Node | None = None
        self.children: dict[str, _Waiting] = {}

    def remember(self, keys: Sequence[str], node: Node) -> None:
        if not keys:
            self.node = node
            self.children = {}
        elif self.node is not None:
            self.node = self.node.update(Path.from_keys(keys), node)
        else:
            self.children.setdefault(keys[0], _Waiting()).remember(keys[1:], node)

    def forget(self, keys: Sequence[str]) -> bool:
        """Forget what waits there; return whether nothing is left here."""
        if not keys:
            self.node = None
            self.children = {}
            return True
        if self.node is not None:
            if not self.node.is_map:
                return False
            # A hole in a whole value leaves a write for each of its other children.
            items, self.node = self.node.items(), None
            for key, child in items:
                self.remember((key,), child)
        below = self.children.get(keys[0])
        if below is not None and below.forget(keys[1:]):
            del self.children[keys[0]]
        return not self.children

    def collect(self, path: Path, writes: list[tuple[Path, Node]]) -> None:
        if self.node is not None:
            writes.append((path, self.node))
        for key, below in self.children.items():
            below.collect(path.child(key), writes)
