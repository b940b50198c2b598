"""How a path becomes part of a row's key: the rows of a sub-tree lie together.

Each key of the path is written as its UTF-8 (a lone surrogate as three bytes), closed by a zero
byte. Bytes 0 and 1, which a peer's key may hold, are written as 1 1 and 1 2. So rows compare as the
paths do, key by key, each key by its bytes; and no byte is ever 0xff.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memset

from ..snap.json cimport fk_buffer, fk_buffer_close, fk_put, fk_put_char
from ..snap.path cimport Path, path_from_words
from ..snap.word cimport fk_key, fk_key_text, key_from_text, release_key

from ..errors import CorruptRecord

cdef extern from "utf8.h" nogil:
    bint fk_is_utf8(const char *text, size_t length, bint allows_surrogates)

#: A node whose encoded size is above this is stored as several rows.
BLOCK_BYTES = 4096

cdef enum:
    END = 0
    ESCAPE = 1


cdef void put_key(fk_buffer *buffer, fk_key key) noexcept:
    cdef char room[1024]
    cdef size_t length, i, start = 0
    cdef const char *text = fk_key_text(key, room, &length)
    for i in range(length):
        if <unsigned char>text[i] <= ESCAPE:
            if i > start:
                fk_put(buffer, text + start, i - start)
            fk_put_char(buffer, ESCAPE)
            fk_put_char(buffer, text[i] + 1)
            start = i + 1
    if length > start:
        fk_put(buffer, text + start, length - start)
    fk_put_char(buffer, END)


def path_bytes(Path path not None) -> bytes:
    """Return the part of a row's key that stands for ``path``; empty for the root.

    That of a location is the beginning of those of all locations below it, and of no other.

    >>> path_bytes(Path.parse("a/bc"))
    b'a\\x00bc\\x00'
    """
    cdef fk_buffer buffer
    cdef Py_ssize_t i
    memset(&buffer, 0, sizeof(buffer))
    try:
        for i in range(path.length):
            put_key(&buffer, path.words[i])
        return PyBytes_FromStringAndSize(buffer.text, buffer.length)
    finally:
        fk_buffer_close(&buffer)


cdef bint read_key(const char *text, size_t length, fk_buffer *plain, fk_key *key) noexcept:
    """Make the key of the bytes between two ends; 0 if there can be none."""
    cdef size_t i = 0
    if memchr(text, ESCAPE, length) != NULL:
        plain.length = 0
        while i < length:
            if text[i] == ESCAPE:
                i += 1
                if i == length or not 1 <= text[i] <= 2:
                    return False
                fk_put_char(plain, text[i] - 1)
            else:
                fk_put_char(plain, text[i])
            i += 1
        text = plain.text
        length = plain.length
    if not fk_is_utf8(text, length, True):
        return False
    key[0] = key_from_text(text, length)
    return True


def path_from_bytes(bytes data not None) -> Path:
    """Return the path that `path_bytes` made these bytes of; raises CorruptRecord if none."""
    cdef const char *text = PyBytes_AS_STRING(data)
    cdef size_t start = 0, i, length = PyBytes_GET_SIZE(data)
    cdef fk_buffer words, plain
    cdef fk_key key
    cdef Py_ssize_t count = 0, k
    memset(&words, 0, sizeof(words))
    memset(&plain, 0, sizeof(plain))
    try:
        for i in range(length):
            if text[i] == END:
                if not read_key(text + start, i - start, &plain, &key):
                    break
                fk_put(&words, <const char *>&key, sizeof(key))
                count += 1
                start = i + 1
        if start != length:
            raise CorruptRecord(f"no path at byte {start} of {data!r:.200}")
        return path_from_words(<const fk_key *>words.text, count)
    finally:
        for k in range(count):
            release_key((<fk_key *>words.text)[k])
        fk_buffer_close(&words)
        fk_buffer_close(&plain)


def range_end(bytes prefix not None) -> bytes:
    """Return the smallest key above all that begin with ``prefix``.

    For the empty prefix, whose keys have no end, it is one above those that do not begin with 0xff.
    """
    kept = prefix.rstrip(b"\xff")
    last = len(kept) - 1
    return kept[:last] + bytes((kept[last] + 1,)) if kept else b"\xff"
