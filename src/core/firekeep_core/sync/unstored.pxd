from ..query.params cimport QueryParams
from ..snap.node cimport Node
from ..snap.path cimport Path
from .sync_point cimport SyncPoint
from .view cimport View

cimport cython


@cython.final
cdef class Unstored:
    cdef SyncPoint root             # of the tree
    cdef bint is_kept               # whether anything is kept on disk at all
    cdef list views                 # those whose data may differ from what is on disk
    cdef list changes               # what has been noted besides, in order
    cdef long last_touch

    cdef void touch(self, View view)
    cdef void note(self, object change)
    cdef void track(self, SyncPoint point, View view, bint is_active)
    cdef void forget_all(self)
    cdef void forget_below(self, SyncPoint point)
    cdef void note_answer(self, Path path, QueryParams params, Node node)
    cdef Node assumed(self, Path path, Node node)
    cdef void settle_above(self, Path path)
    cdef bint is_held(self, Path path)
    cdef Node with_held(self, Path path, Node node)
    cdef void note_window(self, Path path, QueryParams params, Node node)
    cdef void leave(self, View view)
    cdef void drop(self, View view)
    cdef void collect(self, View view)
    cdef void collect_window(self, View view)
    cdef void collect_held(self, View view)
