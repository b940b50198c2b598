/* Creating, changing and freeing words: the part of the native tree that has
 * state. Included by the `word` module and by no other: a second copy of the
 * state would be a second key table.
 *
 * Ownership: a parameter marked (owned) passes its reference to the callee; all
 * others are borrowed. What a function returns is owned by the caller. A change
 * to something with one reference happens in place, anything else is copied:
 * that is all that distinguishes the two.
 *
 * Counts are plain numbers: whoever comes here holds the interpreter's lock.
 */
#ifndef FIREKEEP_TREE_H
#define FIREKEEP_TREE_H

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include "word.h"

/* Ask for what is about to be written to. */
#ifdef __GNUC__
#define FK_PREFETCH(pointer) __builtin_prefetch((pointer), 1)
#else
#define FK_PREFETCH(pointer) ((void)(pointer))
#endif

typedef struct {
    uint64_t objects;      /* counted objects alive, without keys */
    uint64_t bytes;        /* what was asked of the allocator for them and for keys */
    uint64_t keys;         /* interned keys alive */
    uint64_t key_slots;    /* size of the key table */
    uint64_t pending;      /* unreachable maps not yet taken apart */
} fk_statistics;

static fk_statistics fk_stats;

/* The one exit for lack of memory: no caller could do better. */
static void *fk_allocate(size_t size) {
    void *p = malloc(size);
    if (!p) abort();
    fk_stats.bytes += size;
    return p;
}
static void fk_release(void *p, size_t size) {
    fk_stats.bytes -= size;
    free(p);
}

/* Freed runs and inner nodes, for the next ones of their size: an update frees
 * about what it allocates, and the allocator would join with its neighbours, and
 * cut again, whatever is handed back to it. A class holds blocks of 16 * class + 8
 * bytes, linked through their first word. */
#define FK_SPARE_CLASSES (FK_FAN_OUT * 3 / 2 + 2) /* the largest inner node is in the last one */
#ifdef __SANITIZE_ADDRESS__
#define FK_SPARE_BYTES 0 /* what is kept here would hide a use after freeing */
#else
#define FK_SPARE_BYTES (256 * 1024)
#endif

static void *fk_spare[FK_SPARE_CLASSES];
static size_t fk_spare_bytes;

static size_t fk_spare_class(size_t size) { return (size + 7) / 16; }

static void *fk_part_allocate(size_t size) {
    size_t class = fk_spare_class(size), whole = class * 16 + 8;
    void *p = fk_spare[class];
    if (!p) {
        p = fk_allocate(whole);
    } else {
        fk_spare[class] = *(void **)p;
        fk_spare_bytes -= whole;
        fk_stats.bytes += whole;
    }
    return p;
}
static void fk_part_release(void *p, size_t size) {
    size_t class = fk_spare_class(size), whole = class * 16 + 8;
    if (fk_spare_bytes + whole > FK_SPARE_BYTES) {
        fk_release(p, whole);
        return;
    }
    *(void **)p = fk_spare[class];
    fk_spare[class] = p;
    fk_spare_bytes += whole;
    fk_stats.bytes -= whole;
}

/* Give memory that was freed back to the system, where the allocator keeps it. */
static void fk_trim(void) {
    for (int class = 0; class < FK_SPARE_CLASSES; class++)
        while (fk_spare[class]) {
            void *p = fk_spare[class];
            fk_spare[class] = *(void **)p;
            free(p);
        }
    fk_spare_bytes = 0;
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

/* ---- keys -------------------------------------------------------------- */

static fk_heap_key **fk_key_table;
static uint64_t fk_key_mask;

static uint32_t fk_hash_text(const char *text, size_t length) {
    uint64_t h = 0x9E3779B97F4A7C15ull ^ length;
    while (length >= 8) {
        uint64_t part;
        memcpy(&part, text, 8);
        h = (h ^ part) * 0xBF58476D1CE4E5B9ull;
        h ^= h >> 32;
        text += 8;
        length -= 8;
    }
    uint64_t rest = 0;
    memcpy(&rest, text, length);
    h = (h ^ rest) * 0x94D049BB133111EBull;
    return (uint32_t)(h ^ (h >> 32));
}

static size_t fk_heap_key_size(size_t length) { return offsetof(fk_heap_key, text) + length; }

static void fk_key_table_resize(uint64_t slots) {
    fk_heap_key **old = fk_key_table;
    uint64_t old_slots = old ? fk_key_mask + 1 : 0, i;
    fk_key_table = (fk_heap_key **)calloc(slots, sizeof *fk_key_table);
    if (!fk_key_table) abort();
    fk_stats.bytes += slots * sizeof *fk_key_table;
    fk_key_mask = slots - 1;
    fk_stats.key_slots = slots;
    for (i = 0; i < old_slots; i++)
        if (old[i]) {
            uint64_t at = old[i]->hash & fk_key_mask;
            while (fk_key_table[at]) at = (at + 1) & fk_key_mask;
            fk_key_table[at] = old[i];
        }
    if (old) fk_release(old, old_slots * sizeof *old);
}

static void fk_key_free(fk_heap_key *key) {
    uint64_t hole = key->hash & fk_key_mask, at;
    while (fk_key_table[hole] != key) hole = (hole + 1) & fk_key_mask;
    for (at = (hole + 1) & fk_key_mask; fk_key_table[at]; at = (at + 1) & fk_key_mask) {
        uint64_t home = fk_key_table[at]->hash & fk_key_mask;
        if (((at - home) & fk_key_mask) >= ((at - hole) & fk_key_mask)) {
            fk_key_table[hole] = fk_key_table[at];
            hole = at;
        }
    }
    fk_key_table[hole] = NULL;
    fk_release(key, fk_heap_key_size(key->length));
    fk_stats.keys--;
    if (fk_stats.key_slots > 1024 && fk_stats.keys * 8 < fk_stats.key_slots)
        fk_key_table_resize(fk_stats.key_slots / 2);
}

static void fk_key_retain(fk_key k) {
    if (fk_key_is_heap(k)) fk_key_pointer(k)->references++;
}
static void fk_key_release(fk_key k) {
    if (fk_key_is_heap(k) && --fk_key_pointer(k)->references == 0) fk_key_free(fk_key_pointer(k));
}

/* An integer-like key's word, or 0 for other text (no integer key's word is 0). */
static fk_key fk_integer_key(const char *text, size_t length) {
    size_t i = length && text[0] == '-';
    uint64_t magnitude = 0;
    int minus = (int)i;
    if (i == length || length > 1000) return 0;
    for (; i < length; i++) {
        unsigned digit = (unsigned char)text[i] - '0';
        if (digit > 9) return 0;
        magnitude = magnitude * 10 + digit;
        if (magnitude > 0x80000000ull) return 0;
    }
    if (magnitude > (minus ? 0x80000000ull : 0x7FFFFFFFull)) return 0;
    uint32_t biased = (uint32_t)(minus ? -(int64_t)magnitude : (int64_t)magnitude) ^ 0x80000000u;
    return ((uint64_t)biased << 30) | ((uint64_t)length << 20) | ((uint64_t)!minus << 19);
}

/* The key of valid UTF-8 text. */
static fk_key fk_key_from_text(const char *text, size_t length) {
    fk_key k = 0;
    if (length && (unsigned char)text[0] <= '9') {
        k = fk_integer_key(text, length);
        if (k) return k;
    }
    uint64_t sort = FK_KEY_TEXT_CLASS;
    size_t i;
    int plain = length <= 8;
    for (i = 0; i < length && i < 8; i++) {
        unsigned c = (unsigned char)text[i];
        if (c < 0x20 || c >= 0x7F) {
            plain = 0;
            if (c >= 0x7F) sort |= (uint64_t)0x7F << (55 - 7 * i);
            break;
        }
        sort |= (uint64_t)c << (55 - 7 * i);
    }
    if (plain) return sort;
    uint32_t hash = fk_hash_text(text, length);
    if (fk_stats.keys * 4 >= fk_stats.key_slots * 3)
        fk_key_table_resize(fk_stats.key_slots ? fk_stats.key_slots * 2 : 1024);
    uint64_t at = hash & fk_key_mask;
    fk_heap_key *key;
    for (; (key = fk_key_table[at]); at = (at + 1) & fk_key_mask)
        if (key->hash == hash && key->length == length && !memcmp(key->text, text, length)) {
            key->references++;
            return ((uint64_t)3 << 62) | ((uint64_t)(uintptr_t)key & FK_PAYLOAD_MASK);
        }
    key = (fk_heap_key *)fk_allocate(fk_heap_key_size(length));
    key->sort = sort | 1;
    key->references = 1;
    key->hash = hash;
    key->length = (uint32_t)length;
    memcpy(key->text, text, length);
    fk_key_table[at] = key;
    fk_stats.keys++;
    return ((uint64_t)3 << 62) | ((uint64_t)(uintptr_t)key & FK_PAYLOAD_MASK);
}

/* ---- counts and freeing ------------------------------------------------ */

static fk_object *fk_pending; /* linked through the second word of each */

static size_t fk_run_size(unsigned capacity) {
    return offsetof(fk_run, slots) + (size_t)capacity * 16;
}
static size_t fk_inner_size(unsigned count) {
    return offsetof(fk_inner, branches) + (size_t)count * sizeof(fk_branch);
}

static void fk_object_new(fk_object *o, int kind, int capacity, int count) {
    o->references = 1;
    o->kind = (uint8_t)kind;
    o->capacity = (uint8_t)capacity;
    o->count = (uint16_t)count;
    fk_stats.objects++;
}
static void fk_object_free(fk_object *o, size_t size) {
    fk_stats.objects--;
    fk_release(o, size);
}
static void fk_part_free(fk_object *o, size_t size) {
    fk_stats.objects--;
    fk_part_release(o, size);
}
static void fk_extra_free(fk_extra *extra);

static void fk_retain(fk_word w) {
    if (fk_is_counted(w)) ((fk_object *)fk_pointer(w))->references++;
}

static void fk_object_release(fk_object *o);
static void fk_drain(int64_t budget);

static void fk_drop(fk_word w) {
    if (fk_is_counted(w)) fk_object_release((fk_object *)fk_pointer(w));
}

static void fk_object_release(fk_object *o) {
    if (--o->references) return;
    switch (o->kind) {
    case FK_STRING:
        fk_object_free(o, offsetof(fk_string, text) + ((fk_string *)o)->length);
        return;
    case FK_INTEGER64:
        fk_object_free(o, sizeof(fk_integer64));
        return;
    case FK_PRIORITISED: {
        fk_prioritised *box = (fk_prioritised *)o;
        fk_drop(box->value);
        fk_drop(box->priority);
        fk_object_free(o, sizeof *box);
        return;
    }
    case FK_DEFERRED:
        fk_drop(((fk_deferred *)o)->operand);
        fk_object_free(o, sizeof(fk_deferred));
        return;
    case FK_RUN: fk_extra_free(((fk_run *)o)->extra); break;
    case FK_TREE: fk_extra_free(((fk_tree *)o)->extra); break;
    default: break;
    }
    /* A map may be of any size: it is taken apart later, in slices. */
    *(fk_object **)(o + 1) = fk_pending;
    fk_pending = o;
    fk_stats.pending++;
}

static void fk_extra_free(fk_extra *extra) {
    if (!extra) return;
    fk_drop(extra->priority);
    fk_release(extra, sizeof *extra);
}

/* Take apart at most `budget` unreachable objects; a negative budget means all.
 * Every release of a word by its holder takes a slice, so that garbage never
 * outlives the work that makes more of it. */
static void fk_drain(int64_t budget) {
    while (fk_pending && budget--) {
        fk_object *o = fk_pending;
        int i;
        fk_pending = *(fk_object **)(o + 1);
        fk_stats.pending--;
        switch (o->kind) {
        case FK_RUN: {
            fk_run *run = (fk_run *)o;
            for (i = 0; i < o->count; i++) {
                fk_key_release(fk_run_keys(run)[i]);
                fk_drop(fk_run_values(run)[i]);
            }
            fk_part_free(o, fk_run_size(o->capacity));
            break;
        }
        case FK_INNER:
            for (i = 0; i < o->count; i++) fk_object_release(((fk_inner *)o)->branches[i].child);
            fk_part_free(o, fk_inner_size(o->capacity));
            break;
        default:
            fk_object_release(((fk_tree *)o)->root);
            fk_object_free(o, sizeof(fk_tree));
        }
    }
}

#define FK_SLICE 64

static void fk_word_release(fk_word w) {
    fk_drop(w);
    if (fk_pending) fk_drain(FK_SLICE);
}

/* ---- scalars ----------------------------------------------------------- */

static fk_word fk_new_integer(int64_t value) {
    if (value >= -((int64_t)1 << 47) && value < ((int64_t)1 << 47))
        return ((fk_word)FK_TAG_INTEGER << 48) | ((fk_word)value & FK_PAYLOAD_MASK);
    fk_integer64 *box = (fk_integer64 *)fk_allocate(sizeof *box);
    fk_object_new(&box->head, FK_INTEGER64, 0, 0);
    box->value = value;
    return fk_from_pointer(FK_TAG_INTEGER64, box);
}
static fk_word fk_new_string(const char *text, size_t length) {
    fk_string *s = (fk_string *)fk_allocate(offsetof(fk_string, text) + length);
    fk_object_new(&s->head, FK_STRING, 0, 0);
    s->length = (uint32_t)length;
    memcpy(s->text, text, length);
    return fk_from_pointer(FK_TAG_STRING, s);
}
/* operand (owned) */
static fk_word fk_new_deferred(int kind, fk_word operand) {
    fk_deferred *d = (fk_deferred *)fk_allocate(sizeof *d);
    fk_object_new(&d->head, FK_DEFERRED, kind, 0);
    d->operand = operand;
    return fk_from_pointer(FK_TAG_DEFERRED, d);
}

static int fk_equal(fk_word a, fk_word b);

/* ---- runs and inner nodes ---------------------------------------------- */

static fk_run *fk_run_new(int count) {
    fk_run *run = (fk_run *)fk_part_allocate(fk_run_size((unsigned)count));
    fk_object_new(&run->head, FK_RUN, count, count);
    run->extra = NULL;
    return run;
}
static fk_inner *fk_inner_new(int count) {
    fk_inner *inner = (fk_inner *)fk_part_allocate(fk_inner_size((unsigned)count));
    fk_object_new(&inner->head, FK_INNER, count, count);
    inner->total = 0;
    return inner;
}
static uint64_t fk_subtree_total(const fk_object *o) {
    return o->kind == FK_INNER ? ((const fk_inner *)o)->total : o->count;
}
static fk_key fk_subtree_first(const fk_object *o) {
    return o->kind == FK_INNER ? ((const fk_inner *)o)->branches[0].first
                               : fk_run_keys((const fk_run *)o)[0];
}
static void fk_branch_set(fk_branch *b, fk_object *child) {
    b->first = fk_subtree_first(child);
    b->sort = fk_key_sort(b->first);
    b->child = child;
}

/* Copy entries [from, to) of `run`, each counted once more. */
static void fk_run_copy(fk_run *target, int at, const fk_run *run, int from, int to) {
    uint64_t *keys = fk_run_keys(target) + at, *values = fk_run_values(target) + at;
    const uint64_t *old_keys = fk_run_keys(run) + from, *old_values = fk_run_values(run) + from;
    /* Counting touches every child, each in a place of its own: ask for all at once. */
    for (int i = 0; i < to - from; i++)
        if (fk_is_counted(old_values[i])) FK_PREFETCH(fk_pointer(old_values[i]));
    for (int i = 0; i < to - from; i++) {
        fk_key_retain(keys[i] = old_keys[i]);
        fk_retain(values[i] = old_values[i]);
    }
}
/* Move entries [from, to) of `run` without counting. */
static void fk_run_move(fk_run *target, int at, const fk_run *run, int from, int to) {
    memcpy(fk_run_keys(target) + at, fk_run_keys(run) + from, (size_t)(to - from) * 8);
    memcpy(fk_run_values(target) + at, fk_run_values(run) + from, (size_t)(to - from) * 8);
}
/* Free a run whose entries were moved away. */
static void fk_run_discard(fk_run *run) { fk_part_free(&run->head, fk_run_size(run->head.capacity)); }

/* The run (owned) as one that may be changed: itself, or a copy of it. */
static fk_run *fk_run_unshare(fk_run *run) {
    if (run->head.references == 1) return run;
    fk_run *copy = fk_run_new(run->head.count);
    fk_run_copy(copy, 0, run, 0, run->head.count);
    if (run->extra && run->extra->priority != FK_EMPTY) {
        copy->extra = (fk_extra *)fk_allocate(sizeof(fk_extra));
        memset(copy->extra, 0, sizeof(fk_extra));
        copy->extra->priority = run->extra->priority;
        fk_retain(copy->extra->priority);
    }
    run->head.references--;
    return copy;
}
static fk_inner *fk_inner_unshare(fk_inner *inner) {
    if (inner->head.references == 1) return inner;
    fk_inner *copy = fk_inner_new(inner->head.count);
    memcpy(copy->branches, inner->branches, inner->head.count * sizeof(fk_branch));
    for (int i = 0; i < copy->head.count; i++) copy->branches[i].child->references++;
    copy->total = inner->total;
    inner->head.references--;
    return copy;
}

/* Forget what was known about the old content; keep the priority. */
static fk_extra *fk_extra_reset(fk_extra *extra) {
    if (!extra) return NULL;
    if (extra->priority == FK_EMPTY) {
        fk_extra_free(extra);
        return NULL;
    }
    extra->size_bytes = 0;
    extra->has_digest = 0;
    return extra;
}

/* What a change below did to the number of children, and a second half if the
 * part had to be split. */
typedef struct {
    fk_object *split;
    int delta;
} fk_outcome;

/* Insert, replace or (value EMPTY) remove k in an owned part of a map. Returns
 * the part, or NULL if nothing is left of it. k borrowed, value (owned). */
static fk_object *fk_part_set(fk_object *part, fk_key k, uint64_t sort, fk_word value,
                              fk_outcome *outcome);

static fk_object *fk_run_set(fk_run *run, fk_key k, fk_word value, fk_outcome *outcome) {
    int found, count = run->head.count, at = fk_run_find(run, k, &found);
    outcome->delta = 0;
    outcome->split = NULL;
    if (found) {
        if (value != FK_EMPTY) {
            run = fk_run_unshare(run);
            fk_drop(fk_run_values(run)[at]);
            fk_run_values(run)[at] = value;
            return &run->head;
        }
        outcome->delta = -1;
        if (count == 1) {
            fk_object_release(&run->head);
            return NULL;
        }
        run = fk_run_unshare(run);
        fk_key_release(fk_run_keys(run)[at]);
        fk_drop(fk_run_values(run)[at]);
        memmove(fk_run_keys(run) + at, fk_run_keys(run) + at + 1, (size_t)(count - at - 1) * 8);
        memmove(fk_run_values(run) + at, fk_run_values(run) + at + 1, (size_t)(count - at - 1) * 8);
        run->head.count--;
        return &run->head;
    }
    if (value == FK_EMPTY) return &run->head;
    outcome->delta = 1;
    fk_key_retain(k);
    if (count < FK_FAN_OUT) {
        fk_run *larger;
        if (run->head.references == 1 && count < run->head.capacity) {
            uint64_t *keys = fk_run_keys(run), *values = fk_run_values(run);
            memmove(keys + at + 1, keys + at, (size_t)(count - at) * 8);
            memmove(values + at + 1, values + at, (size_t)(count - at) * 8);
            run->head.count++;
            keys[at] = k;
            values[at] = value;
            return &run->head;
        }
        if (run->head.references == 1) { /* grows in place: room for what may follow */
            int capacity = count + 1 + (count >> 2);
            larger = fk_run_new(capacity > FK_FAN_OUT ? FK_FAN_OUT : capacity);
            larger->head.count = (uint16_t)(count + 1);
            fk_run_move(larger, 0, run, 0, at);
            fk_run_move(larger, at + 1, run, at, count);
            larger->extra = run->extra;
            fk_run_discard(run);
        } else {
            larger = fk_run_new(count + 1);
            fk_run_copy(larger, 0, run, 0, at);
            fk_run_copy(larger, at + 1, run, at, count);
            if (run->extra && run->extra->priority != FK_EMPTY) {
                larger->extra = (fk_extra *)fk_allocate(sizeof(fk_extra));
                memset(larger->extra, 0, sizeof(fk_extra));
                fk_retain(larger->extra->priority = run->extra->priority);
            }
            run->head.references--;
        }
        fk_run_keys(larger)[at] = k;
        fk_run_values(larger)[at] = value;
        return &larger->head;
    }
    /* Full. Appending leaves the left half full, so that ascending keys pack. */
    int cut = at == count ? count - 1 : at == 0 ? 1 : count / 2;
    int sole = run->head.references == 1;
    int in_left = at <= cut && at != count;
    fk_run *left = fk_run_new(cut + in_left), *right = fk_run_new(count - cut + !in_left);
    left->extra = NULL;
    fk_run *target = in_left ? left : right;
    int offset = in_left ? at : at - cut;
#define FK_PLACE(t, i, from, to) \
    (sole ? fk_run_move(t, i, run, from, to) : fk_run_copy(t, i, run, from, to))
    if (in_left) {
        FK_PLACE(left, 0, 0, at);
        FK_PLACE(left, at + 1, at, cut);
        FK_PLACE(right, 0, cut, count);
    } else {
        FK_PLACE(left, 0, 0, cut);
        FK_PLACE(right, 0, cut, at);
        FK_PLACE(right, offset + 1, at, count);
    }
#undef FK_PLACE
    fk_run_keys(target)[offset] = k;
    fk_run_values(target)[offset] = value;
    if (sole) {
        /* the caller moves run->extra before it lets go of the map's root */
        fk_run_discard(run);
    } else {
        run->head.references--;
    }
    outcome->split = &right->head;
    return &left->head;
}

/* Join two neighbouring parts of one height if they fit well into one. */
static int fk_parts_join(fk_inner *parent, int i) {
    fk_object *a = parent->branches[i].child, *b = parent->branches[i + 1].child;
    int together = a->count + b->count, j;
    if (together > FK_FAN_OUT * 3 / 4) return 0;
    fk_object *joined;
    if (a->kind == FK_RUN) {
        fk_run *run = fk_run_new(together);
        fk_run_copy(run, 0, (fk_run *)a, 0, a->count);
        fk_run_copy(run, a->count, (fk_run *)b, 0, b->count);
        joined = &run->head;
    } else {
        fk_inner *inner = fk_inner_new(together);
        memcpy(inner->branches, ((fk_inner *)a)->branches, a->count * sizeof(fk_branch));
        memcpy(inner->branches + a->count, ((fk_inner *)b)->branches, b->count * sizeof(fk_branch));
        for (j = 0; j < together; j++) inner->branches[j].child->references++;
        inner->total = ((fk_inner *)a)->total + ((fk_inner *)b)->total;
        joined = &inner->head;
    }
    fk_branch_set(&parent->branches[i], joined);
    memmove(&parent->branches[i + 1], &parent->branches[i + 2],
            (size_t)(parent->head.count - i - 2) * sizeof(fk_branch));
    parent->head.count--;
    fk_object_release(a);
    fk_object_release(b);
    return 1;
}

static fk_object *fk_inner_set(fk_inner *inner, fk_key k, uint64_t sort, fk_word value,
                               fk_outcome *outcome) {
    int i = fk_inner_find(inner, k, sort), count;
    inner = fk_inner_unshare(inner);
    count = inner->head.count;
    fk_outcome below;
    fk_object *child = fk_part_set(inner->branches[i].child, k, sort, value, &below);
    outcome->delta = below.delta;
    outcome->split = NULL;
    inner->total = (uint64_t)((int64_t)inner->total + below.delta);
    if (!child) {
        memmove(&inner->branches[i], &inner->branches[i + 1],
                (size_t)(count - i - 1) * sizeof(fk_branch));
        if (--inner->head.count) return &inner->head;
        fk_part_free(&inner->head, fk_inner_size(inner->head.capacity));
        return NULL;
    }
    fk_branch_set(&inner->branches[i], child);
    if (below.delta < 0 && child->count < FK_FAN_OUT / 4) {
        if (i + 1 < inner->head.count && fk_parts_join(inner, i)) return &inner->head;
        if (i > 0) fk_parts_join(inner, i - 1);
        return &inner->head;
    }
    if (!below.split) return &inner->head;
    int at = i + 1;
    if (count < FK_FAN_OUT) {
        fk_inner *larger = inner;
        if (count == inner->head.capacity) {
            int capacity = count + 1 + (count >> 2);
            larger = fk_inner_new(capacity > FK_FAN_OUT ? FK_FAN_OUT : capacity);
            memcpy(larger->branches, inner->branches, (size_t)at * sizeof(fk_branch));
            memcpy(larger->branches + at + 1, inner->branches + at,
                   (size_t)(count - at) * sizeof(fk_branch));
            larger->total = inner->total;
            fk_part_free(&inner->head, fk_inner_size(inner->head.capacity));
        } else {
            memmove(larger->branches + at + 1, larger->branches + at,
                    (size_t)(count - at) * sizeof(fk_branch));
        }
        larger->head.count = (uint16_t)(count + 1);
        fk_branch_set(&larger->branches[at], below.split);
        return &larger->head;
    }
    int cut = at == count ? count : count / 2, j;
    fk_inner *right = fk_inner_new(FK_FAN_OUT);
    if (at == count) {
        right->head.count = 1;
        fk_branch_set(&right->branches[0], below.split);
    } else {
        fk_branch all[FK_FAN_OUT + 1];
        memcpy(all, inner->branches, (size_t)at * sizeof(fk_branch));
        fk_branch_set(&all[at], below.split);
        memcpy(all + at + 1, inner->branches + at, (size_t)(count - at) * sizeof(fk_branch));
        memcpy(inner->branches, all, (size_t)cut * sizeof(fk_branch));
        inner->head.count = (uint16_t)cut;
        right->head.count = (uint16_t)(count + 1 - cut);
        memcpy(right->branches, all + cut, right->head.count * sizeof(fk_branch));
    }
    uint64_t moved = 0;
    for (j = 0; j < right->head.count; j++) moved += fk_subtree_total(right->branches[j].child);
    right->total = moved;
    inner->total -= moved;
    outcome->split = &right->head;
    return &inner->head;
}

static fk_object *fk_part_set(fk_object *part, fk_key k, uint64_t sort, fk_word value,
                              fk_outcome *outcome) {
    return part->kind == FK_INNER ? fk_inner_set((fk_inner *)part, k, sort, value, outcome)
                                  : fk_run_set((fk_run *)part, k, value, outcome);
}

static fk_word fk_new_tree(fk_object *root, int height, uint64_t total, fk_extra *extra) {
    fk_tree *tree = (fk_tree *)fk_allocate(sizeof *tree);
    fk_object_new(&tree->head, FK_TREE, 0, height);
    tree->extra = extra;
    tree->total = total;
    tree->root = root;
    return fk_from_pointer(FK_TAG_MAP, tree);
}

/* map (owned, a map), k borrowed, value (owned). */
static fk_word fk_map_set(fk_word map, fk_key k, fk_word value) {
    fk_object *o = (fk_object *)fk_pointer(map);
    fk_outcome outcome;
    if (o->kind == FK_RUN) {
        fk_run *run = (fk_run *)o;
        fk_extra *extra = NULL;
        if (value == FK_EMPTY && fk_child(map, k) == FK_EMPTY) return map;
        if (run->head.references == 1) {
            run->extra = extra = fk_extra_reset(run->extra);
        } else if (run->extra && run->extra->priority != FK_EMPTY) {
            extra = run->extra;
        }
        fk_word priority = extra ? extra->priority : FK_EMPTY;
        int sole = run->head.references == 1;
        if (!sole) fk_retain(priority);
        fk_object *part = fk_run_set(run, k, value, &outcome);
        if (!part) {
            if (!sole) fk_drop(priority);
            return FK_EMPTY;
        }
        if (!outcome.split) {
            if (!sole) fk_drop(priority);
            return fk_from_pointer(FK_TAG_MAP, part);
        }
        fk_inner *inner = fk_inner_new(2);
        fk_branch_set(&inner->branches[0], part);
        fk_branch_set(&inner->branches[1], outcome.split);
        inner->total = (uint64_t)part->count + outcome.split->count;
        if (!sole && priority != FK_EMPTY) {
            extra = (fk_extra *)fk_allocate(sizeof *extra);
            memset(extra, 0, sizeof *extra);
            extra->priority = priority;
        } else if (!sole) {
            extra = NULL;
        }
        return fk_new_tree(&inner->head, 1, inner->total, extra);
    }
    fk_tree *tree = (fk_tree *)o;
    if (value == FK_EMPTY && fk_child(map, k) == FK_EMPTY) return map;
    if (tree->head.references == 1) {
        tree->extra = fk_extra_reset(tree->extra);
    } else {
        fk_extra *extra = NULL;
        if (tree->extra && tree->extra->priority != FK_EMPTY) {
            extra = (fk_extra *)fk_allocate(sizeof *extra);
            memset(extra, 0, sizeof *extra);
            fk_retain(extra->priority = tree->extra->priority);
        }
        tree->root->references++;
        tree->head.references--;
        map = fk_new_tree(tree->root, tree->head.count, tree->total, extra);
        tree = (fk_tree *)fk_pointer(map);
    }
    tree->root = fk_part_set(tree->root, k, fk_key_sort(k), value, &outcome);
    tree->total = (uint64_t)((int64_t)tree->total + outcome.delta);
    if (outcome.split) {
        fk_inner *inner = fk_inner_new(2);
        fk_branch_set(&inner->branches[0], tree->root);
        fk_branch_set(&inner->branches[1], outcome.split);
        inner->total = tree->total;
        tree->root = &inner->head;
        tree->head.count++;
        return map;
    }
    if (!tree->root) { /* the last child went */
        fk_extra_free(tree->extra);
        fk_object_free(&tree->head, sizeof *tree);
        return FK_EMPTY;
    }
    while (tree->root->kind == FK_INNER && tree->root->count == 1) {
        fk_object *only = ((fk_inner *)tree->root)->branches[0].child;
        only->references++;
        fk_object_release(tree->root);
        tree->root = only;
        tree->head.count--;
    }
    if (tree->root->kind == FK_RUN) { /* small again: a run is a map by itself */
        fk_run *run = fk_run_unshare((fk_run *)tree->root);
        run->extra = tree->extra;
        fk_object_free(&tree->head, sizeof *tree);
        return fk_from_pointer(FK_TAG_MAP, run);
    }
    return map;
}

/* A map of sorted, distinct entries; keys and values (owned), none EMPTY.
 * priority (owned) is dropped if there are no entries. */
static fk_word fk_map_from_sorted(const fk_key *keys, const fk_word *values, size_t count,
                                  fk_word priority) {
    fk_extra *extra = NULL;
    if (!count) {
        fk_drop(priority);
        return FK_EMPTY;
    }
    if (priority != FK_EMPTY) {
        extra = (fk_extra *)fk_allocate(sizeof *extra);
        memset(extra, 0, sizeof *extra);
        extra->priority = priority;
    }
    size_t parts = (count + FK_FAN_OUT - 1) / FK_FAN_OUT, done = 0, i;
    fk_object **level = (fk_object **)malloc(parts * sizeof *level);
    if (!level) abort();
    for (i = 0; i < parts; i++) {
        size_t size = (count - done) / (parts - i);
        if (parts > 1 && i + 1 < parts) size = FK_FAN_OUT < count - done ? FK_FAN_OUT : size;
        fk_run *run = fk_run_new((int)size);
        memcpy(fk_run_keys(run), keys + done, size * 8);
        memcpy(fk_run_values(run), values + done, size * 8);
        level[i] = &run->head;
        done += size;
    }
    if (parts == 1) {
        fk_run *run = (fk_run *)level[0];
        free(level);
        run->extra = extra;
        return fk_from_pointer(FK_TAG_MAP, run);
    }
    int height = 0;
    while (parts > 1) {
        size_t above = (parts + FK_FAN_OUT - 1) / FK_FAN_OUT;
        done = 0;
        for (i = 0; i < above; i++) {
            size_t size = (parts - done) / (above - i), j;
            fk_inner *inner = fk_inner_new((int)size);
            for (j = 0; j < size; j++) {
                fk_branch_set(&inner->branches[j], level[done + j]);
                inner->total += fk_subtree_total(level[done + j]);
            }
            done += size;
            level[i] = &inner->head;
        }
        parts = above;
        height++;
    }
    fk_object *root = level[0];
    free(level);
    return fk_new_tree(root, height, count, extra);
}

typedef struct {
    fk_key key;
    fk_word value;
    size_t order;
} fk_entry;

static int fk_entry_compare(const void *x, const void *y) {
    const fk_entry *a = (const fk_entry *)x, *b = (const fk_entry *)y;
    int order = fk_compare_keys(a->key, b->key);
    return order ? order : a->order < b->order ? -1 : 1;
}

/* As above for entries in any order; of equal keys the last wins, EMPTY values
 * vanish. The two arrays are scratch of the caller and are overwritten. */
static fk_word fk_map_from_entries(fk_key *keys, fk_word *values, size_t count, fk_word priority) {
    size_t i = 1, kept = 0;
    while (i < count && fk_compare_keys(keys[i - 1], keys[i]) < 0) i++;
    if (i >= count) {
        for (i = 0; i < count; i++) {
            if (values[i] == FK_EMPTY) {
                fk_key_release(keys[i]);
            } else {
                keys[kept] = keys[i];
                values[kept++] = values[i];
            }
        }
        return fk_map_from_sorted(keys, values, kept, priority);
    }
    fk_entry *entries = (fk_entry *)malloc(count * sizeof *entries);
    if (!entries) abort();
    for (i = 0; i < count; i++) {
        entries[i].key = keys[i];
        entries[i].value = values[i];
        entries[i].order = i;
    }
    qsort(entries, count, sizeof *entries, fk_entry_compare);
    kept = 0;
    for (i = 0; i < count; i++) {
        int last = i + 1 == count || entries[i].key != entries[i + 1].key;
        if (last && entries[i].value != FK_EMPTY) {
            keys[kept] = entries[i].key;
            values[kept++] = entries[i].value;
        } else {
            fk_key_release(entries[i].key);
            fk_drop(entries[i].value);
        }
    }
    free(entries);
    return fk_map_from_sorted(keys, values, kept, priority);
}

/* ---- nodes: the update rules (sync-engine §1.4) ------------------------- */

/* leaf (owned) without its priority */
static fk_word fk_strip(fk_word leaf) {
    if (fk_tag(leaf) != FK_TAG_PRIORITISED) return leaf;
    fk_word value = ((fk_prioritised *)fk_pointer(leaf))->value;
    fk_retain(value);
    fk_drop(leaf);
    return value;
}

/* node (owned), priority (owned; EMPTY for none) */
static fk_word fk_set_priority(fk_word node, fk_word priority) {
    if (node == FK_EMPTY) {
        fk_drop(priority);
        return FK_EMPTY;
    }
    if (!fk_is_map(node)) {
        node = fk_strip(node);
        if (priority == FK_EMPTY) return node;
        fk_prioritised *box = (fk_prioritised *)fk_allocate(sizeof *box);
        fk_object_new(&box->head, FK_PRIORITISED, 0, 0);
        box->value = node;
        box->priority = priority;
        return fk_from_pointer(FK_TAG_PRIORITISED, box);
    }
    if (priority == FK_EMPTY && fk_priority(node) == FK_EMPTY) return node;
    fk_object *o = (fk_object *)fk_pointer(node);
    if (o->references > 1) {
        if (o->kind == FK_RUN) {
            fk_run *run = fk_run_unshare((fk_run *)o);
            node = fk_from_pointer(FK_TAG_MAP, run);
        } else {
            fk_tree *tree = (fk_tree *)o;
            tree->root->references++;
            tree->head.references--;
            node = fk_new_tree(tree->root, tree->head.count, tree->total, NULL);
        }
    }
    fk_run *holder = (fk_run *)fk_pointer(node); /* a tree's extra lies at the same place */
    fk_extra_free(holder->extra);
    holder->extra = NULL;
    if (priority != FK_EMPTY) {
        holder->extra = (fk_extra *)fk_allocate(sizeof(fk_extra));
        memset(holder->extra, 0, sizeof(fk_extra));
        holder->extra->priority = priority;
    }
    return node;
}

/* node (owned), k borrowed, value (owned) */
static fk_word fk_set_child(fk_word node, fk_key k, fk_word value) {
    if (fk_is_map(node)) return fk_map_set(node, k, value);
    if (value == FK_EMPTY) return node;
    fk_word priority = fk_priority(node);
    fk_retain(priority);
    fk_drop(node);
    fk_key_retain(k);
    return fk_map_from_sorted(&k, &value, 1, priority);
}

/* Where child k stands in a map that may be changed in place; NULL if it may not
 * or has no such child. */
static fk_word *fk_child_slot(fk_word node, fk_key k) {
    fk_object *o;
    uint64_t sort = fk_key_sort(k);
    if (!fk_is_map(node)) return NULL;
    o = (fk_object *)fk_pointer(node);
    if (o->references > 1) return NULL;
    if (o->kind == FK_TREE) {
        o = ((fk_tree *)o)->root;
        while (o->kind == FK_INNER) {
            if (o->references > 1) return NULL;
            o = ((fk_inner *)o)->branches[fk_inner_find((fk_inner *)o, k, sort)].child;
        }
        if (o->references > 1) return NULL;
    }
    int found, i = fk_run_find((fk_run *)o, k, &found);
    return found ? &fk_run_values((fk_run *)o)[i] : NULL;
}

/* node (owned), path borrowed, value (owned) */
static fk_word fk_set_path(fk_word node, const fk_key *path, size_t length, fk_word value) {
    if (!length) {
        fk_drop(node);
        return value;
    }
    if (length == 1) return fk_set_child(node, path[0], value);
    fk_word *slot = fk_child_slot(node, path[0]);
    if (slot) {
        fk_word child = *slot;
        *slot = FK_FALSE;
        child = fk_set_path(child, path + 1, length - 1, value);
        if (child == FK_EMPTY) return fk_map_set(node, path[0], FK_EMPTY);
        fk_run *holder = (fk_run *)fk_pointer(node);
        holder->extra = fk_extra_reset(holder->extra);
        *slot = child;
        return node;
    }
    fk_word old = fk_child(node, path[0]), child;
    if (value == FK_EMPTY && old == FK_EMPTY) return node;
    fk_retain(old);
    child = fk_set_path(old, path + 1, length - 1, value);
    if (child == old) { /* the deletion of something that was not there */
        fk_drop(child);
        return node;
    }
    return fk_set_child(node, path[0], child);
}

static fk_word fk_get_path(fk_word node, const fk_key *path, size_t length) {
    size_t i;
    for (i = 0; i < length && fk_is_map(node); i++) node = fk_child(node, path[i]);
    return i == length ? node : FK_EMPTY;
}

/* ---- comparison and counting ------------------------------------------- */

static int fk_equal_scalars(fk_word a, fk_word b) {
    if (a == b) return 1;
    if (fk_is_integer(a) && fk_is_integer(b)) return fk_integer_of(a) == fk_integer_of(b);
    if (fk_is_number(a) && fk_is_number(b)) return fk_number_of(a) == fk_number_of(b);
    if (fk_is_string(a) && fk_is_string(b))
        return fk_string_length(a) == fk_string_length(b) &&
               !memcmp(fk_string_text(a), fk_string_text(b), fk_string_length(a));
    if (fk_is_deferred(a) && fk_is_deferred(b))
        return fk_deferred_kind(a) == fk_deferred_kind(b) &&
               fk_equal(fk_deferred_operand(a), fk_deferred_operand(b));
    return 0;
}

static int fk_equal_parts(const fk_object *a, const fk_object *b) {
    if (a == b) return 1;
    if (a->kind != b->kind || a->count != b->count) return -1; /* shapes differ: unknown */
    int i, unknown = 0;
    if (a->kind == FK_RUN) {
        const fk_run *x = (const fk_run *)a, *y = (const fk_run *)b;
        if (memcmp(fk_run_keys(x), fk_run_keys(y), (size_t)a->count * 8)) return -1;
        for (i = 0; i < a->count; i++)
            if (!fk_equal(fk_run_values(x)[i], fk_run_values(y)[i])) return 0;
        return 1;
    }
    for (i = 0; i < a->count; i++) {
        int same = fk_equal_parts(((const fk_inner *)a)->branches[i].child,
                                  ((const fk_inner *)b)->branches[i].child);
        if (!same) return 0;
        unknown |= same < 0;
    }
    return unknown ? -1 : 1;
}

/* Deep equality, priorities included; shared parts cost nothing. */
static int fk_equal(fk_word a, fk_word b) {
    if (a == b) return 1;
    if (a == FK_EMPTY || b == FK_EMPTY || fk_is_map(a) != fk_is_map(b)) return 0;
    fk_word p = fk_priority(a), q = fk_priority(b);
    if (p != q && !fk_equal_scalars(p, q)) return 0;
    if (!fk_is_map(a)) return fk_equal_scalars(fk_bare(a), fk_bare(b));
    if (fk_map_count(a) != fk_map_count(b)) return 0;
    int same = fk_equal_parts(fk_map_root(a), fk_map_root(b));
    if (same >= 0) return same;
    fk_cursor x, y;
    fk_cursor_start(&x, a, 0);
    fk_cursor_start(&y, b, 0);
    do {
        if (fk_cursor_key(&x) != fk_cursor_key(&y) ||
            !fk_equal(fk_cursor_value(&x), fk_cursor_value(&y)))
            return 0;
    } while (fk_cursor_next(&x) && fk_cursor_next(&y));
    return 1;
}

static uint64_t fk_scalar_size(fk_word bare) {
    switch (fk_rank(bare)) {
    case 2: return 4;
    case 3: return 8;
    case 4: return 2 + fk_text_units(fk_string_text(bare), fk_string_length(bare));
    case 1: return 24;
    default: return 4;
    }
}

static fk_extra *fk_need_extra(fk_word map) {
    fk_run *holder = (fk_run *)fk_pointer(map);
    if (!holder->extra) {
        holder->extra = (fk_extra *)fk_allocate(sizeof(fk_extra));
        memset(holder->extra, 0, sizeof(fk_extra));
        holder->extra->priority = FK_EMPTY;
    }
    return holder->extra;
}

/* Only maps of at least this many children keep facts about themselves: an
 * extra costs more than it saves on a record. */
#define FK_CACHE_FROM 64

/* The estimate of sync-engine §1.9. */
static uint64_t fk_size_bytes(fk_word w) {
    if (!fk_is_map(w)) {
        fk_word priority = fk_priority(w);
        uint64_t size = fk_scalar_size(fk_bare(w));
        return priority == FK_EMPTY ? size : size + 24 + fk_scalar_size(priority);
    }
    fk_extra *extra = fk_map_extra(w);
    if (extra && extra->size_bytes) return extra->size_bytes;
    uint64_t size = 1;
    fk_cursor c;
    char buffer[1024];
    fk_cursor_start(&c, w, 0);
    do {
        size_t length;
        const char *text = fk_key_text(fk_cursor_key(&c), buffer, &length);
        size += fk_text_units(text, length) + 4 + fk_size_bytes(fk_cursor_value(&c));
    } while (fk_cursor_next(&c));
    if (fk_priority(w) != FK_EMPTY) size += 12 + fk_scalar_size(fk_priority(w));
    if (fk_map_count(w) >= FK_CACHE_FROM) fk_need_extra(w)->size_bytes = size;
    return size;
}

static uint64_t fk_leaf_count(fk_word w) {
    if (!fk_is_map(w)) return w != FK_EMPTY;
    uint64_t count = 0;
    fk_cursor c;
    fk_cursor_start(&c, w, 0);
    do
        count += fk_leaf_count(fk_cursor_value(&c));
    while (fk_cursor_next(&c));
    return count;
}

#endif
