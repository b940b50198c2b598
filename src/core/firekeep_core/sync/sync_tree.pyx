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
from ..query.params cimport DEFAULT, QueryParams
from ..snap.node cimport Node, new_node
from ..snap.path cimport Path, path_from_words
from ..snap.word cimport (
    FK_EMPTY,
    equal,
    fk_bare,
    fk_child,
    fk_is_empty,
    fk_is_map,
    fk_key,
    fk_word,
    get_path,
    key_from_str,
    release,
    retain,
    set_child,
)
from .event cimport CANCEL, Event
from .sync_point cimport SyncPoint
from .view cimport HEAD, NOTHING, WHOLE, Registration, View
from .write_tree cimport (
    Increment,
    Reading,
    WriteEntry,
    WriteNode,
    WriteTree,
    increment_word,
    resolve,
)

cdef fk_key PRIORITY_KEY = key_from_str(".priority")


cdef class ListenChange:
    """A listen to be started or stopped with the server.

    ``params`` is the default query whenever the whole location is loaded, whatever
    its local order; ``tag`` is None then.
    """

    def __repr__(self) -> str:
        verb = "listen" if self.start else "unlisten"
        return f"<{verb} {self.path} {self.params.identifier} tag={self.tag}>"


cdef ListenChange listen_change(View view, bint start):
    cdef ListenChange change = ListenChange.__new__(ListenChange)
    view.listening = start
    change.start = start
    change.path = view.path
    change.params = DEFAULT if view.loads_all else view.params
    change.tag = None if view.loads_all else view.tag
    return change


cdef Part part_of(Path path, Node node):
    cdef Part part = Part.__new__(Part)
    part.path = path
    part.node = node
    return part


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
            listens = self.listens_for(point, view)
        view.add_registration(registration, kinds)
        return view.initial_events(view.registrations[len(view.registrations) - 1]), listens

    cdef View create(self, SyncPoint point, Path path, QueryParams params):
        """A view with all that is known already, but without a word to anybody."""
        cdef View view = View(path, params)
        cdef View primary = point.primary()
        cdef Py_ssize_t depth = 0
        cdef View cover = self.cover_of(path, &depth)
        cdef fk_word full
        if not view.loads_all:
            self.last_tag += 1
            view.tag = self.last_tag
            self.by_tag[view.tag] = view
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
        self.learn(point, view)
        self.refresh(view, None, None)
        return view

    cdef void learn(self, SyncPoint point, View view):
        """Give a new view what others hold of its location (sync-engine §4.2)."""
        cdef SyncPoint above = self.root
        cdef SyncPoint below
        cdef View other
        cdef Path path = view.path
        cdef Py_ssize_t i
        cdef fk_word word
        for i in range(path.length + 1):
            for other in above.views:
                if other is view or not other.server_complete or other.covered:
                    continue
                if other.loads_all:
                    word = get_path(other.server, path.words + i, path.length - i)
                    view.take_server(word, other.confirmed)
                    view.absorbed = other.absorbed
                    return
                if i < path.length and not fk_is_empty(fk_child(other.server, path.words[i])):
                    word = get_path(other.server, path.words + i, path.length - i)
                    view.take_server(word, False)
                    return
            if i < path.length:
                above = above.child(path.words[i])
        for below in point.in_key_order():
            other = below.primary()
            if other is not None and other.server_complete:
                word = other.server
                retain(word)
                view.server = set_child(view.server, below.key, word)
                if other.absorbed:
                    view.absorbed = (view.absorbed or set()) | other.absorbed

    cdef View cover_of(self, Path path, Py_ssize_t *depth):
        """The topmost complete view of a whole location at or above ``path``."""
        cdef SyncPoint point = self.root
        cdef View primary
        cdef Py_ssize_t i = 0
        while True:
            primary = point.primary()
            if primary is not None and primary.covers():
                depth[0] = i
                return primary
            if i == path.length:
                return None
            point = point.child(path.words[i])
            if point is None:
                return None
            i += 1

    cdef SyncPoint find_point(self, Path path):
        cdef SyncPoint point = self.root
        cdef Py_ssize_t i
        for i in range(path.length):
            point = point.child(path.words[i])
            if point is None:
                return None
        return point

    cdef list listens_for(self, SyncPoint point, View view):
        """Start what a new view needs, then stop what it makes superfluous."""
        cdef View other
        cdef list changes = []
        cdef SyncPoint above = point
        while above is not None:
            for other in above.views:
                if other is not view and other.loads_all:
                    return changes
            above = above.parent
        changes.append(listen_change(view, True))
        if view.loads_all:
            for other in point.views:
                if other.listening and other is not view:
                    changes.append(listen_change(other, False))
            if point.children is not None:
                stop_below(point, changes)
        return changes

    def remove_registration(
        self, Path path not None, QueryParams params not None, registration: object
    ) -> list[ListenChange]:
        """Remove one registration of that token; a token that is not there is no error."""
        cdef SyncPoint point = self.find_point(path)
        cdef View view = None if point is None else point.find(params)
        if view is None or not view.remove_registration(registration) or view.registrations:
            return []
        return self.remove_view(point, view, True)

    cdef list remove_view(self, SyncPoint point, View view, bint stop):
        cdef list changes = []
        cdef View primary = point.primary()
        cdef View heir
        cdef SyncPoint above
        cdef bint alone
        point.views.remove(view)
        self.by_tag.pop(view.tag, None)
        if view is primary:
            heir = point.primary()
            if heir is not None:
                inherit(heir, view)
            elif view.covers() and not view.covered:
                hand_down(point, view)
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
        cdef SyncPoint point = self.find_point(path)
        cdef View view
        cdef Registration registration
        cdef Event event
        cdef list events = [], changes = []
        if point is None:
            return events, changes
        everything = params is None or (<QueryParams>params).loads_all
        for view in list(point.views):
            if everything or view.params == params:
                for registration in view.registrations:
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
            point = self.find_point(path)
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
            node = merge_ranges(new_node(view.server), (<RangeMerge>operation).ranges)
            children = [(path, node)]
        elif isinstance(operation, Overwrite):
            children = [(path, (<Overwrite>operation).node)]
        elif not fk_is_empty(view.server) or view.server_complete:
            children = [
                (path.child(below), node) for below, node in (<Merge>operation).children
            ]
        parts = [part_of(view.path.child(below), node) for below, node in children]
        expected = self.expected(view, parts)
        for part in parts:
            if part.path.length == view.path.length:
                view.accept(NULL, 0, part.node.word, True)
                whole = True
                continue
            accepted = self.accept(view, part, True)
            if accepted == HEAD:
                touched.append(part)
            whole = whole or accepted == WHOLE
        self.absorb(view, expected)
        if not touched and not whole:
            return []
        return self.refresh(view, "server", None if view.evict() or whole else touched)

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
            entry = self.writes.records[write_id][i]
            retain(entry.word)
            part = part_of(path, new_node(entry.word))
            part.entry = entry
            parts.append(part)
        return parts

    def mark_sent(self, long write_id) -> None:
        """Note that a write is with the server, whose next value may include it."""
        cdef WriteEntry entry
        for entry in self.writes.records[write_id]:
            if entry.increments is not None:
                self.sent.add(write_id)

    def connection_lost(self) -> list[Event]:
        """Count again every increment whose answer did not come: it will be sent again."""
        cdef list views = [], parts = []
        cdef View view
        self.sent.clear()
        absorbing_views(self.root, views)
        for view in views:
            for path, increment in self.pending_increments():
                if increment in view.absorbed:
                    parts.append(part_of(path, new_node(FK_EMPTY)))
            view.absorbed = None
        return self.run(LOCAL, parts, "server") if parts else []

    cdef list pending_increments(self):
        """The location and token of each increment, oldest first."""
        cdef WriteEntry entry
        cdef Increment increment
        cdef Path place
        cdef list found = []
        if self.writes.increments:
            for write_id in sorted(self.writes.records):
                for i, place in enumerate(self.writes.paths(write_id)):
                    entry = self.writes.records[write_id][i]
                    for increment in entry.increments or ():
                        found.append((place.child(increment.path), increment))
        return found

    cdef list expected(self, View view, list parts):
        """What the server will hold where it takes in a pending increment.

        Of each leaf that the message (``parts``) touches, the oldest increment that
        counts still: sync-engine §5.7. The push of a write comes before its answer;
        counting the increment on top of it would show it twice in between.
        """
        cdef Increment increment
        cdef WriteEntry entry
        cdef Path path, place
        cdef fk_word old, delta
        cdef Py_ssize_t i, depth = view.path.length
        cdef list found = []
        cdef set seen = set()
        if self.writes.increments == 0 or not self.sent:
            return found
        for write_id in sorted(self.writes.records):
            for i, place in enumerate(self.writes.paths(write_id)):
                entry = self.writes.records[write_id][i]
                for increment in entry.increments or ():
                    path = place.child(increment.path)
                    if not view.path.contains(path) or path in seen:
                        continue
                    if view.absorbed is not None and increment in view.absorbed:
                        continue
                    seen.add(path)
                    if write_id not in self.sent or not any_contains(parts, path):
                        continue
                    if not view.is_whole() and (
                        path.length == depth
                        or fk_is_empty(fk_child(view.server, path.words[depth]))
                    ):
                        continue
                    old = get_path(view.server, path.words + depth, path.length - depth)
                    delta = fk_bare(
                        get_path(entry.word, increment.path.words, increment.path.length)
                    )
                    found.append((path, increment, new_node(increment_word(delta, old))))
        return found

    cdef void absorb(self, View view, list expected):
        """Mark those increments whose expected value the server has just sent."""
        cdef Path path
        cdef Node node
        cdef fk_word new
        for path, increment, node in expected:
            new = get_path(
                view.server,
                path.words + view.path.length,
                path.length - view.path.length,
            )
            if equal(fk_bare(new), node.word):
                view.absorbed = {increment} | {
                    other for other in view.absorbed or () if not (<Increment>other).answered
                }

    cdef int accept(self, View view, Part part, bint tagged):
        """Let a view take in one part that lies below it."""
        cdef Py_ssize_t depth = view.path.length
        cdef fk_key head = part.path.words[depth]
        cdef bint vacant = head in view.vacant
        cdef int accepted = view.accept(
            part.path.words + depth, part.path.length - depth, part.node.word, tagged
        )
        if not vacant and head in view.vacant and self.writes.covers(part.path.words, depth + 1):
            view.vacant.discard(head)  # the write shows the child, not the server's silence
        return accepted

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

    # ---- questions ---------------------------------------------------------------

    def server_node(self, Path path not None, QueryParams params not None) -> Node:
        """Return what the server is known to hold for exactly this listen."""
        cdef SyncPoint point = self.find_point(path)
        cdef View view = None
        if point is not None:
            view = point.primary() if params.loads_all else point.find(params)
        if view is None:
            return new_node(FK_EMPTY)
        retain(view.server)
        return params.filter(new_node(view.server))

    def complete_value(self, Path path not None, QueryParams params not None) -> Node | None:
        """Return what a complete live view shows for the query, None if there is none."""
        cdef SyncPoint point = self.find_point(path)
        cdef View view = None if point is None else point.find(params)
        cdef Py_ssize_t depth = 0
        cdef fk_word word
        if view is not None and view.complete:
            retain(view.shown)
            return new_node(view.shown)
        view = self.cover_of(path, &depth)
        if view is None:
            return None
        word = get_path(view.full, path.words + depth, path.length - depth)
        retain(word)
        return params.filter(new_node(word))

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
        cdef View cover = self.cover_of(path, &depth)
        cdef fk_word word
        cdef SyncPoint point
        cdef View view
        if cover is not None:
            server = get_path(cover.server, path.words + depth, path.length - depth)
            reading.absorbed = cover.absorbed
            return new_node(self.writes.value(path.words, path.length, server, reading))
        point = self.find_point(path)
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
        return self.visit(
            self.root, 0, step, parts, origin, False, False, FK_EMPTY, FK_EMPTY
        )

    cdef list visit(
        self,
        SyncPoint point,
        Py_ssize_t depth,
        int step,
        list parts,
        str origin,
        bint covered,
        bint settled,
        fk_word before,
        fk_word after,
    ):
        """Bring the views at and below ``point`` up to date; return events, deepest first.

        ``parts`` are those that lie above, at or below the point. If ``covered``,
        ``after`` is what the cover shows here now, and, if also ``settled``,
        ``before`` what it and all views below showed before. All words borrowed.
        """
        cdef View view, primary = None
        cdef dict told = {}
        cdef list events, children, own = []
        cdef Part part
        cdef SyncPoint child
        cdef bint reaches_all = False, nested = False
        cdef fk_word held = FK_EMPTY
        cdef fk_word old
        if covered and settled and before == after:
            return own
        for part in parts:
            if part.path.length <= depth:
                reaches_all = True
        if point.views:
            primary = point.primary()
            if not covered and primary is not None:
                old = primary.full
                retain(old)
                held = old
                settled = primary.covers() and primary.spread
                told[primary] = self.update_source(primary, depth, step, parts, origin)
                covered = primary.covers()
                if covered:
                    primary.spread = True
                before = old
                after = primary.full
                nested = True
            for view in point.views:
                if nested and view is primary:
                    continue
                if covered or (nested and view.loads_all):
                    if covered and not view.covered:
                        view.forget_server()
                        view.covered = True
                    retain(after)
                    told[view] = view.show(
                        after,
                        covered or primary.complete,
                        heads_of(parts, depth) if settled or not covered else None,
                        origin,
                    )
                else:
                    told[view] = self.update_source(view, depth, step, parts, origin)
            for view in point.views:
                own += told[view]
        events = []
        if point.children is not None:
            if reaches_all or (covered and not settled):
                children = list(point.in_key_order())
            else:
                children = children_on(point, parts, depth)
            for child in children:
                events += self.visit(
                    child,
                    depth + 1,
                    step,
                    parts_for(parts, depth, child.key),
                    origin,
                    covered,
                    settled,
                    fk_child(before, child.key),
                    fk_child(after, child.key),
                )
        release(held)
        events += own
        return events

    cdef list update_source(self, View view, Py_ssize_t depth, int step, list parts, str origin):
        """Take an operation in where no other view covers this one."""
        cdef Part part
        cdef int accepted
        cdef bint whole = False
        cdef list touched = [], expected
        cdef fk_word word
        cdef bint from_server = step == SERVER_OVERWRITE or step == SERVER_MERGE
        if step == SERVER_MERGE and fk_is_empty(view.server) and not view.server_complete:
            for part in parts:
                whole = whole or part.path.length <= depth
            if not whole:
                return []  # left over from an earlier listen: all of it will follow
            whole = False
        expected = self.expected(view, parts) if from_server else None
        # While no write is near, what is shown is the server's very word.
        view.in_step = view.full == view.server
        for part in parts:
            if part.path.length > depth:
                if from_server:
                    accepted = self.accept(view, part, False)
                    if accepted == NOTHING:
                        continue
                    whole = whole or accepted == WHOLE
                elif step == LISTEN_COMPLETE:
                    continue
                elif step == ACKNOWLEDGED and not part.superseded:
                    self.assume(view, part)
                elif step == REVERTED and not part.superseded and not view.loads_all:
                    view.assumed_complete = False
                touched.append(part)
                continue
            whole = True
            word = get_path(
                part.node.word, view.path.words + part.path.length, depth - part.path.length
            )
            if from_server:
                view.accept(NULL, 0, word, False)
            elif step == LISTEN_COMPLETE:
                view.complete_server(False)
            elif step == ACKNOWLEDGED and not part.superseded:
                self.assume(view, part)
            elif step == REVERTED and not part.superseded and not view.loads_all:
                view.assumed_complete = False
        if not whole and not touched:
            return []
        if from_server:
            self.absorb(view, expected)
            whole = view.evict() or whole
        return self.refresh(view, origin, None if whole else touched)

    cdef int assume(self, View view, Part part):
        """Let a view take for granted what an acknowledged write put at, above or below it."""
        cdef fk_word word = part.node.word
        cdef fk_word known, earlier
        cdef Py_ssize_t depth = view.path.length
        cdef Py_ssize_t below = part.path.length - depth
        if view.server_complete:
            return 0
        if below < 0:
            word = get_path(word, view.path.words + part.path.length, -below)
        retain(word)
        if part.entry.increments is not None:
            known = view.known()
            earlier = known
            if below > 0:
                earlier = get_path(known, part.path.words + depth, below)
            word = resolve(
                part.entry,
                word,
                view.path.words + part.path.length if below < 0 else NULL,
                -below if below < 0 else 0,
                earlier,
                Reading(False, None, view.absorbed),
            )
            release(known)
        if below > 0:
            view.assume(part.path.words + depth, below, word)
        else:
            view.assume(NULL, 0, word)
        release(word)
        return 0

    cdef list refresh(self, View view, str origin, list touched):
        """Compute what the view is to show from all that is known, and show it.

        Only what lies at ``touched``, all of it below the view, can differ; None: anything.
        """
        cdef fk_word full, base, child
        cdef Path path = view.path
        cdef Part part
        cdef Py_ssize_t depth = path.length
        cdef bint complete = True
        cdef bint whole = touched is None
        cdef list heads = None if whole else heads_of(touched, depth)
        cdef Reading reading = None
        cdef fk_key head
        cdef bint determined = True
        if view.absorbed is not None:
            reading = Reading(False, None, view.absorbed)
        if view.is_whole():
            if (whole or view.in_step) and not self.writes.touches(path.words, path.length):
                retain(view.server)
                full = view.server
                return view.show(full, True, heads, origin)
            base = view.server
            retain(base)
        elif (view.assumed_complete and view.loads_all) or self.writes.covers(
            path.words, path.length
        ):
            base = view.known()
        else:
            determined = False
            base = view.known()
            complete = view.server_complete or view.assumed_complete
        if not determined:
            if whole:
                full = self.partial(view, base, reading)
            else:
                full = view.full
                retain(full)
                for part in touched:
                    head = part.path.words[depth]
                    if head != PRIORITY_KEY:
                        child = self.partial_child(view, head, reading)
                        full = set_child(full, head, child)
        elif whole or not view.complete:
            full = self.writes.value(path.words, path.length, base, reading)
        else:
            full = view.full
            retain(full)
            for part in touched:
                full = self.writes.revalue(
                    path.words,
                    path.length,
                    base,
                    full,
                    part.path.words + depth,
                    part.path.length - depth,
                    reading,
                )
        release(base)
        events = view.show(full, complete, heads, origin)
        if view.vacant:
            view.vacant = {key for key in view.vacant if not fk_is_empty(fk_child(view.shown, key))}
        return events

    cdef fk_word partial_child(self, View view, fk_key key, Reading reading):
        """The child of an incomplete location, EMPTY unless all of it is known; owned."""
        cdef Path path = view.path
        cdef fk_key steps[1]
        steps[0] = key
        cdef Path place = path.child(path_from_words(steps, 1))
        cdef fk_word known = view.known_child(key)
        if fk_is_empty(known) and key not in view.vacant:
            if not self.writes.covers(place.words, place.length):
                return FK_EMPTY
        return self.writes.value(place.words, place.length, known, reading)

    cdef fk_word partial(self, View view, fk_word known, Reading reading):
        """All children known of an incomplete location (``known`` borrowed); owned."""
        cdef WriteNode place = self.writes.find(view.path.words, view.path.length)
        cdef fk_word full = FK_EMPTY
        if fk_is_map(known):
            retain(known)
            full = known
        if place is not None and place.children is not None:
            for key in list(place.children):
                full = set_child(full, key, self.partial_child(view, key, reading))
        return full


cdef bint any_contains(list parts, Path path):
    cdef Part part
    for part in parts:
        if part.path.contains(path):
            return True
    return False


cdef void absorbing_views(SyncPoint point, list found):
    """Append the views whose server value includes pending increments."""
    cdef View view
    cdef SyncPoint child
    for view in point.views:
        if view.absorbed is not None and not view.covered:
            found.append(view)
    if point.children is not None:
        for child in point.children.values():
            absorbing_views(child, found)


cdef list heads_of(list parts, Py_ssize_t depth):
    """The keys just below ``depth`` that the parts name; None if any could differ."""
    cdef Part part
    cdef list heads = []
    for part in parts:
        if part.path.length <= depth or part.path.words[depth] == PRIORITY_KEY:
            return None
        heads.append(part.path.words[depth])
    return heads if len(heads) < 2 else list(dict.fromkeys(heads))


cdef list parts_for(list parts, Py_ssize_t depth, fk_key key):
    """The parts at or above a point at ``depth``, and those below its child ``key``."""
    cdef Part part
    cdef list chosen = []
    for part in parts:
        if part.path.length <= depth or part.path.words[depth] == key:
            chosen.append(part)
    return chosen


cdef list children_on(SyncPoint point, list parts, Py_ssize_t depth):
    """The children of a point that the parts lead to, in key order."""
    cdef Part part
    cdef SyncPoint child
    cdef set wanted
    if len(parts) == 1:
        part = <Part>parts[0]
        child = point.child(part.path.words[depth])
        return [] if child is None else [child]
    wanted = set()
    for part in parts:
        child = point.child(part.path.words[depth])
        if child is not None:
            wanted.add(child)
    if len(wanted) < 2:
        return list(wanted)
    return [child for child in point.in_key_order() if child in wanted]


cdef void stop_below(SyncPoint point, list changes):
    """Stop the listens of the topmost views below."""
    cdef SyncPoint child
    cdef View view
    for child in point.in_key_order():
        for view in child.views:
            if view.listening:
                changes.append(listen_change(view, False))
        if child.primary() is None and child.children is not None:
            stop_below(child, changes)


cdef void start_below(SyncPoint point, list changes):
    """Start a listen for each query at and below that no whole view covers."""
    cdef SyncPoint child
    cdef View view, primary = point.primary()
    if primary is not None:
        changes.append(listen_change(primary, True))
        return
    for view in point.views:
        changes.append(listen_change(view, True))
    if point.children is not None:
        for child in point.in_key_order():
            start_below(child, changes)


cdef void inherit(View heir, View view):
    """Make one whole view the holder of the location's data in another's place."""
    heir.forget_server()
    heir.covered = view.covered
    heir.spread = view.spread
    retain(view.server)
    heir.server = view.server
    retain(view.assumed)
    heir.assumed = view.assumed
    heir.server_complete = view.server_complete
    heir.confirmed = view.confirmed
    heir.assumed_complete = view.assumed_complete
    heir.vacant = view.vacant
    heir.absorbed = view.absorbed


cdef void hand_down(SyncPoint point, View cover):
    """Leave a departing cover's data to the views that it covered."""
    cdef View view, primary = point.primary()
    cdef SyncPoint child
    for view in point.views if primary is None else [primary]:
        if view.covered:
            view.take_server(
                get_path(
                    cover.server,
                    view.path.words + cover.path.length,
                    view.path.length - cover.path.length,
                ),
                True,
            )
            view.absorbed = cover.absorbed
            view.covered = False
            view.spread = True
    if primary is None and point.children is not None:
        for child in point.in_key_order():
            hand_down(child, cover)
