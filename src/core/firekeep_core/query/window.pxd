from ..snap.word cimport fk_key, fk_word
from .index cimport Index
from .ordered cimport Ordered
from .params cimport QueryParams
from .selection cimport Entry

cimport cython

cdef struct Touched:
    fk_key key                      # owned
    Py_ssize_t turn                 # so that of several entries for a key the first counts
    bint shown                      # whether it was on show at the last settle

cdef struct Crossing:
    fk_key key                      # owned
    bint entered                    # or left


@cython.final
cdef class Window:
    cdef readonly QueryParams params
    cdef Index index
    cdef Py_ssize_t limit           # -1: none
    # Every child in the query's range. None while no child has what the index looks
    # at: then their order is the order of keys, which the map itself keeps.
    cdef Ordered candidates
    cdef bint ranked                # the map's own order will not do any more
    # The outermost position that is shown, counted from the anchored side, and how
    # many candidates lie up to it. Without a limit all candidates are inside.
    cdef Entry boundary             # owned
    cdef bint bounded
    cdef Py_ssize_t inside
    cdef Touched *touched
    cdef Py_ssize_t touched_count
    cdef Py_ssize_t touched_size
    # What the last settle changed in the window; of a query that loads all, nothing.
    cdef Crossing *crossings
    cdef Py_ssize_t crossing_count
    cdef Py_ssize_t crossing_size

    # Begin anew with all of `node`'s children; crossings are then what is shown.
    cdef void load(self, fk_word node) noexcept
    # One child of that map was `old` and is `new`, either EMPTY.
    cdef void put(self, fk_key key, fk_word old, fk_word new) noexcept
    # All puts are made and led to `node`: fill `crossings`.
    cdef void settle(self, fk_word node) noexcept
    cdef bint contains(self, fk_key key, fk_word child) noexcept
    # The key shown just before a child that is shown; FK_KEY_MIN if there is none.
    cdef fk_key predecessor(self, fk_key key, fk_word child, fk_word node) noexcept

    cdef bint shows(self, fk_key key, fk_word value) noexcept
    cdef void touch(self, fk_key key, bint shown) noexcept
    cdef void cross(self, fk_key key, bint entered) noexcept
    cdef void rank(self, fk_word node) noexcept
    cdef void forget_touched(self) noexcept
    cdef void forget_crossings(self) noexcept
    cdef void bring_to_limit(self, fk_word node) noexcept
    cdef void move_boundary(self, const Entry *entry) noexcept
    cdef bint holds(self, const Entry *entry, fk_word node) noexcept
    cdef bint innermost(self, fk_word node, Entry *found) noexcept
    cdef bint neighbour(
        self, fk_key key, fk_word value, bint later, fk_word node, Entry *found
    ) noexcept
