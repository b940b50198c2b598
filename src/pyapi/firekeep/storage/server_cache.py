"""What the server said, on disk: one tree for each user, and the queries that it answers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from firekeep.exceptions import StorageFull
from firekeep.storage.backend import Backend
from firekeep.storage.cache_check import wrong_rows
from firekeep.storage.cache_report import CacheEntry, CacheReport, OpenedCache
from firekeep.storage.cache_rows import (
    ACKNOWLEDGED,
    OWNER,
    TRACKED,
    StoredQuery,
    acknowledged_key,
    data_prefix,
    number_in,
    owner_row,
    read_owner,
    read_tracked,
    tracked_key,
    tracked_row,
)
from firekeep.storage.claims import claimed_places, is_known
from firekeep.storage.held_children import HeldChildren
from firekeep.storage.staging import FIRST, LAST, Staging
from firekeep.storage.tree_rows import TreeRows
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
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.store.layout import range_end
from firekeep_core.store.record import seal
from firekeep_core.store.tracked import TrackedQueries, TrackedQuery

__all__ = ["ServerCache"]

DEFAULT = QueryParams.DEFAULT

# Once over the budget, so much of it is kept: the next byte does not start another eviction.
_KEPT_SHARE = 0.9


class ServerCache:
    """Used by one caller at a time, and may block for as long as the disk does.

    Data are kept only where a complete query selects them: all at a default query's path, and the
    children that a query with bounds or a limit *holds*. What no query claims any more is dropped
    with the last that did. The budget is that of all users together.

    Source: sync-engine §8.5 to §8.8, §8.11.
    """

    def __init__(self, backend: Backend, *, budget_bytes: int) -> None:
        self._backend = backend
        self._budget_bytes = budget_bytes
        self._staging = Staging(backend, least_bytes=budget_bytes)
        self._owners: dict[str | None, int] = {}
        self._new_owners: list[str | None] = []
        """Those whose row comes with the next commit."""
        self._owner = 0
        self._trees: dict[int, TreeRows] = {}
        """By owner, those that were asked for."""
        self._tree = TreeRows(self._staging, b"")
        self._queries = TrackedQueries()
        self._held = HeldChildren(self._staging, self._queries)
        self._touched: dict[int, TrackedQuery] = {}
        """Those whose row has to be brought up to date, by id."""
        self._removed: list[TrackedQuery] = []
        self._was_active: dict[tuple[int, Path, QueryParams], bool] = {}
        """What this commit changes, as it was before: no row says it."""
        self._left: list[tuple[int, Path]] = []
        """Places that something has ceased to claim, by owner."""

    @property
    def size_bytes(self) -> int:
        """The length of keys and values of all rows."""
        return self._staging.size_bytes

    def open(self, owner: str | None) -> OpenedCache:
        """Read what is there, for a user; must come first.

        Raises:
            CorruptRecord: it is damaged.
        """
        self.read()
        acknowledged = [number_in(key) for key, _ in self._rows(ACKNOWLEDGED)]
        report = self._commit()
        return OpenedCache(self.switch_owner(owner), acknowledged, report)

    def read(self) -> None:
        """Read what there is without changing anything, to look at it."""
        self._staging.count()
        for key, record in self._rows(OWNER):
            self._owners[read_owner(key, record)] = number_in(key)
        for stored in self._stored_queries():
            self._queries.restore(*stored)

    def switch_owner(self, owner: str | None) -> list[tuple[Path, QueryParams]]:
        """Go on with another user's data; return what that one keeps synced."""
        for query in self._queries:
            if query.is_active:
                query.is_active = False
                self._queries.use(query)
                self._touched[query.id] = query
        if self._touched:
            self._commit()
        number = self._owners.get(owner)
        if number is None:
            number = max(self._owners.values(), default=0) + 1
            self._owners[owner] = number
            self._new_owners.append(owner)
        if number != self._owner:
            self._tree = self._tree_of(number)
            self._owner = number
        return [(q.path, q.params) for q in self._queries if q.owner == number and q.is_pinned]

    def forget_owner(self, owner: str | None) -> None:
        """Drop everything of one user."""
        number = self._owners.get(owner)
        for query in [query for query in self._queries if query.owner == number]:
            self._remove(query)
        self._commit()

    def apply(self, changes: Sequence[CacheChange]) -> CacheReport:
        """Store changes, all or none, and evict what exceeds the budget in the same commit.

        Raises:
            CorruptRecord: something that had to be read is damaged; nothing was stored.
            StorageFull, StorageError: the disk did not take it; nothing was stored.
        """
        self._staging.count()
        try:
            for change in changes:
                self._appliers[type(change)](self, change)
        except BaseException:
            self._give_up()
            raise
        return self._commit()

    def load(self, path: Path, params: QueryParams) -> CachedQuery:
        """Return what is known of a query; its cost is that of what it selects.

        Raises:
            CorruptRecord: a row of it is damaged.
        """
        own = self._queries.find(self._owner, path, params)
        if own is not None and own.is_complete and not own.is_default:
            return CachedQuery(self._tree.load_children(path, self._held.of(own)), True, True)
        if is_known(self._queries, self._held, self._owner, path):
            return CachedQuery(self._tree.load(path), True, False)
        keys = set(self._queries.complete_children(self._owner, path))
        for query in self._queries.at(self._owner, path):
            if query.is_complete and not query.is_default:
                keys.update(self._held.of(query))
        return CachedQuery(self._tree.load_children(path, sorted(keys)), False, True)

    def entries(self) -> list[CacheEntry]:
        """Return the queries that the cache knows of, the most recently used first."""
        names = {number: owner for owner, number in self._owners.items()}
        found = sorted(self._queries, key=lambda query: -query.last_use)
        return [
            CacheEntry(names.get(q.owner), q.path, q.params, q.is_complete, q.is_pinned, q.last_use)
            for q in found
        ]

    def export(self, owner: str | None) -> Node:
        """Return all that is known of a user's tree; null for one that is not known."""
        return self._tree_of(self._owners.get(owner, 0)).load(ROOT)

    def recount(self) -> int:
        """Return the size of all rows by reading them all."""
        return sum(len(key) + len(value) for key, value in self._backend.scan(FIRST, LAST))

    def verify(self) -> list[str]:
        """Return, in plain words, what is wrong; reads everything."""
        wrong = wrong_rows(self._backend)
        counted = self.recount()
        if counted != self.size_bytes:
            wrong.append(f"the rows take {counted} bytes, not {self.size_bytes}")
        return wrong

    # ---- one change after the other ---------------------------------------------------

    def _replace(self, change: Replace) -> None:
        self._tree.replace(change.path, change.node)

    def _hold(self, change: Hold) -> None:
        query = self._queries.ensure(self._owner, change.path, change.params)
        removed = change.removed
        if change.is_all:
            removed = sorted(set(self._held.of(query)) - set(change.added))
        for key in change.added:
            self._held.add(query, key)
        for key in removed:
            self._held.remove(query, key)
            self._left.append((self._owner, change.path.child(Path.from_keys([key]))))

    def _complete(self, change: Complete) -> None:
        query = self._queries.ensure(self._owner, change.path, change.params)
        self._make_complete(query)
        if query.is_default:
            self._complete_below(change.path, is_followed=True)

    def _complete_below(self, path: Path, *, is_followed: bool) -> None:
        """Note that all below a place is known, and every window there derived from it.

        Unless the place `is_followed`, windows that are listened to stay as they are: the server
        goes on telling of them, and of nothing else there.
        """
        for query in self._queries.below(self._owner, path):
            if query.is_default:
                self._make_complete(query)
            elif is_followed or not query.is_active:
                self._drop_held(query)
                query.is_complete = False
                self._touch(query)

    def _make_complete(self, query: TrackedQuery) -> None:
        if not query.is_complete:
            query.is_complete = True
            self._queries.use(query)
            if not query.is_default:
                self._held.note_complete(query)
        self._touch(query)

    def _assume(self, change: Assume) -> None:
        if not self._queries.is_covered(self._owner, change.path):
            query = self._queries.ensure(self._owner, change.path, DEFAULT)
            query.is_complete = True
            self._queries.use(query)
            self._touch(query)
            self._complete_below(change.path, is_followed=False)
        # A write acts on what was there before it, unlike the differences that `Replace` tells of.
        self._tree.drop_priorities()
        self._tree.replace(change.path, change.node)
        self._tree.drop_priorities()

    def _track(self, change: Track) -> None:
        query = self._queries.ensure(self._owner, change.path, change.params)
        self._was_active.setdefault(_identity(query), query.is_active)
        query.is_active = change.is_active
        self._use(query)

    def _pin(self, change: Pin) -> None:
        query = self._queries.ensure(self._owner, change.path, change.params)
        query.is_pinned = change.is_pinned
        self._use(query)

    def _use(self, query: TrackedQuery) -> None:
        if query.is_default and not query.is_complete:
            # What it shows is known as part of something else, and stays when that goes.
            query.is_complete = is_known(self._queries, self._held, query.owner, query.path)
        self._queries.use(query)
        self._touch(query)

    def _forget(self, change: Forget) -> None:
        asked = self._queries.find(self._owner, change.path, change.params)
        denied = [] if asked is None else [asked]
        if change.params.is_default:
            denied += self._queries.below(self._owner, change.path)
            # Who may not read a place may not read all above it either: if that is listened to, the
            # server will say so.
            above = self._queries.above(self._owner, change.path)
            denied += [query for query in above if query.is_default and not query.is_active]
        for query in {query.id: query for query in denied}.values():
            if query is asked or not (query.is_active or query.is_pinned):
                self._remove(query)
                continue
            # Somebody listens to it, and will be told by the server what there is.
            self._drop_held(query)
            if query.is_complete and query.is_default:
                self._left.append((query.owner, query.path))
            query.is_complete = False
            self._touch(query)

    def _acknowledge(self, change: Acknowledged) -> None:
        key = acknowledged_key(change.write_id)
        self._staging.put(key, seal(key, b""))

    def _conclude(self, change: Concluded) -> None:
        self._staging.delete(acknowledged_key(change.write_id))

    def _clear(self, change: Clear) -> None:
        for query in self._queries.evictable():
            self._remove(query)

    _appliers: ClassVar[dict[type, Callable[["ServerCache", Any], None]]] = {
        Replace: _replace,
        Hold: _hold,
        Complete: _complete,
        Assume: _assume,
        Track: _track,
        Pin: _pin,
        Forget: _forget,
        Acknowledged: _acknowledge,
        Concluded: _conclude,
        Clear: _clear,
    }

    # ---- what is claimed --------------------------------------------------------------

    def _drop_held(self, query: TrackedQuery) -> None:
        for key in self._held.of(query):
            self._held.remove(query, key)
            self._left.append((query.owner, query.path.child(Path.from_keys([key]))))

    def _touch(self, query: TrackedQuery) -> None:
        self._queries.settle(query)
        self._touched[query.id] = query

    def _remove(self, query: TrackedQuery) -> None:
        """Let go of a query, and of what it alone claimed."""
        self._was_active.setdefault(_identity(query), query.is_active)
        if query.is_default:
            if query.is_complete:
                self._left.append((query.owner, query.path))
        else:
            self._drop_held(query)
        self._queries.remove(query)
        self._touched.pop(query.id, None)
        self._removed.append(query)

    def _drop_unclaimed(self) -> None:
        """Drop what lies at the places that were left and that nothing else claims."""
        left, self._left = self._left, []
        for owner, path in dict.fromkeys(left):
            kept = claimed_places(self._queries, self._held, owner, path)
            if kept is not None:
                self._tree_of(owner).keep_only(path, kept)

    def _tree_of(self, owner: int) -> TreeRows:
        tree = self._trees.get(owner)
        if tree is None:
            tree = self._trees[owner] = TreeRows(self._staging, data_prefix(owner))
        return tree

    # ---- committing -----------------------------------------------------------------------

    def _commit(self) -> CacheReport:
        """Store all at once; what the budget has no room for goes, or does not even come."""
        is_eviction = False
        try:
            self._settle_rows()
            is_eviction = not self._staging.is_changed
            before_bytes, evicted = self._bytes_after, 0
            if before_bytes > self._budget_bytes:
                evicted = self._evict(int(self._budget_bytes * _KEPT_SHARE))
                self._settle_rows()
            freed_bytes = before_bytes - self._bytes_after
            if self._staging.is_changed:
                self._staging.commit()
                self._new_owners.clear()
        except StorageFull:
            self._give_up()
            if is_eviction:
                # Nobody asked for it: all stays until there is space to do it.
                return self._report(0, 0)
            raise
        except BaseException:
            self._give_up()
            raise
        self._clear_staged()
        return self._report(evicted, freed_bytes)

    @property
    def _bytes_after(self) -> int:
        """The length of keys and values of all rows, once this commit has been made."""
        return self.size_bytes + self._staging.growth_bytes

    def _settle_rows(self) -> None:
        """Bring rows of queries up to date, and drop what nobody claims."""
        self._drop_unclaimed()
        for tree in self._trees.values():
            tree.drop_priorities()
        for query in self._touched.values():
            if not query.is_worth_a_row and not query.is_active:
                self._queries.remove(query)
                self._removed.append(query)
            elif query.is_worth_a_row:
                self._staging.put(*tracked_row(query))
                query.is_stored = True
            elif query.is_stored:
                self._staging.delete(tracked_key(query.id))
                query.is_stored = False
        self._touched.clear()
        for query in self._removed:
            if query.is_stored:
                self._staging.delete(tracked_key(query.id))
        self._removed.clear()
        if self._staging.is_changed:
            for owner in self._new_owners:
                self._staging.put(*owner_row(owner, self._owners[owner]))

    def _clear_staged(self) -> None:
        self._touched.clear()
        self._removed.clear()
        self._left.clear()
        self._was_active.clear()
        self._staging.clear()
        for tree in self._trees.values():
            tree.settle()

    def _give_up(self) -> None:
        """Go back to what is on disk, though that takes reading the table of queries again."""
        active = {_identity(query): query.is_active for query in self._queries}
        active |= self._was_active
        self._clear_staged()
        self._queries = TrackedQueries()
        self._held.forget(self._queries)
        for stored in self._stored_queries():
            self._queries.restore(*stored)
        for owner, path, params in [identity for identity, flag in active.items() if flag]:
            query = self._queries.ensure(owner, path, params)
            query.is_active = True
            self._queries.settle(query)

    def _evict(self, target_bytes: int) -> int:
        """Let the least recently used go until so much is left; return how many went."""
        count = 0
        for query in self._queries.evictable():
            if self._bytes_after <= target_bytes:
                break
            if self._is_needed(query):
                continue
            self._remove(query)
            self._drop_unclaimed()
            if query.is_stored:
                self._staging.delete(tracked_key(query.id))
                query.is_stored = False
            count += 1
        return count

    def _is_needed(self, query: TrackedQuery) -> bool:
        """Return whether a window that may not go is known as part of this whole only."""
        return query.is_default and any(
            (other.is_active or other.is_pinned) and not other.is_complete and not other.is_default
            for other in self._queries.below(query.owner, query.path)
        )

    def _report(self, evicted: int, freed_bytes: int) -> CacheReport:
        return CacheReport(
            self.size_bytes,
            self._budget_bytes,
            self.size_bytes > self._budget_bytes,
            len(self._queries),
            evicted,
            freed_bytes,
        )

    def _stored_queries(self) -> list[StoredQuery]:
        """Return the queries that have a row, the least recently used first."""
        found = [read_tracked(key, record) for key, record in self._rows(TRACKED)]
        return sorted(found, key=lambda stored: stored.last_use)

    def _rows(self, kind: bytes) -> Iterable[tuple[bytes, bytes]]:
        return self._staging.scan(kind, range_end(kind))


def _identity(query: TrackedQuery) -> tuple[int, Path, QueryParams]:
    return query.owner, query.path, query.params
