"""``Node``: the Python handle on a native value.

Trees hold words, never nodes: a node exists only while Python looks at it, so
values cost the interpreter's garbage collector nothing.
"""

from libc.math cimport isfinite

from .path cimport Path
from .word cimport (
    FK_DEFERRED_INCREMENT,
    FK_DEFERRED_TIMESTAMP,
    FK_EMPTY,
    FK_TRUE,
    equal,
    fk_bare,
    fk_child,
    fk_child_count,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_seek_before,
    fk_cursor_start,
    fk_cursor_value,
    fk_deferred_kind,
    fk_deferred_operand,
    fk_from_boolean,
    fk_from_double,
    fk_integer_of,
    fk_is_deferred,
    fk_is_empty,
    fk_is_integer,
    fk_is_leaf,
    fk_is_map,
    fk_is_number,
    fk_is_string,
    fk_key,
    fk_number_of,
    fk_priority,
    fk_word,
    get_path,
    key_from_str,
    key_to_str,
    leaf_count,
    new_integer,
    release,
    release_key,
    retain,
    set_child,
    set_path,
    set_priority,
    size_bytes,
    string_from_str,
    string_to_str,
)

from ..errors import InvalidValue

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1

cdef fk_key PRIORITY_KEY = key_from_str(".priority")


cdef Node new_node(fk_word word):
    cdef Node node = Node.__new__(Node)
    node.word = word
    return node


cdef object scalar_to_python(fk_word bare):
    if fk_is_string(bare):
        return string_to_str(bare)
    if fk_is_integer(bare):
        return fk_integer_of(bare)
    if fk_is_number(bare):
        return fk_number_of(bare)
    if fk_is_deferred(bare):
        return {".sv": deferred_to_python(bare)}
    return None if fk_is_empty(bare) else bare == FK_TRUE


cdef object deferred_to_python(fk_word bare):
    if fk_deferred_kind(bare) == FK_DEFERRED_TIMESTAMP:
        return "timestamp"
    if fk_deferred_kind(bare) == FK_DEFERRED_INCREMENT:
        return {"increment": scalar_to_python(fk_deferred_operand(bare))}
    return export_word(fk_deferred_operand(bare))


cdef object export_word(fk_word word):
    cdef fk_cursor cursor
    if not fk_is_map(word):
        return scalar_to_python(fk_bare(word))
    children = {}
    fk_cursor_start(&cursor, word, False)
    while True:
        children[key_to_str(fk_cursor_key(&cursor))] = export_word(fk_cursor_value(&cursor))
        if not fk_cursor_next(&cursor):
            return children


cdef fk_word scalar_from_python(object value) except? 0:
    """A word for None, a boolean, a number or text; InvalidValue for all else."""
    cdef double number
    cdef int overflow = 0
    cdef long long integer
    if value is None:
        return FK_EMPTY
    if isinstance(value, str):
        return string_from_str(value)
    if isinstance(value, bool):
        return fk_from_boolean(value)
    if isinstance(value, int):
        integer = PyLong_AsLongLongAndOverflow(value, &overflow)
        if not overflow:
            return new_integer(integer)
        try:
            number = <double>int(value)
        except OverflowError:
            raise InvalidValue(
                f"an integer of {int(value).bit_length()} bits is too large for a double"
            ) from None
        return fk_from_double(number)
    if isinstance(value, float):
        number = value
        if not isfinite(number):
            raise InvalidValue(f"numbers are finite, unlike {value!r}")
        return fk_from_double(number)
    raise InvalidValue(f"{type(value).__name__} is no JSON value: {value!r:.80}")


cdef class Node:
    """An immutable value: null, a leaf or a map of children, with an optional priority.

    ``EMPTY`` is the one null. Missing children are ``EMPTY`` too.
    Source: sync-engine §1.1 and §1.4.
    """

    def __cinit__(self):
        self.word = FK_EMPTY

    def __init__(self):
        raise TypeError("use from_scalar, snap.value or snap.json to make a node")

    def __dealloc__(self):
        release(self.word)

    @property
    def is_empty(self) -> bool:
        """Whether this is null."""
        return fk_is_empty(self.word)

    @property
    def is_leaf(self) -> bool:
        """Whether this is a boolean, a number, text or an unresolved server value."""
        return fk_is_leaf(self.word)

    @property
    def is_map(self) -> bool:
        """Whether this has children."""
        return fk_is_map(self.word)

    @property
    def value(self) -> object:
        """The scalar of a leaf; None for null and maps; ``{".sv": …}`` if unresolved."""
        return None if fk_is_map(self.word) else scalar_to_python(fk_bare(self.word))

    @property
    def priority(self) -> object:
        """The priority: None, a number or text; ``{".sv": …}`` if unresolved."""
        return scalar_to_python(fk_priority(self.word))

    @property
    def leaf_count(self) -> int:
        """How many leaves lie here and below. Cost: their number."""
        return leaf_count(self.word)

    @property
    def size_bytes(self) -> int:
        """The size estimate of sync-engine §1.9. Cost: the nodes not counted before."""
        return size_bytes(self.word)

    def __len__(self) -> int:
        return fk_child_count(self.word)

    def __bool__(self) -> bool:
        return not fk_is_empty(self.word)

    def child(self, key: str) -> Node:
        """Return the child of that key, ``EMPTY`` if there is none."""
        cdef fk_key k = key_from_str(key)
        cdef fk_word word = fk_child(self.word, k)
        release_key(k)
        retain(word)
        return new_node(word)

    def get(self, Path path not None) -> Node:
        """Return the node at ``path``; a last key ``.priority`` gives the priority as a leaf."""
        cdef fk_word word
        if path.length and path.words[path.length - 1] == PRIORITY_KEY:
            word = fk_priority(get_path(self.word, path.words, path.length - 1))
        else:
            word = get_path(self.word, path.words, path.length)
        retain(word)
        return new_node(word)

    def update_child(self, key: str, Node node not None) -> Node:
        """Return this node with that child replaced, added, or removed if ``node`` is null."""
        cdef fk_key k = key_from_str(key)
        retain(self.word)
        retain(node.word)
        cdef fk_word word = set_child(self.word, k, node.word)
        release_key(k)
        return new_node(word)

    def update(self, Path path not None, Node node not None) -> Node:
        """Return this node with the one at ``path`` replaced; a last key ``.priority`` sets it.

        Cost: O(depth · log children); everything else is shared.
        """
        retain(self.word)
        if path.length and path.words[path.length - 1] == PRIORITY_KEY:
            return new_node(update_priority(self.word, path, node.word))
        retain(node.word)
        return new_node(set_path(self.word, path.words, path.length, node.word))

    def with_priority(self, priority: object) -> Node:
        """Return this node with another priority, None for none; null stays null."""
        cdef fk_word word = scalar_from_python(priority)
        retain(self.word)
        return new_node(set_priority(self.word, word))

    def keys(self) -> list[str]:
        """Return the children's keys in key order."""
        cdef fk_cursor cursor
        keys = []
        if fk_is_map(self.word):
            fk_cursor_start(&cursor, self.word, False)
            keys.append(key_to_str(fk_cursor_key(&cursor)))
            while fk_cursor_next(&cursor):
                keys.append(key_to_str(fk_cursor_key(&cursor)))
        return keys

    def items(self) -> list[tuple[str, Node]]:
        """Return the children in key order."""
        cdef fk_cursor cursor
        items = []
        if fk_is_map(self.word):
            fk_cursor_start(&cursor, self.word, False)
            while True:
                retain(fk_cursor_value(&cursor))
                items.append(
                    (key_to_str(fk_cursor_key(&cursor)), new_node(fk_cursor_value(&cursor)))
                )
                if not fk_cursor_next(&cursor):
                    break
        return items

    def __iter__(self):
        return iter(self.keys())

    def __contains__(self, key: str) -> bool:
        cdef fk_key k = key_from_str(key)
        cdef bint present = not fk_is_empty(fk_child(self.word, k))
        release_key(k)
        return present

    def predecessor(self, key: str) -> str | None:
        """Return the child key just before ``key`` in key order, present or not; None if none."""
        cdef fk_cursor cursor
        cdef fk_key k
        if not fk_is_map(self.word):
            return None
        k = key_from_str(key)
        cdef bint found = fk_cursor_seek_before(&cursor, self.word, k)
        release_key(k)
        return key_to_str(fk_cursor_key(&cursor)) if found else None

    def first_key(self) -> str | None:
        """Return the smallest key; None without children."""
        return edge_key(self.word, False)

    def last_key(self) -> str | None:
        """Return the largest key; None without children."""
        return edge_key(self.word, True)

    def same(self, Node other not None) -> bool:
        """Return whether both are one native value, which costs nothing to find out."""
        return self.word == other.word

    def __eq__(self, other) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return equal(self.word, (<Node>other).word)

    __hash__ = None

    def __repr__(self) -> str:
        if fk_is_map(self.word):
            return f"<Node of {fk_child_count(self.word)} children>"
        return f"<Node {self.value!r:.80}>"


cdef fk_word update_priority(fk_word word, Path path, fk_word priority):
    """word owned, priority borrowed: null stays null wherever the priority lands."""
    cdef fk_word target = get_path(word, path.words, path.length - 1)
    if fk_is_empty(target):
        return word
    retain(target)
    priority = fk_bare(priority)
    retain(priority)
    return set_path(word, path.words, path.length - 1, set_priority(target, priority))


cdef object edge_key(fk_word word, bint last):
    cdef fk_cursor cursor
    if not fk_is_map(word):
        return None
    fk_cursor_start(&cursor, word, last)
    return key_to_str(fk_cursor_key(&cursor))


def from_scalar(value: object) -> Node:
    """Return the leaf of a boolean, number or text, and ``EMPTY`` for None.

    Raises InvalidValue for anything else, and for numbers that are not finite.
    """
    return new_node(scalar_from_python(value))


EMPTY = new_node(FK_EMPTY)
