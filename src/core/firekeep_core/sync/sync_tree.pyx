"""``SyncTree``: what the server said, what the user wrote, and who is told what.

A view that loads a whole location and is complete *covers* it: every other view
there and below is derived from it, by pointing into its value, and holds no data
of its own. What no complete view covers is held view by view, as far as it is
known. An operation descends its path once, from the root: views are brought up
to date on the way down, so that each finds its cover's state after the
operation, and events are handed up, so that those of deeper locations come first.

Where a covering view's value did not change, nothing below it can have changed:
identity of words ends the descent.

Source: sync-engine §4, §10.7.
"""

from ..operation.operation cimport ListenComplete, Merge, Operation, Overwrite, RangeMerge
from ..operation.range_merge cimport merge_ranges
from ..query.params cimport QueryParams
from ..snap.node cimport Node, new_node
from ..snap.path cimport Path
from ..snap.word cimport (
    FK_EMPTY,
    fk_child,
    fk_is_empty,
    fk_word,
    get_path,
    release,
    retain,
)
from .absorption cimport absorb, absorbing_views, expected_values, pending_increments
from .descent cimport Descent
from .evaluation cimport refresh
from .event cimport CANCEL, Event
from .learning cimport learn, teach
from .listen_change cimport listen_change, listens_for, start_below
from .part cimport (
    ACKNOWLEDGED,
    LISTEN_COMPLETE,
    LOCAL,
    REVERTED,
    SERVER_MERGE,
    SERVER_OVERWRITE,
    Part,
    part_of,
)
from .sync_point cimport (
    SyncPoint,
    disown,
    find_cover,
    find_holder,
    find_point,
    hand_down,
    inherit,
)
from .unstored cimport Unstored
from .view cimport HEAD, WHOLE, Registration, View
from .write_tree cimport Reading, WriteEntry, WriteTree

from ..operation.cache_change import CacheChange, CachedQuery


cdef class SyncTree:
    """Listeners, server data and pending writes of one database.

    Calls return the events they cause, in the order of delivery, and perform
    nothing. Every mutation comes from one writer.
    """

    def __cinit__(self):
        self.writes = WriteTree()
        self.root = SyncPoint.__new__(SyncPoint)
        self.by_tag = {}
        self.hidden = set()
        self.sent = set()
        self.unstored = Unstored(self.root)
        self.descent = Descent(self.writes, self.sent, self.unstored)
        self.unknown_tags = set()

    @property
    def is_empty(self) -> bool:
        """Whether nobody listens anywhere."""
        return not self.root.views and self.root.children is None

    def take_unknown_tags(self) -> set[int]:
        """Return, once each, the tags of messages that were for no query listened to."""
        tags = self.unknown_tags
        self.unknown_tags = set()
        return tags

    # ---- listening ------------------------------------------------------------

    def add_registration(
        self, Path path not None, QueryParams params not None, registration: object, int kinds
    ) -> tuple[list[Event], list[ListenChange]]:
        """Add a listener; return what it is told at once and the listens to change.

        ``kinds`` is a mask of ``event.KINDS``; 0 hears nothing and keeps data synced.
        """
        cdef SyncPoint point = self.root
        cdef Py_ssize_t i
        cdef View view
        cdef list listens = []
        for i in range(path.length):
            point = point.ensure_child(path.words[i])
        view = point.find(params)
        if view is None:
            view = self.create(point, path, params)
            listens = listens_for(point, view)
        return view.initial_events(view.add_registration(registration, kinds)), listens

    cdef View create(self, SyncPoint point, Path path, QueryParams params):
        """A view with all that is known already, but without a word to anybody."""
        cdef View view = View(path, params)
        cdef View primary = point.primary()
        cdef Py_ssize_t depth = 0
        cdef View cover = find_cover(self.root, path, &depth)
        cdef fk_word full
        if not view.loads_all:
            self.last_tag += 1
            view.tag = self.last_tag
            self.by_tag[view.tag] = view
        self.unstored.track(point, view, True)
        point.views.append(view)
        if cover is not None:
            view.covered = True
            full = get_path(cover.full, path.words + depth, path.length - depth)
            retain(full)
            view.show(full, True, None, None)
            return view
        if view.loads_all and primary is not None:
            retain(primary.full)
            view.show(primary.full, primary.complete, None, None)
            return view
        learn(self.root, point, view)
        refresh(self.writes, view, None, None)
        return view

    def remove_registration(
        self, Path path not None, QueryParams params not None, registration: object
    ) -> list[ListenChange]:
        """Remove one registration of that token; a token that is not there is no error."""
        cdef SyncPoint point = find_point(self.root, path)
        cdef View view = None if point is None else point.find(params)
        if view is None or not view.remove_registration(registration) or view.registrations:
            return []
        return self.remove_view(point, view, True)

    cdef list remove_view(self, SyncPoint point, View view, bint stop):
        cdef list changes = [], heirs = []
        cdef View primary = point.primary()
        cdef View heir
        cdef SyncPoint above
        cdef bint alone
        if stop:
            self.unstored.leave(view)
        else:
            self.unstored.drop(view)
        point.views.remove(view)
        self.unstored.track(point, view, False)
        self.by_tag.pop(view.tag, None)
        if view is primary:
            heir = point.primary()
            if heir is not None:
                inherit(heir, view)
            elif view.covers() and not view.covered:
                hand_down(point, view, heirs)
                for heir in heirs:
                    self.unstored.touch(heir)
        if view.loads_all and point.primary() is None:
            alone = True
            above = point.parent
            while above is not None and alone:
                alone = above.primary() is None
                above = above.parent
            if alone:
                start_below(point, changes)
        elif view.loads_all and view.listening:
            # the listen goes on for the other whole view of the location
            point.primary().listening = True
            view.listening = False
        if view.listening and stop:
            changes.append(listen_change(view, False))
        while point.parent is not None and not point.views and point.children is None:
            above = point.parent
            above.drop_child(point)
            point = above
        return changes

    def cancel(
        self, Path path not None, params: QueryParams | None, error: object
    ) -> tuple[list[Event], list[ListenChange]]:
        """Remove a query that the server refused or revoked and tell its listeners.

        The default query, or None, takes every query of the location with it.
        """
        cdef SyncPoint point = find_point(self.root, path)
        cdef SyncPoint below
        cdef View view
        cdef Registration registration
        cdef Event event
        cdef list events = [], changes = []
        if point is None:
            return events, changes
        everything = params is None or (<QueryParams>params).loads_all
        for view in list(point.views):
            if everything or view.params == params:
                for registration in view.registrations.values():
                    if registration.kinds & CANCEL:
                        event = Event.__new__(Event)
                        event.code = CANCEL
                        event.registration = registration.token
                        event.path = path
                        event.params = view.params
                        event.origin = "server"
                        event.error = error
                        events.append(event)
                view.registrations.clear()
        # filtered ones first: while a whole view stands, taking them off changes no listen
        for view in [v for v in point.views if not (<View>v).loads_all] + list(point.views):
            if not view.registrations and point.find(view.params) is view:
                changes += self.remove_view(point, view, False)
        if everything and point.children is not None:
            # With what was denied the disk forgets all below it, of which others still hear.
            for below in point.in_key_order():
                self.unstored.forget_below(below)
        return events, changes

    # ---- the server --------------------------------------------------------------

    def apply(self, operations) -> list[Event]:
        """Apply the server's messages of one turn, in order; return the events of all."""
        cdef Operation operation
        cdef list events = []
        for operation in operations:
            if operation.tag_number:
                events += self.apply_tagged(operation)
            else:
                events += self.apply_untagged(operation)
        return events

    cdef list apply_untagged(self, Operation operation):
        cdef list parts
        cdef SyncPoint point
        cdef View view
        cdef Path path = operation.path
        cdef Path below
        cdef Node node
        if isinstance(operation, Overwrite):
            parts = [part_of(path, (<Overwrite>operation).node)]
        elif isinstance(operation, Merge):
            parts = []
            for below, node in (<Merge>operation).children:
                parts.append(part_of(path.child(below), node))
            return self.run(SERVER_MERGE, parts, "server")
        else:
            point = find_point(self.root, path)
            view = None if point is None else point.primary()
            if view is None or view.covered:
                return []
            retain(view.server)
            node = new_node(view.server)
            if isinstance(operation, ListenComplete):
                return self.run(LISTEN_COMPLETE, [part_of(path, node)], "server")
            node = merge_ranges(node, (<RangeMerge>operation).ranges)
            parts = [part_of(path, node)]
        return self.run(SERVER_OVERWRITE, parts, "server")

    cdef list apply_tagged(self, Operation operation):
        cdef View view = self.by_tag.get(operation.tag_number)
        cdef Path path, below
        cdef Node node
        cdef list touched = [], children = [], parts, expected
        cdef Part part
        cdef bint whole = False
        cdef int accepted
        if view is None:
            self.unknown_tags.add(operation.tag_number)
            return []
        if view.covered or not view.path.contains(operation.path):
            return []
        path = operation.path.relative_to(view.path)
        if isinstance(operation, ListenComplete):
            if not path.length:
                view.complete_server(True)
                whole = True
        elif isinstance(operation, RangeMerge):
            retain(view.server)
            # The ranges are those of what the listen's hash was made of: the window.
            node = view.params.filter(new_node(view.server))
            node = merge_ranges(node, (<RangeMerge>operation).ranges)
            children = [(path, node)]
        elif isinstance(operation, Overwrite):
            children = [(path, (<Overwrite>operation).node)]
        elif not fk_is_empty(view.server) or view.server_complete:
            children = [
                (path.child(below), node) for below, node in (<Merge>operation).children
            ]
        parts = [part_of(view.path.child(below), node) for below, node in children]
        expected = expected_values(self.writes, self.sent, view, parts)
        for part in parts:
            if part.path.length == view.path.length:
                view.accept(NULL, 0, part.node.word, True)
                whole = True
                continue
            accepted = self.descent.accept(view, part, True)
            if accepted == HEAD:
                touched.append(part)
            whole = whole or accepted == WHOLE
        absorb(view, expected)
        if not touched and not whole:
            return []
        self.unstored.touch(view)
        return refresh(self.writes, view, "server", None if view.evict() or whole else touched)

    # ---- the user ----------------------------------------------------------------

    def write(
        self, long write_id, Path path not None, Node node not None, bint visible = True
    ) -> list[Event]:
        """Overwrite ``path``; increments inside stay symbolic until the server answers."""
        self.writes.add(write_id, [(path, node)], visible)
        if not visible:
            self.hidden.add(write_id)
            return []
        return self.run(LOCAL, [part_of(path, node)], "local")

    def write_merge(
        self, long write_id, Path path not None, list children not None
    ) -> list[Event]:
        """Overwrite each of the relative paths, as one write."""
        cdef Path below
        cdef Node node
        cdef list parts = [(path.child(below), node) for below, node in children]
        self.writes.add(write_id, parts, True)
        return self.run(LOCAL, [part_of(below, node) for below, node in parts], "local")

    def acknowledge(self, long write_id) -> list[Event]:
        """Take out a write that the server accepted.

        Where the server has said what came of it, that is shown; elsewhere what was
        written is.
        """
        cdef list parts = self.effects(write_id)
        cdef bint hidden = write_id in self.hidden
        cdef Part part
        self.forget(write_id)
        if hidden:
            return []
        for part in parts:
            part.superseded = self.writes.covers(part.path.words, part.path.length)
        return self.run(ACKNOWLEDGED, parts, "server")

    def revert(self, long write_id) -> list[Event]:
        """Take out a write that the server refused."""
        cdef list parts = self.effects(write_id)
        cdef bint hidden = write_id in self.hidden
        cdef Part part
        self.forget(write_id)
        if hidden:
            return []
        for part in parts:
            part.superseded = self.writes.covers(part.path.words, part.path.length)
        return self.run(REVERTED, parts, "revert")

    def revert_all(self) -> list[Event]:
        """Take out every pending write."""
        cdef list parts = []
        for write_id in sorted(self.writes.records):
            if write_id not in self.hidden:
                parts += self.effects(write_id)
        for write_id in list(self.writes.records):
            self.forget(write_id)
        return self.run(LOCAL, parts, "revert")

    cdef void forget(self, long write_id):
        self.writes.remove(write_id)
        self.hidden.discard(write_id)
        self.sent.discard(write_id)

    cdef list effects(self, long write_id):
        """Where a write acts and what it puts there, to be taken before it is forgotten."""
        cdef WriteEntry entry
        cdef Part part
        cdef Path path
        cdef list parts = []
        cdef Py_ssize_t i
        for i, path in enumerate(self.writes.paths(write_id)):
            entry = self.writes.entries(write_id)[i]
            retain(entry.word)
            part = part_of(path, new_node(entry.word))
            part.entry = entry
            parts.append(part)
        return parts

    def mark_sent(self, long write_id) -> None:
        """Note that a write is with the server, whose next value may include it."""
        cdef WriteEntry entry
        for entry in self.writes.entries(write_id):
            if entry.increments is not None:
                self.sent.add(write_id)

    def connection_lost(self) -> list[Event]:
        """Count again every increment whose answer did not come: it will be sent again."""
        cdef list views = [], parts = []
        cdef View view
        self.sent.clear()
        absorbing_views(self.root, views)
        for view in views:
            for path, increment in pending_increments(self.writes):
                if increment in view.absorbed:
                    parts.append(part_of(path, new_node(FK_EMPTY)))
            view.absorbed = None
        return self.run(LOCAL, parts, "server") if parts else []

    cdef fk_word server_at(self, Path path, Reading reading):
        """What the server holds at ``path``, borrowed; EMPTY if that is not known.

        ``reading`` learns which increments that includes.
        """
        cdef SyncPoint point = self.root
        cdef View view
        cdef Py_ssize_t i = 0
        while True:
            for view in point.views:
                if not view.covered and (
                    (view.server_complete and not view.server_filtered)
                    or (i < path.length and not fk_is_empty(fk_child(view.server, path.words[i])))
                ):
                    reading.absorbed = view.absorbed
                    return get_path(view.server, path.words + i, path.length - i)
            if i == path.length:
                return FK_EMPTY
            point = point.child(path.words[i])
            if point is None:
                return FK_EMPTY
            i += 1

    # ---- the disk ------------------------------------------------------------------

    def keep(self) -> None:
        """From now on, note what the cache on disk has to be told; before anything else."""
        self.unstored.is_kept = True

    @property
    def has_unstored(self) -> bool:
        """Whether there is something that the cache on disk has not been told."""
        return not self.unstored.is_empty()

    def take_unstored(self) -> list[CacheChange]:
        """Return what the cache on disk has to be told, as one unit; it counts as told."""
        return self.unstored.take()

    def note(self, change: CacheChange) -> None:
        """Add to that."""
        self.unstored.note(change)

    def drop_unstored(self) -> list[CacheChange]:
        """Forget, and return, what has been noted for the disk; ``forget_stored`` has to follow."""
        changes = self.unstored.changes
        self.unstored.changes = []
        return changes

    def forget_stored(self) -> None:
        """Note that the disk holds nothing any more: all that is live has to be told again."""
        self.unstored.forget_all()

    def disown(self) -> None:
        """Note that another user is signed in, who may not see what is live; the server will say.

        The disk is told of it once the server has confirmed it, or said it anew.
        """
        disown(self.root)

    def wants_load(self, Path path not None, QueryParams params not None) -> bool:
        """Return, once for a query, whether its data are not known and the disk is to be asked."""
        cdef View view = find_holder(self.root, path, params)
        if not self.unstored.is_kept or view is None or view.covered or view.server_complete:
            return False
        if view.was_asked_for:
            return False
        view.was_asked_for = True
        return True

    def load(
        self,
        Path path not None,
        QueryParams params not None,
        cached: CachedQuery | None,
        list writes not None,
    ) -> list[Event]:
        """Take in what the disk knows of a listen, and queued writes of an earlier time.

        ``writes`` are ids and their (path, node) parts. What has been heard from the server
        meanwhile counts for more than what was read.
        """
        cdef View view = find_holder(self.root, path, params)
        cdef list parts = []
        cdef str origin = "local"
        cdef Node node
        for write_id, write_parts in writes:
            self.writes.restore(write_id, write_parts)
            parts += [part_of(place, node) for place, node in write_parts]
        if cached is not None and view is not None and not view.covered:
            if not view.server_complete:
                node = cached.node
                view.take_loaded(node.word, cached.is_complete, cached.is_filtered)
                if cached.is_complete:
                    self.unstored.touch(view)
                    teach(find_point(self.root, path), view, self.unstored)
                parts.append(part_of(path, new_node(FK_EMPTY)))
                origin = "server"
        # In one go: no view may show the one without the other.
        return self.run(LOCAL, parts, origin) if parts else []

    def assumed(self, long write_id) -> list[tuple[Path, Node]]:
        """Return what an acknowledged write leaves where no live query brings the data.

        To be asked before ``acknowledge``. Increments over an unknown value are left out: what
        came of them is not known.
        """
        cdef Part part
        cdef list found = []
        cdef Node node
        if not self.unstored.is_kept or write_id in self.hidden:
            return found
        for part in self.effects(write_id):
            if part.entry.priority or part.entry.increments is not None:
                continue
            node = self.unstored.assumed(part.path, part.node)
            if node is not None:
                found.append((part.path, node))
        return found

    def note_answer(self, Path path not None, QueryParams params not None, Node node) -> None:
        """Have the disk told what the server said of a query that nobody listens to."""
        self.unstored.note_answer(path, params, node)

    # ---- questions ---------------------------------------------------------------

    def server_node(self, Path path not None, QueryParams params not None) -> Node:
        """Return what the server is known to hold for exactly this listen."""
        cdef SyncPoint point = find_point(self.root, path)
        cdef View view = None
        if point is not None:
            view = point.primary() if params.loads_all else point.find(params)
        if view is None:
            return new_node(FK_EMPTY)
        retain(view.server)
        return params.filter(new_node(view.server))

    def complete_value(self, Path path not None, QueryParams params not None) -> Node | None:
        """Return what a complete live view shows for the query, None if there is none."""
        cdef SyncPoint point = find_point(self.root, path)
        cdef View view = None if point is None else point.find(params)
        cdef Py_ssize_t depth = 0
        cdef fk_word word
        if view is not None and view.complete:
            retain(view.shown)
            return new_node(view.shown)
        view = find_cover(self.root, path, &depth)
        if view is None:
            return None
        word = get_path(view.full, path.words + depth, path.length - depth)
        retain(word)
        return params.filter(new_node(word))

    def is_known(self, Path path not None, QueryParams params not None) -> bool:
        """Return whether all that a live query selects is known.

        What a window shows after an acknowledged write over all of its location counts as complete,
        and yet the server may know of more that belongs into it.
        """
        cdef SyncPoint point = find_point(self.root, path)
        cdef View view = None if point is None else point.find(params)
        cdef Py_ssize_t depth = 0
        if view is not None and view.complete:
            if view.covered or view.loads_all or view.server_complete:
                return True
            if self.writes.covers(path.words, path.length):
                return True
        return find_cover(self.root, path, &depth) is not None

    def written_value(self, Path path not None, QueryParams params not None) -> Node | None:
        """Return what the query shows if writes alone say it whatever the server holds, or None."""
        if not self.writes.covers(path.words, path.length):
            return None
        return params.filter(
            new_node(self.writes.value(path.words, path.length, FK_EMPTY, None))
        )

    def latest_state(self, Path path not None, exclude: object = ()) -> Node:
        """Return the state a transaction starts from: hidden writes count, unknown is null."""
        cdef Reading reading = Reading(True, exclude if exclude else None, None)
        cdef fk_word server = FK_EMPTY
        cdef Py_ssize_t depth = 0
        cdef View cover = find_cover(self.root, path, &depth)
        cdef fk_word word
        cdef SyncPoint point
        cdef View view
        if cover is not None:
            server = get_path(cover.server, path.words + depth, path.length - depth)
            reading.absorbed = cover.absorbed
            return new_node(self.writes.value(path.words, path.length, server, reading))
        point = find_point(self.root, path)
        view = None if point is None else point.primary()
        if view is not None and view.assumed_complete:
            server = view.known()
            reading.absorbed = view.absorbed
            word = self.writes.value(path.words, path.length, server, reading)
            release(server)
            return new_node(word)
        return new_node(
            self.writes.value(path.words, path.length, self.server_at(path, reading), reading)
        )

    def has_writes(self, Path path not None) -> bool:
        """Return whether a write at, above or below ``path`` has no answer. Cost: O(depth)."""
        return self.writes.touches(path.words, path.length)

    def overlay(self, Path path not None, Node node not None) -> Node:
        """Return ``node``, as if the server had just said it, with the visible writes."""
        return new_node(self.writes.value(path.words, path.length, node.word, None))

    # ---- the descent -------------------------------------------------------------

    cdef list run(self, int step, list parts, str origin):
        return self.descent.visit(
            self.root, 0, step, parts, origin, False, False, FK_EMPTY, FK_EMPTY
        )
