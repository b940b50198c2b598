"""Reading values out of JSON text in passing, and writing them into a buffer.

``json_scan.h`` reads the tokens around a value; what is declared here makes and
writes the values themselves.
"""

from .word cimport fk_word

cdef extern from "json_scan.h" nogil:
    ctypedef struct fk_reader:
        const char *start
        const char *at          # what is read next
        const char *end
        const char *error       # NULL: none; otherwise a static text, and `at` is where
        int depth
        bint allows_surrogates
        char *scratch
    ctypedef struct fk_number:
        bint is_integer
        long long integer
        double real

    void fk_fail(fk_reader *reader, const char *error)
    void fk_skip_space(fk_reader *reader)
    bint fk_accept(fk_reader *reader, char c)
    const char *fk_read_string(fk_reader *reader, size_t *length)
    bint fk_read_number(fk_reader *reader, fk_number *number)
    bint fk_pass_value(fk_reader *reader)

cdef extern from "buffer.h" nogil:
    ctypedef struct fk_buffer:
        char *text
        size_t length
    void fk_put(fk_buffer *buffer, const char *text, size_t length)
    void fk_put_char(fk_buffer *buffer, char c)
    void fk_buffer_close(fk_buffer *buffer)

# A reader is zeroed memory before its first text, and closed after its last. What
# it learnt about keys serves the next text.
cdef void reader_open(fk_reader *reader, const char *text, size_t length) noexcept nogil
cdef void reader_close(fk_reader *reader) noexcept
cdef fk_word read_value(fk_reader *reader) noexcept          # the caller owns it; EMPTY on failure
cdef object reader_error(fk_reader *reader, str what)        # a ProtocolError that says where

# A buffer is zeroed memory at first; whoever uses it closes it.
cdef int dump_word(fk_buffer *buffer, fk_word word, bint export) except -1
cdef int dump_text(fk_buffer *buffer, str text) except -1         # in quotes
cdef int dump_python(fk_buffer *buffer, object value) except -1   # may hold nodes anywhere
