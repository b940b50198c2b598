from ..query.params cimport QueryParams
from ..snap.path cimport Path
from ..snap.word cimport fk_key
from .view cimport View

cimport cython


@cython.final
cdef class SyncPoint:
    # A location at or above listeners.
    cdef SyncPoint parent
    cdef fk_key key                 # owned
    cdef dict children              # key word -> SyncPoint; None without any
    cdef list ordered               # the children in key order; None if to be made anew
    cdef list views                 # in the order they came

    cdef View find(self, QueryParams params)
    cdef View primary(self)
    cdef SyncPoint child(self, fk_key key)
    cdef SyncPoint ensure_child(self, fk_key key)
    cdef void drop_child(self, SyncPoint child)
    cdef list in_key_order(self)

cdef SyncPoint find_point(SyncPoint root, Path path)
# stores in `depth` how many keys deep it lies
cdef View find_cover(SyncPoint root, Path path, Py_ssize_t *depth)
cdef View find_holder(SyncPoint root, Path path, QueryParams params)
cdef void inherit(View heir, View view)
cdef void disown(SyncPoint point)
# appends to `heirs` the views that hold data from now on
cdef void hand_down(SyncPoint point, View cover, list heirs)
