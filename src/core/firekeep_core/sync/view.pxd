from ..query.params cimport QueryParams
from ..query.window cimport Window
from ..snap.path cimport Path
from ..snap.word cimport fk_key, fk_word
from .event cimport KIND_COUNT, Change, Event

cimport cython


@cython.final
cdef class Registration:
    cdef object token
    cdef int kinds


@cython.final
cdef class View:
    cdef Path path
    cdef QueryParams params
    cdef bint loads_all
    cdef long tag
    cdef bint listening             # the server was asked to send this query's data
    # In the order they came, by the address of their token; of one that is there already, by a
    # number that is no address.
    cdef dict registrations
    cdef long repeated              # how many such numbers there are
    cdef int kinds                  # what any of them wants to hear
    cdef long[KIND_COUNT] heard     # how many want to hear each kind
    # What the server is known to hold here. Of no meaning while `covered`.
    cdef fk_word server             # owned
    cdef bint server_complete
    cdef bint server_filtered       # only the query's children, not the location's
    cdef bint confirmed             # the server answered this listen, or a cover's did
    # Acknowledged writes of which the server has said nothing here since.
    cdef fk_word assumed            # owned
    cdef bint assumed_complete
    cdef set vacant                 # keys on show of which the server says that nothing is there
    cdef set absorbed               # Increments that `server` includes, or None
    # What the cache on disk was last told of `server`; see unstored.
    cdef fk_word stored             # owned
    cdef bint is_stored             # `stored` is what the disk holds
    cdef bint held_stored           # the disk knows which children the query holds
    cdef bint told_complete
    cdef bint foreign               # what is held was told to another user, and is not stored
    cdef bint was_asked_for         # the disk has been, or is being, asked what it knows
    cdef long touched               # when the server last spoke of it; 0: nothing to tell
    # A complete view of the whole location lies here or above: its data are this view's.
    cdef bint covered
    cdef bint spread                # all views that this one covers know that they are covered
    # What is shown: server and assumed values with the pending writes...
    cdef fk_word full               # owned: ... all children that are known
    cdef fk_word shown              # owned: ... those in the query's window
    cdef bint complete
    cdef bint in_step               # `full` was the server's very word before the operation
    cdef Window window              # None: every child of `full` in key order

    cdef Registration add_registration(self, object token, int kinds)
    cdef bint remove_registration(self, object token) except -1
    cdef object key_of(self, object token)
    cdef void count(self, int kinds, int change)
    cdef list initial_events(self, Registration registration)

    # Returned by what takes in server data: what has to be looked at again.
    cdef int accept(self, const fk_key *path, Py_ssize_t length, fk_word word, bint tagged)
    cdef void assume(self, const fk_key *path, Py_ssize_t length, fk_word word)
    cdef void forget_server(self)
    cdef void take_server(self, fk_word server, bint confirmed)
    cdef void take_loaded(self, fk_word loaded, bint complete, bint filtered)
    cdef void store_as_held(self)
    cdef bint is_whole(self)
    cdef bint covers(self)
    cdef void hear(self, fk_key key)
    cdef void complete_server(self, bint tagged)
    cdef bint evict(self)
    cdef void assume_what_is_shown(self)
    cdef fk_word known_child(self, fk_key key)
    cdef fk_word known(self)

    # full owned; heads: key words of the children that may differ, None for all
    cdef list show(self, fk_word full, bint complete, list heads, str origin)
    cdef void compare(self, fk_word old_full, list heads, list changes)
    cdef void settle_into(self, list touched, list changes)
    cdef void take_crossings(self, list changes)
    cdef void tell_changes(self, list changes, str origin, bint initial, list events)
    cdef str previous_key(self, Change change)
    cdef Event child_event(self, Change change, str previous, str origin, bint initial)
    cdef Event value_event(self, str origin, bint initial)
    cdef void tell(self, Event event, int code, list events)
    cdef fk_word filtered(self, fk_word word)
    cdef void put_into_window(self)


# `word` (owned) with each child of `other` (borrowed) in the place of its own
cdef fk_word with_children_of(fk_word word, fk_word other)

cdef enum Accepted:
    NOTHING = 0
    HEAD = 1
    WHOLE = 2
