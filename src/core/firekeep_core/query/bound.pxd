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

# Raises InvalidQuery, naming the call, for what bounds no query of that order.
cdef Bound read_bound(
    Index index, str call, object value, object key, bint exclusive, bint at_start
)
# Whether a child with that key and indexed value lies between two bounds, either None.
cdef bint within(Index index, Bound start, Bound end, fk_key key, fk_word indexed) noexcept
# JSON in which equal numbers are equal texts.
cdef str canonical_json(object value)
