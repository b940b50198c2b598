"""What one client has asked to be told about one location."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from firekeep.emulator import messages
from firekeep.emulator.ordered_index import Bounds, OrderedIndex
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path

__all__ = ["Listen", "Piece", "QueryListen", "Sink", "piece_push"]

Piece = tuple[Path, Node]
"""A location, and what was written there; a last key ``.priority`` means the priority."""


class Sink(Protocol):
    """Where pushes go: a client."""

    def push(self, text: str) -> None:
        """Send the message when its turn comes."""
        ...


class Listen:
    """A plain listen: everything at the location, without a tag."""

    def __init__(self, sink: Sink, path: Path) -> None:
        self.sink = sink
        self.path = path
        self.tag: int | None = None
        self.query: Mapping[str, object] | None = None
        """The query as the client wrote it; None for a plain listen."""

    def entitled(self, node: Node) -> Node:
        """Return what of the location's value the client is to hold."""
        return node


class QueryListen(Listen):
    """A listen to some of the children; what enters and leaves is sent under its tag.

    Within one commit: `replaced` or `child_changed`, as often as it takes, then `flush`.
    """

    def __init__(
        self,
        sink: Sink,
        path: Path,
        query: Mapping[str, object],
        params: QueryParams,
        tag: int,
    ) -> None:
        super().__init__(sink, path)
        self.tag = tag
        self.query = query
        self.params = params
        self.index: OrderedIndex | None = None
        self._bounds = Bounds(params.order, params.wire())
        self._limit = params.limit
        self._from_left = params.anchored == "l"
        # Only kept with a limit: without one, a child alone decides whether it is shown.
        self._shown: set[str] = set()
        self._was_shown: dict[str, bool] = {}
        self._pieces: dict[str, list[Piece]] = {}
        self._whole: tuple[Node, Node] | None = None
        self._location_pieces: list[Piece] = []

    @property
    def needs_index(self) -> bool:
        """Whether a change of one child can change what is shown of another."""
        return self._limit is not None

    def entitled(self, node: Node) -> Node:
        """Return the children that match, each complete."""
        return self.params.filter(node)

    def use_index(self, index: OrderedIndex) -> None:
        """Take what is shown now from an index of the location's children."""
        self.index = index
        start, end = self._window()
        self._shown = {entry[3] for entry in index.entries[start:end]}

    def replaced(self, old: Node, new: Node) -> None:
        """Note that all of the location was replaced; its index has been rebuilt."""
        self._whole = (old, new)
        if self.index is not None:
            self.use_index(self.index)

    def priority_changed(self, piece: Piece) -> None:
        """Note that the location itself has another priority."""
        if self.params.loads_all_data:
            self._location_pieces.append(piece)

    def child_changed(self, key: str, old: Node, new: Node, pieces: Sequence[Piece]) -> None:
        """Note that a child changed by these pieces; its index has just been told."""
        self._pieces[key] = list(pieces)
        if self._limit is None:
            self._note(key, self._matches(key, old))
            return
        assert self.index is not None
        entries = self.index.entries
        start, end = self._window()
        was_shown = key in self._shown
        self._note(key, was_shown)
        is_shown = self._matches(key, new) and start <= self.index.position(key, new) < end
        if was_shown and not is_shown:
            self._shown.discard(key)
            if end - start == self._limit:
                self._show(entries[end - 1 if self._from_left else start][3])
        elif is_shown and not was_shown:
            self._shown.add(key)
            if len(self._shown) > self._limit:
                self._hide(entries[end if self._from_left else start - 1][3])

    def flush(self, node: Node) -> None:
        """Send what changed under the tag in one message; `node` is the location's value."""
        if self._whole is not None:
            old, new = self._whole
            entitled = self.entitled(new)
            if self.entitled(old) != entitled:
                self.sink.push(messages.overwrite(self.path, entitled, self.tag))
        else:
            children = self._changes(node)
            if children:
                self.sink.push(piece_push(self.path, children, self.tag))
        self._whole = None
        self._was_shown = {}
        self._pieces = {}
        self._location_pieces = []

    def _changes(self, node: Node) -> list[Piece]:
        below = len(self.path)
        changes = [(_tail(path, below), value) for path, value in self._location_pieces]
        for key, was_shown in self._was_shown.items():
            child = node.child(key)
            is_shown = self._matches(key, child) if self._limit is None else key in self._shown
            if was_shown and is_shown:
                changes += [
                    (_tail(path, below), value) for path, value in self._pieces.get(key, ())
                ]
            elif was_shown or is_shown:
                changes.append((Path.from_keys((key,)), child if is_shown else EMPTY))
        return changes

    def _window(self) -> tuple[int, int]:
        """Return where in the index that which is to be shown begins and ends."""
        assert self.index is not None
        assert self._limit is not None
        start, end = self._bounds.range(self.index.entries)
        if self._from_left:
            return start, min(end, start + self._limit)
        return max(start, end - self._limit), end

    def _matches(self, key: str, child: Node) -> bool:
        return not child.is_empty and self.params.matches(key, child)

    def _show(self, key: str) -> None:
        if key not in self._shown:
            self._note(key, was_shown=False)
            self._shown.add(key)

    def _hide(self, key: str) -> None:
        self._note(key, was_shown=True)
        self._shown.discard(key)

    def _note(self, key: str, was_shown: bool) -> None:
        self._was_shown.setdefault(key, was_shown)


def piece_push(path: Path, children: Sequence[Piece], tag: int | None = None) -> str:
    """Return the push for changes below `path`: an overwrite if it is one, else a merge."""
    if len(children) == 1:
        below, node = children[0]
        return messages.overwrite(path.child(below), node, tag)
    return messages.merge(path, children, tag)


def _tail(path: Path, length: int) -> Path:
    return Path.from_keys(path.keys[length:])
