"""JSON text ↔ ``Node``, with no Python values in between.

Source: sync-engine §1.2 and §1.3, wire §4.1.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memset

from .entries cimport fill_maker, fk_maker
from .node cimport Node, new_node, scalar_from_python
from .word cimport fk_word, release

from ..errors import ProtocolError

cdef extern from "json_read.h":
    fk_word fk_read_value(fk_reader *reader, const fk_maker *make)
    void fk_reader_close(fk_reader *reader, const fk_maker *make)

cdef extern from "json_write.h":
    int FK_WRITE_EXPORT
    int FK_WRITE_PLAIN
    bint fk_write_word(fk_buffer *buffer, fk_word word, int form)
    void fk_write_text(fk_buffer *buffer, const char *text, size_t length)

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *length) except NULL

#: A longer text is refused: lengths are 32-bit numbers in the tree.
MAX_TEXT_BYTES = 2**31 - 1

cdef fk_maker MAKER
fill_maker(&MAKER)


cdef void reader_open(fk_reader *reader, const char *text, size_t length) noexcept nogil:
    reader.start = reader.at = text
    reader.end = text + length
    reader.error = NULL
    reader.depth = 0


cdef void reader_close(fk_reader *reader) noexcept:
    fk_reader_close(reader, &MAKER)


cdef fk_word read_value(fk_reader *reader) noexcept:
    return fk_read_value(reader, &MAKER)


cdef object reader_error(fk_reader *reader, str what):
    cdef Py_ssize_t at = reader.at - reader.start
    cdef Py_ssize_t begin = max(at - 20, 0)
    cdef Py_ssize_t length = min(reader.end - reader.start - begin, 40)
    excerpt = reader.start[begin:begin + length].decode("utf-8", "replace")
    reason = reader.error.decode("ascii") if reader.error != NULL else "more than one value"
    return ProtocolError(f"{what}: {reason} at byte {at}, near {excerpt!r}")


cdef Node parse_bytes(const char *text, Py_ssize_t length, bint allows_surrogates):
    cdef fk_reader reader
    cdef fk_word word
    if length > MAX_TEXT_BYTES:
        raise ProtocolError(f"JSON of {length} bytes, the limit is {MAX_TEXT_BYTES}")
    memset(&reader, 0, sizeof(reader))
    reader_open(&reader, text, length)
    reader.allows_surrogates = allows_surrogates
    word = read_value(&reader)
    fk_skip_space(&reader)
    if reader.error == NULL and reader.at == reader.end:
        reader_close(&reader)
        return new_node(word)
    try:
        raise reader_error(&reader, "invalid JSON")
    finally:
        release(word)
        reader_close(&reader)


def parse(data: bytes | bytearray | memoryview | str) -> Node:
    """Return the node of a value in export form.

    Of equal keys the last counts. Integers that fit 64 bits stay integers; a lone surrogate
    in an escape is kept. Raises ProtocolError for what is no JSON or no UTF-8, for numbers
    that are not finite, and for more than 256 levels.
    Source: sync-engine §1.2, wire §4.1.

    >>> parse(b'{"a": {".value": 1, ".priority": 2}}').child("a").priority
    2
    """
    cdef Py_buffer view
    cdef const char *text
    cdef Py_ssize_t length
    if isinstance(data, str):
        try:
            text = PyUnicode_AsUTF8AndSize(data, &length)
        except UnicodeEncodeError:
            # Over UTF-16, so that two surrogates that make a pair become its character.
            paired = data.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
            encoded = paired.encode("utf-8", "surrogatepass")
            return parse_bytes(encoded, len(encoded), True)
        return parse_bytes(text, length, False)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return parse_bytes(<const char *>view.buf, view.len, False)
    finally:
        PyBuffer_Release(&view)


cdef int dump_word(fk_buffer *buffer, fk_word word, bint export) except -1:
    if not fk_write_word(buffer, word, FK_WRITE_EXPORT if export else FK_WRITE_PLAIN):
        raise MemoryError
    return 0


cdef int dump_text(fk_buffer *buffer, str text) except -1:
    cdef Py_ssize_t length
    cdef const char *utf8
    try:
        utf8 = PyUnicode_AsUTF8AndSize(text, &length)
    except UnicodeEncodeError:
        encoded = text.encode("utf-8", "surrogatepass")
        fk_write_text(buffer, encoded, len(encoded))
        return 0
    fk_write_text(buffer, utf8, length)
    return 0


cdef int dump_python(fk_buffer *buffer, object value) except -1:
    cdef bint is_first = True
    if isinstance(value, Node):
        dump_word(buffer, (<Node>value).word, True)
    elif isinstance(value, str):
        dump_text(buffer, value)
    elif isinstance(value, dict):
        fk_put_char(buffer, c"{")
        for key, item in value.items():
            if not is_first:
                fk_put_char(buffer, c",")
            is_first = False
            dump_text(buffer, key)
            fk_put_char(buffer, c":")
            dump_python(buffer, item)
        fk_put_char(buffer, c"}")
    elif isinstance(value, (list, tuple)):
        fk_put_char(buffer, c"[")
        for item in value:
            if not is_first:
                fk_put_char(buffer, c",")
            is_first = False
            dump_python(buffer, item)
        fk_put_char(buffer, c"]")
    else:
        dump_scalar(buffer, value)
    return 0


cdef int dump_scalar(fk_buffer *buffer, object value) except -1:
    cdef fk_word word = scalar_from_python(value)
    try:
        return dump_word(buffer, word, True)
    finally:
        release(word)


def dump(Node node not None, *, export: bool = True) -> bytes:
    """Return the JSON text of ``node``: its export form, or its plain value with lists.

    Numbers read back as they were, 1.0 as a double. A lone surrogate is written as an escape.
    Source: sync-engine §1.3, wire §4.1.

    >>> dump(parse('{"1": true, "0": false}'), export=False)
    b'[false,true]'
    """
    cdef fk_buffer buffer
    memset(&buffer, 0, sizeof(buffer))
    try:
        dump_word(&buffer, node.word, export)
        return PyBytes_FromStringAndSize(buffer.text, buffer.length)
    finally:
        fk_buffer_close(&buffer)
