from ..snap.node cimport Node

cdef Node merge_ranges(Node node, list ranges)
