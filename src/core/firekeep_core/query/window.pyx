"""``Window``: which children a query shows while its candidates change.

``put`` tells of one child, ``settle`` answers what all puts since the last one
did to the window. Deciding only then means that a slot is never refilled with a
child that the same message changes later (D-4). Each costs O(log n), and a
settle one step more for every child that crosses the edge.

Source: sync-engine §2.5 and §4.5.
"""

from ..snap.word cimport (
    FK_EMPTY,
    FK_KEY_MIN,
    fk_child,
    fk_is_empty,
    fk_key,
    fk_word,
    release,
    release_key,
    retain,
    retain_key,
    set_child,
)
from .index cimport Index
from .ordered cimport Entry, Ordered
from .params cimport QueryParams


cdef class Window:
    """The first or last children of a range, as many as the limit allows."""

    def __cinit__(self):
        self.held = FK_EMPTY
        self.boundary.value = FK_EMPTY

    def __init__(self, QueryParams params not None):
        self.params = params
        self.candidates = Ordered(params.index)
        self.touched = {}

    def __dealloc__(self):
        release(self.held)
        release(self.boundary.value)
        release_key(self.boundary.key)

    def __len__(self) -> int:
        return self.inside if self.params.limit_count >= 0 else self.candidates.count

    cdef bint shows(self, fk_word value, fk_key key):
        """Whether a candidate at that position is in the window."""
        cdef int order
        if self.params.limit_count < 0:
            return True
        if not self.bounded:
            return False
        order = self.params.index.compare(key, value, self.boundary.key, self.boundary.value)
        return order >= 0 if self.params.from_right else order <= 0

    cdef void put(self, fk_key key, fk_word child):
        """Take in that the child of that key is now ``child`` (borrowed), EMPTY if gone."""
        cdef Index index = self.params.index
        cdef fk_word old = fk_child(self.held, key)
        cdef fk_word value = index.value_of(child)
        cdef bint shown
        if not fk_is_empty(child) and not self.params.in_range(key, value):
            child = FK_EMPTY
        if fk_is_empty(old):
            if fk_is_empty(child):
                return
            self.touched.setdefault(key, False)
        else:
            shown = self.shows(index.value_of(old), key)
            self.touched.setdefault(key, shown)
            self.candidates.remove(index.value_of(old), key)
            self.inside -= shown
        if not fk_is_empty(child):
            self.candidates.insert(value, key)
            self.inside += self.shows(value, key)
            retain(child)
        self.held = set_child(self.held, key, child)

    cdef void move_boundary(self, Entry *entry):
        retain(entry.value)
        retain_key(entry.key)
        release(self.boundary.value)
        release_key(self.boundary.key)
        self.boundary = entry[0]
        self.bounded = True

    cdef tuple settle(self):
        cdef Entry entry
        cdef bint from_right = self.params.from_right
        cdef bint there, shown
        cdef fk_key key
        cdef fk_word child
        cdef list entered = [], left = []
        if not self.touched:
            return entered, left
        if self.params.limit_count >= 0:
            while self.inside > self.params.limit_count:
                # the outermost candidate shown leaves: the one at the boundary or before it
                entry = self.boundary
                if not self.holds(&entry):
                    self.inward(&self.boundary, &entry)
                self.touched.setdefault(entry.key, True)
                self.inside -= 1
                self.inward(&entry, &entry)
                self.move_boundary(&entry)
            while self.inside < self.params.limit_count:
                if not self.bounded:
                    there = self.candidates.edge(from_right, &entry)
                elif from_right:
                    there = self.candidates.before(self.boundary.value, self.boundary.key, &entry)
                else:
                    there = self.candidates.after(self.boundary.value, self.boundary.key, &entry)
                if not there:
                    break
                self.touched.setdefault(entry.key, False)
                self.move_boundary(&entry)
                self.inside += 1
        for key, shown in self.touched.items():
            child = fk_child(self.held, key)
            there = not fk_is_empty(child) and self.shows(self.params.index.value_of(child), key)
            if there and not shown:
                entered.append(key)
            elif shown and not there:
                left.append(key)
        self.touched.clear()
        return entered, left

    cdef bint holds(self, Entry *entry):
        """Whether a candidate stands at exactly that position."""
        cdef Index index = self.params.index
        cdef fk_word child = fk_child(self.held, entry.key)
        if fk_is_empty(child):
            return False
        return index.compare(entry.key, index.value_of(child), entry.key, entry.value) == 0

    cdef void inward(self, Entry *entry, Entry *found):
        """The next candidate from a position towards the anchored side."""
        if self.params.from_right:
            self.candidates.after(entry.value, entry.key, found)
        else:
            self.candidates.before(entry.value, entry.key, found)

    cdef fk_key predecessor(self, fk_key key, fk_word child):
        """The key shown just before a child that is shown."""
        cdef Entry entry
        if not self.candidates.before(self.params.index.value_of(child), key, &entry):
            return FK_KEY_MIN
        return entry.key if self.shows(entry.value, entry.key) else FK_KEY_MIN
