"""``Unstored``: what the cache on disk has yet to be told of a sync tree's data.

Each view that holds data of its own remembers the value that it last handed over.
Values are immutable and share their structure, so the difference is found by
identity, in proportion to what changed, however many messages brought it; and a
message costs no more than a mark on the view.

Source: sync-engine §8.6, §10.4 (W-41).
"""

from ..operation.cache_change import Complete, Hold, Replace, Track
from ..operation.difference cimport add_child_differences, add_differences
from ..query.params cimport DEFAULT, QueryParams
from ..snap.node cimport Node, new_node
from ..snap.path cimport Path
from ..snap.word cimport (
    FK_EMPTY,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_start,
    fk_is_map,
    fk_word,
    key_to_str,
    release,
    retain,
)
from .view cimport View


cdef class Unstored:
    """Marks of views, and changes noted on the way; taken as one when the disk is ready."""

    def __cinit__(self):
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
        if view.covered or not view.server_complete:
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
