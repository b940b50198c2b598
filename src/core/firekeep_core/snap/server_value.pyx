"""Server values: leaves such as ``{".sv": "timestamp"}`` and what they become.

Source: sync-engine §5.7, wire §4.1.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t
from libc.math cimport isfinite

from .node cimport Node, new_node
from .word cimport (
    FK_DEFERRED_INCREMENT,
    FK_DEFERRED_TIMESTAMP,
    FK_EMPTY,
    fk_bare,
    fk_child,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_start,
    fk_cursor_value,
    fk_deferred_kind,
    fk_deferred_operand,
    fk_from_double,
    fk_integer_of,
    fk_is_deferred,
    fk_is_empty,
    fk_is_integer,
    fk_is_map,
    fk_is_number,
    fk_key,
    fk_number_of,
    fk_priority,
    fk_word,
    new_integer,
    release,
    retain,
    set_child,
    set_priority,
)

from ..errors import InvalidValue

cdef extern from "float.h":
    const double DBL_MAX


cdef bint has_server_value(fk_word word) noexcept nogil:
    cdef fk_cursor cursor
    if fk_is_deferred(fk_priority(word)):
        return True
    if not fk_is_map(word):
        return fk_is_deferred(fk_bare(word))
    fk_cursor_start(&cursor, word, False)
    while True:
        if has_server_value(fk_cursor_value(&cursor)):
            return True
        if not fk_cursor_next(&cursor):
            return False


cdef fk_word increment_word(fk_word existing, fk_word delta) noexcept nogil:
    """The sum, or ``delta`` where there is no number to add to."""
    cdef int64_t a, b
    cdef double total
    existing = fk_bare(existing)
    if not fk_is_number(existing):
        retain(delta)
        return delta
    if fk_is_integer(existing) and fk_is_integer(delta):
        a = fk_integer_of(existing)
        b = fk_integer_of(delta)
        if (b >= 0 and a <= INT64_MAX - b) or (b < 0 and a >= INT64_MIN - b):
            return new_integer(a + b)
    total = fk_number_of(existing) + fk_number_of(delta)
    if not isfinite(total):     # no value is infinite
        total = DBL_MAX if total > 0 else -DBL_MAX
    return fk_from_double(total)


cdef fk_word resolve_leaf(
    fk_word bare, fk_word existing, int64_t now_ms, bint timestamps_only
) except? 0:
    if fk_is_deferred(bare):
        if fk_deferred_kind(bare) == FK_DEFERRED_TIMESTAMP:
            return new_integer(now_ms)
        if fk_deferred_kind(bare) != FK_DEFERRED_INCREMENT:
            raise InvalidValue("a server value that is neither timestamp nor increment")
        if not timestamps_only:
            return increment_word(existing, fk_deferred_operand(bare))
    retain(bare)
    return bare


cdef fk_word resolve_word(
    fk_word word, fk_word existing, int64_t now_ms, bint timestamps_only
) except? 0:
    cdef fk_word priority = fk_priority(word), result
    if fk_is_map(word):
        result = resolve_children(word, existing, now_ms, timestamps_only)
    else:
        result = resolve_leaf(fk_bare(word), existing, now_ms, timestamps_only)
        if not fk_is_empty(priority) and not fk_is_deferred(priority):
            retain(priority)
            result = set_priority(result, priority)
    if fk_is_deferred(priority):
        try:
            priority = resolve_leaf(priority, fk_priority(existing), now_ms, timestamps_only)
        except BaseException:
            release(result)
            raise
        result = set_priority(result, priority)
    return result


cdef fk_word resolve_children(
    fk_word map, fk_word existing, int64_t now_ms, bint timestamps_only
) except? 0:
    cdef fk_cursor cursor
    cdef fk_word result = map, child
    cdef fk_key key
    retain(result)
    fk_cursor_start(&cursor, map, False)
    while True:
        if has_server_value(fk_cursor_value(&cursor)):
            key = fk_cursor_key(&cursor)
            try:
                child = resolve_word(
                    fk_cursor_value(&cursor), fk_child(existing, key), now_ms, timestamps_only
                )
            except BaseException:
                release(result)
                raise
            result = set_child(result, key, child)
        if not fk_cursor_next(&cursor):
            return result


def contains_server_value(Node node not None) -> bool:
    """Return whether a leaf or a priority in ``node`` is yet to be resolved. Cost: its size."""
    return has_server_value(node.word)


def resolve(Node node not None, Node existing not None, now_ms: int) -> Node:
    """Return ``node`` with its timestamps at ``now_ms`` and its increments added to ``existing``.

    An increment of what is no number is the number itself; two integers stay an integer
    while 64 bits hold it. Raises InvalidValue for any other server value.
    Source: sync-engine §5.7, wire §4.1.
    """
    return new_node(resolve_word(node.word, existing.word, now_ms, False))


def resolve_timestamps(Node node not None, now_ms: int) -> Node:
    """Return ``node`` with its timestamps at ``now_ms``; increments stay symbolic.

    Raises InvalidValue for any other server value.
    """
    return new_node(resolve_word(node.word, FK_EMPTY, now_ms, True))
