from .word cimport fk_word

cdef object word_to_python(fk_word word, bint arrays)     # the plain value, lists by the array rule
cdef object word_to_export(fk_word word)
