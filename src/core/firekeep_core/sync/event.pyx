"""``Event``: one thing that one registration is told.

Source: sync-engine §3.
"""

from ..snap.word cimport FK_EMPTY, fk_key, fk_word, release, release_key, retain, retain_key

cdef dict KIND_NAMES = {
    <int>VALUE: "value",
    <int>CHILD_ADDED: "child_added",
    <int>CHILD_REMOVED: "child_removed",
    <int>CHILD_MOVED: "child_moved",
    <int>CHILD_CHANGED: "child_changed",
    <int>CANCEL: "cancel",
}

#: What each kind of event is called, and its bit in a registration's mask.
KINDS = {name: code for code, name in KIND_NAMES.items()}


cdef class Event:
    """What happened, for whom, and where in the order of the query.

    ``path`` and ``params`` name the query the registration listens to. ``key`` is
    the child's, None for ``value`` and ``cancel``; ``previous_key`` the key just
    before it in the query's order after the operation, None for the first and for
    removed children. ``node`` is the value then; of a removed child, the last one
    shown. ``initial`` marks what a new registration is told about the past, and
    ``origin`` is ``local``, ``server`` or ``revert``. ``error`` comes with ``cancel``.
    """

    @property
    def kind(self) -> str:
        """One of the names in ``KINDS``: ``value``, ``child_added``, … or ``cancel``."""
        return KIND_NAMES[self.code]

    def __repr__(self) -> str:
        key = "" if self.key is None else f" {self.key!r} after {self.previous_key!r}"
        return f"<Event {self.kind} at {self.path}{key}>"


cdef class Change:
    def __cinit__(self):
        self.word = FK_EMPTY

    def __dealloc__(self):
        release_key(self.key)
        release(self.word)


cdef Change new_change(int code, fk_key key, fk_word word):
    cdef Change change = Change.__new__(Change)
    change.code = code
    retain_key(key)
    change.key = key
    retain(word)
    change.word = word
    return change
