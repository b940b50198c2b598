"""The hash by which client and server find out whether they hold the same value.

Source: wire §4.3, sync-engine §1.8.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport abort, free, malloc, qsort
from libc.string cimport memcpy, memset

from .json cimport fk_buffer, fk_buffer_close, fk_put
from .node cimport Node
from .word cimport (
    FK_DEFERRED_INCREMENT,
    FK_DEFERRED_TIMESTAMP,
    FK_TRUE,
    digest_place,
    fk_bare,
    fk_compare_keys,
    fk_compare_values,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_start,
    fk_cursor_value,
    fk_deferred_kind,
    fk_deferred_operand,
    fk_extra,
    fk_is_empty,
    fk_is_map,
    fk_key,
    fk_key_text,
    fk_map_count,
    fk_number_of,
    fk_priority,
    fk_rank,
    fk_string_length,
    fk_string_text,
    fk_word,
)

ctypedef struct fk_child_entry:
    fk_key key
    fk_word word

# Where the hashed text goes: into a hash, or for the tests into a buffer.
ctypedef struct fk_sink:
    fk_sha1 sha1
    fk_buffer *text


cdef inline void add(fk_sink *sink, const char *data, size_t size) noexcept nogil:
    if sink.text != NULL:
        fk_put(sink.text, data, size)
    else:
        fk_sha1_add(&sink.sha1, data, size)


cdef void number_text(double number, char *text) noexcept nogil:
    cdef uint64_t bits
    cdef int i
    memcpy(&bits, &number, 8)
    for i in range(16):
        text[i] = b"0123456789abcdef"[(bits >> (60 - 4 * i)) & 15]


cdef void add_scalar(fk_sink *sink, fk_word bare) noexcept nogil:
    cdef char digits[16]
    cdef int rank = fk_rank(bare)
    if rank == 3:
        number_text(fk_number_of(bare), digits)
        add(sink, b"number:", 7)
        add(sink, digits, 16)
    elif rank == 4:
        add(sink, b"string:", 7)
        add(sink, fk_string_text(bare), fk_string_length(bare))
    elif rank == 2:
        if bare == FK_TRUE:
            add(sink, b"boolean:true", 12)
        else:
            add(sink, b"boolean:false", 13)
    elif fk_deferred_kind(bare) == FK_DEFERRED_TIMESTAMP:
        # No peer hashes what is unresolved; the texts only have to differ.
        add(sink, b"object:timestamp", 16)
    elif fk_deferred_kind(bare) == FK_DEFERRED_INCREMENT:
        add(sink, b"object:increment:", 17)
        add_scalar(sink, fk_deferred_operand(bare))
    else:
        add(sink, b"object:", 7)


cdef void add_child(fk_sink *sink, fk_key key, fk_word word) noexcept nogil:
    cdef char buffer[1024]
    cdef size_t length
    cdef uint8_t digest[20]
    cdef const char *text = fk_key_text(key, buffer, &length)
    add(sink, b":", 1)
    add(sink, text, length)
    digest_word(word, digest)
    buffer[0] = c":"
    fk_digest_text(digest, buffer + 1)
    add(sink, buffer, 1 + FK_DIGEST_TEXT)


cdef int compare_entries(const void *x, const void *y) noexcept nogil:
    cdef const fk_child_entry *a = <const fk_child_entry *>x
    cdef const fk_child_entry *b = <const fk_child_entry *>y
    cdef int order = fk_compare_values(fk_priority(a.word), fk_priority(b.word))
    return order if order else fk_compare_keys(a.key, b.key)


cdef void add_by_priority(fk_sink *sink, fk_word map) noexcept nogil:
    cdef fk_cursor cursor
    cdef size_t count = fk_map_count(map), i = 0
    cdef fk_child_entry *entries = <fk_child_entry *>malloc(count * sizeof(fk_child_entry))
    if entries == NULL:
        abort()
    fk_cursor_start(&cursor, map, False)
    while True:
        entries[i].key = fk_cursor_key(&cursor)
        entries[i].word = fk_cursor_value(&cursor)
        i += 1
        if not fk_cursor_next(&cursor):
            break
    qsort(entries, count, sizeof(fk_child_entry), compare_entries)
    for i in range(count):
        add_child(sink, entries[i].key, entries[i].word)
    free(entries)


cdef bint has_prioritised_child(fk_word map) noexcept nogil:
    cdef fk_cursor cursor
    fk_cursor_start(&cursor, map, False)
    while True:
        if not fk_is_empty(fk_priority(fk_cursor_value(&cursor))):
            return True
        if not fk_cursor_next(&cursor):
            return False


cdef void add_node(fk_sink *sink, fk_word word) noexcept nogil:
    cdef fk_cursor cursor
    cdef fk_word priority = fk_priority(word)
    if not fk_is_empty(priority):
        add(sink, b"priority:", 9)
        add_scalar(sink, priority)
        add(sink, b":", 1)
    if not fk_is_map(word):
        add_scalar(sink, fk_bare(word))
        return
    if has_prioritised_child(word):
        add_by_priority(sink, word)
        return
    fk_cursor_start(&cursor, word, False)
    while True:
        add_child(sink, fk_cursor_key(&cursor), fk_cursor_value(&cursor))
        if not fk_cursor_next(&cursor):
            return


cdef void digest_word(fk_word word, uint8_t *digest) noexcept nogil:
    cdef fk_sink sink
    cdef fk_extra *place = digest_place(word) if fk_is_map(word) else NULL
    if place != NULL and place.has_digest:
        memcpy(digest, place.digest, FK_DIGEST_BYTES)
        return
    sink.text = NULL
    fk_sha1_start(&sink.sha1)
    add_node(&sink, word)
    fk_sha1_finish(&sink.sha1, digest)
    if place != NULL:
        memcpy(place.digest, digest, FK_DIGEST_BYTES)
        place.has_digest = 1


def hash_v1(Node node not None) -> str:
    """Return the hash of ``node``: base64 of a SHA-1, ``""`` for null.

    Large maps remember theirs: hashing again costs only what changed in between.
    Source: wire §4.3.

    >>> from firekeep_core.snap.json import parse
    >>> hash_v1(parse("true"))
    'E5z61QM0lN/U2WsOnusszCTkR8M='
    """
    cdef uint8_t digest[20]
    cdef char text[28]
    if fk_is_empty(node.word):
        return ""
    digest_word(node.word, digest)
    fk_digest_text(digest, text)
    return text[:FK_DIGEST_TEXT].decode("ascii")


def hash_text_v1(Node node not None) -> str:
    """Return the text whose SHA-1 is the hash of ``node``; for tests and for reading by people."""
    cdef fk_sink sink
    cdef fk_buffer buffer
    if fk_is_empty(node.word):
        return ""
    memset(&buffer, 0, sizeof(buffer))
    sink.text = &buffer
    try:
        add_node(&sink, node.word)
        return buffer.text[:buffer.length].decode("utf-8", "surrogatepass")
    finally:
        fk_buffer_close(&buffer)
