"""``TrackedQueries``: the queries that the cache knows of, and which of them has to go first.

A query is *complete* if the cache holds all that it selects. One that is neither
listened to (active) nor kept synced (pinned) may be evicted, the least recently
used first. The order of use is a number that is stored with each query, so that
no clock is asked, and each step takes the same time however many queries there are.

Source: sync-engine §8.5, §8.8, W-43…W-46, W-51.
"""

from ..query.params cimport QueryParams
from ..snap.path cimport Path

cimport cython


@cython.final
cdef class TrackedQuery:
    """One query of one owner; its flags are changed by whoever then calls ``settle``."""

    cdef readonly long id
    cdef readonly long owner
    cdef readonly Path path
    cdef readonly QueryParams params
    cdef public bint is_active
    cdef public bint is_complete
    cdef public bint is_pinned
    cdef public bint is_stored          # whether it has a row
    cdef readonly long long last_use

    @property
    def is_default(self) -> bool:
        """Whether it is for all that is at its path."""
        return self.params.is_default

    @property
    def is_worth_a_row(self) -> bool:
        """Whether a restart has to know of it."""
        return self.is_complete or self.is_pinned


@cython.final
cdef class Place:
    cdef dict children              # key -> Place; None without any
    cdef dict queries               # params -> TrackedQuery; None without any

    cdef bint is_known(self) except -1:
        """Return whether a default query is complete here."""
        query = None if self.queries is None else self.queries.get(QueryParams.DEFAULT)
        return query is not None and (<TrackedQuery>query).is_complete


@cython.final
cdef class TrackedQueries:
    """All of them, by place and by the order of their use."""

    cdef dict roots                 # owner -> Place
    cdef dict by_id                 # id -> TrackedQuery
    cdef dict unused                # id -> TrackedQuery, the least recently used first
    cdef long last_id
    cdef long long last_use

    def __cinit__(self):
        self.roots = {}
        self.by_id = {}
        self.unused = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self):
        return iter(self.by_id.values())

    def restore(
        self,
        long id,
        long owner,
        Path path not None,
        QueryParams params not None,
        bint is_complete,
        bint is_pinned,
        long long last_use,
    ) -> TrackedQuery:
        """Add one that was stored; those used earlier come first."""
        cdef TrackedQuery query = self.add(id, owner, path, params)
        query.is_complete = is_complete
        query.is_pinned = is_pinned
        query.is_stored = True
        query.last_use = last_use
        self.last_id = max(self.last_id, id)
        self.last_use = max(self.last_use, last_use)
        self.settle(query)
        return query

    cdef TrackedQuery add(self, long id, long owner, Path path, QueryParams params):
        cdef TrackedQuery query = TrackedQuery.__new__(TrackedQuery)
        cdef Place place = self.roots.get(owner)
        cdef Place child
        if place is None:
            place = self.roots[owner] = Place.__new__(Place)
        for key in path.keys:
            if place.children is None:
                place.children = {}
            child = place.children.get(key)
            if child is None:
                child = place.children[key] = Place.__new__(Place)
            place = child
        if place.queries is None:
            place.queries = {}
        query.id = id
        query.owner = owner
        query.path = path
        query.params = params
        place.queries[params] = query
        self.by_id[id] = query
        return query

    cdef Place find_place(self, long owner, Path path):
        cdef Place place = self.roots.get(owner)
        for key in path.keys:
            if place is None or place.children is None:
                return None
            place = place.children.get(key)
        return place

    def find(
        self, long owner, Path path not None, QueryParams params not None
    ) -> TrackedQuery | None:
        """Return one of them, or None."""
        cdef Place place = self.find_place(owner, path)
        return None if place is None or place.queries is None else place.queries.get(params)

    def ensure(
        self, long owner, Path path not None, QueryParams params not None
    ) -> TrackedQuery:
        """Return one of them, which is added if need be."""
        query = self.find(owner, path, params)
        if query is None:
            self.last_id += 1
            query = self.add(self.last_id, owner, path, params)
        return query

    def use(self, TrackedQuery query not None) -> None:
        """Make it the one that was used last."""
        self.last_use += 1
        query.last_use = self.last_use
        self.unused.pop(query.id, None)
        self.settle(query)

    def settle(self, TrackedQuery query not None) -> None:
        """Take its flags into account; one that is worth nothing any more is to be removed."""
        if query.is_complete and not query.is_active and not query.is_pinned:
            self.unused.setdefault(query.id, query)
        else:
            self.unused.pop(query.id, None)

    def remove(self, TrackedQuery query not None) -> None:
        """Forget one of them."""
        cdef list spine = []
        cdef Place place = self.roots[query.owner], above
        del self.by_id[query.id]
        self.unused.pop(query.id, None)
        for key in query.path.keys:
            spine.append((place, key))
            place = place.children[key]
        del place.queries[query.params]
        if not place.queries:
            place.queries = None
        while spine and place.queries is None and place.children is None:
            above, key = spine.pop()
            del above.children[key]
            if not above.children:
                above.children = None
            place = above

    def oldest(self) -> TrackedQuery | None:
        """Return the one to be evicted next, or None if all there are have to stay."""
        for query in self.unused.values():
            return query
        return None

    def evictable(self) -> list[TrackedQuery]:
        """Return all that may go, the least recently used first."""
        return list(self.unused.values())

    def at(self, long owner, Path path not None) -> list[TrackedQuery]:
        """Return those at exactly this path."""
        cdef Place place = self.find_place(owner, path)
        return [] if place is None or place.queries is None else list(place.queries.values())

    def above(self, long owner, Path path not None) -> list[TrackedQuery]:
        """Return those at the places strictly above, the topmost first."""
        cdef Place place = self.roots.get(owner)
        cdef list found = []
        for key in path.keys:
            if place is None:
                break
            if place.queries is not None:
                found += place.queries.values()
            place = None if place.children is None else place.children.get(key)
        return found

    def below(self, long owner, Path path not None) -> list[TrackedQuery]:
        """Return those at and below the path."""
        cdef list found = [], waiting = [self.find_place(owner, path)]
        cdef Place place
        while waiting:
            place = waiting.pop()
            if place is None:
                continue
            if place.queries is not None:
                found += place.queries.values()
            if place.children is not None:
                waiting += place.children.values()
        return found

    def is_covered(self, long owner, Path path not None) -> bool:
        """Return whether a complete default query lies at the path or above it."""
        cdef Place place = self.roots.get(owner)
        for key in path.keys:
            if place is None or place.is_known():
                break
            place = None if place.children is None else place.children.get(key)
        return place is not None and place.is_known()

    def complete_children(self, long owner, Path path not None) -> list[str]:
        """Return the keys just below the path at which a default query is complete."""
        cdef Place place = self.find_place(owner, path), child
        cdef list keys = []
        if place is None or place.children is None:
            return keys
        for key, child in place.children.items():
            if child.is_known():
                keys.append(key)
        return keys
