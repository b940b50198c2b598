"""Applying the ranges with which a server answers a compound hash.

A range is (start, end, node): the leaves after ``start`` up to and including
``end``, None meaning open, are now those of ``node``. Source: wire §4.6, whose
five rules are marked below.
"""

from ..snap.node cimport Node, new_node
from ..snap.path cimport Path
from ..snap.word cimport (
    FK_EMPTY,
    fk_child,
    fk_compare_keys,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_seek,
    fk_cursor_start,
    fk_is_empty,
    fk_is_leaf,
    fk_is_map,
    fk_key,
    fk_priority,
    fk_word,
    key_from_str,
    release,
    retain,
    set_child,
    set_priority,
)

cdef fk_key PRIORITY_KEY = key_from_str(".priority")

cdef enum Side:
    BEFORE      # the location sorts before the edge and does not lead to it
    ON          # it is the edge, or leads to it
    AFTER       # it sorts after the edge, or lies below it

cdef struct Edge:
    Side side
    fk_key *rest    # what is left of the edge's path, if ON
    Py_ssize_t length


cdef Edge below(Edge edge, fk_key key) noexcept:
    """Where a child lies relative to the edge."""
    cdef int order
    if edge.side == ON:
        if edge.length == 0:
            edge.side = AFTER
        else:
            order = fk_compare_keys(key, edge.rest[0])
            edge.side = ON if order == 0 else BEFORE if order < 0 else AFTER
            edge.rest += 1
            edge.length -= 1
    return edge


cdef fk_word merge(fk_word node, fk_word update, Edge start, Edge end):
    """``node`` (owned) with what lies between the edges taken from ``update`` (borrowed)."""
    if start.side == AFTER:
        if end.side == BEFORE or (end.side == ON and fk_is_leaf(update)):
            release(node)  # rules 1 and 2
            retain(update)
            return update
        if end.side == ON and end.length == 0:
            if fk_is_leaf(node):  # rule 3
                release(node)
                return FK_EMPTY
            return node
    if start.side != ON and end.side != ON:
        return node  # rule 5
    return merge_children(node, update, start, end)


cdef fk_word merge_children(fk_word node, fk_word update, Edge start, Edge end):
    """Rule 4: every child of either is merged by itself, the priority last."""
    cdef list keys = children_between(node, start, end)
    cdef fk_key key
    cdef fk_word child, priority
    keys += [k for k in children_between(update, start, end) if fk_is_empty(fk_child(node, k))]
    cdef fk_word result = node
    cdef fk_word old = node
    retain(old)
    for word in keys:
        key = word
        child = fk_child(old, key)
        retain(child)
        child = merge(child, fk_child(update, key), below(start, key), below(end, key))
        result = set_child(result, key, child)
    if not fk_is_empty(fk_priority(old)) or not fk_is_empty(fk_priority(update)):
        priority = fk_priority(old)
        retain(priority)
        priority = merge(
            priority, fk_priority(update), below(start, PRIORITY_KEY), below(end, PRIORITY_KEY)
        )
        result = set_priority(result, priority)
    release(old)
    return result


cdef list children_between(fk_word node, Edge start, Edge end):
    """The keys of the children that the rules can change: those not beyond an edge."""
    cdef fk_cursor cursor
    cdef list keys = []
    cdef bint more
    if not fk_is_map(node) or (end.side == ON and end.length == 0 and start.side != ON):
        return keys
    if start.side == ON and start.length:
        more = fk_cursor_seek(&cursor, node, start.rest[0], False)
    else:
        fk_cursor_start(&cursor, node, False)
        more = True
    while more:
        if end.side == ON and end.length:
            if fk_compare_keys(fk_cursor_key(&cursor), end.rest[0]) > 0:
                break
        keys.append(fk_cursor_key(&cursor))
        more = fk_cursor_next(&cursor)
    return keys


cdef Edge edge_of(Path path, Side without):
    cdef Edge edge
    edge.side = without if path is None else ON
    edge.rest = NULL if path is None else path.words
    edge.length = 0 if path is None else path.length
    return edge


cdef Node merge_ranges(Node node, list ranges):
    cdef fk_word word = node.word
    cdef Node update
    retain(word)
    for start, end, update in ranges:
        word = merge(word, update.word, edge_of(start, AFTER), edge_of(end, BEFORE))
    return new_node(word)


def apply_range_merge(Node node not None, list ranges not None) -> Node:
    """Return ``node`` with each of the ``(start, end, node)`` ranges replaced.

    Paths are relative to ``node``. Cost: the children that lie in the ranges.
    """
    return merge_ranges(node, ranges)
