from ..snap.path cimport Path
from ..snap.word cimport fk_key, fk_word

cimport cython


@cython.final
cdef class Index:
    cdef bint by_key
    cdef bint by_value
    cdef bint by_priority
    cdef Path path                  # of the child that orders; the root for other orders

    # What of a child decides its place; borrowed. EMPTY when ordered by key.
    cdef fk_word value_of(self, fk_word child) noexcept nogil
    # -1, 0 or 1 for two children, each by its key and the above.
    cdef int compare(self, fk_key ka, fk_word va, fk_key kb, fk_word vb) noexcept nogil

cdef Index BY_KEY
cdef Index BY_VALUE
cdef Index BY_PRIORITY
cdef Index by_child(Path path)
