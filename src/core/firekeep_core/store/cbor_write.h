/* Words to CBOR in a growing buffer. Part of the `record` module, which describes
 * the form; stateless. Source: RFC 8949.
 */
#ifndef FIREKEEP_CBOR_WRITE_H
#define FIREKEEP_CBOR_WRITE_H

#include <float.h>
#include "buffer.h"
#include "cbor_form.h"
#include "utf8.h"
#include "word.h"

#define FK_KEY_TEXT_ROOM 1024 /* what fk_key_text may need */

static inline char *fk_cbor_big_endian(char *out, uint64_t value, int size) {
    for (int i = size - 1; i >= 0; i--) {
        out[i] = (char)(value & 0xFF);
        value >>= 8;
    }
    return out + size;
}
/* The first bytes of an item, at most FK_CBOR_HEAD, and where its content goes. */
static inline char *fk_cbor_head(char *out, unsigned major, uint64_t argument) {
    unsigned info = argument < 24               ? (unsigned)argument
                    : argument <= 0xFF          ? 24
                    : argument <= 0xFFFF        ? 25
                    : argument <= 0xFFFFFFFFull ? 26
                                                : 27;
    *out++ = (char)(major << 5 | info);
    return info < 24 ? out : fk_cbor_big_endian(out, argument, 1 << (info - 24));
}
static inline void fk_cbor_put_head(fk_buffer *w, unsigned major, uint64_t argument) {
    char *out = fk_room(w, FK_CBOR_HEAD);
    w->length += (size_t)(fk_cbor_head(out, major, argument) - out);
}

static void fk_cbor_put_text(fk_buffer *w, const char *text, size_t length) {
    char *out = fk_room(w, FK_CBOR_HEAD + length);
    unsigned major = fk_has_surrogate(text, length) ? FK_CBOR_BYTES : FK_CBOR_TEXT;
    char *end = fk_cbor_head(out, major, length);
    memcpy(end, text, length);
    w->length += (size_t)(end - out) + length;
}

static void fk_cbor_put_key(fk_buffer *w, fk_key key) {
    size_t length;
    char *out = fk_room(w, FK_CBOR_HEAD + FK_KEY_TEXT_ROOM);
    const char *text = fk_key_text(key, out + FK_CBOR_HEAD, &length);
    if (fk_key_is_heap(key)) {
        fk_cbor_put_text(w, text, length);
    } else {
        char *end = fk_cbor_head(out, FK_CBOR_TEXT, length);
        memmove(end, text, length);
        w->length += (size_t)(end - out) + length;
    }
}

static void fk_cbor_put_integer(fk_buffer *w, int64_t value) {
    if (value < 0) fk_cbor_put_head(w, FK_CBOR_NEGATIVE, (uint64_t)(-1 - value));
    else fk_cbor_put_head(w, FK_CBOR_UNSIGNED, (uint64_t)value);
}

/* The shortest of the three sizes that holds it exactly; none of them subnormal. */
static void fk_cbor_put_double(fk_buffer *w, double value) {
    char *out = fk_room(w, FK_CBOR_HEAD);
    double magnitude = value < 0 ? -value : value;
    if (value == 0 || (magnitude >= FLT_MIN && magnitude <= FLT_MAX)) {
        float single = (float)value;
        if ((double)single == value) {
            uint32_t bits, exponent, mantissa;
            memcpy(&bits, &single, 4);
            exponent = bits >> 23 & 0xFF;
            mantissa = bits & 0x7FFFFF;
            if (!(bits << 1) || (exponent >= 113 && exponent <= 142 && !(mantissa & 0x1FFF))) {
                uint32_t half = bits >> 16 & 0x8000;
                if (bits << 1) half |= (exponent - 112) << 10 | mantissa >> 13;
                *out = (char)FK_CBOR_HALF;
                fk_cbor_big_endian(out + 1, half, 2);
                w->length += 3;
            } else {
                *out = (char)FK_CBOR_SINGLE;
                fk_cbor_big_endian(out + 1, bits, 4);
                w->length += 5;
            }
            return;
        }
    }
    *out = (char)FK_CBOR_DOUBLE;
    fk_cbor_big_endian(out + 1, fk_from_double(value), 8);
    w->length += 9;
}

static int fk_cbor_put_word(fk_buffer *w, fk_word word, int depth);

static int fk_cbor_put_scalar(fk_buffer *w, fk_word bare, int depth) {
    int kind;
    switch (fk_rank(bare)) {
    case 0: fk_put_char(w, (char)FK_CBOR_NULL); return 1;
    case 2: fk_put_char(w, (char)(bare == FK_TRUE ? FK_CBOR_TRUE : FK_CBOR_FALSE)); return 1;
    case 3:
        if (fk_is_integer(bare)) fk_cbor_put_integer(w, fk_integer_of(bare));
        else fk_cbor_put_double(w, fk_number_of(bare));
        return 1;
    case 4: fk_cbor_put_text(w, fk_string_text(bare), fk_string_length(bare)); return 1;
    default: break;
    }
    if (depth == FK_CBOR_DEPTH) return 0;
    fk_cbor_put_head(w, FK_CBOR_TAG, FK_TAG_SERVER_VALUE);
    kind = fk_deferred_kind(bare);
    if (kind == FK_DEFERRED_TIMESTAMP) {
        fk_cbor_put_text(w, "timestamp", 9);
        return 1;
    }
    if (kind == FK_DEFERRED_INCREMENT) {
        fk_cbor_put_head(w, FK_CBOR_MAP, 1);
        fk_cbor_put_text(w, "increment", 9);
    }
    return fk_cbor_put_word(w, fk_deferred_operand(bare), depth + 1);
}

static int fk_cbor_put_map(fk_buffer *w, fk_word map, int depth) {
    fk_cursor c;
    if (depth == FK_CBOR_DEPTH) return 0;
    fk_cbor_put_head(w, FK_CBOR_MAP, fk_map_count(map));
    fk_cursor_start(&c, map, 0);
    do {
        fk_cbor_put_key(w, fk_cursor_key(&c));
        if (!fk_cbor_put_word(w, fk_cursor_value(&c), depth + 1)) return 0;
    } while (fk_cursor_next(&c));
    return 1;
}

/* 0 if it is nested deeper than FK_CBOR_DEPTH, of which `depth` levels are used. */
static int fk_cbor_put_word(fk_buffer *w, fk_word word, int depth) {
    fk_word priority = fk_priority(word);
    if (priority != FK_EMPTY) {
        fk_cbor_put_head(w, FK_CBOR_TAG, FK_TAG_PRIORITY);
        fk_cbor_put_head(w, FK_CBOR_ARRAY, 2);
    }
    if (!(fk_is_map(word) ? fk_cbor_put_map(w, word, depth)
                          : fk_cbor_put_scalar(w, fk_bare(word), depth)))
        return 0;
    return priority == FK_EMPTY || fk_cbor_put_scalar(w, priority, depth);
}

#endif
