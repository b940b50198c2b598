"""``Unstored``: what the cache on disk has yet to be told of a sync tree's data.

Each view that holds data of its own remembers the value that it last handed over.
Values are immutable and share their structure, so the difference is found by
identity, in proportion to what changed, however many messages brought it; and a
message costs no more than a mark on the view.

Source: sync-engine §8.6, §10.4 (W-41).
"""

from ..operation.cache_change import Assume, Complete, Hold, Replace, Track
from ..operation.difference cimport add_child_differences, add_differences
from ..query.params cimport DEFAULT, QueryParams
from ..snap.node cimport Node, new_node
from ..snap.path cimport Path
from ..snap.word cimport (
    FK_EMPTY,
    fk_child,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_start,
    fk_is_empty,
    fk_is_map,
    fk_word,
    key_to_str,
    release,
    retain,
    set_child,
)
from .sync_point cimport SyncPoint, find_holder, find_point
from .view cimport View, with_children_of


cdef class Unstored:
    """Marks of views, and changes noted on the way; taken as one when the disk is ready."""

    def __cinit__(self, SyncPoint root not None):
        self.root = root
        self.views = []
        self.changes = []

    def is_empty(self) -> bool:
        return not self.views and not self.changes

    def take(self) -> list:
        """Return what there is to tell, oldest first, and count it as told."""
        cdef View view
        cdef list views = self.views
        self.views = []
        views.sort(key=by_touch)
        for view in views:
            if view.touched:
                self.collect(view)
        changes = self.changes
        self.changes = []
        return changes

    cdef void touch(self, View view):
        """Mark a view whose data the server has just changed or confirmed."""
        if not self.is_kept:
            return
        if not view.touched:
            self.views.append(view)
        self.last_touch += 1
        view.touched = self.last_touch

    cdef void note(self, object change):
        if self.is_kept:
            self.changes.append(change)

    cdef void track(self, SyncPoint point, View view, bint is_active):
        """Note that a query has come or gone; whole views of one location are one query."""
        if self.is_kept and not (view.loads_all and point.primary() is not None):
            self.note(Track(view.path, DEFAULT if view.loads_all else view.params, is_active))

    cdef void forget_all(self):
        """Note that the disk holds nothing any more: all that is live has to be told again."""
        self.views = []
        self.forget_below(self.root)

    cdef void forget_below(self, SyncPoint point):
        """Note that it holds nothing of what is live at and below a point."""
        cdef View view, primary = point.primary()
        cdef SyncPoint child
        for view in point.views:
            if view is primary or not view.loads_all:
                self.note(Track(view.path, DEFAULT if view.loads_all else view.params, True))
            view.is_stored = False
            view.told_complete = False
            view.touched = 0
            self.touch(view)
        if point.children is not None:
            for child in point.in_key_order():
                self.forget_below(child)

    cdef void note_answer(self, Path path, QueryParams params, Node node):
        """Tell what the server said of a query that nobody listens to."""
        cdef Node whole
        if not self.is_kept or find_holder(self.root, path, params) is not None:
            return  # its own listen brings the same
        if params.loads_all:
            whole = self.assumed(path, node)
            if whole is not None:
                self.note(Assume(path, whole))
        elif not self.is_held(path):
            self.note_window(path, params, params.filter(node))

    cdef Node assumed(self, Path path, Node node):
        """What the disk is to hold at ``path`` now that the server has ``node`` there.

        None if a live query brings it.
        """
        if self.is_held(path):
            return None
        self.settle_above(path)
        return self.with_held(path, node)

    cdef void settle_above(self, Path path):
        """Have the disk told first that ``path`` has left the windows above that held it."""
        cdef SyncPoint point = self.root
        cdef View view
        cdef Py_ssize_t i
        for i in range(path.length):
            if point is None:
                return
            for view in point.views:
                if view.is_stored and not fk_is_empty(fk_child(view.stored, path.words[i])):
                    self.collect(view)
            point = point.child(path.words[i])

    cdef bint is_held(self, Path path):
        """Whether a live query brings what the server has at ``path``."""
        cdef SyncPoint point = self.root
        cdef View view
        cdef Py_ssize_t i = 0
        while point is not None:
            for view in point.views:
                if view.covered or view.is_whole():
                    return True
                if i < path.length and not fk_is_empty(fk_child(view.server, path.words[i])):
                    return True
            if i == path.length:
                return False
            point = point.child(path.words[i])
            i += 1
        return False

    cdef Node with_held(self, Path path, Node node):
        """``node`` at ``path``, but with what the server said where somebody listens below."""
        cdef SyncPoint point = find_point(self.root, path)
        cdef View view
        cdef list held = []
        if point is None:
            return node
        retain(node.word)
        node = new_node(lay_held(point, path.length, node.word, held))
        for view in held:
            # What the disk is to be told later is told against this.
            self.collect(view)
        return node

    cdef void note_window(self, Path path, QueryParams params, Node node):
        """Tell of the children of a query that is not listened to."""
        self.changes.append(Track(path, params, False))
        add_child_differences(self.changes, path, FK_EMPTY, node.word, None, None)
        self.changes.append(Hold(path, params, keys_of(node.word), [], True))
        self.changes.append(Complete(path, params))

    cdef void leave(self, View view):
        """Tell what a departing view still holds alone."""
        if self.is_kept:
            self.collect(view)

    cdef void drop(self, View view):
        """Tell no more of a view: the server denies what it holds."""
        view.touched = 0
        view.is_stored = False

    cdef void collect(self, View view):
        cdef object params
        view.touched = 0
        if view.covered or view.foreign or not view.server_complete:
            return
        if view.loads_all:
            params = DEFAULT
            if view.is_stored:
                add_differences(self.changes, view.path, view.stored, view.server)
            else:
                retain(view.server)
                self.changes.append(Replace(view.path, new_node(view.server)))
        elif view.server_filtered:
            params = view.params
            self.collect_held(view)
        else:
            self.collect_window(view)
            return
        retain(view.server)
        release(view.stored)
        view.stored = view.server
        view.is_stored = True
        if view.confirmed and not view.told_complete:
            view.told_complete = True
            self.changes.append(Complete(view.path, params))

    cdef void collect_window(self, View view):
        """Tell which children a query showed when a whole view above it left it its data.

        The data are on disk already, and the query's own listen will tell the rest.
        """
        cdef object window
        if view.confirmed and not view.told_complete:
            retain(view.server)
            window = view.params.filter(new_node(view.server))
            view.told_complete = True
            self.changes.append(Hold(view.path, view.params, window.keys(), [], True))
            self.changes.append(Complete(view.path, view.params))

    cdef void collect_held(self, View view):
        """Tell which children a query with a window holds, and what changed in them."""
        cdef list added = [], removed = []
        cdef bint is_all = not (view.is_stored and view.held_stored)
        cdef fk_word old = view.stored if view.is_stored else FK_EMPTY
        add_child_differences(
            self.changes, view.path, old, view.server, None if is_all else added, removed
        )
        if is_all:
            added = keys_of(view.server)
            removed = []
        if added or removed or is_all:
            self.changes.append(Hold(view.path, view.params, added, removed, is_all))
        view.held_stored = True


def by_touch(View view not None) -> int:
    return view.touched


cdef list keys_of(fk_word word):
    cdef fk_cursor cursor
    cdef list keys = []
    if fk_is_map(word):
        fk_cursor_start(&cursor, word, False)
        while True:
            keys.append(key_to_str(fk_cursor_key(&cursor)))
            if not fk_cursor_next(&cursor):
                break
    return keys


cdef fk_word lay_held(SyncPoint point, Py_ssize_t depth, fk_word word, list views):
    """``word`` (owned), which lies ``depth`` keys deep, with the data of complete views below.

    These are appended to ``views``.
    """
    cdef View view
    cdef SyncPoint child
    cdef fk_word held
    for view in point.views:
        if view.covered or view.foreign or not view.server_complete:
            continue
        views.append(view)
        if view.loads_all:
            release(word)
            retain(view.server)
            return view.server
        word = with_children_of(word, view.server)
    if point.children is not None:
        for child in point.in_key_order():
            if not holds_below(child):
                continue
            held = fk_child(word, child.key)
            retain(held)
            word = set_child(word, child.key, lay_held(child, depth + 1, held, views))
    return word


cdef bint holds_below(SyncPoint point):
    """Whether a complete view lies at or below the point."""
    cdef View view
    cdef SyncPoint child
    for view in point.views:
        if view.server_complete and not (view.covered or view.foreign):
            return True
    if point.children is not None:
        for child in point.in_key_order():
            if holds_below(child):
                return True
    return False
