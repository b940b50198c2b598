from ..snap.node cimport Node
from ..snap.path cimport Path
from ..snap.word cimport fk_key
from .write_tree cimport WriteEntry

cimport cython


cdef enum Step:
    SERVER_OVERWRITE = 1
    SERVER_MERGE = 2
    LOCAL = 3
    ACKNOWLEDGED = 4
    REVERTED = 5
    LISTEN_COMPLETE = 6


@cython.final
cdef class Part:
    # One location that an operation changes.
    cdef Path path
    cdef Node node
    cdef WriteEntry entry           # of an acknowledged write
    cdef bint superseded            # a write that is still pending covers it

cdef Part part_of(Path path, Node node)
cdef bint any_contains(list parts, Path path)
cdef list heads_of(list parts, Py_ssize_t depth)
cdef list parts_for(list parts, Py_ssize_t depth, fk_key key)
