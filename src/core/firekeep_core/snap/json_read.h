/* JSON text to words: objects become maps with no dict in between. Part of the
 * `json` module; stateless, creation goes through the functions of `word`.
 *
 * Reads what wire §4.1 describes: `.value`, `.priority` and `.sv` take effect,
 * other keys with a leading dot are passed over, null children vanish, arrays
 * are maps of their indexes.
 */
#ifndef FIREKEEP_JSON_READ_H
#define FIREKEEP_JSON_READ_H

#include "json_scan.h"

/* What the keys with a leading dot of one object said. */
typedef struct {
    fk_word priority, value, operand;
    int has_value, has_operand;
} fk_special;

static fk_word fk_read_value(fk_reader *r, const fk_maker *make);

static void fk_reader_close(fk_reader *r, const fk_maker *make) {
    size_t i;
    fk_entries_close(&r->open, make);
    if (r->seen)
        for (i = 0; i < FK_SEEN_DEPTH * FK_SEEN_KEYS; i++)
            if (r->seen[i].length) make->release_key(r->seen[i].key);
    free(r->scratch);
    free(r->seen);
    memset(r, 0, sizeof *r);
}

static fk_seen_key *fk_seen_at(fk_reader *r) {
    if (r->depth > FK_SEEN_DEPTH) return NULL;
    if (!r->seen) {
        r->seen = (fk_seen_key *)calloc(FK_SEEN_DEPTH * FK_SEEN_KEYS, sizeof *r->seen);
        if (!r->seen) abort();
    }
    return r->seen + (r->depth - 1) * FK_SEEN_KEYS;
}
static void fk_see_key(fk_seen_key *seen, const fk_maker *make, fk_key key, const char *text,
                       size_t length) {
    if (length >= FK_SEEN_TEXT) return;
    fk_key old = seen->key;
    int had = seen->length;
    make->retain_key(key);
    seen->key = key;
    memcpy(seen->text, text, length);
    seen->text[length] = '"';
    seen->length = (uint8_t)(length + 1);
    if (had) make->release_key(old);
}

/* word (owned) as a priority; what can be none is none */
static fk_word fk_priority_word(const fk_maker *make, fk_word word) {
    fk_word bare = fk_bare(word);
    if (!fk_is_number(bare) && !fk_is_string(bare) && !fk_is_deferred(bare)) bare = FK_EMPTY;
    if (bare == word) return word;
    make->retain(bare);
    make->release(word);
    return bare;
}

static void fk_special_release(const fk_maker *make, fk_special *special) {
    make->release(special->priority);
    make->release(special->value);
    make->release(special->operand);
}

/* Read the value under a key that begins with a dot. */
static void fk_read_special(fk_reader *r, const fk_maker *make, fk_special *special,
                            const char *text, size_t length) {
    int which = length == 9 && !memcmp(text, ".priority", 9) ? 1
                : length == 6 && !memcmp(text, ".value", 6)  ? 2
                : length == 3 && !memcmp(text, ".sv", 3)     ? 3
                                                             : 0;
    fk_word value;
    if (!fk_accept(r, ':')) {
        fk_fail(r, "a colon was expected");
        return;
    }
    value = fk_read_value(r, make);
    if (r->error) return;
    if (which == 1) {
        make->release(special->priority);
        special->priority = fk_priority_word(make, value);
    } else if (which == 2) {
        make->release(special->value);
        special->value = value;
        special->has_value = value != FK_EMPTY;
    } else if (which == 3) {
        make->release(special->operand);
        special->operand = value;
        special->has_operand = 1;
    } else {
        make->release(value);
    }
}

/* The node of an object that had keys with a leading dot; takes what they said. */
static fk_word fk_special_word(fk_reader *r, const fk_maker *make, fk_special *special,
                               size_t base) {
    if (special->has_value) {
        make->release(special->operand);
    } else if (special->has_operand) {
        special->value = fk_deferred_word(make, special->operand);
    } else {
        return fk_take_map(&r->open, make, base, special->priority);
    }
    fk_pop_to(&r->open, make, base);
    return make->set_priority(special->value, special->priority);
}

static fk_word fk_read_object(fk_reader *r, const fk_maker *make) {
    size_t base = r->open.count, length;
    int nth = 0, is_special = 0;
    fk_special special = {FK_EMPTY, FK_EMPTY, FK_EMPTY, 0, 0};
    fk_seen_key *seen;
    r->at++;
    if (fk_accept(r, '}')) return FK_EMPTY;
    if (++r->depth > FK_JSON_DEPTH) {
        fk_fail(r, "objects nested too deep");
        return FK_EMPTY;
    }
    seen = fk_seen_at(r);
    for (;; nth++) {
        fk_key key;
        fk_word value;
        if (!fk_accept(r, '"')) {
            fk_fail(r, "a key was expected");
            break;
        }
        if (seen && nth < FK_SEEN_KEYS && seen[nth].length &&
            r->end - r->at >= seen[nth].length &&
            !memcmp(r->at, seen[nth].text, seen[nth].length)) {
            r->at += seen[nth].length;
            key = seen[nth].key;
            if (fk_key_is_heap(key)) make->retain_key(key);
        } else {
            const char *text = fk_read_string(r, &length);
            if (!text) break;
            if (length && text[0] == '.') {
                is_special = 1;
                fk_read_special(r, make, &special, text, length);
                if (r->error) break;
                goto next;
            }
            key = make->key_from_text(text, length);
            if (seen && nth < FK_SEEN_KEYS && text != r->scratch)
                fk_see_key(&seen[nth], make, key, text, length);
        }
        if (!fk_accept(r, ':')) {
            fk_fail(r, "a colon was expected");
            make->release_key(key);
            break;
        }
        value = fk_read_value(r, make);
        fk_push(&r->open, key, value);
        if (r->error) break;
    next:
        if (fk_accept(r, ',')) continue;
        if (fk_accept(r, '}')) {
            r->depth--;
            if (is_special) return fk_special_word(r, make, &special, base);
            return fk_take_map(&r->open, make, base, FK_EMPTY);
        }
        fk_fail(r, "a comma or a closing brace was expected");
        break;
    }
    if (is_special) fk_special_release(make, &special);
    return FK_EMPTY;
}

static fk_word fk_read_array(fk_reader *r, const fk_maker *make) {
    size_t base = r->open.count, index;
    r->at++;
    if (fk_accept(r, ']')) return FK_EMPTY;
    if (++r->depth > FK_JSON_DEPTH) {
        fk_fail(r, "arrays nested too deep");
        return FK_EMPTY;
    }
    for (index = 0;; index++) {
        fk_word value = fk_read_value(r, make);
        if (value != FK_EMPTY) {
            char digits[24], *p = digits + sizeof digits;
            size_t rest = index;
            do *--p = (char)('0' + rest % 10);
            while (rest /= 10);
            fk_push(&r->open, make->key_from_text(p, (size_t)(digits + sizeof digits - p)), value);
        }
        if (r->error) return FK_EMPTY;
        if (fk_accept(r, ',')) continue;
        if (fk_accept(r, ']')) break;
        fk_fail(r, "a comma or a closing bracket was expected");
        return FK_EMPTY;
    }
    r->depth--;
    return fk_take_map(&r->open, make, base, FK_EMPTY);
}

static int fk_read_literal(fk_reader *r, const char *text, size_t length) {
    if ((size_t)(r->end - r->at) >= length && !memcmp(r->at, text, length)) {
        r->at += length;
        return 1;
    }
    fk_fail(r, "a value was expected");
    return 0;
}

/* The word (owned by the caller) of the value that comes next; EMPTY on failure. */
static fk_word fk_read_value(fk_reader *r, const fk_maker *make) {
    fk_number number;
    size_t length;
    const char *text;
    fk_skip_space(r);
    if (r->at == r->end) {
        fk_fail(r, "an end in the middle");
        return FK_EMPTY;
    }
    switch (*r->at) {
    case '"':
        r->at++;
        text = fk_read_string(r, &length);
        return text ? make->new_string(text, length) : FK_EMPTY;
    case '{': return fk_read_object(r, make);
    case '[': return fk_read_array(r, make);
    case 't': return fk_read_literal(r, "true", 4) ? FK_TRUE : FK_EMPTY;
    case 'f': return fk_read_literal(r, "false", 5) ? FK_FALSE : FK_EMPTY;
    case 'n': fk_read_literal(r, "null", 4); return FK_EMPTY;
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7':
    case '8': case '9':
        if (!fk_read_number(r, &number)) return FK_EMPTY;
        return number.is_integer ? make->new_integer(number.integer)
                                 : fk_from_double(number.real);
    default: fk_fail(r, "a value was expected"); return FK_EMPTY;
    }
}

#endif
