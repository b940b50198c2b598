"""What other modules may do with words; see word.h for what a word is."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

ctypedef uint64_t fk_word
ctypedef uint64_t fk_key

cdef extern from "word.h" nogil:
    const uint64_t FK_EMPTY
    const uint64_t FK_FALSE
    const uint64_t FK_TRUE
    const uint64_t FK_KEY_MIN
    const uint64_t FK_KEY_MAX
    const int FK_DEFERRED_TIMESTAMP
    const int FK_DEFERRED_INCREMENT
    const int FK_DEFERRED_UNKNOWN
    const int FK_FAN_OUT

    ctypedef struct fk_extra:
        fk_word priority
        uint8_t digest[20]
        uint8_t has_digest

    ctypedef struct fk_cursor:
        int i

    # Values. Everything returned is borrowed from its argument.
    bint fk_is_empty(fk_word w)
    bint fk_is_map(fk_word w)
    bint fk_is_leaf(fk_word w)
    bint fk_is_double(fk_word w)
    bint fk_is_number(fk_word bare)
    bint fk_is_integer(fk_word bare)
    bint fk_is_string(fk_word bare)
    bint fk_is_deferred(fk_word bare)
    fk_word fk_bare(fk_word w)           # a leaf's scalar without its priority
    fk_word fk_priority(fk_word w)       # EMPTY if none
    fk_extra *fk_map_extra(fk_word map)
    fk_word fk_from_double(double d)
    fk_word fk_from_boolean(bint truth)
    int64_t fk_integer_of(fk_word bare)
    double fk_number_of(fk_word bare)
    const char *fk_string_text(fk_word bare)
    size_t fk_string_length(fk_word bare)
    int fk_deferred_kind(fk_word bare)
    fk_word fk_deferred_operand(fk_word bare)
    int fk_rank(fk_word bare)
    int fk_compare_values(fk_word a, fk_word b)
    int fk_compare_text(const char *a, size_t na, const char *b, size_t nb)
    size_t fk_text_units(const char *text, size_t length)

    # Keys.
    bint fk_key_is_integer(fk_key k)
    bint fk_key_is_heap(fk_key k)
    int fk_key_integer(fk_key k)
    int fk_compare_keys(fk_key a, fk_key b)
    const char *fk_key_text(fk_key k, char *buffer, size_t *length)   # buffer: 1024 bytes

    # Children, in key order. A cursor is valid while the map lives unchanged.
    uint64_t fk_map_count(fk_word map)
    uint64_t fk_child_count(fk_word w)
    fk_word fk_child(fk_word w, fk_key k)
    void fk_cursor_start(fk_cursor *c, fk_word map, bint last)
    bint fk_cursor_next(fk_cursor *c)
    bint fk_cursor_previous(fk_cursor *c)
    bint fk_cursor_seek(fk_cursor *c, fk_word map, fk_key k, bint strictly_after)
    bint fk_cursor_seek_before(fk_cursor *c, fk_word map, fk_key k)
    bint fk_cursor_skip_shared(fk_cursor *a, fk_cursor *b)
    fk_key fk_cursor_key(const fk_cursor *c)
    fk_word fk_cursor_value(const fk_cursor *c)

# Ownership. `retain` adds a reference, `release` gives one back. A parameter
# marked "owned" takes the caller's reference; results are owned by the caller
# unless marked "borrowed".
cdef void retain(fk_word w) noexcept nogil
cdef void release(fk_word w) noexcept nogil
cdef void retain_key(fk_key k) noexcept nogil
cdef void release_key(fk_key k) noexcept nogil
cdef void drain(int64_t budget) noexcept nogil

# Creation.
cdef fk_key key_from_text(const char *text, size_t length) noexcept nogil
cdef fk_key key_from_str(object text) except? 0        # a str, or of a class derived from it
cdef str key_to_str(fk_key k)
# Text is UTF-8; a lone surrogate, which peers may send in an escape, takes the
# three bytes that UTF-8 would give it if it could.
cdef fk_word string_from_str(object text) except? 0
cdef str string_to_str(fk_word bare)
cdef fk_word new_integer(int64_t value) noexcept nogil
cdef fk_word new_string(const char *text, size_t length) noexcept nogil
cdef fk_word new_deferred(int kind, fk_word operand) noexcept nogil          # operand owned
# count entries, keys and values owned; sorted if needed; of equal keys the last
# wins; EMPTY values vanish; the arrays are overwritten; priority owned
cdef fk_word new_map(fk_key *keys, fk_word *values, size_t count, fk_word priority) noexcept nogil

# Change: sync-engine §1.4. node and value owned, keys borrowed.
cdef fk_word set_child(fk_word node, fk_key k, fk_word value) noexcept nogil
cdef fk_word set_path(fk_word node, const fk_key *path, size_t length, fk_word value) noexcept nogil
cdef fk_word set_priority(fk_word node, fk_word priority) noexcept nogil
cdef fk_word get_path(fk_word node, const fk_key *path, size_t length) noexcept nogil   # borrowed

# Questions that may remember their answer in the node.
cdef bint equal(fk_word a, fk_word b) noexcept nogil
cdef uint64_t size_bytes(fk_word w) noexcept nogil
cdef uint64_t leaf_count(fk_word w) noexcept nogil
# the place where a map keeps its digest; NULL if it is too small to keep one
cdef fk_extra *digest_place(fk_word map) noexcept nogil
