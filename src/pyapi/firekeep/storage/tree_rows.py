"""One JSON tree as rows, each with a whole sub-tree of some size."""

from collections.abc import Sequence
from itertools import islice

from firekeep.storage.staging import Staging
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.store.layout import BLOCK_BYTES, path_bytes, path_from_bytes, range_end
from firekeep_core.store.record import decode_node, encode_node, seal, unseal

__all__ = ["TreeRows"]

PRIORITY = Path.from_keys([".priority"])
_PRIORITY_BYTES = path_bytes(PRIORITY)


class TreeRows:
    """The rows of one tree among others; every leaf is in exactly one of them.

    A row holds all that is at its place, a *block*, and there are no rows below one. A map larger
    than `BLOCK_BYTES` has no row: its children have, and its priority, if there is one, has a row
    ``.priority`` beside them. What has been split is not joined again when it shrinks: each row
    stays right by itself, and the next replacement of the whole writes it as one.
    """

    def __init__(self, staging: Staging, prefix: bytes) -> None:
        self._staging = staging
        self._prefix = prefix
        self._without_block: set[bytes] = set()
        """Rows known not to exist, within one commit."""
        self._shrunk: set[Path] = set()
        """Maps that have lost something, and with each one all those that it lies in."""

    def settle(self) -> None:
        """Forget what was learnt: the commit has been made or given up."""
        self._without_block.clear()
        self._shrunk.clear()

    def drop_priorities(self) -> None:
        """Take away the priority of each map that has nothing left; to be called before a commit.

        What was replaced since the last call counts as one change: a map keeps its priority if all
        its children have gone and others have come. Each map is looked at once, however many
        children it has lost.
        """
        for place in sorted(self._shrunk, key=len, reverse=True):
            start = self._key(place)
            key = start + _PRIORITY_BYTES
            record = self._staging.get(key)
            if record is not None:
                rows = self._staging.scan(start, range_end(start))
                if all(found == key for found, _ in islice(rows, 2)):
                    self._staging.delete_known(key, record)
        self._shrunk.clear()

    def load(self, path: Path) -> Node:
        """Return all that is at a path.

        Raises:
            CorruptRecord: a row of it is damaged.
        """
        found = self._block_above(path)
        if found is not None:
            place, block = found
            return block.get(path.relative_to(place))
        start = self._key(path)
        node = EMPTY
        priorities: list[tuple[Path, Node]] = []
        for key, record in self._staging.scan(start, range_end(start)):
            value = decode_node(unseal(key, record))
            place = path_from_bytes(key[len(start) :])
            if place and place.keys[-1] == ".priority":
                priorities.append((place, value))
            else:
                node = node.update(place, value)
        # Deepest first: an inner map has to be there before the outer one's priority counts.
        for place, value in reversed(priorities):
            node = node.update(place, value)
        return node

    def load_children(self, path: Path, keys: Sequence[str]) -> Node:
        """Return some children of a path; the cost is that of those, not of all there are."""
        node = EMPTY
        for key in keys:
            node = node.update_child(key, self.load(path.child(Path.from_keys([key]))))
        return node

    def replace(self, path: Path, node: Node) -> None:
        """Put a value at a path; a last key ``.priority`` sets the priority of what is there."""
        if path and path.keys[-1] == ".priority":
            self._set_priority(path, node)
            return
        found = self._block_above(path)
        if found is not None:
            self._change_block(*found, path, node)
            return
        start = self._key(path)
        record = self._staging.get(start)
        if record is not None:
            self._staging.delete_known(start, record)
        elif not self._staging.is_empty(start, range_end(start)):
            for key, record in list(self._staging.scan(start, range_end(start))):
                self._staging.delete_known(key, record)
        if node.is_empty:
            self._note_loss(path)
        else:
            self._write(start, node)

    def keep_only(self, path: Path, kept: Sequence[Path]) -> None:
        """Drop all at a path but what is at and below some places; none of these nest."""
        if not kept:
            self.replace(path, EMPTY)
            return
        if self._block_above(path) is not None:
            whole = self.load(path)
            part = EMPTY
            for place in kept:
                rest = place.relative_to(path)
                part = part.update(rest, whole.get(rest))
            self.replace(path, part)
            return
        self._note_loss(path)
        start = self._key(path)
        prefixes = sorted(map(self._key, kept))
        at = 0
        for key, record in list(self._staging.scan(start, range_end(start))):
            while at < len(prefixes) and range_end(prefixes[at]) <= key:
                at += 1
            if at < len(prefixes) and key.startswith(prefixes[at]):
                continue
            self._staging.delete_known(key, record)
            inside = [prefix for prefix in prefixes[at:] if prefix.startswith(key)]
            if inside:
                block = decode_node(unseal(key, record))
                for prefix in inside:
                    part = block.get(path_from_bytes(prefix[len(key) :]))
                    if not part.is_empty:
                        self._write(prefix, part)

    def _key(self, path: Path) -> bytes:
        return self._prefix + path_bytes(path)

    def _block_above(self, path: Path) -> tuple[Path, Node] | None:
        """Return the block that a path lies strictly inside of, and where it is."""
        place = path.parent
        while place is not None:
            key = self._key(place)
            if key not in self._without_block:
                record = self._staging.get(key)
                if record is not None:
                    return place, decode_node(unseal(key, record))
                self._without_block.add(key)
            place = place.parent
        return None

    def _change_block(self, place: Path, block: Node, path: Path, node: Node) -> None:
        changed = block.update(path.relative_to(place), node)
        if changed == block:
            return
        key = self._key(place)
        if changed.is_empty:
            self._staging.delete(key)
            self._note_loss(place)
        elif changed.is_map and changed.size_bytes > BLOCK_BYTES:
            self._staging.delete(key)
            self._write(key, changed)
        else:
            self._staging.put(key, seal(key, encode_node(changed)))

    def _write(self, key: bytes, node: Node) -> None:
        """Write rows where there are none."""
        self._without_block.discard(key)
        if not node.is_map or node.size_bytes <= BLOCK_BYTES:
            self._staging.put_new(key, seal(key, encode_node(node)))
            return
        for name, child in node.items():
            self._write(key + path_bytes(Path.from_keys([name])), child)
        priority = node.get(PRIORITY)
        if not priority.is_empty:
            place = key + _PRIORITY_BYTES
            self._staging.put_new(place, seal(place, encode_node(priority)))

    def _set_priority(self, path: Path, node: Node) -> None:
        place = path.parent or ROOT
        found = self._block_above(path)
        if found is not None:
            self._change_block(*found, path, node)
            return
        start = self._key(place)
        if next(self._staging.scan(start, range_end(start)), None) is None:
            return
        key = self._key(path)
        if node.is_empty:
            self._staging.delete(key)
        else:
            self._staging.put(key, seal(key, encode_node(node)))

    def _note_loss(self, path: Path) -> None:
        place = path.parent
        while place is not None and place not in self._shrunk:
            self._shrunk.add(place)
            place = place.parent
