from .view cimport View
from .write_tree cimport WriteTree

cdef list refresh(WriteTree writes, View view, str origin, list touched)
