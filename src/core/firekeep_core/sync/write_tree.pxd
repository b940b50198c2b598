from cpython.ref cimport PyObject

from ..snap.path cimport Path
from ..snap.word cimport fk_key, fk_word

cimport cython


# The garbage collector does not look at it: it takes part in no cycle, since it borrows its place.
@cython.final
@cython.no_gc
cdef class WriteEntry:
    # What one write does to one location. An update has an entry for each of its
    # paths, all with the id of the write.
    cdef readonly long id
    cdef readonly bint visible
    cdef int position               # among the entries of its write: they apply in this order
    cdef bint priority              # sets only the priority of the location
    cdef fk_word word               # owned; may hold unresolved increments
    cdef list increments            # of Increment, None if there are none
    cdef PyObject *place            # the WriteNode that holds it, borrowed; NULL once removed

    cdef bint seen_by(self, Reading reading)
    cdef bint is_absorbed(self, Reading reading)


@cython.final
cdef class Increment:
    # One unresolved increment inside an entry.
    cdef Path path                  # from the entry's location
    cdef bint answered              # its write is not pending any more


# Nor at these: a node belongs to the one above it and borrows that.
@cython.final
@cython.no_gc
cdef class WriteNode:
    # A location at or above pending writes.
    cdef PyObject *parent           # a WriteNode, borrowed; NULL at the root
    cdef fk_key key                 # owned
    cdef dict children              # key word -> WriteNode; None without any
    cdef list entries               # WriteEntry in id order; None without any
    cdef Py_ssize_t gone            # how many at the front of `entries` stand for none
    cdef list priorities            # entries for the priority alone, likewise
    cdef long solid                 # visible entries below, at any depth, that put something there
    # How many entries at the end do nothing but increment by an integer, visibly, and
    # the sum of those: a counter's queue is as cheap as one write.
    cdef Py_ssize_t tail_count
    cdef long long tail_sum


@cython.final
cdef class Reading:
    # Which writes a reader wants to see. None stands for: the visible ones, all of them.
    cdef bint hidden
    cdef object exclude             # ids not to be seen, or None
    cdef set absorbed               # Increments that the server's value includes, or None


@cython.final
cdef class WriteTree:
    cdef WriteNode root
    cdef dict records               # id -> WriteEntry, or a list of them if there are several
    cdef readonly long last_id
    cdef long increments            # how many entries hold increments

    cdef list entries(self, write_id)
    cdef WriteEntry insert(
        self, long write_id, int position, Path path, fk_word word, bint visible
    )
    cdef WriteNode find(self, const fk_key *path, Py_ssize_t length)
    cdef bint covers(self, const fk_key *path, Py_ssize_t length)
    cdef bint touches(self, const fk_key *path, Py_ssize_t length)
    # The value at a location over its server value; server borrowed, result owned.
    cdef fk_word value(
        self, const fk_key *path, Py_ssize_t length, fk_word server, Reading reading
    )
    # `shown` (owned) is the value at the location before something changed at
    # `path` + `below`; returns what it is now, from the server value after the change.
    cdef fk_word revalue(
        self,
        const fk_key *path,
        Py_ssize_t length,
        fk_word server,
        fk_word shown,
        const fk_key *below,
        Py_ssize_t depth,
        Reading reading,
    )
    cdef fk_word value_before(
        self,
        const fk_key *path,
        Py_ssize_t length,
        fk_word server,
        long before,
        Reading reading,
    )
    cdef fk_word cover(
        self,
        const fk_key *path,
        Py_ssize_t length,
        fk_word server,
        long before,
        Reading reading,
        long *after,
    )

# `word` (owned), which lies `depth` keys below the entry, over what was there (borrowed).
cdef fk_word resolve(
    WriteEntry entry,
    fk_word word,
    const fk_key *place,
    Py_ssize_t depth,
    fk_word earlier,
    Reading reading,
)
cdef fk_word increment_word(fk_word deferred, fk_word before)
cdef Path place_of(WriteNode node)
