from .word cimport fk_key

cimport cython


@cython.final
cdef class Path:
    # `length` keys, each with a reference of this path; never changed once made
    cdef fk_key *words
    cdef Py_ssize_t length

cdef Path path_from_words(const fk_key *words, Py_ssize_t length)     # keys borrowed
cdef Path path_from_text(const char *text, Py_ssize_t length)         # split at slashes, unchecked
