"""What the disk holds: nodes and fields as CBOR, sealed with a checksum.

A node is one CBOR item (RFC 8949) that any reader of CBOR understands: maps with their children
in key order, integers, booleans, doubles in the shortest form that is exact and still a double,
text. What CBOR has no type for:

* the empty node is ``null``, which stands nowhere else but for an empty ``.sv``;
* a text or key with a lone surrogate is a byte string: UTF-8, with three bytes for each surrogate;
* a node with a priority is tag 18000 on ``[node, priority]``;
* an unresolved server value, of a known or unknown form, is tag 18003 on what stands under
  ``.sv``: ``"timestamp"``, ``{"increment": 1}``, or whatever a peer or a later version wrote.

Reading takes any bytes: it gives a node or raises `CorruptRecord`, and never needs more memory
than the bytes account for.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memset

from ..snap.entries cimport fill_maker, fk_maker
from ..snap.json cimport fk_buffer, fk_buffer_close
from ..snap.node cimport Node, new_node
from ..snap.word cimport fk_word, release

from io import BytesIO
from zlib import crc32

import cbor2

from ..errors import CorruptRecord, InvalidValue

cdef extern from "cbor_write.h":
    const int FK_CBOR_DEPTH
    const int FK_TAG_SURROGATES
    bint fk_cbor_put_word(fk_buffer *buffer, fk_word word, int depth)

cdef extern from "cbor_read.h":
    ctypedef struct fk_cbor_reader:
        const char *start
        const char *at
        const char *end
        const char *error
    fk_word fk_cbor_root(fk_cbor_reader *reader, const fk_maker *make)

#: The form of a record, which its first byte says: the body is in it, ...
FORM_WHOLE = 1
#: ... or in other rows, and only their number is in it.
FORM_PIECES = 2
#: What a record takes besides its body.
SEAL_BYTES = 5
#: A longer body is refused: lengths are 32-bit numbers in the tree.
MAX_BODY_BYTES = 2**31 - 1
#: Lists in each other in the fields of a record.
MAX_FIELD_DEPTH = 64

cdef fk_maker MAKER
fill_maker(&MAKER)


def encode_node(Node node not None) -> bytes:
    """Return the CBOR of ``node``, from which `decode_node` makes its equal, bit by bit.

    Raises InvalidValue for more than 512 levels.

    >>> encode_node(from_export({"a": 1})).hex()
    'a1616101'
    """
    cdef fk_buffer buffer
    memset(&buffer, 0, sizeof(buffer))
    try:
        if not fk_cbor_put_word(&buffer, node.word, 0):
            raise InvalidValue(f"a value nested deeper than {FK_CBOR_DEPTH} levels is not stored")
        return PyBytes_FromStringAndSize(buffer.text, buffer.length)
    finally:
        fk_buffer_close(&buffer)


def decode_node(bytes data not None) -> Node:
    """Return the node that ``data`` holds.

    Raises CorruptRecord for what is not exactly one item of the form above, for empty maps and
    repeated keys, and for more than 512 levels.
    """
    cdef fk_cbor_reader reader
    cdef fk_word word
    cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
    if length > MAX_BODY_BYTES:
        raise CorruptRecord(f"a record of {length} bytes, the limit is {MAX_BODY_BYTES}")
    memset(&reader, 0, sizeof(reader))
    reader.start = reader.at = PyBytes_AS_STRING(data)
    reader.end = reader.start + length
    word = fk_cbor_root(&reader, &MAKER)
    if reader.error == NULL:
        return new_node(word)
    release(word)
    reason = reader.error.decode("ascii")
    raise CorruptRecord(f"a damaged record: {reason} at byte {reader.at - reader.start}")


def seal(bytes key not None, bytes body not None, int form=FORM_WHOLE) -> bytes:
    """Return the record of ``body`` for the row ``key``: it can be read there only."""
    return b"%c%b%b" % (form, checksum(form, key, body).to_bytes(4, "big"), body)


def unseal(bytes key not None, bytes record not None, int form=FORM_WHOLE) -> bytes:
    """Return the body of a record.

    Raises CorruptRecord, which names the key, for a record of another row, for any change of
    its bytes, and for another form, be it one that belongs elsewhere or a newer firekeep's.
    """
    if len(record) < SEAL_BYTES:
        raise CorruptRecord(f"the record at {key!r:.200} is cut off after {len(record)} bytes")
    found = record[0]
    body = record[SEAL_BYTES:]
    if checksum(found, key, body) != int.from_bytes(record[1:SEAL_BYTES], "big"):
        raise CorruptRecord(f"the record at {key!r:.200} is damaged: its checksum does not match")
    if found != form:
        of_whom = "" if found <= FORM_PIECES else " of a newer firekeep"
        raise CorruptRecord(
            f"the record at {key!r:.200} has form {found}{of_whom}, where form {form} is read"
        )
    return body


def is_form(bytes record not None, int form) -> bool:
    """Return whether a record says that it has this form, which only ``unseal`` proves."""
    return PyBytes_GET_SIZE(record) > 0 and <unsigned char>PyBytes_AS_STRING(record)[0] == form


def weight(bytes record not None) -> int:
    """Return what a record adds to a sum, modulo 2**64, over all the rows there are.

    Its checksum, well mixed: sums of checksums, which are linear, would cancel each other out.
    Raises CorruptRecord for one that is cut off before it.
    """
    cdef const unsigned char *text = <const unsigned char *>PyBytes_AS_STRING(record)
    cdef uint64_t mixed
    if PyBytes_GET_SIZE(record) < <Py_ssize_t>SEAL_BYTES:
        raise CorruptRecord(f"a record is cut off after {len(record)} bytes")
    mixed = (<uint64_t>text[1] << 24) | (text[2] << 16) | (text[3] << 8) | text[4]
    mixed += 0x9E3779B97F4A7C15ULL
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ULL
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL
    return mixed ^ (mixed >> 31)


cdef object checksum(int form, bytes key, bytes body):
    return crc32(body, crc32(key, form))


class _Tags(dict):
    """What cbor2 asks how to read a tag: of all the numbers there are it may read one."""

    def __missing__(self, number):
        return _refuse_tag


def _refuse_tag(decoder, immutable):
    raise ValueError("a tag")


def _read_surrogates(decoder, immutable):
    return decoder.decode().decode("utf-8", "surrogatepass")


cdef object TAGS = _Tags({FK_TAG_SURROGATES: _read_surrogates})


cdef object tag_surrogates(object field):
    if isinstance(field, list):
        return [tag_surrogates(item) for item in field]
    if isinstance(field, str):
        try:
            field.encode()
        except UnicodeEncodeError:
            return cbor2.CBORTag(FK_TAG_SURROGATES, field.encode("utf-8", "surrogatepass"))
    return field


cdef int check_field(object field, int depth, object error) except -1:
    if type(field) is list:
        if depth == MAX_FIELD_DEPTH:
            raise error(f"fields nested deeper than {MAX_FIELD_DEPTH} lists")
        for item in field:
            check_field(item, depth + 1, error)
    elif type(field) is int:
        if not -(2**64) <= field < 2**64:
            raise error(f"an integer of more than 64 bits: {field!r:.40}")
    elif field is not None and type(field) not in (str, bytes, bool, float):
        raise error(f"a field that is a {type(field).__name__}: {field!r:.80}")
    return 0


def encode_fields(list fields not None) -> bytes:
    """Return the CBOR of a list of integers, doubles, booleans, None, text, bytes and lists.

    A text with a lone surrogate is tag 18004 on its bytes. Raises InvalidValue for anything else,
    for integers of more than 64 bits and a sign, and for more than 64 lists in each other.
    """
    check_field(fields, 0, InvalidValue)
    try:
        return cbor2.dumps(fields)
    except UnicodeEncodeError:
        return cbor2.dumps(tag_surrogates(fields))


def decode_fields(bytes body not None) -> list:
    """Return the list that ``body`` holds; nothing but the types named above is made of it.

    Raises CorruptRecord.
    """
    decoder = cbor2.CBORDecoder(
        BytesIO(body),
        semantic_decoders=TAGS,
        max_depth=MAX_FIELD_DEPTH,
        allow_indefinite=False,
        allow_duplicate_keys=False,
        strict_hashable_types=True,
    )
    try:
        fields = decoder.decode()
    except (cbor2.CBORError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise CorruptRecord(f"damaged fields: {error}") from error
    if type(fields) is not list:
        raise CorruptRecord(f"damaged fields: a list was expected, not {fields!r:.80}")
    check_field(fields, 0, CorruptRecord)
    try:
        decoder.read(1)
    except cbor2.CBORDecodeEOF:
        return fields
    raise CorruptRecord("damaged fields: more than one list")
