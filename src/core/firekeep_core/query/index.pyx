"""``Index``: one total order over the children of a location.

By key; or by value, by priority or by a child's value at some path, ties by
key. Source: sync-engine §1.6.
"""

from ..snap.path cimport Path, path_from_words
from ..snap.word cimport (
    FK_EMPTY,
    fk_child,
    fk_compare_keys,
    fk_compare_values,
    fk_key,
    fk_priority,
    fk_word,
)


cdef class Index:
    cdef fk_word value_of(self, fk_word child) noexcept nogil:
        cdef Py_ssize_t i
        if self.by_key:
            return FK_EMPTY
        if self.by_priority:
            return fk_priority(child)
        for i in range(self.path.length):
            child = fk_child(child, self.path.words[i])
        return child

    cdef int compare(self, fk_key ka, fk_word va, fk_key kb, fk_word vb) noexcept nogil:
        cdef int order = 0 if self.by_key else fk_compare_values(va, vb)
        return order if order else fk_compare_keys(ka, kb)


cdef Index make(bint by_key, bint by_value, bint by_priority, Path path):
    cdef Index index = Index.__new__(Index)
    index.by_key = by_key
    index.by_value = by_value
    index.by_priority = by_priority
    index.path = path
    return index


cdef Index BY_KEY = make(True, False, False, path_from_words(NULL, 0))
cdef Index BY_VALUE = make(False, True, False, path_from_words(NULL, 0))
cdef Index BY_PRIORITY = make(False, False, True, path_from_words(NULL, 0))


cdef Index by_child(Path path):
    return make(False, False, False, path)
