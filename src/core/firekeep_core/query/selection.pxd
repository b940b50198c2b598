from ..snap.word cimport fk_key, fk_word
from .bound cimport Bound
from .index cimport Index

cimport cython

# The place of a child in an order.
cdef struct Entry:
    fk_word value
    fk_key key


@cython.final
cdef class Selection:
    cdef Entry *entries             # borrowed from the map that was selected from
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity

    # What a query shows of a map, in its order; a negative limit is none.
    cdef void select(
        self,
        Index index,
        Bound start,
        Bound end,
        Py_ssize_t limit,
        bint from_right,
        fk_word node,
    ) noexcept
    cdef void select_by_key(
        self, Bound start, Bound end, Py_ssize_t limit, bint from_right, fk_word node
    ) noexcept
    cdef void append(self, fk_word value, fk_key key) noexcept
    cdef void cut(self, Index index, Py_ssize_t limit, bint from_right) noexcept

# Sort in place, without regard to what stands beside an entry; O(n) if it is sorted.
cdef void sort_entries(Index index, Entry *entries, Py_ssize_t count) noexcept
