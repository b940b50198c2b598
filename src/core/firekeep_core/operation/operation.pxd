from ..snap.node cimport Node
from ..snap.path cimport Path

cimport cython


cdef class Operation:
    cdef readonly Path path
    cdef readonly long tag_number     # 0: meant for every listener, not for one tagged query


@cython.final
cdef class Overwrite(Operation):
    cdef readonly Node node


@cython.final
cdef class Merge(Operation):
    cdef readonly list children       # of (Path relative to path, Node)


@cython.final
cdef class RangeMerge(Operation):
    cdef readonly list ranges         # of (Path | None, Path | None, Node), relative to path


@cython.final
cdef class ListenComplete(Operation):
    pass

cdef Overwrite new_overwrite(Path path, Node node, long tag)
