/* CBOR to words. Part of the `record` module, which describes the form; stateless,
 * creation goes through the functions of `word`. Source: RFC 8949.
 *
 * Takes any bytes: every length is held against the bytes that are left before
 * anything is made of it, and nesting is bounded. A function that fails leaves a
 * static text in `reader->error`, with `reader->at` where the reading stopped.
 */
#ifndef FIREKEEP_CBOR_READ_H
#define FIREKEEP_CBOR_READ_H

#include <math.h>
#include "cbor_form.h"
#include "entries.h"
#include "utf8.h"

typedef struct {
    const char *start, *at, *end;
    const char *error;
    int depth;
    fk_entries open; /* of the maps that have not ended */
} fk_cbor_reader;

typedef struct {
    unsigned first; /* the byte that an item begins with */
    uint64_t argument;
} fk_cbor_item;

static inline unsigned fk_cbor_major(const fk_cbor_item *item) { return item->first >> 5; }
static inline size_t fk_cbor_left(const fk_cbor_reader *r) { return (size_t)(r->end - r->at); }

static inline int fk_cbor_fail(fk_cbor_reader *r, const char *error) {
    if (!r->error) r->error = error;
    return 0;
}

static inline int fk_cbor_next(fk_cbor_reader *r, fk_cbor_item *item) {
    unsigned info, size;
    if (r->at == r->end) return fk_cbor_fail(r, "an end in the middle");
    item->first = (unsigned char)*r->at;
    info = item->first & 31;
    if (info < 24) {
        item->argument = info;
        r->at++;
        return 1;
    }
    if (info > 27) return fk_cbor_fail(r, "no length, or an indefinite one");
    size = 1u << (info - 24);
    if (fk_cbor_left(r) <= size) return fk_cbor_fail(r, "an end in the middle");
    r->at++;
    item->argument = 0;
    for (; size; size--) item->argument = item->argument << 8 | (unsigned char)*r->at++;
    return 1;
}

/* The text, of that many bytes as the item says, that follows; NULL on failure. */
static inline const char *fk_cbor_text(fk_cbor_reader *r, const fk_cbor_item *item) {
    const char *text = r->at;
    int is_bytes = fk_cbor_major(item) == FK_CBOR_BYTES;
    if (item->argument > fk_cbor_left(r)) {
        fk_cbor_fail(r, "a text longer than what is left");
        return NULL;
    }
    if (!fk_is_utf8(text, (size_t)item->argument, is_bytes)) {
        fk_cbor_fail(r, "invalid UTF-8");
        return NULL;
    }
    r->at += item->argument;
    return text;
}

static inline double fk_half_to_double(unsigned half) {
    unsigned exponent = half >> 10 & 31, mantissa = half & 1023;
    double magnitude = exponent == 31 ? INFINITY
                       : exponent     ? ldexp(mantissa + 1024, (int)exponent - 25)
                                      : ldexp(mantissa, -24);
    return half & 0x8000 ? -magnitude : magnitude;
}

static fk_word fk_cbor_simple(fk_cbor_reader *r, const fk_cbor_item *item) {
    double value;
    switch (item->first) {
    case FK_CBOR_FALSE: return FK_FALSE;
    case FK_CBOR_TRUE: return FK_TRUE;
    case FK_CBOR_HALF: value = fk_half_to_double((unsigned)item->argument); break;
    case FK_CBOR_SINGLE: {
        uint32_t bits = (uint32_t)item->argument;
        float single;
        memcpy(&single, &bits, 4);
        value = single;
        break;
    }
    case FK_CBOR_DOUBLE: memcpy(&value, &item->argument, 8); break;
    default: fk_cbor_fail(r, "a value was expected"); return FK_EMPTY;
    }
    if (isfinite(value)) return fk_from_double(value);
    fk_cbor_fail(r, "a number that is not finite");
    return FK_EMPTY;
}

static fk_word fk_cbor_value(fk_cbor_reader *r, const fk_maker *make);

static fk_word fk_cbor_map(fk_cbor_reader *r, const fk_maker *make, uint64_t count) {
    size_t base = r->open.count;
    uint64_t i;
    fk_word map;
    if (!count) fk_cbor_fail(r, "an empty map");
    if (count > fk_cbor_left(r) / 2) fk_cbor_fail(r, "a map longer than what is left");
    if (++r->depth > FK_CBOR_DEPTH) fk_cbor_fail(r, "maps nested too deep");
    if (r->error) return FK_EMPTY;
    for (i = 0; i < count; i++) {
        fk_cbor_item item;
        const char *text;
        fk_key key;
        if (!fk_cbor_next(r, &item)) return FK_EMPTY;
        if (fk_cbor_major(&item) != FK_CBOR_TEXT && fk_cbor_major(&item) != FK_CBOR_BYTES) {
            fk_cbor_fail(r, "a key was expected");
            return FK_EMPTY;
        }
        text = fk_cbor_text(r, &item);
        if (!text) return FK_EMPTY;
        key = make->key_from_text(text, (size_t)item.argument);
        fk_push(&r->open, key, fk_cbor_value(r, make));
        if (r->error) return FK_EMPTY;
    }
    r->depth--;
    map = fk_take_map(&r->open, make, base, FK_EMPTY);
    if (fk_map_count(map) != count) fk_cbor_fail(r, "a key that stands twice");
    return map;
}

/* What stands under `.sv`, which may be anything. */
static fk_word fk_cbor_server_value(fk_cbor_reader *r, const fk_maker *make) {
    fk_word operand = FK_EMPTY;
    if (++r->depth > FK_CBOR_DEPTH) {
        fk_cbor_fail(r, "server values nested too deep");
        return FK_EMPTY;
    }
    if (r->at < r->end && (unsigned char)*r->at == FK_CBOR_NULL) r->at++;
    else operand = fk_cbor_value(r, make);
    if (r->error) {
        make->release(operand);
        return FK_EMPTY;
    }
    r->depth--;
    return fk_deferred_word(make, operand);
}

/* A value without a priority of its own, whose first bytes have been read. */
static fk_word fk_cbor_bare(fk_cbor_reader *r, const fk_maker *make, const fk_cbor_item *item) {
    const char *text;
    switch (fk_cbor_major(item)) {
    case FK_CBOR_UNSIGNED:
    case FK_CBOR_NEGATIVE:
        if (item->argument > INT64_MAX) {
            fk_cbor_fail(r, "an integer of more than 64 bits");
            return FK_EMPTY;
        }
        return make->new_integer(fk_cbor_major(item) == FK_CBOR_UNSIGNED
                                     ? (int64_t)item->argument
                                     : -1 - (int64_t)item->argument);
    case FK_CBOR_BYTES:
    case FK_CBOR_TEXT:
        text = fk_cbor_text(r, item);
        return text ? make->new_string(text, (size_t)item->argument) : FK_EMPTY;
    case FK_CBOR_MAP: return fk_cbor_map(r, make, item->argument);
    case FK_CBOR_TAG:
        if (item->argument == FK_TAG_SERVER_VALUE) return fk_cbor_server_value(r, make);
        break;
    case FK_CBOR_SIMPLE: return fk_cbor_simple(r, item);
    default: break;
    }
    fk_cbor_fail(r, "a value was expected");
    return FK_EMPTY;
}

/* A value and its priority. */
static fk_word fk_cbor_pair(fk_cbor_reader *r, const fk_maker *make) {
    fk_cbor_item item;
    fk_word value, priority;
    if (!fk_cbor_next(r, &item)) return FK_EMPTY;
    if (fk_cbor_major(&item) != FK_CBOR_ARRAY || item.argument != 2) {
        fk_cbor_fail(r, "a pair was expected");
        return FK_EMPTY;
    }
    if (!fk_cbor_next(r, &item)) return FK_EMPTY;
    value = fk_cbor_bare(r, make, &item);
    if (r->error || !fk_cbor_next(r, &item)) return value;
    priority = fk_cbor_bare(r, make, &item);
    if (!fk_is_number(priority) && !fk_is_string(priority) && !fk_is_deferred(priority)) {
        fk_cbor_fail(r, "an impossible priority");
        make->release(priority);
        return value;
    }
    return make->set_priority(value, priority);
}

/* The word (owned by the caller) of the value that comes next; whatever it is if
 * the reading failed. */
static fk_word fk_cbor_value(fk_cbor_reader *r, const fk_maker *make) {
    fk_cbor_item item;
    if (!fk_cbor_next(r, &item)) return FK_EMPTY;
    if (fk_cbor_major(&item) == FK_CBOR_TAG && item.argument == FK_TAG_PRIORITY)
        return fk_cbor_pair(r, make);
    return fk_cbor_bare(r, make, &item);
}

static fk_word fk_cbor_root(fk_cbor_reader *r, const fk_maker *make) {
    fk_word word = FK_EMPTY;
    if (fk_cbor_left(r) == 1 && (unsigned char)*r->at == FK_CBOR_NULL) r->at++;
    else word = fk_cbor_value(r, make);
    if (!r->error && r->at < r->end) fk_cbor_fail(r, "more than one value");
    fk_entries_close(&r->open, make);
    return word;
}

#endif
