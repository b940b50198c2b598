/* Reading JSON text token by token: strings, numbers, white space, and passing
 * over values. Stateless, so every module that reads JSON may include it; what
 * makes values of the text is json_read.h, part of the `json` module alone.
 *
 * A function that fails leaves a static text in `reader->error`, with
 * `reader->at` where the reading stopped.
 */
#ifndef FIREKEEP_JSON_SCAN_H
#define FIREKEEP_JSON_SCAN_H

#include <math.h>
#include <stdlib.h>
#include "entries.h"
#include "utf8.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define FK_SSE2 1
#endif
#if defined(_MSC_VER)
#include <intrin.h>
#endif

#define FK_JSON_DEPTH 256     /* objects and arrays in each other: bounds the stack */
#define FK_SEEN_DEPTH 8       /* levels whose latest keys are remembered */
#define FK_SEEN_KEYS 16       /* of one object */
#define FK_SEEN_TEXT 23       /* bytes of such a key, with its closing quote */

/* A key as an object one before had it at the same place. */
typedef struct {
    fk_key key;
    uint8_t length; /* with the closing quote; 0: none */
    char text[FK_SEEN_TEXT];
} fk_seen_key;

typedef struct fk_reader {
    const char *start, *at, *end;
    const char *error;
    int depth;
    int allows_surrogates; /* raw, as three bytes each: text that was a str */
    fk_entries open; /* of the objects that have not ended */
    char *scratch; /* strings without their escapes */
    size_t scratch_size;
    fk_seen_key *seen; /* FK_SEEN_DEPTH × FK_SEEN_KEYS */
} fk_reader;

static inline void fk_fail(fk_reader *r, const char *error) {
    if (!r->error) r->error = error;
}

static inline void fk_skip_space(fk_reader *r) {
    const char *p = r->at, *end = r->end;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    r->at = p;
}

/* Skip white space, then that character; 0 if another stands there. */
static inline int fk_accept(fk_reader *r, char c) {
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return 1;
    }
    fk_skip_space(r);
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return 1;
    }
    return 0;
}

/* ---- strings ------------------------------------------------------------- */

static inline int fk_lowest_bit(unsigned mask) {
#if defined(_MSC_VER)
    unsigned long index;
    _BitScanForward(&index, mask);
    return (int)index;
#else
    return __builtin_ctz(mask);
#endif
}

/* The first byte that is a quote, a backslash, a control character or no ASCII. */
static inline const char *fk_plain_end(const char *p, const char *end) {
#ifdef FK_SSE2
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'),
                  space = _mm_set1_epi8(' ');
    while (end - p >= 16) {
        __m128i part = _mm_loadu_si128((const __m128i *)p);
        /* signed: bytes from 0x80 on are less than a space, too */
        __m128i hit = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(part, quote), _mm_cmpeq_epi8(part, slash)),
            _mm_cmplt_epi8(part, space));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask) return p + fk_lowest_bit(mask);
        p += 16;
    }
#else
    while (end - p >= 8) {
        uint64_t part, ones = 0x0101010101010101ull, tops = 0x8080808080808080ull;
        memcpy(&part, p, 8);
        uint64_t q = part ^ (ones * '"'), s = part ^ (ones * '\\');
        uint64_t hit = ((q - ones) & ~q) | ((s - ones) & ~s) | (part - ones * 0x20) | part;
        if (hit & tops) break;
        p += 8;
    }
#endif
    while (p < end && (signed char)*p >= ' ' && *p != '"' && *p != '\\') p++;
    return p;
}

static inline int fk_hex4(const char *p, const char *end) {
    int value = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        unsigned c = (unsigned char)p[i];
        unsigned digit = c - '0';
        if (digit > 9) {
            digit = (c | 0x20) - 'a';
            if (digit > 5) return -1;
            digit += 10;
        }
        value = value << 4 | (int)digit;
    }
    return value;
}

static inline char *fk_put_utf8(char *out, unsigned c) {
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 63));
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    }
    return out;
}

/* The character that the escape after a backslash at *p stands for, with *p moved
 * past it; -1 if there is no such escape. A lone surrogate stands for itself. */
static inline int fk_read_escape(const char **p, const char *end) {
    const char *at = *p;
    int c, low;
    if (at == end) return -1;
    switch (*at++) {
    case '"': c = '"'; break;
    case '\\': c = '\\'; break;
    case '/': c = '/'; break;
    case 'b': c = '\b'; break;
    case 'f': c = '\f'; break;
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'u':
        c = fk_hex4(at, end);
        if (c < 0) return -1;
        at += 4;
        if (c >= 0xD800 && c < 0xDC00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
            low = fk_hex4(at + 2, end);
            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                at += 6;
            }
        }
        break;
    default: return -1;
    }
    *p = at;
    return c;
}

static inline int fk_reserve_scratch(fk_reader *r, size_t size) {
    if (size > r->scratch_size) {
        size_t larger = r->scratch_size * 2 > size ? r->scratch_size * 2 : size + 256;
        char *scratch = (char *)realloc(r->scratch, larger);
        if (!scratch) abort();
        r->scratch = scratch;
        r->scratch_size = larger;
    }
    return 1;
}

/* The rest of a string from its first escape, at p, on. */
static inline const char *fk_read_escaped(fk_reader *r, const char *text, const char *p,
                                          size_t *length) {
    const char *end = r->end;
    size_t done = (size_t)(p - text);
    fk_reserve_scratch(r, done + 64);
    memcpy(r->scratch, text, done);
    for (;;) {
        const char *from = p;
        while ((p = fk_plain_end(p, end)) < end && (signed char)*p < 0) {
            int bytes = fk_utf8_length(p, end, r->allows_surrogates);
            if (!bytes) {
                r->at = p;
                fk_fail(r, "invalid UTF-8");
                return NULL;
            }
            p += bytes;
        }
        fk_reserve_scratch(r, done + (size_t)(p - from) + 8);
        memcpy(r->scratch + done, from, (size_t)(p - from));
        done += (size_t)(p - from);
        r->at = p;
        if (p == end) {
            fk_fail(r, "a string without an end");
            return NULL;
        }
        if (*p == '"') {
            r->at = p + 1;
            *length = done;
            return r->scratch;
        }
        if (*p != '\\') {
            fk_fail(r, "a control character in a string");
            return NULL;
        }
        p++;
        int c = fk_read_escape(&p, end);
        if (c < 0) {
            fk_fail(r, "an invalid escape");
            return NULL;
        }
        done = (size_t)(fk_put_utf8(r->scratch + done, (unsigned)c) - r->scratch);
    }
}

/* The text of the string whose opening quote was just read: part of the input, or
 * the reader's scratch until the next string is read. NULL on failure. */
static inline const char *fk_read_string(fk_reader *r, size_t *length) {
    const char *text = r->at, *p = text, *end = r->end;
    for (;;) {
        p = fk_plain_end(p, end);
        if (p == end) break;
        if (*p == '"') {
            r->at = p + 1;
            *length = (size_t)(p - text);
            return text;
        }
        if (*p == '\\') return fk_read_escaped(r, text, p, length);
        int bytes = (signed char)*p < 0 ? fk_utf8_length(p, end, r->allows_surrogates) : 0;
        if (!bytes) {
            r->at = p;
            fk_fail(r, (signed char)*p < 0 ? "invalid UTF-8" : "a control character in a string");
            return NULL;
        }
        p += bytes;
    }
    r->at = p;
    fk_fail(r, "a string without an end");
    return NULL;
}

/* ---- numbers ------------------------------------------------------------- */

typedef struct {
    int is_integer; /* written without fraction and exponent, and fits 64 bits */
    int64_t integer;
    double real;
} fk_number;

#if defined(__SIZEOF_INT128__)
/* mantissa × 10^exponent for exponents of -27..27, whose powers of five fit 63
 * bits: one exact 128-bit product or quotient, rounded once. */
static inline double fk_scale_exactly(uint64_t mantissa, int exponent) {
    __extension__ typedef unsigned __int128 wide;
    uint64_t power = 1, kept, dropped_half;
    wide q;
    int sticky = 0, binary = exponent, excess;
    for (int i = exponent < 0 ? -exponent : exponent; i; i--) power *= 5;
    if (exponent >= 0) {
        q = (wide)mantissa * power;
    } else {
        int zeros = __builtin_clzll(mantissa);
        wide numerator = (wide)(mantissa << zeros) << 64;
        q = numerator / power;
        sticky = q * power != numerator;
        binary -= zeros + 64;
    }
    uint64_t high = (uint64_t)(q >> 64);
    excess = (high ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)q)) - 53;
    if (excess <= 0) return ldexp((double)(uint64_t)q, binary);
    kept = (uint64_t)(q >> excess);
    wide dropped = q & (((wide)1 << excess) - 1), half = (wide)1 << (excess - 1);
    dropped_half = dropped > half || (dropped == half && (sticky || (kept & 1)));
    return ldexp((double)(kept + dropped_half), binary + excess);
}
#endif

/* The correctly rounded value of a number's text, however long. */
static inline int fk_read_double_slowly(const char *text, size_t length, double *value) {
    char local[64], *copy = local;
    if (length >= sizeof local) copy = (char *)malloc(length + 1);
    if (!copy) abort();
    memcpy(copy, text, length);
    copy[length] = 0;
    *value = PyOS_string_to_double(copy, NULL, NULL);
    if (copy != local) free(copy);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return isfinite(*value) != 0;
}

/* 0 on failure. The reader stands on a minus or a digit. */
static inline int fk_read_number(fk_reader *r, fk_number *number) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *start = r->at, *p = start, *end = r->end, *part;
    uint64_t mantissa = 0;
    ptrdiff_t digits;
    int minus = *p == '-', exponent = 0, whole = 1;
    double value;
    p += minus;
    part = p;
    while (p < end && (unsigned)(*p - '0') <= 9) mantissa = mantissa * 10 + (unsigned)(*p++ - '0');
    digits = p - part;
    if (!digits || (digits > 1 && *part == '0')) goto malformed;
    if (p < end && *p == '.') {
        whole = 0;
        part = ++p;
        while (p < end && (unsigned)(*p - '0') <= 9)
            mantissa = mantissa * 10 + (unsigned)(*p++ - '0');
        if (p == part) goto malformed;
        digits += p - part;
        exponent = -(int)(p - part < 100000 ? p - part : 100000);
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        int negative = 0, shift = 0;
        whole = 0;
        p++;
        if (p < end && (*p == '+' || *p == '-')) negative = *p++ == '-';
        part = p;
        while (p < end && (unsigned)(*p - '0') <= 9) {
            if (shift < 100000) shift = shift * 10 + (*p - '0');
            p++;
        }
        if (p == part) goto malformed;
        exponent += negative ? -shift : shift;
    }
    r->at = p;
    number->is_integer = 0;
    if (digits <= 19) { /* the mantissa is exact */
        if (whole && mantissa && mantissa <= (uint64_t)INT64_MAX + (unsigned)minus) {
            number->is_integer = 1;
            number->integer = (int64_t)(minus ? 0 - mantissa : mantissa);
            return 1;
        }
        if (!mantissa) {
            number->is_integer = whole && !minus;
            number->integer = 0;
            number->real = minus ? -0.0 : 0.0;
            return 1;
        }
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0
        if (mantissa <= (uint64_t)1 << 53 && exponent >= -22 && exponent <= 22) {
            value = (double)mantissa;
            value = exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
            number->real = minus ? -value : value;
            return 1;
        }
#endif
#if defined(__SIZEOF_INT128__)
        if (exponent >= -27 && exponent <= 27) {
            value = fk_scale_exactly(mantissa, exponent);
            number->real = minus ? -value : value;
            return 1;
        }
#endif
    }
    if (fk_read_double_slowly(start, (size_t)(p - start), &number->real)) return 1;
    r->at = start;
    fk_fail(r, "a number that is too large");
    return 0;
malformed:
    (void)powers;
    r->at = p;
    fk_fail(r, "an invalid number");
    return 0;
}

/* ---- passing over -------------------------------------------------------- */

/* Pass over a value that is read later, or once more: brackets and strings are
 * matched, nothing else is checked. */
static inline int fk_pass_value(fk_reader *r) {
    long depth = 0;
    const char *p, *end = r->end;
    fk_skip_space(r);
    p = r->at;
    do {
        if (p == end) {
            r->at = p;
            fk_fail(r, "an end in the middle");
            return 0;
        }
        char c = *p;
        if (c == '"') {
            for (p++; (p = fk_plain_end(p, end)) < end && *p != '"'; p++)
                if (*p == '\\' && ++p == end) break;
            if (p >= end) {
                r->at = end;
                fk_fail(r, "a string without an end");
                return 0;
            }
            p++;
        } else if (c == '{' || c == '[') {
            depth++;
            p++;
        } else if (c == '}' || c == ']') {
            if (--depth < 0) break;
            p++;
        } else if (depth) {
            p++;
        } else {
            while (p < end && *p != ',' && *p != '}' && *p != ']' && *p != '"' && *p != '{' &&
                   *p != '[')
                p++;
            break;
        }
    } while (depth > 0);
    if (p == r->at) {
        fk_fail(r, "a value was expected");
        return 0;
    }
    r->at = p;
    return 1;
}

#endif
