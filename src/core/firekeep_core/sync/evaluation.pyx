"""What a view that nobody covers is to show: its knowledge with the pending writes."""

from ..snap.path cimport Path, path_from_words
from ..snap.word cimport (
    FK_EMPTY,
    fk_child,
    fk_is_empty,
    fk_is_map,
    fk_key,
    fk_word,
    key_from_str,
    release,
    retain,
    set_child,
)
from .part cimport Part, heads_of
from .view cimport View
from .write_tree cimport Reading, WriteNode, WriteTree

cdef fk_key PRIORITY_KEY = key_from_str(".priority")
cdef Reading SHOWN = Reading(False, None, None)


cdef list refresh(WriteTree writes, View view, str origin, list touched):
    """Compute what the view is to show from all that is known, and show it.

    Only what lies at ``touched``, all of it below the view, can differ; None: anything.
    """
    cdef fk_word full, base, child
    cdef Path path = view.path
    cdef Part part
    cdef Py_ssize_t depth = path.length
    cdef bint complete = True
    cdef bint whole = touched is None
    cdef list heads = None if whole else heads_of(touched, depth)
    cdef Reading reading = None
    cdef fk_key head
    cdef bint determined = True
    if view.absorbed is not None:
        reading = Reading(False, None, view.absorbed)
    if view.is_whole():
        if (whole or view.in_step) and not writes.touches(path.words, path.length):
            retain(view.server)
            full = view.server
            return view.show(full, True, heads, origin)
        base = view.server
        retain(base)
    elif (view.assumed_complete and view.loads_all) or writes.covers(
        path.words, path.length
    ):
        base = view.known()
    else:
        determined = False
        base = view.known()
        complete = view.server_complete or view.assumed_complete
    if not determined:
        if whole:
            full = partial(writes, view, base, reading)
        else:
            full = view.full
            retain(full)
            for part in touched:
                head = part.path.words[depth]
                if head != PRIORITY_KEY:
                    child = partial_child(writes, view, head, reading)
                    full = set_child(full, head, child)
    elif whole or not view.complete:
        full = writes.value(path.words, path.length, base, reading)
    else:
        full = view.full
        retain(full)
        for part in touched:
            full = writes.revalue(
                path.words,
                path.length,
                base,
                full,
                part.path.words + depth,
                part.path.length - depth,
                reading,
            )
    release(base)
    events = view.show(full, complete, heads, origin)
    if view.vacant:
        forget_unseen(writes, view, origin, None if determined else reading or SHOWN)
    return events


cdef int forget_unseen(WriteTree writes, View view, str origin, Reading reading) except -1:
    """Know no more of vacant children once they are not on show: no window draws on them.

    ``reading`` is None if the writes determine the whole location.
    """
    cdef fk_word full
    cdef fk_key key
    cdef list unseen = []
    for word in view.vacant:
        if fk_is_empty(fk_child(view.shown, <fk_key>word)):
            unseen.append(word)
    if not unseen:
        return 0
    view.vacant.difference_update(unseen)
    if reading is not None:
        full = view.full
        retain(full)
        for word in unseen:
            key = word
            full = set_child(full, key, partial_child(writes, view, key, reading))
        view.show(full, view.complete, unseen, origin)
    return 0


cdef fk_word partial_child(WriteTree writes, View view, fk_key key, Reading reading):
    """The child of an incomplete location, EMPTY unless all of it is known; owned."""
    cdef Path path = view.path
    cdef fk_key steps[1]
    steps[0] = key
    cdef Path place = path.child(path_from_words(steps, 1))
    cdef fk_word known = view.known_child(key)
    if fk_is_empty(known) and key not in view.vacant:
        if not writes.covers(place.words, place.length):
            return FK_EMPTY
    return writes.value(place.words, place.length, known, reading)


cdef fk_word partial(WriteTree writes, View view, fk_word known, Reading reading):
    """All children known of an incomplete location (``known`` borrowed); owned."""
    cdef WriteNode place = writes.find(view.path.words, view.path.length)
    cdef fk_word full = FK_EMPTY
    if fk_is_map(known):
        retain(known)
        full = known
    if place is not None and place.children is not None:
        for key in list(place.children):
            full = set_child(full, key, partial_child(writes, view, key, reading))
    return full
