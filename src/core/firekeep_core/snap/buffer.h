/* A growing buffer of bytes. Zeroed memory is an empty one. Stateless. */
#ifndef FIREKEEP_BUFFER_H
#define FIREKEEP_BUFFER_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *text;
    size_t length, capacity;
} fk_buffer;

static inline void fk_buffer_close(fk_buffer *b) {
    free(b->text);
    memset(b, 0, sizeof *b);
}

/* Room for that many more bytes, and where they go. */
static inline char *fk_room(fk_buffer *b, size_t size) {
    if (b->capacity - b->length < size) {
        size_t capacity = b->capacity * 2 > b->length + size ? b->capacity * 2
                                                             : b->length + size + 128;
        char *text = (char *)realloc(b->text, capacity);
        if (!text) abort();
        b->text = text;
        b->capacity = capacity;
    }
    return b->text + b->length;
}
static inline void fk_put(fk_buffer *b, const char *text, size_t length) {
    memcpy(fk_room(b, length), text, length);
    b->length += length;
}
static inline void fk_put_char(fk_buffer *b, char c) {
    *fk_room(b, 1) = c;
    b->length++;
}

#endif
