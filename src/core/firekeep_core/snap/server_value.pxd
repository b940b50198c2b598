from .word cimport fk_word

from libc.stdint cimport int64_t

# Words are borrowed, results owned by the caller.
cdef bint has_server_value(fk_word word) noexcept nogil
cdef fk_word resolve_word(
    fk_word word, fk_word existing, int64_t now_ms, bint timestamps_only
) except? 0
cdef fk_word increment_word(fk_word existing, fk_word delta) noexcept nogil
