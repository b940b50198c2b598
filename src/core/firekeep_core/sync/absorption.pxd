from ..snap.path cimport Path
from .sync_point cimport SyncPoint
from .view cimport View
from .write_tree cimport WriteTree

cdef list pending_increments(WriteTree writes)
cdef list expected_values(WriteTree writes, set sent, View view, list parts)
cdef void absorb(View view, list expected)
cdef void absorbing_views(SyncPoint point, list found)
