/* The entries of maps that are being read, and what readers of any format make of
 * them. Stateless; creation goes through the functions of `word`.
 */
#ifndef FIREKEEP_ENTRIES_H
#define FIREKEEP_ENTRIES_H

#include <stdlib.h>
#include "word.h"

/* How words are made and given back; parameters are owned as in word.pxd. */
typedef struct {
    fk_key (*key_from_text)(const char *text, size_t length);
    void (*retain_key)(fk_key k);
    void (*release_key)(fk_key k);
    void (*retain)(fk_word w);
    void (*release)(fk_word w);
    fk_word (*new_integer)(int64_t value);
    fk_word (*new_string)(const char *text, size_t length);
    fk_word (*new_deferred)(int kind, fk_word operand);
    fk_word (*new_map)(fk_key *keys, fk_word *values, size_t count, fk_word priority);
    fk_word (*set_priority)(fk_word node, fk_word priority);
} fk_maker;

/* The entries, owned, of all maps that are still open, innermost last. Zeroed
 * memory has none. */
typedef struct {
    fk_key *keys;
    fk_word *values;
    size_t count, capacity;
} fk_entries;

static inline void fk_entries_grow(fk_entries *e) {
    size_t capacity = e->capacity ? e->capacity * 2 : 64;
    fk_key *keys = (fk_key *)realloc(e->keys, capacity * sizeof *keys);
    fk_word *values = (fk_word *)realloc(e->values, capacity * sizeof *values);
    if (!keys || !values) abort();
    e->keys = keys;
    e->values = values;
    e->capacity = capacity;
}
static inline void fk_push(fk_entries *e, fk_key key, fk_word value) {
    if (e->count == e->capacity) fk_entries_grow(e);
    e->keys[e->count] = key;
    e->values[e->count++] = value;
}
static inline void fk_pop_to(fk_entries *e, const fk_maker *make, size_t base) {
    while (e->count > base) {
        e->count--;
        make->release_key(e->keys[e->count]);
        make->release(e->values[e->count]);
    }
}
/* The map of all entries from `base` on; priority owned. */
static inline fk_word fk_take_map(fk_entries *e, const fk_maker *make, size_t base,
                                  fk_word priority) {
    size_t count = e->count - base;
    e->count = base;
    return make->new_map(e->keys + base, e->values + base, count, priority);
}
static inline void fk_entries_close(fk_entries *e, const fk_maker *make) {
    fk_pop_to(e, make, 0);
    free(e->keys);
    free(e->values);
    memset(e, 0, sizeof *e);
}

/* The deferred leaf of what `.sv` said; operand (owned) */
static inline fk_word fk_deferred_word(const fk_maker *make, fk_word operand) {
    if (fk_is_string(operand) && fk_string_length(operand) == 9 &&
        !memcmp(fk_string_text(operand), "timestamp", 9)) {
        make->release(operand);
        return make->new_deferred(FK_DEFERRED_TIMESTAMP, FK_EMPTY);
    }
    if (fk_is_map(operand) && fk_map_count(operand) == 1) {
        fk_key increment = make->key_from_text("increment", 9);
        fk_word delta = fk_bare(fk_child(operand, increment));
        make->release_key(increment);
        if (fk_is_number(delta)) {
            make->retain(delta);
            make->release(operand);
            return make->new_deferred(FK_DEFERRED_INCREMENT, delta);
        }
    }
    return make->new_deferred(FK_DEFERRED_UNKNOWN, operand);
}

#endif
