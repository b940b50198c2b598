from ..snap.word cimport fk_key, fk_word
from .bound cimport Bound
from .index cimport Index
from .selection cimport Selection

cimport cython


@cython.final
cdef class QueryParams:
    cdef readonly Index index
    cdef str child_path             # of a child order; None otherwise
    cdef bint ordered               # an order was chosen
    cdef Bound start
    cdef Bound end
    cdef readonly Py_ssize_t limit_count    # -1: no limit
    cdef bint from_right
    cdef bint loads_all
    cdef readonly str identifier

    cdef bint in_range(self, fk_key key, fk_word indexed) noexcept
    cdef Selection select(self, fk_word node)
    cdef QueryParams with_order(self, Index index, str child_path)
    cdef QueryParams with_start(self, str call, object value, object key, bint exclusive)
    cdef QueryParams with_end(self, str call, object value, object key, bint exclusive)
    cdef QueryParams with_limit(self, str call, object limit, bint from_right)

cdef QueryParams DEFAULT
