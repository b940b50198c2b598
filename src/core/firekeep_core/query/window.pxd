from ..snap.word cimport fk_key, fk_word
from .ordered cimport Entry, Ordered
from .params cimport QueryParams

cimport cython


@cython.final
cdef class Window:
    cdef QueryParams params
    cdef Ordered candidates         # every child in the query's range
    cdef fk_word held               # owned: the same children, by key
    # The innermost position that is still shown, counted from the anchored side,
    # and how many candidates lie up to it. Of no meaning without a limit.
    cdef Entry boundary             # owned
    cdef bint bounded
    cdef Py_ssize_t inside
    cdef dict touched               # key -> whether it was shown at the last settle()

    cdef void put(self, fk_key key, fk_word child)
    cdef tuple settle(self)         # (keys that entered, keys that left)
    cdef bint shows(self, fk_word value, fk_key key)
    cdef fk_key predecessor(self, fk_key key, fk_word child)    # FK_KEY_MIN if there is none
    cdef bint holds(self, Entry *entry)
    cdef void inward(self, Entry *entry, Entry *found)
    cdef void move_boundary(self, Entry *entry)
