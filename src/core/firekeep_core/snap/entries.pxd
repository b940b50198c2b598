"""How readers of a format, written in C, make words: through the functions of `word`."""

from libc.stdint cimport int64_t

from .word cimport (
    fk_key,
    fk_word,
    key_from_text,
    new_deferred,
    new_integer,
    new_map,
    new_string,
    release,
    release_key,
    retain,
    retain_key,
    set_priority,
)

cdef extern from "entries.h" nogil:
    ctypedef struct fk_maker:
        fk_key (*key_from_text)(const char *, size_t) noexcept nogil
        void (*retain_key)(fk_key) noexcept nogil
        void (*release_key)(fk_key) noexcept nogil
        void (*retain)(fk_word) noexcept nogil
        void (*release)(fk_word) noexcept nogil
        fk_word (*new_integer)(int64_t) noexcept nogil
        fk_word (*new_string)(const char *, size_t) noexcept nogil
        fk_word (*new_deferred)(int, fk_word) noexcept nogil
        fk_word (*new_map)(fk_key *, fk_word *, size_t, fk_word) noexcept nogil
        fk_word (*set_priority)(fk_word, fk_word) noexcept nogil


cdef inline void fill_maker(fk_maker *make) noexcept:
    make.key_from_text = key_from_text
    make.retain_key = retain_key
    make.release_key = release_key
    make.retain = retain
    make.release = release
    make.new_integer = new_integer
    make.new_string = new_string
    make.new_deferred = new_deferred
    make.new_map = new_map
    make.set_priority = set_priority
