from .word cimport fk_key, fk_word

from libc.stdint cimport uint8_t, uint64_t

cdef extern from "sha1.h" nogil:
    ctypedef struct fk_sha1:
        pass
    const int FK_DIGEST_BYTES
    const int FK_DIGEST_TEXT
    void fk_sha1_start(fk_sha1 *s)
    void fk_sha1_add(fk_sha1 *s, const char *data, size_t size)
    void fk_sha1_finish(fk_sha1 *s, uint8_t *digest)
    void fk_digest_text(const uint8_t *digest, char *text)      # writes FK_DIGEST_TEXT bytes

cdef void digest_word(fk_word word, uint8_t *digest) noexcept nogil    # of anything but EMPTY
cdef void number_text(double number, char *text) noexcept nogil        # writes 16 hex digits
