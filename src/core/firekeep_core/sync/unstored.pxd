from ..query.params cimport QueryParams
from ..snap.node cimport Node
from ..snap.path cimport Path
from .view cimport View

cimport cython


@cython.final
cdef class Unstored:
    cdef bint is_kept               # whether anything is kept on disk at all
    cdef list views                 # those whose data may differ from what is on disk
    cdef list changes               # what has been noted besides, in order
    cdef long last_touch

    cdef void touch(self, View view)
    cdef void note(self, object change)
    cdef void note_window(self, Path path, QueryParams params, Node node)
    cdef void leave(self, View view)
    cdef void drop(self, View view)
    cdef void collect(self, View view)
    cdef void collect_window(self, View view)
    cdef void collect_held(self, View view)
