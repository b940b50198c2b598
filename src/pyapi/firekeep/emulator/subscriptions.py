"""Who listens where, and what a commit makes each of them hear."""

from collections.abc import Sequence

from firekeep.emulator.listens import Listen, Piece, QueryListen, Sink, piece_push
from firekeep.emulator.messages import overwrite
from firekeep.emulator.ordered_index import OrderedIndex
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import ROOT, Path

__all__ = ["Subscriptions"]

PRIORITY = ".priority"


class Subscriptions:
    """All listens of one database, in a trie.

    A commit visits the places on the way to what it wrote, and those below that have listeners.
    """

    def __init__(self) -> None:
        self._root = _Place()

    @property
    def is_empty(self) -> bool:
        """Whether nobody listens."""
        return self._root.is_empty

    def add(self, listen: Listen, node: Node) -> None:
        """Tell a listen of every commit from now on; `node` is the value at its location."""
        place = self._root
        for key in listen.path.keys:
            place = place.children.setdefault(key, _Place())
        if isinstance(listen, QueryListen):
            place.add_query(listen, node)
        else:
            place.plain[listen.sink] = listen

    def remove(self, listen: Listen) -> None:
        """Tell a listen nothing more."""
        way = [self._root]
        for key in listen.path.keys:
            below = way[-1].children.get(key)
            if below is None:
                return
            way.append(below)
        if isinstance(listen, QueryListen):
            way[-1].remove_query(listen)
        elif way[-1].plain.get(listen.sink) is listen:
            del way[-1].plain[listen.sink]
        for place, key in zip(way[-2::-1], reversed(listen.path.keys), strict=True):
            if place.children[key].is_empty:
                del place.children[key]

    def deliver(self, old: Node, new: Node, base: Path, pieces: Sequence[Piece]) -> None:
        """Push what a commit changed: the pieces, written relative to `base`, made old to new.

        Each client hears of it in at most one untagged message per listen that no other of its
        listens covers, and in at most one message per tag (wire §3.5).
        """
        delivery = _Delivery(base, pieces)
        delivery.visit(self._root, ROOT, old, new, list(pieces), frozenset())
        delivery.flush(new)


class _Place:
    """One location that has listens, or has some below."""

    __slots__ = ("children", "indexes", "plain", "queries")

    def __init__(self) -> None:
        self.children: dict[str, _Place] = {}
        self.plain: dict[Sink, Listen] = {}
        self.queries: dict[QueryListen, None] = {}
        self.indexes: dict[str, OrderedIndex] = {}

    @property
    def is_empty(self) -> bool:
        return not (self.children or self.plain or self.queries)

    def add_query(self, listen: QueryListen, node: Node) -> None:
        self.queries[listen] = None
        if listen.needs_index:
            order = listen.params.order
            if order not in self.indexes:
                self.indexes[order] = OrderedIndex(order, node)
            listen.use_index(self.indexes[order])

    def remove_query(self, listen: QueryListen) -> None:
        self.queries.pop(listen, None)
        used = {query.params.order for query in self.queries if query.needs_index}
        self.indexes = {order: index for order, index in self.indexes.items() if order in used}


class _Delivery:
    """One commit on its way through the trie."""

    def __init__(self, base: Path, pieces: Sequence[Piece]) -> None:
        self._base = base
        self._pieces = pieces
        self._untagged: list[tuple[Sink, Path, Sequence[Piece]]] = []
        self._touched: dict[QueryListen, None] = {}

    def visit(
        self,
        place: _Place,
        path: Path,
        old: Node,
        new: Node,
        pieces: list[Piece],
        covered: frozenset[Sink],
    ) -> None:
        """Note the changes at `path`, where all the pieces lie, and below."""
        fresh = [sink for sink in place.plain if sink not in covered]
        self._untagged += [(sink, path, pieces) for sink in fresh]
        covered = covered.union(fresh)
        depth = len(path)
        groups: dict[str, list[Piece]] = {}
        for piece in pieces:
            keys = piece[0].keys
            if len(keys) == depth:
                self._replace(place, path, old, new, covered)
                return
            if keys[depth] == PRIORITY:
                for query in place.queries:
                    query.priority_changed(piece)
                    self._touched[query] = None
            else:
                groups.setdefault(keys[depth], []).append(piece)
        for key, group in groups.items():
            self._visit_child(place, path, key, (old.child(key), new.child(key)), group, covered)

    def _visit_child(
        self,
        place: _Place,
        path: Path,
        key: str,
        change: tuple[Node, Node],
        pieces: list[Piece],
        covered: frozenset[Sink],
    ) -> None:
        old, new = change
        for index in place.indexes.values():
            index.replace(key, old, new)
        for query in place.queries:
            query.child_changed(key, old, new, pieces)
            self._touched[query] = None
        below = place.children.get(key)
        if below is not None:
            self.visit(below, path.child(key), old, new, pieces, covered)

    def _replace(
        self, place: _Place, path: Path, old: Node, new: Node, covered: frozenset[Sink]
    ) -> None:
        """Note that everything at `path` was replaced."""
        for index in place.indexes.values():
            index.rebuild(new)
        for query in place.queries:
            query.replaced(old, new)
            self._touched[query] = None
        for key, below in place.children.items():
            self._replace_below(below, path.child(key), old.child(key), new.child(key), covered)

    def _replace_below(
        self, place: _Place, path: Path, old: Node, new: Node, covered: frozenset[Sink]
    ) -> None:
        if (place.plain or place.queries) and old == new:
            return
        fresh = [sink for sink in place.plain if sink not in covered]
        self._untagged += [(sink, path, ((path, new),)) for sink in fresh]
        self._replace(place, path, old, new, covered.union(fresh))

    def flush(self, root: Node) -> None:
        """Send what was noted: to each client the untagged first, then by tag."""
        texts: dict[tuple[Path, Path], str] = {}
        for sink, anchor, pieces in self._untagged:
            place = self._base if anchor.contains(self._base) else anchor
            name = (place if len(pieces) > 1 else ROOT, pieces[0][0])
            if name not in texts:
                texts[name] = _push(place, pieces)
            sink.push(texts[name])
        for query in self._touched:
            query.flush(root.get(query.path))


def _push(place: Path, pieces: Sequence[Piece]) -> str:
    if len(pieces) == 1:
        return overwrite(*pieces[0])
    return piece_push(place, [(path.relative_to(place), node) for path, node in pieces])
