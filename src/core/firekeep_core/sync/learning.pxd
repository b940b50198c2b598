from .sync_point cimport SyncPoint
from .unstored cimport Unstored
from .view cimport View

cdef void learn(SyncPoint root, SyncPoint point, View view)
cdef void teach(SyncPoint point, View teacher, Unstored unstored)
