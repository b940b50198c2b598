"""``Window``: which children a query shows while its candidates change.

``put`` tells of one child, ``settle`` works out what all puts since the last one
did to the window. Deciding only then means that a slot is never refilled with a
child that the same message changes later (D-4). Each costs O(log n), and a
settle one step more for every child that crosses the edge.

Nothing is kept of the candidates while their order is that of the map: by key,
or as long as no child has a priority, or the child that orders. That is so for
most lists under push ids. Source: sync-engine §1.7, §2.5 and §4.5.
"""

from libc.stdlib cimport abort, free, qsort, realloc

from ..snap.node cimport Node
from ..snap.word cimport (
    FK_EMPTY,
    FK_KEY_MIN,
    fk_child,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_seek,
    fk_cursor_seek_before,
    fk_cursor_start,
    fk_cursor_value,
    fk_is_empty,
    fk_is_map,
    fk_key,
    fk_word,
    key_from_str,
    key_to_str,
    release,
    release_key,
    retain,
    retain_key,
    set_child,
)
from .bound cimport Bound
from .ordered cimport Ordered, kept_value
from .params cimport QueryParams
from .selection cimport Entry, Selection


cdef class Window:
    """The first or last children of a range, as many as the limit allows."""

    def __cinit__(self):
        self.boundary.value = FK_EMPTY

    def __init__(self, QueryParams params not None):
        self.params = params
        self.index = params.index
        self.limit = params.limit_count
        if not params.index.by_key and beyond_null(params.start):
            self.ranked = True
            self.candidates = Ordered(params.index)

    def __dealloc__(self):
        self.forget_touched()
        free(self.touched)
        self.forget_crossings()
        free(self.crossings)
        release(self.boundary.value)
        release_key(self.boundary.key)

    def __len__(self) -> int:
        return self.inside

    def follow(
        self, Node node not None, changes: list[tuple[str, Node]]
    ) -> tuple[list[str], list[str]]:
        """Follow children of ``node``, one after the other; return who entered and who left.

        ``node`` is what the window has followed so far. A child may change more
        than once; only what became of it counts.
        """
        cdef Py_ssize_t i
        cdef fk_key key
        cdef Node child
        cdef fk_word after = node.word
        retain(after)
        for text, child in changes:
            key = key_from_str(text)
            self.put(key, fk_child(after, key), child.word)
            retain(child.word)
            after = set_child(after, key, child.word)
            release_key(key)
        self.settle(after)
        release(after)
        crossed = [
            (key_to_str(self.crossings[i].key), self.crossings[i].entered)
            for i in range(self.crossing_count)
        ]
        return [text for text, entered in crossed if entered], [
            text for text, entered in crossed if not entered
        ]

    def shown(self, Node node not None) -> list[tuple[str, str | None]]:
        """Return each shown child of ``node``, which has been followed, with the one before it."""
        cdef fk_cursor cursor
        cdef fk_key key, previous
        cdef list shown = []
        if not fk_is_map(node.word):
            return shown
        fk_cursor_start(&cursor, node.word, False)
        while True:
            key = fk_cursor_key(&cursor)
            if self.contains(key, fk_cursor_value(&cursor)):
                previous = self.predecessor(key, fk_cursor_value(&cursor), node.word)
                shown.append(
                    (key_to_str(key), None if previous == FK_KEY_MIN else key_to_str(previous))
                )
            if not fk_cursor_next(&cursor):
                return shown

    # ---- changes -------------------------------------------------------------------

    cdef void load(self, fk_word node) noexcept:
        cdef Selection selection
        cdef fk_cursor cursor
        cdef Py_ssize_t i
        self.forget_touched()
        self.forget_crossings()
        self.bounded = False
        self.inside = 0
        self.ranked = not self.index.by_key and beyond_null(self.params.start)
        self.candidates = None
        if not self.index.by_key and fk_is_map(node):
            fk_cursor_start(&cursor, node, False)
            while not self.ranked:
                self.ranked = not fk_is_empty(self.index.value_of(fk_cursor_value(&cursor)))
                if not fk_cursor_next(&cursor):
                    break
        if self.ranked:
            self.rank(node)
        if self.limit >= 0:
            self.bring_to_limit(node)
            self.settle(node)
            return
        selection = self.params.select(node)
        self.inside = selection.count
        if not self.params.loads_all:
            for i in range(selection.count):
                self.cross(selection.entries[i].key, True)

    cdef void put(self, fk_key key, fk_word old, fk_word new) noexcept:
        cdef fk_word old_value = self.index.value_of(old)
        cdef fk_word new_value = self.index.value_of(new)
        cdef bint was = not fk_is_empty(old) and self.params.in_range(key, old_value)
        cdef bint now = not fk_is_empty(new) and self.params.in_range(key, new_value)
        cdef bint shown = was and self.shows(key, old_value)
        if not self.ranked and not fk_is_empty(new_value):
            self.ranked = True
        if was and now and self.index.compare(key, old_value, key, new_value) == 0:
            return
        if not self.params.loads_all and (was or now):
            self.touch(key, shown)
        self.inside -= shown
        self.inside += now and self.shows(key, new_value)
        if self.candidates is not None:
            if was:
                self.candidates.remove(old_value, key)
            if now:
                self.candidates.insert(new_value, key)

    cdef void settle(self, fk_word node) noexcept:
        cdef Py_ssize_t i
        cdef fk_key key
        cdef fk_word child
        cdef bint there
        self.forget_crossings()
        if self.ranked and self.candidates is None:
            self.rank(node)
        if self.limit >= 0:
            self.bring_to_limit(node)
        qsort(self.touched, self.touched_count, sizeof(Touched), compare_touched)
        for i in range(self.touched_count):
            key = self.touched[i].key
            if i == 0 or key != self.touched[i - 1].key:
                child = fk_child(node, key)
                there = self.contains(key, child)
                if there != self.touched[i].shown:
                    self.cross(key, there)
        self.forget_touched()

    cdef void bring_to_limit(self, fk_word node) noexcept:
        """Move the boundary until as many candidates lie inside as may, if there are so many."""
        cdef Entry entry
        cdef bint from_right = self.params.from_right
        while self.inside > self.limit:
            # the outermost candidate shown leaves: the one at the boundary or before it
            entry = self.boundary
            if not self.holds(&entry, node):
                self.neighbour(entry.key, entry.value, from_right, node, &entry)
            self.touch(entry.key, True)
            self.inside -= 1
            self.neighbour(entry.key, entry.value, from_right, node, &entry)
            self.move_boundary(&entry)
        while self.inside < self.limit:
            if not self.bounded:
                if not self.innermost(node, &entry):
                    return
            elif not self.neighbour(
                self.boundary.key, self.boundary.value, not from_right, node, &entry
            ):
                return
            self.touch(entry.key, False)
            self.move_boundary(&entry)
            self.inside += 1

    cdef void move_boundary(self, const Entry *entry) noexcept:
        cdef fk_word value = kept_value(entry.value)
        retain(value)
        retain_key(entry.key)
        release(self.boundary.value)
        release_key(self.boundary.key)
        self.boundary.value = value
        self.boundary.key = entry.key
        self.bounded = True

    cdef void rank(self, fk_word node) noexcept:
        """Begin to keep the candidates' order."""
        cdef Selection selection = Selection.__new__(Selection)
        selection.select(self.index, self.params.start, self.params.end, -1, False, node)
        self.candidates = Ordered(self.index)
        self.candidates.load(selection.entries, selection.count)

    cdef void touch(self, fk_key key, bint shown) noexcept:
        if self.touched_count == self.touched_size:
            self.touched_size = self.touched_size * 2 if self.touched_size else 4
            self.touched = <Touched *>realloc(self.touched, self.touched_size * sizeof(Touched))
            if self.touched == NULL:
                abort()
        retain_key(key)
        self.touched[self.touched_count].key = key
        self.touched[self.touched_count].turn = self.touched_count
        self.touched[self.touched_count].shown = shown
        self.touched_count += 1

    cdef void forget_touched(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.touched_count):
            release_key(self.touched[i].key)
        self.touched_count = 0

    cdef void cross(self, fk_key key, bint entered) noexcept:
        if self.crossing_count == self.crossing_size:
            self.crossing_size = self.crossing_size * 2 if self.crossing_size else 4
            self.crossings = <Crossing *>realloc(
                self.crossings, self.crossing_size * sizeof(Crossing)
            )
            if self.crossings == NULL:
                abort()
        retain_key(key)
        self.crossings[self.crossing_count].key = key
        self.crossings[self.crossing_count].entered = entered
        self.crossing_count += 1

    cdef void forget_crossings(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.crossing_count):
            release_key(self.crossings[i].key)
        self.crossing_count = 0

    # ---- positions -----------------------------------------------------------------

    cdef bint shows(self, fk_key key, fk_word value) noexcept:
        """Whether a candidate at that position is in the window."""
        cdef int order
        if self.limit < 0:
            return True
        if not self.bounded:
            return False
        order = self.index.compare(key, value, self.boundary.key, self.boundary.value)
        return order >= 0 if self.params.from_right else order <= 0

    cdef bint contains(self, fk_key key, fk_word child) noexcept:
        cdef fk_word value = self.index.value_of(child)
        return (
            not fk_is_empty(child)
            and self.params.in_range(key, value)
            and self.shows(key, value)
        )

    cdef bint holds(self, const Entry *entry, fk_word node) noexcept:
        """Whether a candidate stands at exactly that position."""
        if self.candidates is not None:
            return self.candidates.contains(entry.value, entry.key)
        return not fk_is_empty(fk_child(node, entry.key))

    cdef bint innermost(self, fk_word node, Entry *found) noexcept:
        """The candidate next to the anchored side."""
        cdef Selection selection
        if self.candidates is not None:
            if self.params.from_right:
                return self.candidates.last(found)
            return self.candidates.first(found)
        selection = Selection.__new__(Selection)
        selection.select_by_key(
            self.params.start,
            None if beyond_null(self.params.end) else self.params.end,
            1,
            self.params.from_right,
            node,
        )
        if selection.count:
            found[0] = selection.entries[0]
        return selection.count > 0

    cdef bint neighbour(
        self, fk_key key, fk_word value, bint later, fk_word node, Entry *found
    ) noexcept:
        """The candidate just after or before a position."""
        cdef fk_cursor cursor
        if self.candidates is not None:
            if later:
                return self.candidates.after(value, key, found)
            return self.candidates.before(value, key, found)
        if not fk_is_map(node):
            return False
        if not (
            fk_cursor_seek(&cursor, node, key, True)
            if later
            else fk_cursor_seek_before(&cursor, node, key)
        ):
            return False
        found.key = fk_cursor_key(&cursor)
        found.value = FK_EMPTY
        return self.params.in_range(found.key, FK_EMPTY)

    cdef fk_key predecessor(self, fk_key key, fk_word child, fk_word node) noexcept:
        cdef Entry entry
        if not self.neighbour(key, self.index.value_of(child), False, node, &entry):
            return FK_KEY_MIN
        return entry.key if self.shows(entry.key, entry.value) else FK_KEY_MIN


cdef bint beyond_null(Bound bound) noexcept:
    """Whether a bound lies beyond all children that do not have what orders them."""
    return bound is not None and not fk_is_empty(bound.word)


cdef int compare_touched(const void *a, const void *b) noexcept nogil:
    cdef const Touched *x = <const Touched *>a
    cdef const Touched *y = <const Touched *>b
    if x.key != y.key:
        return -1 if x.key < y.key else 1
    return -1 if x.turn < y.turn else x.turn > y.turn
