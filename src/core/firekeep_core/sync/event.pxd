from ..query.params cimport QueryParams
from ..snap.node cimport Node
from ..snap.path cimport Path
from ..snap.word cimport fk_key, fk_word

cimport cython


cdef enum Kind:
    VALUE = 1
    CHILD_ADDED = 2
    CHILD_REMOVED = 4
    CHILD_MOVED = 8
    CHILD_CHANGED = 16
    CANCEL = 32
    ANY_CHILD = 30
    KIND_COUNT = 6


@cython.final
cdef class Event:
    cdef int code
    cdef readonly object registration
    cdef readonly Path path
    cdef readonly QueryParams params
    cdef readonly str key
    cdef readonly str previous_key
    cdef readonly Node node
    cdef readonly bint initial
    cdef readonly str origin
    cdef readonly object error


@cython.final
cdef class Change:
    # One child of one view, after all that an operation did to it.
    cdef int code
    cdef fk_key key                 # owned
    cdef fk_word word               # owned: the child now, or as last shown if removed

cdef Change new_change(int code, fk_key key, fk_word word)     # both borrowed
