/* Whether bytes are UTF-8. Stateless.
 *
 * Where lone surrogates are allowed, each stands as the three bytes that UTF-8
 * would give it if it could.
 */
#ifndef FIREKEEP_UTF8_H
#define FIREKEEP_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the UTF-8 character at p, which is no ASCII; 0 if it is none. */
static inline int fk_utf8_length(const char *p, const char *end, int allows_surrogates) {
    unsigned a = (unsigned char)p[0], b;
    ptrdiff_t room = end - p;
#define FK_TAIL(i) (((unsigned char)p[i] & 0xC0) == 0x80)
    if (a < 0xC2 || a > 0xF4 || room < 2) return 0;
    b = (unsigned char)p[1];
    if (!FK_TAIL(1)) return 0;
    if (a < 0xE0) return 2;
    if (room < 3 || !FK_TAIL(2)) return 0;
    if (a < 0xF0) {
        if (a == 0xE0 && b < 0xA0) return 0;
        if (a == 0xED && b >= 0xA0 && !allows_surrogates) return 0;
        return 3;
    }
    if (room < 4 || !FK_TAIL(3)) return 0;
    if ((a == 0xF0 && b < 0x90) || (a == 0xF4 && b >= 0x90)) return 0;
    return 4;
#undef FK_TAIL
}

static inline int fk_is_utf8(const char *text, size_t length, int allows_surrogates) {
    const char *p = text, *end = text + length;
    while (p < end) {
        uint64_t part;
        int step = 1;
        if (end - p >= 8) {
            memcpy(&part, p, 8);
            if (!(part & 0x8080808080808080ull)) {
                p += 8;
                continue;
            }
        }
        if ((unsigned char)*p >= 0x80) step = fk_utf8_length(p, end, allows_surrogates);
        if (!step) return 0;
        p += step;
    }
    return 1;
}

/* Whether text, which is UTF-8 otherwise, has a surrogate in it. */
static inline int fk_has_surrogate(const char *text, size_t length) {
    const char *p = text, *end = text + length;
    while ((p = (const char *)memchr(p, 0xED, (size_t)(end - p)))) {
        if ((unsigned char)p[1] >= 0xA0) return 1;
        p += 3;
    }
    return 0;
}

#endif
