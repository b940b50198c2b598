/* Which maps are shown as lists (sync-engine §1.3). Stateless. */
#ifndef FIREKEEP_LIST_RULE_H
#define FIREKEEP_LIST_RULE_H

#include "word.h"

/* Whether all keys are canonical non-negative integers below twice their number. */
static inline int fk_is_list(fk_word map) {
    fk_cursor c;
    char buffer[1024];
    size_t length;
    fk_cursor_start(&c, map, 1); /* integer keys come first, so the last decides */
    if (!fk_key_is_integer(fk_cursor_key(&c))) return 0;
    if (fk_key_integer(fk_cursor_key(&c)) >= (int64_t)(2 * fk_map_count(map))) return 0;
    fk_cursor_start(&c, map, 0);
    do {
        const char *text = fk_key_text(fk_cursor_key(&c), buffer, &length);
        if (text[0] == '-' || (text[0] == '0' && length > 1)) return 0;
    } while (fk_cursor_next(&c));
    return 1;
}

#endif
