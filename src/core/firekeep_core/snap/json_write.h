/* Words to JSON text in a growing buffer. Part of the `json` module; stateless. */
#ifndef FIREKEEP_JSON_WRITE_H
#define FIREKEEP_JSON_WRITE_H

#include "buffer.h"
#include "json_scan.h"
#include "list_rule.h"

static void fk_write_escape(fk_buffer *w, unsigned c) {
    static const char digits[] = "0123456789abcdef";
    char *out = fk_room(w, 6);
    *out++ = '\\';
    w->length += 2;
    switch (c) {
    case '"': *out = '"'; return;
    case '\\': *out = '\\'; return;
    case '\b': *out = 'b'; return;
    case '\f': *out = 'f'; return;
    case '\n': *out = 'n'; return;
    case '\r': *out = 'r'; return;
    case '\t': *out = 't'; return;
    default:
        *out++ = 'u';
        *out++ = digits[c >> 12 & 15];
        *out++ = digits[c >> 8 & 15];
        *out++ = digits[c >> 4 & 15];
        *out = digits[c & 15];
        w->length += 4;
    }
}

/* A string in quotes. A lone surrogate, held as three bytes, can only be escaped. */
static void fk_write_text(fk_buffer *w, const char *text, size_t length) {
    const char *p = text, *end = text + length, *from = text;
    fk_room(w, length + 2);
    fk_put_char(w, '"');
    for (;;) {
        p = fk_plain_end(p, end);
        if (p == end) break;
        unsigned c = (unsigned char)*p;
        if (c >= 0x80 && !(c == 0xED && end - p >= 3 && (unsigned char)p[1] >= 0xA0)) {
            p++;
            continue;
        }
        fk_put(w, from, (size_t)(p - from));
        if (c == 0xED) {
            fk_write_escape(w, 0xD000u | ((unsigned char)p[1] & 63u) << 6 |
                                   ((unsigned char)p[2] & 63u));
            p += 3;
        } else {
            fk_write_escape(w, c);
            p++;
        }
        from = p;
    }
    fk_put(w, from, (size_t)(end - from));
    fk_put_char(w, '"');
}

static void fk_write_integer(fk_buffer *w, int64_t value) {
    char digits[24], *p = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0) *--p = '-';
    fk_put(w, p, (size_t)(digits + sizeof digits - p));
}

/* The shortest text that reads back as the same double. */
static int fk_write_double(fk_buffer *w, double value) {
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10};
    double magnitude = value < 0 ? -value : value;
    if (magnitude >= 1e-3 && magnitude < 1e15) {
        /* A decimal of at most 15 digits that reads back is the shortest, and the
         * only one of its length: doubles lie closer than such decimals. */
        for (int places = 0; places <= 10; places++) {
            double scaled = magnitude * powers[places];
            if (scaled >= 1e15) break;
            uint64_t whole = (uint64_t)(scaled + 0.5);
            if ((double)whole / powers[places] != magnitude) continue;
            char digits[32], *p = digits + sizeof digits;
            int put = 0;
            if (!places) *--p = '0';
            for (; put < places; put++) {
                *--p = (char)('0' + whole % 10);
                whole /= 10;
            }
            *--p = '.';
            do *--p = (char)('0' + whole % 10);
            while (whole /= 10);
            if (value < 0) *--p = '-';
            fk_put(w, p, (size_t)(digits + sizeof digits - p));
            return 1;
        }
    }
    char *text = PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (!text) return 0;
    fk_put(w, text, strlen(text));
    PyMem_Free(text);
    return 1;
}

enum { FK_WRITE_EXPORT = 0, FK_WRITE_PLAIN = 1 };

static int fk_write_word(fk_buffer *w, fk_word word, int form);

static int fk_write_scalar(fk_buffer *w, fk_word bare) {
    switch (fk_rank(bare)) {
    case 0: fk_put(w, "null", 4); return 1;
    case 2:
        if (bare == FK_TRUE) fk_put(w, "true", 4);
        else fk_put(w, "false", 5);
        return 1;
    case 3:
        if (!fk_is_integer(bare)) return fk_write_double(w, fk_number_of(bare));
        fk_write_integer(w, fk_integer_of(bare));
        return 1;
    case 4: fk_write_text(w, fk_string_text(bare), fk_string_length(bare)); return 1;
    default: break;
    }
    if (fk_deferred_kind(bare) == FK_DEFERRED_TIMESTAMP) {
        fk_put(w, "{\".sv\":\"timestamp\"}", 19);
        return 1;
    }
    int is_increment = fk_deferred_kind(bare) == FK_DEFERRED_INCREMENT;
    fk_put(w, "{\".sv\":{\"increment\":", is_increment ? 20 : 7);
    if (!fk_write_word(w, fk_deferred_operand(bare), FK_WRITE_EXPORT)) return 0;
    fk_put(w, "}}", is_increment ? 2 : 1);
    return 1;
}

static int fk_write_array(fk_buffer *w, fk_word map) {
    fk_cursor c;
    int64_t next = 0;
    fk_cursor_start(&c, map, 0);
    fk_put_char(w, '[');
    do {
        for (; next < fk_key_integer(fk_cursor_key(&c)); next++) fk_put(w, "null,", 5);
        if (!fk_write_word(w, fk_cursor_value(&c), FK_WRITE_PLAIN)) return 0;
        fk_put_char(w, ',');
        next++;
    } while (fk_cursor_next(&c));
    w->text[w->length - 1] = ']';
    return 1;
}

static int fk_write_map(fk_buffer *w, fk_word map, fk_word priority, int form) {
    fk_cursor c;
    fk_cursor_start(&c, map, 0);
    fk_put_char(w, '{');
    do {
        char buffer[1024];
        size_t length;
        const char *text = fk_key_text(fk_cursor_key(&c), buffer, &length);
        fk_write_text(w, text, length);
        fk_put_char(w, ':');
        if (!fk_write_word(w, fk_cursor_value(&c), form)) return 0;
        fk_put_char(w, ',');
    } while (fk_cursor_next(&c));
    if (priority != FK_EMPTY) {
        fk_put(w, "\".priority\":", 12);
        if (!fk_write_scalar(w, priority)) return 0;
        fk_put_char(w, '}');
    } else {
        w->text[w->length - 1] = '}';
    }
    return 1;
}

/* 0 if the interpreter set an error. */
static int fk_write_word(fk_buffer *w, fk_word word, int form) {
    fk_word priority = form == FK_WRITE_EXPORT ? fk_priority(word) : FK_EMPTY;
    if (fk_is_map(word)) {
        if (form == FK_WRITE_PLAIN && fk_is_list(word)) return fk_write_array(w, word);
        return fk_write_map(w, word, priority, form);
    }
    if (priority == FK_EMPTY) return fk_write_scalar(w, fk_bare(word));
    fk_put(w, "{\".value\":", 10);
    if (!fk_write_scalar(w, fk_bare(word))) return 0;
    fk_put(w, ",\".priority\":", 13);
    if (!fk_write_scalar(w, priority)) return 0;
    fk_put_char(w, '}');
    return 1;
}

#endif
