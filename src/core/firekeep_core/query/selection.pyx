"""``Selection``: what a query shows of a whole map, worked out once.

One pass over the map, O(n log limit) comparisons; by key only what is shown is
looked at. Whoever has to follow a map that changes keeps a ``Window`` instead.
Source: sync-engine §2.5.
"""

from libc.stdlib cimport abort, free, malloc, realloc
from libc.string cimport memcpy, memmove

from ..snap.word cimport (
    FK_EMPTY,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_previous,
    fk_cursor_seek,
    fk_cursor_start,
    fk_cursor_value,
    fk_is_map,
    fk_key,
    fk_word,
)
from .bound cimport Bound, within
from .index cimport BY_KEY, Index

cdef enum:
    SHORT_RUN = 8


cdef class Selection:
    """The places of the selected children, in the query's order."""

    def __dealloc__(self):
        free(self.entries)

    cdef void append(self, fk_word value, fk_key key) noexcept:
        if self.count == self.capacity:
            self.capacity = self.capacity * 2 if self.capacity else 16
            self.entries = <Entry *>realloc(self.entries, self.capacity * sizeof(Entry))
            if self.entries == NULL:
                abort()
        self.entries[self.count].value = value
        self.entries[self.count].key = key
        self.count += 1

    cdef void select(
        self,
        Index index,
        Bound start,
        Bound end,
        Py_ssize_t limit,
        bint from_right,
        fk_word node,
    ) noexcept:
        cdef fk_cursor cursor
        cdef Entry worst
        cdef bint full = False
        cdef int order
        cdef fk_word value
        if index.by_key:
            self.select_by_key(start, end, limit, from_right, node)
            return
        self.count = 0
        if not fk_is_map(node):
            return
        fk_cursor_start(&cursor, node, False)
        while True:
            value = index.value_of(fk_cursor_value(&cursor))
            if within(index, start, end, fk_cursor_key(&cursor), value):
                order = 0
                if full:
                    order = index.compare(fk_cursor_key(&cursor), value, worst.key, worst.value)
                if not full or (order > 0) == from_right:
                    self.append(value, fk_cursor_key(&cursor))
                if limit >= 0 and self.count > 2 * limit + SHORT_RUN:
                    self.cut(index, limit, from_right)
                    worst = self.entries[0 if from_right else limit - 1]
                    full = True
            if not fk_cursor_next(&cursor):
                break
        self.cut(index, limit, from_right)

    cdef void select_by_key(
        self, Bound start, Bound end, Py_ssize_t limit, bint from_right, fk_word node
    ) noexcept:
        cdef fk_cursor cursor
        cdef bint more
        cdef Py_ssize_t i
        cdef Entry swapped
        self.count = 0
        if not fk_is_map(node):
            return
        if from_right and end is not None:
            more = fk_cursor_seek(&cursor, node, end.edge, not end.exclusive)
            if more:
                more = fk_cursor_previous(&cursor)
            else:
                fk_cursor_start(&cursor, node, True)
                more = True
        elif not from_right and start is not None:
            more = fk_cursor_seek(&cursor, node, start.edge, start.exclusive)
        else:
            fk_cursor_start(&cursor, node, from_right)
            more = True
        while more and self.count != limit:
            if not within(BY_KEY, start, end, fk_cursor_key(&cursor), FK_EMPTY):
                break
            self.append(FK_EMPTY, fk_cursor_key(&cursor))
            more = fk_cursor_previous(&cursor) if from_right else fk_cursor_next(&cursor)
        if from_right:
            for i in range(self.count // 2):
                swapped = self.entries[i]
                self.entries[i] = self.entries[self.count - 1 - i]
                self.entries[self.count - 1 - i] = swapped

    cdef void cut(self, Index index, Py_ssize_t limit, bint from_right) noexcept:
        """Sort, and keep as many as the limit allows."""
        sort_entries(index, self.entries, self.count)
        if limit < 0 or self.count <= limit:
            return
        if from_right:
            memmove(
                self.entries, &self.entries[self.count - limit], limit * sizeof(Entry)
            )
        self.count = limit


cdef void sort_entries(Index index, Entry *entries, Py_ssize_t count) noexcept:
    cdef Py_ssize_t i, j, start, middle, end, to
    cdef Py_ssize_t width = SHORT_RUN
    cdef Entry moved
    cdef Entry *source = entries
    cdef Entry *target
    cdef Entry *scratch
    i = 1
    while i < count and not follows(index, &entries[i - 1], &entries[i]):
        i += 1
    if i >= count:
        return
    start = 0
    while start < count:
        end = min(start + width, count)
        for i in range(start + 1, end):
            moved = entries[i]
            j = i
            while j > start and follows(index, &entries[j - 1], &moved):
                entries[j] = entries[j - 1]
                j -= 1
            entries[j] = moved
        start = end
    if count <= SHORT_RUN:
        return
    scratch = <Entry *>malloc(count * sizeof(Entry))
    if scratch == NULL:
        abort()
    target = scratch
    while width < count:
        start = 0
        while start < count:
            i = start
            middle = min(start + width, count)
            j = middle
            end = min(middle + width, count)
            for to in range(start, end):
                if j == end or (i < middle and not follows(index, &source[i], &source[j])):
                    target[to] = source[i]
                    i += 1
                else:
                    target[to] = source[j]
                    j += 1
            start = end
        source, target = target, source
        width *= 2
    if source != entries:
        memcpy(entries, source, count * sizeof(Entry))
    free(scratch)


cdef bint follows(Index index, const Entry *a, const Entry *b) noexcept:
    return index.compare(a.key, a.value, b.key, b.value) > 0
