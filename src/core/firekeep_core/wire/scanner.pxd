from ..snap.json cimport fk_reader
from ..snap.node cimport Node
from ..snap.path cimport Path


cdef enum:
    # Keys of a peer's path, and levels of what is read as Python values. What is reached by a path
    # and then lies in a value is at most FK_CBOR_DEPTH deep, or it could not be stored.
    MAX_DEPTH = 256


cdef class Scanner:
    cdef fk_reader reader
    cdef const char *name           # the key last read; until the next text is read
    cdef size_t name_length

    cdef int open(self, object message) except -1
    cdef int finish(self) except -1
    cdef object error(self, str what)
    cdef str excerpt(self)

    # Objects: `enter`, and while it or `go_on` says so, a field with its name and its value.
    cdef bint enter(self) except -1
    cdef bint go_on(self) except -1
    cdef int read_name(self) except -1
    cdef bint is_name(self, char name) noexcept

    cdef const char *read_text(self, size_t *length) except NULL
    cdef str read_str(self)
    cdef Path read_path(self)
    cdef Node read_node(self)
    cdef long read_integer(self) except? -1         # from 0 to 2^31 - 1
    cdef bint accept_null(self) noexcept
    cdef int pass_over(self) except -1
    cdef int skip(self) except -1
    cdef object read_python(self)
    cdef dict read_dict(self)
    cdef list read_list(self)
