/* What `cbor_read.h` and `cbor_write.h` agree on. Source: RFC 8949 §3. */
#ifndef FIREKEEP_CBOR_FORM_H
#define FIREKEEP_CBOR_FORM_H

#define FK_CBOR_HEAD 9    /* bytes of the longest head of an item */
#define FK_CBOR_DEPTH 512 /* maps and server values in each other: bounds the stack */

/* major types */
enum {
    FK_CBOR_UNSIGNED = 0,
    FK_CBOR_NEGATIVE = 1,
    FK_CBOR_BYTES = 2,
    FK_CBOR_TEXT = 3,
    FK_CBOR_ARRAY = 4,
    FK_CBOR_MAP = 5,
    FK_CBOR_TAG = 6,
    FK_CBOR_SIMPLE = 7
};
/* first bytes of major type 7 */
enum {
    FK_CBOR_FALSE = 0xF4,
    FK_CBOR_TRUE = 0xF5,
    FK_CBOR_NULL = 0xF6,
    FK_CBOR_HALF = 0xF9,
    FK_CBOR_SINGLE = 0xFA,
    FK_CBOR_DOUBLE = 0xFB
};
/* Tags of our own; `record` says what they hold. */
enum { FK_TAG_PRIORITY = 18000, FK_TAG_SERVER_VALUE = 18003, FK_TAG_SURROGATES = 18004 };

#endif
