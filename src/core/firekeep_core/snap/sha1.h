/* SHA-1 (FIPS 180-4) and the base64 of its digest. Stateless.
 *
 * The protocol compares values by SHA-1; nothing here is about secrecy.
 */
#ifndef FIREKEEP_SHA1_H
#define FIREKEEP_SHA1_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#define FK_SHA_INSTRUCTIONS 1
#endif

#define FK_DIGEST_BYTES 20
#define FK_DIGEST_TEXT 28 /* characters of its base64 */

typedef struct {
    uint32_t state[5];
    uint64_t length; /* bytes so far */
    uint8_t block[64];
} fk_sha1;

static inline uint32_t fk_rotate(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void fk_sha1_blocks_portably(uint32_t *state, const uint8_t *data, size_t blocks) {
    uint32_t w[16];
    for (; blocks; blocks--, data += 64) {
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], t;
        int i;
        for (i = 0; i < 16; i++)
            w[i] = (uint32_t)data[4 * i] << 24 | (uint32_t)data[4 * i + 1] << 16 |
                   (uint32_t)data[4 * i + 2] << 8 | data[4 * i + 3];
#define FK_ROUND(f, k)                                   \
    t = fk_rotate(a, 5) + (f) + e + (k) + w[i & 15];     \
    e = d, d = c, c = fk_rotate(b, 30), b = a, a = t;
#define FK_NEXT                                                                             \
    w[i & 15] = fk_rotate(w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[i & 15], \
                          1);
        for (i = 0; i < 16; i++) { FK_ROUND(d ^ (b & (c ^ d)), 0x5A827999u) }
        for (; i < 20; i++) { FK_NEXT FK_ROUND(d ^ (b & (c ^ d)), 0x5A827999u) }
        for (; i < 40; i++) { FK_NEXT FK_ROUND(b ^ c ^ d, 0x6ED9EBA1u) }
        for (; i < 60; i++) { FK_NEXT FK_ROUND((b & c) | (d & (b | c)), 0x8F1BBCDCu) }
        for (; i < 80; i++) { FK_NEXT FK_ROUND(b ^ c ^ d, 0xCA62C1D6u) }
#undef FK_ROUND
#undef FK_NEXT
        state[0] += a;
        state[1] += b;
        state[2] += c;
        state[3] += d;
        state[4] += e;
    }
}

#ifdef FK_SHA_INSTRUCTIONS
__attribute__((target("sha,sse4.1,ssse3"))) static void
fk_sha1_blocks_by_instruction(uint32_t *state, const uint8_t *data, size_t blocks) {
    const __m128i reverse = _mm_set_epi64x(0x0001020304050607ll, 0x08090a0b0c0d0e0fll);
    __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0x1B);
    __m128i e = _mm_set_epi32((int)state[4], 0, 0, 0);
    for (; blocks; blocks--, data += 64) {
        __m128i abcd_before = abcd, e_before = e, e_next, w[4];
        int i;
        for (i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(data + 16 * i)), reverse);
        /* Twenty groups of four rounds. The rest of a group's `e` comes out of the
         * state two groups back, except in the first, where it is the state's own. */
#define FK_GROUP(g, f)                                                                        \
    if (g >= 4)                                                                               \
        w[(g)&3] = _mm_sha1msg2_epu32(                                                        \
            _mm_xor_si128(_mm_sha1msg1_epu32(w[(g)&3], w[((g) + 1) & 3]), w[((g) + 2) & 3]),  \
            w[((g) + 3) & 3]);                                                                \
    e = g ? _mm_sha1nexte_epu32(e, w[(g)&3]) : _mm_add_epi32(e, w[0]);                        \
    e_next = abcd;                                                                            \
    abcd = _mm_sha1rnds4_epu32(abcd, e, f);                                                   \
    e = e_next;
        FK_GROUP(0, 0) FK_GROUP(1, 0) FK_GROUP(2, 0) FK_GROUP(3, 0) FK_GROUP(4, 0)
        FK_GROUP(5, 1) FK_GROUP(6, 1) FK_GROUP(7, 1) FK_GROUP(8, 1) FK_GROUP(9, 1)
        FK_GROUP(10, 2) FK_GROUP(11, 2) FK_GROUP(12, 2) FK_GROUP(13, 2) FK_GROUP(14, 2)
        FK_GROUP(15, 3) FK_GROUP(16, 3) FK_GROUP(17, 3) FK_GROUP(18, 3) FK_GROUP(19, 3)
#undef FK_GROUP
        e = _mm_sha1nexte_epu32(e, e_before);
        abcd = _mm_add_epi32(abcd, abcd_before);
    }
    _mm_storeu_si128((__m128i *)state, _mm_shuffle_epi32(abcd, 0x1B));
    state[4] = (uint32_t)_mm_extract_epi32(e, 3);
}
#endif

#ifdef FK_SHA_INSTRUCTIONS
static inline int fk_has_sha_instructions(void) {
    static int known; /* 1: yes, 2: no */
    if (!known) {
        unsigned a, b, c, d;
        int has = __get_cpuid(1, &a, &b, &c, &d) && (c >> 9 & 1) && (c >> 19 & 1) &&
                  __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
        known = has ? 1 : 2;
    }
    return known == 1;
}
#endif

static inline void fk_sha1_blocks(uint32_t *state, const uint8_t *data, size_t blocks) {
#ifdef FK_SHA_INSTRUCTIONS
    if (fk_has_sha_instructions()) {
        fk_sha1_blocks_by_instruction(state, data, blocks);
        return;
    }
#endif
    fk_sha1_blocks_portably(state, data, blocks);
}

static inline void fk_sha1_start(fk_sha1 *s) {
    static const uint32_t start[5] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u,
                                      0xC3D2E1F0u};
    memcpy(s->state, start, sizeof start);
    s->length = 0;
}

static inline void fk_sha1_add(fk_sha1 *s, const char *data, size_t size) {
    size_t held = (size_t)(s->length & 63);
    s->length += size;
    if (held + size < 64) {
        memcpy(s->block + held, data, size);
        return;
    }
    if (held) {
        memcpy(s->block + held, data, 64 - held);
        data += 64 - held;
        size -= 64 - held;
        fk_sha1_blocks(s->state, s->block, 1);
    }
    if (size >= 64) fk_sha1_blocks(s->state, (const uint8_t *)data, size / 64);
    memcpy(s->block, data + (size & ~(size_t)63), size & 63);
}

static inline void fk_sha1_finish(fk_sha1 *s, uint8_t digest[FK_DIGEST_BYTES]) {
    size_t held = (size_t)(s->length & 63);
    uint64_t bits = s->length * 8;
    int i;
    s->block[held++] = 0x80;
    if (held > 56) {
        memset(s->block + held, 0, 64 - held);
        fk_sha1_blocks(s->state, s->block, 1);
        held = 0;
    }
    memset(s->block + held, 0, 56 - held);
    for (i = 0; i < 8; i++) s->block[56 + i] = (uint8_t)(bits >> (56 - 8 * i));
    fk_sha1_blocks(s->state, s->block, 1);
    for (i = 0; i < FK_DIGEST_BYTES; i++)
        digest[i] = (uint8_t)(s->state[i >> 2] >> (24 - 8 * (i & 3)));
}

/* The standard alphabet, with its padding. */
static inline void fk_digest_text(const uint8_t digest[FK_DIGEST_BYTES],
                                  char text[FK_DIGEST_TEXT]) {
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int i;
    for (i = 0; i < 21; i += 3) {
        uint32_t part = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 |
                        (i + 2 < FK_DIGEST_BYTES ? digest[i + 2] : 0);
        *text++ = alphabet[part >> 18];
        *text++ = alphabet[part >> 12 & 63];
        *text++ = alphabet[part >> 6 & 63];
        *text++ = alphabet[part & 63];
    }
    text[-1] = '=';
}

#endif
