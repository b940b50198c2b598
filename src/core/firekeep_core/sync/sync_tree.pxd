from ..operation.operation cimport Operation
from ..query.params cimport QueryParams
from ..snap.node cimport Node
from ..snap.path cimport Path
from ..snap.word cimport fk_key, fk_word
from .sync_point cimport SyncPoint
from .view cimport View
from .write_tree cimport Reading, WriteEntry, WriteTree

cimport cython


@cython.final
cdef class ListenChange:
    cdef readonly bint start
    cdef readonly Path path
    cdef readonly QueryParams params
    cdef readonly object tag


@cython.final
cdef class Part:
    # One location that an operation changes.
    cdef Path path
    cdef Node node
    cdef WriteEntry entry           # of an acknowledged write
    cdef bint superseded            # a write that is still pending covers it


cdef enum Step:
    SERVER_OVERWRITE = 1
    SERVER_MERGE = 2
    LOCAL = 3
    ACKNOWLEDGED = 4
    REVERTED = 5
    LISTEN_COMPLETE = 6


@cython.final
cdef class SyncTree:
    cdef readonly WriteTree writes
    cdef SyncPoint root
    cdef dict by_tag                # tag -> View
    cdef long last_tag
    cdef set hidden                 # ids of writes that are not shown
    cdef set sent                   # ids of sent writes that hold increments
    cdef set unknown_tags

    cdef View create(self, SyncPoint point, Path path, QueryParams params)
    cdef void learn(self, SyncPoint point, View view)
    cdef View cover_of(self, Path path, Py_ssize_t *depth)
    cdef SyncPoint find_point(self, Path path)
    cdef list listens_for(self, SyncPoint point, View view)
    cdef list remove_view(self, SyncPoint point, View view, bint stop)
    cdef list apply_untagged(self, Operation operation)
    cdef list apply_tagged(self, Operation operation)
    cdef void forget(self, long write_id)
    cdef list effects(self, long write_id)
    cdef list pending_increments(self)
    cdef list expected(self, View view, list parts)
    cdef void absorb(self, View view, list expected)
    cdef int accept(self, View view, Part part, bint tagged)
    cdef fk_word server_at(self, Path path, Reading reading)
    cdef list update_source(self, View view, Py_ssize_t depth, int step, list parts, str origin)
    cdef int assume(self, View view, Part part)
    cdef list refresh(self, View view, str origin, list touched)
    cdef fk_word partial_child(self, View view, fk_key key, Reading reading)
    cdef fk_word partial(self, View view, fk_word known, Reading reading)
    cdef list run(self, int step, list parts, str origin)
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
    )
