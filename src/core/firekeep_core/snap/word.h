/* The 64-bit words that every value and every key is, and what can be asked of
 * them without touching any state.
 *
 * A value word is either the bits of a finite double, or one of the tags below
 * in its top 16 bits (the bit patterns of infinities and NaNs, which no value
 * can be) over a 48-bit payload.
 *
 * A key word sorts: of two keys that are both held in their words, the smaller
 * word is the smaller key. Its top two bits are its class:
 *
 *   00  integer-like: 32-bit value (biased), length, sign; always in the word
 *   01  text of at most 8 printable ASCII characters, 7 bits each, in the word
 *   11  a pointer to a `fk_heap_key`, interned: equal keys are equal words
 *
 * This header is included by several extension modules and therefore holds no
 * state; whoever creates or frees anything goes through tree.h, which is part
 * of `word` alone.
 */
#ifndef FIREKEEP_WORD_H
#define FIREKEEP_WORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t fk_word;
typedef uint64_t fk_key;

#define FK_TAG_EMPTY 0xFFF1u
#define FK_TAG_BOOLEAN 0xFFF2u
#define FK_TAG_INTEGER 0xFFF3u
#define FK_TAG_STRING 0xFFF4u
#define FK_TAG_PRIORITISED 0xFFF5u
#define FK_TAG_INTEGER64 0xFFF6u
#define FK_TAG_DEFERRED 0xFFF7u
#define FK_TAG_MAP 0xFFF8u

#define FK_PAYLOAD_MASK 0x0000FFFFFFFFFFFFull
#define FK_EMPTY ((fk_word)FK_TAG_EMPTY << 48)
#define FK_FALSE ((fk_word)FK_TAG_BOOLEAN << 48)
#define FK_TRUE (FK_FALSE | 1u)

/* The two keys that no child can have: before and after every key. */
#define FK_KEY_MIN ((fk_key)0)
#define FK_KEY_MAX (~(fk_key)0)

enum { FK_RUN = 1, FK_TREE, FK_INNER, FK_STRING, FK_PRIORITISED, FK_INTEGER64, FK_DEFERRED };
enum { FK_DEFERRED_TIMESTAMP = 1, FK_DEFERRED_INCREMENT = 2, FK_DEFERRED_UNKNOWN = 3 };

/* What every counted object begins with. */
typedef struct {
    uint32_t references;
    uint8_t kind;
    uint8_t capacity; /* of a run; kind of a deferred value; otherwise unused */
    uint16_t count;   /* entries of a run or inner node; height of a tree */
} fk_object;

typedef struct {
    fk_object head;
    uint32_t length; /* bytes of UTF-8 */
    char text[1];
} fk_string;

typedef struct {
    fk_object head;
    fk_word value;
    fk_word priority;
} fk_prioritised;

typedef struct {
    fk_object head;
    int64_t value;
} fk_integer64;

typedef struct {
    fk_object head;
    fk_word operand; /* the increment's number; an unknown form's node; EMPTY */
} fk_deferred;

/* Facts about a map that most maps do not need. */
typedef struct {
    fk_word priority;
    uint64_t size_bytes; /* 0: not counted yet */
    uint8_t digest[20];
    uint8_t has_digest;
} fk_extra;

/* A sorted run of children: a whole map of at most FK_FAN_OUT children, or a
 * leaf of a larger one. Keys stand before values so that a search reads few
 * cache lines. */
typedef struct {
    fk_object head;
    fk_extra *extra;
    uint64_t slots[1]; /* capacity keys, then capacity values */
} fk_run;

typedef struct {
    uint64_t sort;
    fk_key first; /* smallest key below the child: kept alive by the child */
    fk_object *child;
} fk_branch;

typedef struct {
    fk_object head;
    uint64_t total; /* children below */
    fk_branch branches[1];
} fk_inner;

/* A map of more children than fit a run: a B+tree. head.count is its height. */
typedef struct {
    fk_object head;
    fk_extra *extra;
    uint64_t total;
    fk_object *root;
} fk_tree;

typedef struct {
    uint64_t sort;
    uint32_t references;
    uint32_t hash;
    uint32_t length;
    char text[1];
} fk_heap_key;

#define FK_FAN_OUT 16
#define FK_MAX_HEIGHT 16 /* parts are at least a quarter full: 4 to the 16th children and more */

/* ---- value words ------------------------------------------------------- */

static inline unsigned fk_tag(fk_word w) { return (unsigned)(w >> 48); }
static inline int fk_is_double(fk_word w) {
    unsigned tag = fk_tag(w);
    return tag < FK_TAG_EMPTY || tag > FK_TAG_MAP;
}
static inline void *fk_pointer(fk_word w) { return (void *)(uintptr_t)(w & FK_PAYLOAD_MASK); }
static inline fk_word fk_from_pointer(unsigned tag, const void *p) {
    return ((fk_word)tag << 48) | ((fk_word)(uintptr_t)p & FK_PAYLOAD_MASK);
}
static inline int fk_is_empty(fk_word w) { return w == FK_EMPTY; }
static inline int fk_is_map(fk_word w) { return fk_tag(w) == FK_TAG_MAP; }
static inline int fk_is_leaf(fk_word w) { return w != FK_EMPTY && !fk_is_map(w); }
static inline int fk_is_counted(fk_word w) {
    unsigned tag = fk_tag(w);
    return tag >= FK_TAG_STRING && tag <= FK_TAG_MAP;
}

static inline fk_word fk_from_double(double d) {
    fk_word w;
    memcpy(&w, &d, 8);
    return w;
}
static inline double fk_bits_to_double(fk_word w) {
    double d;
    memcpy(&d, &w, 8);
    return d;
}
static inline int64_t fk_payload_integer(fk_word w) {
    return (int64_t)(w << 16) >> 16;
}
static inline fk_word fk_from_boolean(int truth) { return truth ? FK_TRUE : FK_FALSE; }

/* The scalar of a leaf without its priority. */
static inline fk_word fk_bare(fk_word w) {
    return fk_tag(w) == FK_TAG_PRIORITISED ? ((fk_prioritised *)fk_pointer(w))->value : w;
}
static inline fk_extra *fk_map_extra(fk_word w) { return ((fk_run *)fk_pointer(w))->extra; }
static inline fk_word fk_priority(fk_word w) {
    if (fk_tag(w) == FK_TAG_PRIORITISED)
        return ((fk_prioritised *)fk_pointer(w))->priority;
    if (fk_is_map(w)) {
        fk_extra *extra = fk_map_extra(w);
        return extra ? extra->priority : FK_EMPTY;
    }
    return FK_EMPTY;
}
static inline int fk_is_number(fk_word bare) {
    unsigned tag = fk_tag(bare);
    return fk_is_double(bare) || tag == FK_TAG_INTEGER || tag == FK_TAG_INTEGER64;
}
static inline int fk_is_integer(fk_word bare) {
    unsigned tag = fk_tag(bare);
    return tag == FK_TAG_INTEGER || tag == FK_TAG_INTEGER64;
}
static inline int64_t fk_integer_of(fk_word bare) {
    return fk_tag(bare) == FK_TAG_INTEGER ? fk_payload_integer(bare)
                                          : ((fk_integer64 *)fk_pointer(bare))->value;
}
static inline double fk_number_of(fk_word bare) {
    return fk_is_integer(bare) ? (double)fk_integer_of(bare) : fk_bits_to_double(bare);
}
static inline int fk_is_string(fk_word bare) { return fk_tag(bare) == FK_TAG_STRING; }
static inline const char *fk_string_text(fk_word bare) {
    return ((fk_string *)fk_pointer(bare))->text;
}
static inline size_t fk_string_length(fk_word bare) {
    return ((fk_string *)fk_pointer(bare))->length;
}
static inline int fk_is_deferred(fk_word bare) { return fk_tag(bare) == FK_TAG_DEFERRED; }
static inline int fk_deferred_kind(fk_word bare) {
    return ((fk_deferred *)fk_pointer(bare))->head.capacity;
}
static inline fk_word fk_deferred_operand(fk_word bare) {
    return ((fk_deferred *)fk_pointer(bare))->operand;
}

/* ---- maps -------------------------------------------------------------- */

static inline uint64_t *fk_run_keys(const fk_run *run) { return (uint64_t *)run->slots; }
static inline uint64_t *fk_run_values(const fk_run *run) {
    return (uint64_t *)run->slots + run->head.capacity;
}
static inline uint64_t fk_map_count(fk_word w) {
    fk_object *o = (fk_object *)fk_pointer(w);
    return o->kind == FK_RUN ? o->count : ((fk_tree *)o)->total;
}
static inline uint64_t fk_child_count(fk_word w) { return fk_is_map(w) ? fk_map_count(w) : 0; }

/* ---- text -------------------------------------------------------------- */

/* Read one UTF-16 code unit of UTF-8 text; *low holds the second half of a pair
 * until it is asked for. -1 at the end. */
static inline int fk_next_unit(const char **at, const char *end, int *low) {
    if (*low) {
        int unit = *low;
        *low = 0;
        return unit;
    }
    if (*at == end) return -1;
    const unsigned char *c = (const unsigned char *)*at;
    unsigned lead = c[0];
    int more = lead < 0xC0 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    if (more >= end - *at) more = (int)(end - *at) - 1;
    unsigned code = more == 0 ? lead : lead & (0x3Fu >> more);
    for (int i = 1; i <= more; i++) code = code << 6 | (c[i] & 0x3F);
    *at += more + 1;
    if (code < 0x10000) return (int)code;
    *low = (int)(0xDC00 + ((code - 0x10000) & 0x3FF));
    return (int)(0xD800 + ((code - 0x10000) >> 10));
}

/* Compare UTF-8 as UTF-16 code units would: the order of bytes, but for
 * supplementary characters and lone surrogates, which come before U+E000. */
static inline int fk_compare_text(const char *a, size_t na, const char *b, size_t nb) {
    size_t n = na < nb ? na : nb, i;
    for (i = 0; i < n; i++) {
        if (a[i] == b[i]) continue;
        unsigned x = (unsigned char)a[i], y = (unsigned char)b[i];
        if (x < 0xED || y < 0xED) {
            /* continuation bytes differ only within one character, or one lone surrogate
             * continues where a pair does not: only the latter needs another look */
            size_t start = i;
            while (start && ((unsigned char)a[start] & 0xC0) == 0x80) start--;
            if ((unsigned char)a[start] != 0xED) return x < y ? -1 : 1;
            i = start;
        }
        const char *p = a + i, *q = b + i;
        int low_p = 0, low_q = 0, u, v;
        do {
            u = fk_next_unit(&p, a + na, &low_p);
            v = fk_next_unit(&q, b + nb, &low_q);
        } while (u == v && u >= 0);
        return u < v ? -1 : u > v;
    }
    return na == nb ? 0 : na < nb ? -1 : 1;
}

/* UTF-16 code units of UTF-8 text. */
static inline size_t fk_text_units(const char *text, size_t length) {
    size_t units = 0, i;
    for (i = 0; i < length; i++) {
        unsigned c = (unsigned char)text[i];
        units += (c & 0xC0) != 0x80;
        units += c >= 0xF0;
    }
    return units;
}

/* ---- keys -------------------------------------------------------------- */

#define FK_KEY_TEXT_CLASS ((uint64_t)1 << 62)

static inline int fk_key_is_integer(fk_key k) { return (k >> 62) == 0; }
static inline int fk_key_is_heap(fk_key k) { return (k >> 62) == 3 && k != FK_KEY_MAX; }
static inline fk_heap_key *fk_key_pointer(fk_key k) {
    return (fk_heap_key *)(uintptr_t)(k & FK_PAYLOAD_MASK);
}
static inline uint64_t fk_key_sort(fk_key k) { return fk_key_is_heap(k) ? fk_key_pointer(k)->sort : k; }
static inline int32_t fk_key_integer(fk_key k) {
    return (int32_t)((uint32_t)(k >> 30) ^ 0x80000000u);
}

/* Write the key's text into `buffer` (at least 1024 bytes) unless it lies in the
 * heap, and return where it stands. */
static inline const char *fk_key_text(fk_key k, char *buffer, size_t *length) {
    if (fk_key_is_heap(k)) {
        *length = fk_key_pointer(k)->length;
        return fk_key_pointer(k)->text;
    }
    if (fk_key_is_integer(k)) {
        size_t n = (k >> 20) & 1023, i = n;
        int64_t value = fk_key_integer(k);
        uint64_t digits = (uint64_t)(value < 0 ? -value : value);
        int minus = !((k >> 19) & 1);
        while (i > (size_t)minus) {
            buffer[--i] = (char)('0' + digits % 10);
            digits /= 10;
        }
        if (minus) buffer[0] = '-';
        *length = n;
        return buffer;
    }
    size_t n = 0;
    for (; n < 8; n++) {
        unsigned c = (unsigned)(k >> (55 - 7 * n)) & 0x7F;
        if (!c) break;
        buffer[n] = (char)c;
    }
    *length = n;
    return buffer;
}

static inline int fk_compare_keys(fk_key a, fk_key b) {
    if (a == b) return 0;
    uint64_t sa = fk_key_sort(a), sb = fk_key_sort(b);
    if (sa != sb) return sa < sb ? -1 : 1;
    char ta[16], tb[16]; /* equal sorts: text keys, of which one at least is in the heap */
    size_t na, nb;
    const char *pa = fk_key_text(a, ta, &na), *pb = fk_key_text(b, tb, &nb);
    return fk_compare_text(pa, na, pb, nb);
}

/* ---- the order of values ----------------------------------------------- */

/* null < deferred < boolean < number < string < map (sync-engine §1.6) */
static inline int fk_rank(fk_word bare) {
    if (fk_is_double(bare)) return 3;
    switch (fk_tag(bare)) {
    case FK_TAG_EMPTY: return 0;
    case FK_TAG_DEFERRED: return 1;
    case FK_TAG_BOOLEAN: return 2;
    case FK_TAG_STRING: return 4;
    case FK_TAG_MAP: return 5;
    default: return 3;
    }
}
/* As doubles: integers told apart from each other but not from doubles have no order. */
static inline int fk_compare_numbers(fk_word a, fk_word b) {
    double x = fk_number_of(a), y = fk_number_of(b);
    return x < y ? -1 : x > y;
}
/* Order two values as value, child and priority order do; maps are all equal. */
static inline int fk_compare_values(fk_word a, fk_word b) {
    a = fk_bare(a);
    b = fk_bare(b);
    int x = fk_rank(a), y = fk_rank(b);
    if (x != y) return x < y ? -1 : 1;
    switch (x) {
    case 2: return (int)(a & 1) - (int)(b & 1);
    case 3: return fk_compare_numbers(a, b);
    case 4:
        return fk_compare_text(fk_string_text(a), fk_string_length(a), fk_string_text(b),
                               fk_string_length(b));
    default: return 0;
    }
}

/* ---- iteration --------------------------------------------------------- */

/* A position in a map. Valid while the map is neither changed nor freed. */
typedef struct {
    const fk_inner *inner[FK_MAX_HEIGHT];
    int at[FK_MAX_HEIGHT];
    int height; /* inner nodes above the run */
    const fk_run *run;
    int i;
} fk_cursor;

static inline void fk_cursor_down(fk_cursor *c, const fk_object *o, int level, int last) {
    while (o->kind == FK_INNER) {
        const fk_inner *inner = (const fk_inner *)o;
        c->inner[level] = inner;
        c->at[level] = last ? inner->head.count - 1 : 0;
        o = inner->branches[c->at[level]].child;
        level++;
    }
    c->height = level;
    c->run = (const fk_run *)o;
    c->i = last ? c->run->head.count - 1 : 0;
}
static inline const fk_object *fk_map_root(fk_word map) {
    const fk_object *o = (const fk_object *)fk_pointer(map);
    return o->kind == FK_TREE ? ((const fk_tree *)o)->root : o;
}
/* Stand on the first (or last) child. Only for maps, which are never empty. */
static inline void fk_cursor_start(fk_cursor *c, fk_word map, int last) {
    fk_cursor_down(c, fk_map_root(map), 0, last);
}
static inline fk_key fk_cursor_key(const fk_cursor *c) { return fk_run_keys(c->run)[c->i]; }
static inline fk_word fk_cursor_value(const fk_cursor *c) { return fk_run_values(c->run)[c->i]; }

/* Move on; 0 if there is no further child. */
static inline int fk_cursor_next(fk_cursor *c) {
    if (++c->i < c->run->head.count) return 1;
    for (int level = c->height - 1; level >= 0; level--)
        if (c->at[level] + 1 < c->inner[level]->head.count) {
            c->at[level]++;
            fk_cursor_down(c, c->inner[level]->branches[c->at[level]].child, level + 1, 0);
            return 1;
        }
    c->i = c->run->head.count; /* stays past the end */
    return 0;
}
static inline int fk_cursor_previous(fk_cursor *c) {
    if (--c->i >= 0) return 1;
    for (int level = c->height - 1; level >= 0; level--)
        if (c->at[level] > 0) {
            c->at[level]--;
            fk_cursor_down(c, c->inner[level]->branches[c->at[level]].child, level + 1, 1);
            return 1;
        }
    c->i = -1;
    return 0;
}

/* If both stand at the start of the very same run, move both to its last child,
 * about which nothing need be said either; 1 if so. */
static inline int fk_cursor_skip_shared(fk_cursor *a, fk_cursor *b) {
    if (a->run != b->run || a->i || b->i) return 0;
    a->i = b->i = a->run->head.count - 1;
    return 1;
}

/* Index of the first key >= k in a run; *found says whether it is k. */
static inline int fk_run_find(const fk_run *run, fk_key k, int *found) {
    const uint64_t *keys = fk_run_keys(run);
    int low = 0, high = run->head.count;
    *found = 0;
    if (fk_key_is_heap(k))
        for (int i = 0; i < high; i++)
            if (keys[i] == k) {
                *found = 1;
                return i;
            }
    while (low < high) {
        int middle = (low + high) >> 1;
        int order = fk_compare_keys(keys[middle], k);
        if (order == 0) {
            *found = 1;
            return middle;
        }
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return low;
}
/* The branch in which k is, or would be. */
static inline int fk_inner_find(const fk_inner *inner, fk_key k, uint64_t sort) {
    int low = 1, high = inner->head.count; /* first branch whose first key > k */
    while (low < high) {
        int middle = (low + high) >> 1;
        const fk_branch *b = &inner->branches[middle];
        int order = b->sort != sort ? (b->sort < sort ? -1 : 1) : fk_compare_keys(b->first, k);
        if (order <= 0) low = middle + 1;
        else high = middle;
    }
    return low - 1;
}
/* Stand on the first child whose key is >= k (or > k); 0 if there is none. */
static inline int fk_cursor_seek(fk_cursor *c, fk_word map, fk_key k, int strictly_after) {
    const fk_object *o = fk_map_root(map);
    uint64_t sort = fk_key_sort(k);
    int level = 0, found;
    while (o->kind == FK_INNER) {
        const fk_inner *inner = (const fk_inner *)o;
        c->inner[level] = inner;
        c->at[level] = fk_inner_find(inner, k, sort);
        o = inner->branches[c->at[level]].child;
        level++;
    }
    c->height = level;
    c->run = (const fk_run *)o;
    c->i = fk_run_find(c->run, k, &found);
    if (found && strictly_after) c->i++;
    if (c->i < c->run->head.count) return 1;
    c->i = c->run->head.count - 1;
    return fk_cursor_next(c);
}
/* Stand on the last child whose key is < k; 0 if there is none. */
static inline int fk_cursor_seek_before(fk_cursor *c, fk_word map, fk_key k) {
    if (!fk_cursor_seek(c, map, k, 0)) {
        fk_cursor_start(c, map, 1);
        return 1;
    }
    return fk_cursor_previous(c);
}
/* The child at k, borrowed; EMPTY if there is none or `map` is no map. */
static inline fk_word fk_child(fk_word map, fk_key k) {
    if (!fk_is_map(map)) return FK_EMPTY;
    const fk_object *o = fk_map_root(map);
    if (o->kind == FK_INNER) {
        uint64_t sort = fk_key_sort(k);
        do {
            const fk_inner *inner = (const fk_inner *)o;
            o = inner->branches[fk_inner_find(inner, k, sort)].child;
        } while (o->kind == FK_INNER);
    }
    int found, i = fk_run_find((const fk_run *)o, k, &found);
    return found ? fk_run_values((const fk_run *)o)[i] : FK_EMPTY;
}

#endif
