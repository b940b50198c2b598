from ..snap.word cimport fk_key, fk_word
from .index cimport Index

cimport cython


cdef struct Entry:
    fk_word value
    fk_key key


cdef struct Block:
    Py_ssize_t count
    Entry *entries


@cython.final
cdef class Ordered:
    cdef Index index
    cdef Block *blocks              # none of them empty
    cdef Py_ssize_t block_count
    cdef Py_ssize_t capacity
    cdef readonly Py_ssize_t count

    cdef void insert(self, fk_word value, fk_key key)
    cdef bint remove(self, fk_word value, fk_key key)
    # The neighbour of a position, held or not; False if there is none. Borrowed.
    cdef bint before(self, fk_word value, fk_key key, Entry *found)
    cdef bint after(self, fk_word value, fk_key key, Entry *found)
    cdef bint edge(self, bint last, Entry *found)
    cdef void new_block(self, Py_ssize_t at)
    cdef void split(self, Py_ssize_t at, Py_ssize_t keep)
    cdef Py_ssize_t block_for(self, fk_word value, fk_key key)
    cdef Py_ssize_t place_in(self, Block *block, fk_word value, fk_key key, bint *found)
