from ..query.params cimport QueryParams
from ..snap.path cimport Path
from .sync_point cimport SyncPoint
from .view cimport View

cimport cython


@cython.final
cdef class ListenChange:
    cdef readonly bint start
    cdef readonly Path path
    cdef readonly QueryParams params
    cdef readonly object tag

cdef ListenChange listen_change(View view, bint start)
cdef list listens_for(SyncPoint point, View view)
cdef void start_below(SyncPoint point, list changes)
