from .node cimport Node
from .path cimport Path
from .word cimport fk_word

cdef Node read_user_value(object value, object priority, Path path)
cdef fk_word read_export(object value) except? 0               # lenient; the caller owns it
