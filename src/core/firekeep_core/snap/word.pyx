"""The one home of the native tree's state: its allocator, key table and counters.

What a word is stands in ``word.h``; how words are made and changed in
``tree.h``. Other modules of the core reach both through ``word.pxd``.
"""

cdef extern from "tree.h" nogil:
    ctypedef struct fk_statistics:
        uint64_t objects
        uint64_t bytes
        uint64_t keys
        uint64_t key_slots
        uint64_t pending
    fk_statistics fk_stats
    const int FK_CACHE_FROM
    void fk_retain(fk_word w)
    void fk_word_release(fk_word w)
    void fk_key_retain(fk_key k)
    void fk_key_release(fk_key k)
    void fk_drain(int64_t budget)
    void fk_trim()
    fk_key fk_key_from_text(const char *text, size_t length)
    fk_word fk_new_integer(int64_t value)
    fk_word fk_new_string(const char *text, size_t length)
    fk_word fk_new_deferred(int kind, fk_word operand)
    fk_word fk_map_from_entries(fk_key *keys, fk_word *values, size_t count, fk_word priority)
    fk_word fk_set_child(fk_word node, fk_key k, fk_word value)
    fk_word fk_set_path(fk_word node, const fk_key *path, size_t length, fk_word value)
    fk_word fk_set_priority(fk_word node, fk_word priority)
    fk_word fk_get_path(fk_word node, const fk_key *path, size_t length)
    bint fk_equal(fk_word a, fk_word b)
    uint64_t fk_size_bytes(fk_word w)
    uint64_t fk_leaf_count(fk_word w)
    fk_extra *fk_need_extra(fk_word map)

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *length) except NULL
    str PyUnicode_DecodeUTF8(const char *text, Py_ssize_t length, const char *errors)


cdef void retain(fk_word w) noexcept nogil:
    fk_retain(w)


cdef void release(fk_word w) noexcept nogil:
    fk_word_release(w)


cdef void retain_key(fk_key k) noexcept nogil:
    fk_key_retain(k)


cdef void release_key(fk_key k) noexcept nogil:
    fk_key_release(k)


cdef void drain(int64_t budget) noexcept nogil:
    fk_drain(budget)


cdef fk_key key_from_text(const char *text, size_t length) noexcept nogil:
    return fk_key_from_text(text, length)


cdef fk_key key_from_str(object text) except? 0:
    cdef Py_ssize_t length
    cdef const char *utf8
    cdef bytes encoded
    try:
        utf8 = PyUnicode_AsUTF8AndSize(text, &length)
    except UnicodeEncodeError:
        encoded = str.encode(text, "utf-8", "surrogatepass")
        return fk_key_from_text(encoded, len(encoded))
    return fk_key_from_text(utf8, length)


cdef str key_to_str(fk_key k):
    cdef char buffer[1024]
    cdef size_t length
    cdef const char *text = fk_key_text(k, buffer, &length)
    return PyUnicode_DecodeUTF8(text, length, "surrogatepass")


cdef fk_word string_from_str(object text) except? 0:
    cdef Py_ssize_t length
    cdef const char *utf8
    cdef bytes encoded
    try:
        utf8 = PyUnicode_AsUTF8AndSize(text, &length)
    except UnicodeEncodeError:
        encoded = str.encode(text, "utf-8", "surrogatepass")
        return fk_new_string(encoded, len(encoded))
    return fk_new_string(utf8, length)


cdef str string_to_str(fk_word bare):
    return PyUnicode_DecodeUTF8(fk_string_text(bare), fk_string_length(bare), "surrogatepass")


cdef fk_word new_integer(int64_t value) noexcept nogil:
    return fk_new_integer(value)


cdef fk_word new_string(const char *text, size_t length) noexcept nogil:
    return fk_new_string(text, length)


cdef fk_word new_deferred(int kind, fk_word operand) noexcept nogil:
    return fk_new_deferred(kind, operand)


cdef fk_word new_map(fk_key *keys, fk_word *values, size_t count, fk_word priority) noexcept nogil:
    return fk_map_from_entries(keys, values, count, priority)


cdef fk_word set_child(fk_word node, fk_key k, fk_word value) noexcept nogil:
    return fk_set_child(node, k, value)


cdef fk_word set_path(
    fk_word node, const fk_key *path, size_t length, fk_word value
) noexcept nogil:
    return fk_set_path(node, path, length, value)


cdef fk_word set_priority(fk_word node, fk_word priority) noexcept nogil:
    return fk_set_priority(node, priority)


cdef fk_word get_path(fk_word node, const fk_key *path, size_t length) noexcept nogil:
    return fk_get_path(node, path, length)


cdef bint equal(fk_word a, fk_word b) noexcept nogil:
    return fk_equal(a, b)


cdef uint64_t size_bytes(fk_word w) noexcept nogil:
    return fk_size_bytes(w)


cdef uint64_t leaf_count(fk_word w) noexcept nogil:
    return fk_leaf_count(w)


cdef fk_extra *digest_place(fk_word map) noexcept nogil:
    return fk_need_extra(map) if fk_map_count(map) >= <uint64_t>FK_CACHE_FROM else fk_map_extra(map)


def statistics() -> dict:
    """Return how much the native tree holds: objects, bytes, keys, key slots, pending objects.

    ``bytes`` is what was asked of the allocator. ``pending`` counts unreachable
    maps that :func:`collect` has yet to take apart.
    """
    return {
        "objects": fk_stats.objects,
        "bytes": fk_stats.bytes,
        "keys": fk_stats.keys,
        "key_slots": fk_stats.key_slots,
        "pending": fk_stats.pending,
    }


def collect(budget: int = -1) -> int:
    """Free at most ``budget`` unreachable objects, all if negative; return how many are left.

    A dropped tree is freed in slices, never in one pause. Whoever has idle time
    calls this; results do not depend on it.
    """
    fk_drain(budget)
    return fk_stats.pending


def trim() -> None:
    """Give freed memory back to the system; worth its time after a message of megabytes."""
    fk_trim()
