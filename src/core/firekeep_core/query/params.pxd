from ..snap.node cimport Node
from ..snap.word cimport fk_key, fk_word
from .index cimport Index

cimport cython


@cython.final
cdef class Bound:
    cdef object value               # None, a boolean, a number or text; the key if by key
    cdef str key                    # None: all of the value's ties are in, or out if exclusive
    cdef bint exclusive
    cdef fk_word word               # owned: the value, EMPTY if by key
    cdef fk_key edge                # owned: the key, or the sentinel that stands for the ties


@cython.final
cdef class QueryParams:
    cdef Index index
    cdef str child_path             # of a child order; None otherwise
    cdef bint ordered               # an order was chosen
    cdef Bound start
    cdef Bound end
    cdef readonly Py_ssize_t limit_count    # -1: no limit
    cdef bint from_right
    cdef bint loads_all
    cdef readonly str identifier

    cdef bint in_range(self, fk_key key, fk_word indexed) noexcept

cdef QueryParams DEFAULT
