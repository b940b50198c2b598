"""The slow, obvious disk: one value, a set of queries and a dictionary of writes."""

import copy

from firekeep_core.operation.cache_change import (
    Acknowledged,
    Assume,
    CacheChange,
    CachedQuery,
    Clear,
    Complete,
    Concluded,
    Forget,
    Hold,
    Pin,
    Replace,
    Track,
)
from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path

DEFAULT = QueryParams.DEFAULT
Query = tuple[Path, QueryParams]


class TrackedModel:
    """What is known of one query."""

    def __init__(self) -> None:
        self.is_active = False
        self.is_complete = False
        self.is_pinned = False
        self.keys: set[str] = set()

    def copy(self) -> "TrackedModel":
        """Return what is known at this moment."""
        other = copy.copy(self)
        other.keys = set(self.keys)
        return other


class DiskModel:
    """Forgets nothing, however large; a copy is what a crash leaves."""

    def __init__(self) -> None:
        self.root: Node = EMPTY
        self.tracked: dict[Query, TrackedModel] = {}
        self.uid: str | None = None
        """Whose are these two."""
        self.others: dict[str | None, tuple[Node, dict[Query, TrackedModel]]] = {}
        self.acknowledged: set[int] = set()
        self.ever_acknowledged: set[int] = set()
        self.queue: dict[int, QueuedWrite] = {}
        self.next_write_id = 1
        self.sent_through = 0

    def copy(self) -> "DiskModel":
        """Return what is there at this moment."""
        other = copy.copy(self)
        other.tracked = copy_of(self.tracked)
        other.others = {uid: (root, copy_of(kept)) for uid, (root, kept) in self.others.items()}
        other.acknowledged = set(self.acknowledged)
        other.ever_acknowledged = set(self.ever_acknowledged)
        other.queue = dict(self.queue)
        return other

    def open(self, uid: str | None = None) -> tuple[list[WriteEnvelope], int, list[Query]]:
        pinned = self.switch_owner([], uid, None)
        for write_id in self.acknowledged:
            self.queue.pop(write_id, None)
        self.acknowledged.clear()
        envelopes = [
            self.queue[id].envelope._replace(maybe_sent=id <= self.sent_through)
            for id in sorted(self.queue)
        ]
        return envelopes, self.next_write_id, pinned

    def switch_owner(
        self, changes: list[CacheChange], uid: str | None, cleared_uid: str | None
    ) -> list[Query]:
        self.apply(changes)
        for record in self.tracked.values():
            record.is_active = False
        self.others[self.uid] = (self.root, self.tracked)
        if cleared_uid is not None:
            self.others.pop(cleared_uid, None)
        self.root, self.tracked = self.others.pop(uid, (EMPTY, {}))
        self.uid = uid
        return [query for query, record in self.tracked.items() if record.is_pinned]

    def knows(self, uid: str | None) -> bool:
        """Return whether there is anything of a user's cache."""
        return bool(self.tracked if uid == self.uid else self.others.get(uid, (EMPTY, {}))[1])

    def store_writes(
        self, added: list[QueuedWrite], removed: list[int], sent_through: int
    ) -> list[int]:
        self.sent_through = max(self.sent_through, sent_through)
        for write in added:
            self.queue[write.envelope.id] = write
            self.next_write_id = max(self.next_write_id, write.envelope.id + 1)
        for write_id in removed:
            self.queue.pop(write_id, None)
        return sorted(self.acknowledged.intersection(removed))

    def load_writes(self, write_ids: list[int]) -> list[QueuedWrite]:
        return [self.queue[write_id] for write_id in write_ids if write_id in self.queue]

    def apply(self, changes: list[CacheChange]) -> None:
        self.ever_acknowledged |= {c.write_id for c in changes if isinstance(c, Acknowledged)}
        for change in changes:
            self._apply(change)
        for query, record in list(self.tracked.items()):
            if not (record.is_active or record.is_pinned or record.is_complete):
                # Of no use to anybody, it is not there to learn of what comes later.
                del self.tracked[query]

    def load(self, path: Path, params: QueryParams) -> CachedQuery:
        own = self.tracked.get((path, params))
        here = self.root.get(path)
        if own is not None and own.is_complete and params != DEFAULT:
            return CachedQuery(with_keys(here, own.keys), True, True)
        if self.is_known(path):
            return CachedQuery(here, True, False)
        keys: set[str] = set()
        for (place, query), record in self.tracked.items():
            if record.is_complete and place == path and query != DEFAULT:
                keys |= record.keys
            if record.is_complete and place.parent == path and query == DEFAULT:
                keys.add(place.keys[-1])
        return CachedQuery(with_keys(here, keys), False, True)

    def is_covered(self, path: Path) -> bool:
        """Return whether all at a path is known."""
        return any(
            query == DEFAULT and record.is_complete and place.contains(path)
            for (place, query), record in self.tracked.items()
        )

    def is_known(self, path: Path) -> bool:
        """Return whether all at a path is known, be it as part of a child that a window holds."""
        return self.is_covered(path) or any(
            record.is_complete
            and place != path
            and place.contains(path)
            and path.keys[len(place)] in record.keys
            for (place, _), record in self.tracked.items()
        )

    def _record(self, path: Path, params: QueryParams) -> TrackedModel:
        return self.tracked.setdefault((path, params), TrackedModel())

    def _complete_all(self, path: Path, *, is_followed: bool) -> None:
        """Note that all at a path is known; windows are derived from it from now on."""
        self._record(path, DEFAULT).is_complete = True
        for (place, query), record in self.tracked.items():
            if not path.contains(place):
                continue
            if query == DEFAULT:
                record.is_complete = True
            elif is_followed or not record.is_active:
                record.is_complete = False
                record.keys.clear()

    def _apply(self, change: CacheChange) -> None:
        match change:
            case Replace(path, node):
                self.root = self.root.update(path, node)
            case Assume(path, node):
                self.root = self.root.update(path, node)
                if not self.is_covered(path):
                    self._complete_all(path, is_followed=False)
            case Hold(path, params, added, removed, is_all):
                record = self._record(path, params)
                if is_all:
                    record.keys.clear()
                record.keys |= set(added)
                record.keys -= set(removed)
            case Complete(path, params):
                self._record(path, params).is_complete = True
                if params == DEFAULT:
                    self._complete_all(path, is_followed=True)
            case Track(path, params, is_active):
                record = self._record(path, params)
                record.is_active = is_active
                record.is_complete |= params == DEFAULT and self.is_known(path)
            case Pin(path, params, is_pinned):
                record = self._record(path, params)
                record.is_pinned = is_pinned
                record.is_complete |= params == DEFAULT and self.is_known(path)
            case Forget(path, params):
                for place, query in list(self.tracked):
                    record = self.tracked[place, query]
                    if (place, query) == (path, params):
                        del self.tracked[place, query]
                    elif params == DEFAULT and (
                        path.contains(place)
                        or (place.contains(path) and query == DEFAULT and not record.is_active)
                    ):
                        if record.is_active or record.is_pinned:
                            record.is_complete = False
                            record.keys.clear()
                        else:
                            del self.tracked[place, query]
            case Acknowledged(write_id):
                self.acknowledged.add(write_id)
            case Concluded(write_id):
                self.acknowledged.discard(write_id)
            case Clear():
                for query, record in list(self.tracked.items()):
                    if not (record.is_active or record.is_pinned):
                        del self.tracked[query]


def copy_of(tracked: dict[Query, TrackedModel]) -> dict[Query, TrackedModel]:
    """Return what is known at this moment of all queries."""
    return {query: record.copy() for query, record in tracked.items()}


def with_keys(node: Node, keys: set[str]) -> Node:
    """Return the children with these keys."""
    kept = EMPTY
    for key in keys:
        kept = kept.update_child(key, node.child(key))
    return kept
