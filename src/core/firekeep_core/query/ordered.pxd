from ..snap.word cimport fk_key, fk_word
from .index cimport Index
from .selection cimport Entry

cimport cython

cdef struct Block:
    Entry last                      # of the entries, again: searches stay in the table of blocks
    Entry *entries
    int count
    int capacity


@cython.final
cdef class Ordered:
    cdef Index index
    cdef Block *blocks              # none of them empty
    cdef Py_ssize_t block_count
    cdef Py_ssize_t table_size
    cdef readonly Py_ssize_t count

    # Whether that changed anything.
    cdef bint insert(self, fk_word value, fk_key key) noexcept
    cdef bint remove(self, fk_word value, fk_key key) noexcept
    # Take in sorted entries; only into an empty set.
    cdef void load(self, const Entry *entries, Py_ssize_t count) noexcept
    cdef bint contains(self, fk_word value, fk_key key) noexcept
    # The neighbour of a position, held or not; False if there is none. Borrowed.
    cdef bint before(self, fk_word value, fk_key key, Entry *found) noexcept
    cdef bint after(self, fk_word value, fk_key key, Entry *found) noexcept
    cdef bint first(self, Entry *found) noexcept
    cdef bint last(self, Entry *found) noexcept

    cdef Py_ssize_t block_for(self, fk_word value, fk_key key) noexcept
    cdef int place_in(self, const Block *block, fk_word value, fk_key key, bint *found) noexcept
    cdef void end_block(self, Py_ssize_t at) noexcept
    cdef void new_block(self, Py_ssize_t at, int capacity) noexcept
    cdef void drop_block(self, Py_ssize_t at) noexcept
    cdef void split(self, Py_ssize_t at, int keep) noexcept
    cdef void thin_out(self, Py_ssize_t at) noexcept
    cdef bint merge(self, Py_ssize_t at) noexcept

# A value as an order keeps it: maps are all equal, and none is worth keeping alive for that.
cdef fk_word kept_value(fk_word value) noexcept
