from ..snap.word cimport fk_word
from .part cimport Part
from .sync_point cimport SyncPoint
from .view cimport View
from .unstored cimport Unstored
from .write_tree cimport WriteTree

cimport cython


@cython.final
cdef class Descent:
    cdef WriteTree writes
    cdef set sent                   # ids of sent writes that hold increments
    cdef Unstored unstored

    cdef int accept(self, View view, Part part, bint tagged)
    cdef int assume(self, View view, Part part)
    cdef list update_source(self, View view, Py_ssize_t depth, int step, list parts, str origin)
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
