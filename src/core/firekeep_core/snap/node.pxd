from .word cimport fk_word

cimport cython


@cython.final
cdef class Node:
    # owned; never changed once the node is made
    cdef fk_word word

cdef Node new_node(fk_word word)                   # word owned
cdef object scalar_to_python(fk_word bare)         # None for EMPTY; {".sv": ...} if deferred
cdef fk_word scalar_from_python(object value) except? 0
