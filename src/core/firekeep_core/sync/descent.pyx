"""``Descent``: an operation on its way from the root to every view that it concerns.

Views are brought up to date on the way down, so that each finds its cover's state
after the operation; events are handed up, so that those of deeper locations come
first. Source: sync-engine §3.6 and §4.3.
"""

from ..snap.word cimport FK_EMPTY, fk_child, fk_is_empty, fk_key, fk_word, get_path, release, retain
from .absorption cimport absorb, expected_values
from .evaluation cimport refresh
from .part cimport (
    ACKNOWLEDGED,
    LISTEN_COMPLETE,
    REVERTED,
    SERVER_MERGE,
    SERVER_OVERWRITE,
    Part,
    heads_of,
    parts_for,
)
from .sync_point cimport SyncPoint
from .unstored cimport Unstored
from .view cimport NOTHING, WHOLE, View
from .write_tree cimport Reading, WriteTree, resolve


cdef class Descent:
    """Carries operations down one tree, whose pending writes it consults."""

    def __init__(
        self, WriteTree writes not None, set sent not None, Unstored unstored not None
    ):
        self.writes = writes
        self.sent = sent
        self.unstored = unstored

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
        expected = expected_values(self.writes, self.sent, view, parts) if from_server else None
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
            absorb(view, expected)
            whole = view.evict() or whole
        if from_server or step == LISTEN_COMPLETE:
            self.unstored.touch(view)
        return refresh(self.writes, view, origin, None if whole else touched)

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
