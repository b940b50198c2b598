"""``differences``: what makes one value of another, found by identity.

Values are immutable and share their structure, so that finding it takes time in
proportion to what differs, however large the values are.
"""

from .cache_change import Replace
from ..snap.node cimport Node, new_node
from ..snap.path cimport Path, path_from_words
from ..snap.word cimport (
    FK_EMPTY,
    equal,
    fk_compare_keys,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_skip_shared,
    fk_cursor_start,
    fk_cursor_value,
    fk_is_map,
    fk_key,
    fk_priority,
    fk_word,
    key_from_str,
    key_to_str,
    retain,
    size_bytes,
)

cdef fk_key PRIORITY_KEY = key_from_str(".priority")

# What is smaller than about one row of the store is handed over whole.
cdef size_t WHOLE_UP_TO_BYTES = 4096


def differences(Path path not None, Node old not None, Node new not None) -> list:
    """Return what has to be replaced for ``old`` at ``path`` to become ``new``, in key order.

    A last key ``.priority`` says the priority of a map that is there.
    """
    cdef list changes = []
    add_differences(changes, path, old.word, new.word)
    return changes


cdef Path below(Path path, fk_key key):
    cdef fk_key step[1]
    step[0] = key
    return path.child(path_from_words(step, 1))


cdef void add_differences(list changes, Path path, fk_word old, fk_word new):
    """Append what makes ``new`` of ``old`` (both borrowed) at ``path``."""
    if old == new:
        return
    if (
        not fk_is_map(old)
        or not fk_is_map(new)
        or size_bytes(old) <= WHOLE_UP_TO_BYTES
        or size_bytes(new) <= WHOLE_UP_TO_BYTES
    ):
        if not equal(old, new):
            retain(new)
            changes.append(Replace(path, new_node(new)))
        return
    if not equal(fk_priority(old), fk_priority(new)):
        retain(fk_priority(new))
        changes.append(Replace(below(path, PRIORITY_KEY), new_node(fk_priority(new))))
    add_child_differences(changes, path, old, new, None, None)


cdef void add_child_differences(
    list changes, Path path, fk_word old, fk_word new, list added, list removed
):
    """As ``add_differences`` for the children, in key order.

    With ``removed``, children that are gone are named there rather than emptied.
    """
    cdef fk_cursor a, b
    cdef bint more_old = fk_is_map(old), more_new = fk_is_map(new)
    cdef int order
    cdef fk_key key
    if more_old:
        fk_cursor_start(&a, old, False)
    if more_new:
        fk_cursor_start(&b, new, False)
    while more_old or more_new:
        if more_old and more_new:
            if fk_cursor_skip_shared(&a, &b):
                more_old = fk_cursor_next(&a)
                more_new = fk_cursor_next(&b)
                continue
            order = fk_compare_keys(fk_cursor_key(&a), fk_cursor_key(&b))
        else:
            order = -1 if more_old else 1
        if order == 0:
            if fk_cursor_value(&a) != fk_cursor_value(&b):
                add_differences(
                    changes,
                    below(path, fk_cursor_key(&a)),
                    fk_cursor_value(&a),
                    fk_cursor_value(&b),
                )
            more_old = fk_cursor_next(&a)
            more_new = fk_cursor_next(&b)
        elif order < 0:
            key = fk_cursor_key(&a)
            if removed is None:
                changes.append(Replace(below(path, key), new_node(FK_EMPTY)))
            else:
                removed.append(key_to_str(key))
            more_old = fk_cursor_next(&a)
        else:
            key = fk_cursor_key(&b)
            retain(fk_cursor_value(&b))
            changes.append(Replace(below(path, key), new_node(fk_cursor_value(&b))))
            if added is not None:
                added.append(key_to_str(key))
            more_new = fk_cursor_next(&b)
