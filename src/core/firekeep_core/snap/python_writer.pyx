"""Words to Python values: the plain value of a node, and its export form.

Source: sync-engine §1.3.
"""

from cpython.dict cimport PyDict_SetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

cimport cython

from .node cimport scalar_to_python
from .word cimport (
    FK_EMPTY,
    fk_bare,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_start,
    fk_cursor_value,
    fk_is_empty,
    fk_is_map,
    fk_key,
    fk_key_integer,
    fk_priority,
    fk_word,
    key_to_str,
)

cdef extern from "list_rule.h":
    bint fk_is_list(fk_word map)

cdef enum:
    CACHED_KEYS = 128


@cython.final
cdef class _Writer:
    """Makes Python values of words; remembers the texts of keys, which repeat from map to map."""

    cdef fk_key keys[CACHED_KEYS]       # borrowed: the word that is read keeps them alive
    cdef PyObject *texts[CACHED_KEYS]
    cdef bint arrays
    cdef bint priorities

    def __cinit__(self, bint arrays, bint priorities):
        self.arrays = arrays
        self.priorities = priorities

    def __dealloc__(self):
        cdef int i
        for i in range(CACHED_KEYS):
            Py_XDECREF(self.texts[i])

    cdef str key_text(self, fk_key key):
        cdef int slot = ((key ^ (key >> 20)) * 0x9E3779B97F4A7C15u) >> 57
        cdef str text
        if self.texts[slot] != NULL and self.keys[slot] == key:
            return <str>self.texts[slot]
        text = key_to_str(key)
        Py_XDECREF(self.texts[slot])
        Py_INCREF(text)
        self.texts[slot] = <PyObject *>text
        self.keys[slot] = key
        return text

    cdef object write(self, fk_word word):
        cdef object value
        cdef fk_word priority = fk_priority(word) if self.priorities else FK_EMPTY
        if fk_is_map(word):
            if self.arrays and fk_is_list(word):
                return self.write_list(word)
            value = self.write_dict(word)
            if not fk_is_empty(priority):
                value[".priority"] = scalar_to_python(priority)
            return value
        value = scalar_to_python(fk_bare(word))
        if fk_is_empty(priority):
            return value
        return {".value": value, ".priority": scalar_to_python(priority)}

    cdef dict write_dict(self, fk_word map):
        cdef fk_cursor cursor
        cdef dict children = {}
        fk_cursor_start(&cursor, map, False)
        while True:
            PyDict_SetItem(
                children,
                self.key_text(fk_cursor_key(&cursor)),
                self.write(fk_cursor_value(&cursor)),
            )
            if not fk_cursor_next(&cursor):
                return children

    cdef list write_list(self, fk_word map):
        cdef fk_cursor cursor
        cdef list items = []
        cdef Py_ssize_t index
        fk_cursor_start(&cursor, map, False)
        while True:
            index = fk_key_integer(fk_cursor_key(&cursor))
            while len(items) < index:
                items.append(None)
            items.append(self.write(fk_cursor_value(&cursor)))
            if not fk_cursor_next(&cursor):
                return items


cdef object word_to_python(fk_word word, bint arrays):
    if not fk_is_map(word):
        return scalar_to_python(fk_bare(word))
    cdef _Writer writer = _Writer.__new__(_Writer, arrays, False)
    return writer.write(word)


cdef object word_to_export(fk_word word):
    cdef _Writer writer = _Writer.__new__(_Writer, False, True)
    return writer.write(word)
