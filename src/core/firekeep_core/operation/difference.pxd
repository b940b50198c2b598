from ..snap.path cimport Path
from ..snap.word cimport fk_word

cdef void add_differences(list changes, Path path, fk_word old, fk_word new)
cdef void add_child_differences(
    list changes, Path path, fk_word old, fk_word new, list added, list removed
)
