from ..operation.operation cimport Operation
from ..query.params cimport QueryParams
from ..snap.node cimport Node
from ..snap.path cimport Path
from ..snap.word cimport fk_key, fk_word
from .descent cimport Descent
from .sync_point cimport SyncPoint
from .unstored cimport Unstored
from .view cimport View
from .write_tree cimport Reading, WriteEntry, WriteTree

cimport cython


@cython.final
cdef class SyncTree:
    cdef readonly WriteTree writes
    cdef SyncPoint root
    cdef Descent descent
    cdef dict by_tag                # tag -> View
    cdef long last_tag
    cdef set hidden                 # ids of writes that are not shown
    cdef set sent                   # ids of sent writes that hold increments
    cdef set unknown_tags
    cdef Unstored unstored

    cdef View create(self, SyncPoint point, Path path, QueryParams params)
    cdef list remove_view(self, SyncPoint point, View view, bint stop)
    cdef list apply_untagged(self, Operation operation)
    cdef list apply_tagged(self, Operation operation)
    cdef void forget(self, long write_id)
    cdef list effects(self, long write_id)
    cdef fk_word server_at(self, Path path, Reading reading)
    cdef list run(self, int step, list parts, str origin)
