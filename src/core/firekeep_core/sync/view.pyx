"""``View``: one query over what is known of one location, and what it has told.

What a view shows is a pure function of what the server said, what is assumed of
acknowledged writes, and the pending writes; the sync tree computes it. The view
keeps the last result, compares, and says what changed.

Source: sync-engine §3 and §4.
"""

from ..query.index cimport Index
from ..query.params cimport QueryParams
from ..query.window cimport Window
from ..snap.node cimport new_node
from ..snap.path cimport Path
from ..snap.word cimport (
    FK_EMPTY,
    FK_KEY_MIN,
    equal,
    fk_child,
    fk_child_count,
    fk_compare_values,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_seek_before,
    fk_cursor_skip_shared,
    fk_cursor_start,
    fk_cursor_value,
    fk_is_empty,
    fk_is_map,
    fk_key,
    fk_compare_keys,
    fk_priority,
    fk_word,
    key_from_str,
    key_to_str,
    release,
    retain,
    set_child,
    set_path,
    set_priority,
)
from .event cimport (
    ANY_CHILD,
    CHILD_ADDED,
    CHILD_CHANGED,
    CHILD_MOVED,
    CHILD_REMOVED,
    VALUE,
    Change,
    Event,
    new_change,
)

cdef fk_key PRIORITY_KEY = key_from_str(".priority")


cdef class Registration:
    """Somebody who listens: an opaque token and the kinds of events it wants."""


cdef class View:
    def __cinit__(self):
        self.server = FK_EMPTY
        self.assumed = FK_EMPTY
        self.full = FK_EMPTY
        self.shown = FK_EMPTY
        self.stored = FK_EMPTY

    def __init__(self, Path path, QueryParams params):
        self.path = path
        self.params = params
        self.loads_all = params.loads_all
        self.registrations = {}
        self.vacant = set()
        if params.limit_count >= 0 or not (self.loads_all or params.index.by_key):
            self.window = Window(params)

    def __dealloc__(self):
        release(self.server)
        release(self.assumed)
        release(self.full)
        release(self.shown)
        release(self.stored)

    # ---- registrations --------------------------------------------------------

    cdef Registration add_registration(self, object token, int kinds):
        cdef Registration registration = Registration.__new__(Registration)
        cdef object key = <size_t><void *>token
        registration.token = token
        registration.kinds = kinds
        if key in self.registrations:
            self.repeated += 1
            key = -self.repeated
        self.registrations[key] = registration
        self.count(kinds, 1)
        if self.kinds & ANY_CHILD:
            self.put_into_window()
        return registration

    cdef bint remove_registration(self, object token) except -1:
        """Remove the first registration of that token; whether there was one."""
        cdef object key = self.key_of(token)
        if key is None:
            return False
        self.count((<Registration>self.registrations.pop(key)).kinds, -1)
        if self.loads_all and not self.kinds & ANY_CHILD:
            self.window = None  # nobody asks for the order any more
        return True

    cdef object key_of(self, object token):
        """Where the first registration of a token is; None if there is none."""
        cdef object key = <size_t><void *>token
        cdef Registration registration
        if key in self.registrations:
            return key
        if self.repeated:
            for key, registration in self.registrations.items():
                if registration.token is token:
                    return key
        return None

    cdef void count(self, int kinds, int change):
        """Take into account that one more, or one less, wants to hear these."""
        cdef int kind
        for kind in range(KIND_COUNT):
            if kinds & (1 << kind):
                self.heard[kind] += change
                if self.heard[kind]:
                    self.kinds |= 1 << kind
                else:
                    self.kinds &= ~(1 << kind)

    cdef void put_into_window(self):
        """Begin to keep the order of a view that shows all, if its order is not by key.

        Priorities and child values are rare: while no child has any, the order is
        by key, and the map itself keeps that.
        """
        cdef Index index = self.params.index
        cdef fk_cursor cursor
        if self.window is not None or index.by_key or not fk_is_map(self.full):
            return
        cdef bint ordered = False
        fk_cursor_start(&cursor, self.full, False)
        while not ordered:
            ordered = not fk_is_empty(index.value_of(fk_cursor_value(&cursor)))
            if not fk_cursor_next(&cursor):
                break
        if not ordered:
            return
        self.window = Window(self.params)
        self.window.load(self.full)

    cdef list initial_events(self, Registration registration):
        cdef list changes = [], events = []
        cdef fk_cursor cursor
        cdef Change change
        cdef str previous = None
        if registration.kinds & CHILD_ADDED and fk_is_map(self.shown):
            fk_cursor_start(&cursor, self.shown, False)
            while True:
                changes.append(
                    new_change(CHILD_ADDED, fk_cursor_key(&cursor), fk_cursor_value(&cursor))
                )
                if not fk_cursor_next(&cursor):
                    break
            if self.window is not None:
                changes = in_order(changes, self.params.index)
            for change in changes:
                event = self.child_event(change, previous, "server", True)
                event.registration = registration.token
                events.append(event)
                previous = event.key
        if registration.kinds & VALUE and self.complete:
            event = self.value_event("server", True)
            event.registration = registration.token
            events.append(event)
        return events

    # ---- what the server said ---------------------------------------------------

    cdef void forget_server(self):
        release(self.server)
        release(self.assumed)
        release(self.stored)
        self.server = FK_EMPTY
        self.assumed = FK_EMPTY
        self.stored = FK_EMPTY
        self.is_stored = False
        self.held_stored = False
        self.told_complete = False
        self.foreign = False
        self.server_complete = False
        self.server_filtered = False
        self.confirmed = False
        self.assumed_complete = False
        self.vacant.clear()
        self.absorbed = None

    cdef void take_server(self, fk_word server, bint confirmed):
        """Hold all of the location's data (borrowed) from now on."""
        self.forget_server()
        retain(server)
        self.server = server
        self.server_complete = True
        self.confirmed = confirmed

    cdef void store_as_held(self):
        """Take it that the disk holds exactly what the view does."""
        retain(self.server)
        release(self.stored)
        self.stored = self.server
        self.is_stored = True

    cdef void take_loaded(self, fk_word loaded, bint complete, bint filtered):
        """Hold what the disk knows (borrowed), under all that was heard since it was read."""
        cdef fk_word merged = loaded
        cdef fk_key key
        retain(merged)
        if self.assumed_complete:
            retain(self.assumed)
            release(merged)
            merged = self.assumed
        else:
            merged = with_children_of(merged, self.assumed)
        merged = with_children_of(merged, self.server)
        for word in self.vacant:
            key = word
            if fk_is_empty(fk_child(self.server, key)):
                if fk_is_empty(fk_child(self.assumed, key)):
                    merged = set_child(merged, key, FK_EMPTY)
        if not complete:
            release(self.server)
            self.server = merged
            return
        self.take_server(merged, False)
        release(merged)
        self.server_filtered = filtered
        retain(loaded)
        release(self.stored)
        self.stored = loaded
        self.is_stored = True
        self.held_stored = filtered
        self.evict()

    cdef bint is_whole(self):
        """Whether ``server`` is everything that the server has here."""
        return self.server_complete and not self.server_filtered

    cdef bint covers(self):
        """Whether all there is to know here and below can be read from this view."""
        return self.loads_all and self.server_complete and self.confirmed

    cdef void hear(self, fk_key key):
        """Note that the server has spoken of a child: nothing is assumed of it any more."""
        if not fk_is_empty(fk_child(self.assumed, key)):
            self.assumed = set_child(self.assumed, key, FK_EMPTY)
        self.vacant.add(key)

    cdef void complete_server(self, bint tagged):
        """Note that the listen was answered: what is held is all there is."""
        release(self.assumed)
        self.assumed = FK_EMPTY
        self.assumed_complete = False
        self.vacant.clear()
        if tagged and not self.loads_all:
            self.server = self.filtered(self.server)
            self.server_filtered = True
            self.evict()
        self.server_complete = True
        self.confirmed = True
        self.foreign = False

    cdef fk_word known_child(self, fk_key key):
        """The child that the server holds, or is assumed to; borrowed."""
        cdef fk_word word = fk_child(self.server, key)
        return word if not fk_is_empty(word) else fk_child(self.assumed, key)

    cdef fk_word known(self):
        """All that the server holds or is assumed to hold; owned."""
        if fk_is_empty(self.assumed):
            retain(self.server)
            return self.server
        retain(self.assumed)
        return with_children_of(self.assumed, self.server)

    cdef int accept(self, const fk_key *path, Py_ssize_t length, fk_word word, bint tagged):
        """Take in that all of ``path``, relative to here, is ``word`` (borrowed).

        A message for the query (tagged), and any below a filtered location, keeps
        the server's part filtered. What lies deep below something unknown was meant
        for another listener. Source: sync-engine §4.4.
        """
        cdef bint filtering = not self.loads_all and (tagged or (self.server_filtered and length))
        cdef fk_word old, new
        cdef fk_key head
        if length == 0:
            release(self.assumed)
            self.assumed = FK_EMPTY
            self.assumed_complete = False
            self.vacant.clear()
            retain(word)
            new = self.filtered(word) if filtering else word
            if new != self.server and equal(new, self.server):
                release(new)
            else:
                release(self.server)
                self.server = new
            self.server_complete = True
            self.server_filtered = filtering
            self.confirmed = True
            self.foreign = False
            self.evict()
            return WHOLE
        head = path[0]
        if head == PRIORITY_KEY:
            if filtering or fk_is_empty(self.server):
                return NOTHING
            retain(word)
            self.server = set_priority(self.server, word)
            return WHOLE
        cdef bint begins_to_filter = filtering and not self.server_filtered
        if begins_to_filter:
            self.server = self.filtered(self.server)
            self.server_filtered = True
            self.evict()
        if length > 1 and not self.is_whole():
            if fk_is_empty(fk_child(self.server, head)):
                return WHOLE if begins_to_filter else NOTHING
        old = fk_child(self.server, head)
        retain(old)
        retain(word)
        new = old
        retain(new)
        new = update_at(new, path + 1, length - 1, word)
        if not self.is_whole():
            self.hear(head)
        if new != old and not equal(new, old):
            if filtering and not self.params.in_range(head, self.params.index.value_of(new)):
                release(new)
                new = FK_EMPTY
            self.server = set_child(self.server, head, new)
        else:
            release(new)
        release(old)
        return WHOLE if begins_to_filter else HEAD

    cdef fk_word filtered(self, fk_word word):
        """The children of ``word`` (owned) that lie in the query's range; owned."""
        cdef fk_cursor cursor
        cdef fk_word result = word
        cdef fk_word child
        if not fk_is_map(word):
            release(word)
            return FK_EMPTY
        retain(word)
        fk_cursor_start(&cursor, word, False)
        while True:
            child = fk_cursor_value(&cursor)
            if not self.params.in_range(fk_cursor_key(&cursor), self.params.index.value_of(child)):
                result = set_child(result, fk_cursor_key(&cursor), FK_EMPTY)
            if not fk_cursor_next(&cursor):
                break
        release(word)
        return set_priority(result, FK_EMPTY)

    cdef bint evict(self):
        """Drop from the server's part what no longer fits the query's limit; whether any did.

        The server sends what leaves a window as well as what enters it, so there is
        at most a message's worth to drop.
        """
        cdef Index index = self.params.index
        cdef fk_cursor cursor
        cdef fk_key worst
        cdef fk_word value, worst_value
        cdef int order
        cdef bint dropped = False
        if self.params.limit_count < 0 or not self.server_filtered:
            return False
        while <Py_ssize_t>fk_child_count(self.server) > self.params.limit_count:
            fk_cursor_start(&cursor, self.server, False)
            worst = fk_cursor_key(&cursor)
            worst_value = index.value_of(fk_cursor_value(&cursor))
            while fk_cursor_next(&cursor):
                value = index.value_of(fk_cursor_value(&cursor))
                order = index.compare(fk_cursor_key(&cursor), value, worst, worst_value)
                if (order < 0) if self.params.from_right else (order > 0):
                    worst = fk_cursor_key(&cursor)
                    worst_value = value
            self.server = set_child(self.server, worst, FK_EMPTY)
            dropped = True
        return dropped

    cdef void assume(self, const fk_key *path, Py_ssize_t length, fk_word word):
        """Take in that a write of ``word`` (borrowed) at ``path`` was acknowledged.

        Of interest only where the server has not said what is there: it goes on
        being shown until it does.
        """
        cdef fk_key head
        if self.server_complete:
            return
        if length == 0:
            retain(word)
            release(self.assumed)
            self.assumed = word
            self.assumed_complete = True
            if not self.loads_all:
                self.assume_what_is_shown()
            return
        head = path[0]
        if not fk_is_empty(fk_child(self.server, head)):
            return
        if (
            length == 1
            or (self.assumed_complete and self.loads_all)
            or head in self.vacant
            or not fk_is_empty(fk_child(self.assumed, head))
        ):
            retain(word)
            self.assumed = update_at(self.assumed, path, length, word)

    cdef void assume_what_is_shown(self):
        """Of a write over a filtered query's location, what is on show stays so.

        Which other children the query has, the server has yet to say.
        """
        cdef fk_cursor cursor
        cdef fk_word kept = FK_EMPTY
        cdef fk_word child
        cdef fk_key key
        if fk_is_map(self.shown):
            fk_cursor_start(&cursor, self.shown, False)
            while True:
                key = fk_cursor_key(&cursor)
                self.vacant.add(key)
                child = fk_child(self.assumed, key)
                retain(child)
                kept = set_child(kept, key, child)
                if not fk_cursor_next(&cursor):
                    break
        release(self.assumed)
        self.assumed = kept

    # ---- what is shown ----------------------------------------------------------

    cdef list show(self, fk_word full, bint complete, list heads, str origin):
        """Take over what is to be shown (owned); return the events that this makes.

        ``heads`` are the key words of the children that may differ, None for any.
        """
        cdef list changes = []
        cdef list events = []
        cdef fk_word old_full = self.full
        cdef bint was_complete = self.complete
        # The first answer to a listen tells about the past.
        cdef bint initial = complete and not was_complete and origin == "server"
        cdef bint changed
        if full != old_full and is_unchanged(old_full, full, heads):
            release(full)
            full = old_full
            retain(full)
        self.complete = complete
        if full == old_full:
            release(full)
            if self.complete and not was_complete and self.kinds & VALUE:
                self.tell(self.value_event(origin, initial), VALUE, events)
            return events
        self.full = full
        if self.loads_all:
            retain(full)
            release(self.shown)
            self.shown = full
            changed = True
            if self.kinds & ANY_CHILD:
                self.compare(old_full, heads, changes)
        else:
            self.compare(old_full, heads, changes)
            changed = bool(changes)
        if self.kinds & ANY_CHILD and changes:
            self.tell_changes(changes, origin, initial, events)
        if self.complete and (changed or not was_complete) and self.kinds & VALUE:
            self.tell(self.value_event(origin, initial), VALUE, events)
        release(old_full)
        return events

    cdef void compare(self, fk_word old_full, list heads, list changes):
        """Find the children that differ between ``old_full`` and ``full``."""
        cdef list touched = []
        cdef fk_key key
        cdef fk_word old, new
        if self.window is not None and not self.loads_all and not fk_is_map(old_full):
            self.window.load(self.full)
            self.take_crossings(changes)
            return
        if heads is not None:
            for head in heads:
                key = head
                old = fk_child(old_full, key)
                new = fk_child(self.full, key)
                if old != new and not equal(old, new):
                    touched.append(new_change(CHILD_CHANGED, key, old))
        else:
            differences(old_full, self.full, touched)
        self.settle_into(touched, changes)

    cdef void settle_into(self, list touched, list changes):
        """Bring window and ``shown`` up to ``full``; ``touched`` holds the old children."""
        cdef Change change
        cdef Index index = self.params.index
        cdef fk_word old, new
        cdef fk_key key
        if self.window is None and self.loads_all and not index.by_key:
            for change in touched:
                if not fk_is_empty(index.value_of(fk_child(self.full, change.key))):
                    self.put_into_window()
                    break
        elif self.window is not None:
            for change in touched:
                self.window.put(change.key, change.word, fk_child(self.full, change.key))
            self.window.settle(self.full)
        if self.loads_all:
            for change in touched:
                add_change(change.key, change.word, fk_child(self.full, change.key), index, changes)
            return
        for change in touched:
            key = change.key
            old = fk_child(self.shown, key)
            new = fk_child(self.full, key)
            if self.window is None:
                if not self.params.in_range(key, FK_EMPTY):
                    continue
            elif fk_is_empty(old) or not self.window.contains(key, new):
                continue
            add_change(key, old, new, index, changes)
            retain(new)
            self.shown = set_child(self.shown, key, new)
        if self.window is not None:
            self.take_crossings(changes)

    cdef void take_crossings(self, list changes):
        """Bring ``shown`` up to what entered and left the window."""
        cdef Py_ssize_t i
        cdef fk_key key
        cdef fk_word child
        for i in range(self.window.crossing_count):
            key = self.window.crossings[i].key
            if self.window.crossings[i].entered:
                child = fk_child(self.full, key)
                changes.append(new_change(CHILD_ADDED, key, child))
                retain(child)
            else:
                changes.append(new_change(CHILD_REMOVED, key, fk_child(self.shown, key)))
                child = FK_EMPTY
            self.shown = set_child(self.shown, key, child)

    cdef void tell_changes(self, list changes, str origin, bint initial, list events):
        """Removed, then added and moved as they lie in the final order, then changed."""
        cdef list removed = [], placed = [], changed = []
        cdef Change change
        cdef Index index = self.params.index
        for change in changes:
            if change.code == CHILD_REMOVED:
                removed.append(change)
            elif change.code == CHILD_ADDED:
                placed.append(change)
            else:
                if change.code & CHILD_MOVED:
                    placed.append(new_change(CHILD_MOVED, change.key, change.word))
                changed.append(new_change(CHILD_CHANGED, change.key, change.word))
        for change in in_order(removed, index):
            if self.kinds & CHILD_REMOVED:
                self.tell(
                    self.child_event(change, None, origin, initial), CHILD_REMOVED, events
                )
        for change in in_order(placed, index) + in_order(changed, index):
            if self.kinds & change.code:
                self.tell(
                    self.child_event(change, self.previous_key(change), origin, initial),
                    change.code,
                    events,
                )

    cdef str previous_key(self, Change change):
        cdef fk_cursor cursor
        cdef fk_key key = FK_KEY_MIN
        if self.window is not None:
            key = self.window.predecessor(change.key, change.word, self.full)
        elif fk_cursor_seek_before(&cursor, self.shown, change.key):
            key = fk_cursor_key(&cursor)
        return None if key == FK_KEY_MIN else key_to_str(key)

    cdef Event child_event(self, Change change, str previous, str origin, bint initial):
        cdef Event event = Event.__new__(Event)
        event.code = change.code
        event.path = self.path
        event.params = self.params
        event.key = key_to_str(change.key)
        event.previous_key = previous
        retain(change.word)
        event.node = new_node(change.word)
        event.origin = origin
        event.initial = initial
        return event

    cdef Event value_event(self, str origin, bint initial):
        cdef Event event = Event.__new__(Event)
        event.code = VALUE
        event.path = self.path
        event.params = self.params
        retain(self.shown)
        event.node = new_node(self.shown)
        event.origin = origin
        event.initial = initial
        return event

    cdef void tell(self, Event event, int code, list events):
        """Append a copy of ``event`` for each registration that wants to hear it."""
        cdef Registration registration
        cdef bint used = False
        for registration in self.registrations.values():
            if registration.kinds & code:
                if used:
                    event = copy_of(event)
                event.registration = registration.token
                events.append(event)
                used = True


cdef bint is_unchanged(fk_word old, fk_word new, list heads):
    """Whether two values are equal that can only differ in the children ``heads`` (None: in all).

    A location that was computed anew, though nothing came of it, is another word.
    """
    cdef fk_key key
    if heads is None or not fk_is_map(old) or not fk_is_map(new):
        return equal(old, new)
    if not equal(fk_priority(old), fk_priority(new)):
        return False
    for word in heads:
        key = word
        if not equal(fk_child(old, key), fk_child(new, key)):
            return False
    return True


cdef Event copy_of(Event event):
    cdef Event copy = Event.__new__(Event)
    copy.code = event.code
    copy.path = event.path
    copy.params = event.params
    copy.key = event.key
    copy.previous_key = event.previous_key
    copy.node = event.node
    copy.initial = event.initial
    copy.origin = event.origin
    copy.error = event.error
    return copy


cdef fk_word update_at(fk_word word, const fk_key *path, Py_ssize_t length, fk_word value):
    """``word`` (owned) with ``value`` (borrowed, retained by the caller) at ``path``.

    A last key ``.priority`` sets the priority of what is there.
    """
    cdef fk_word target
    if length and path[length - 1] == PRIORITY_KEY:
        target = fk_at(word, path, length - 1)
        if fk_is_empty(target):
            release(value)
            return word
        retain(target)
        return set_path(word, path, length - 1, set_priority(target, value))
    return set_path(word, path, length, value)


cdef fk_word with_children_of(fk_word word, fk_word other):
    """``word`` (owned) with each child of ``other`` (borrowed) in the place of its own."""
    cdef fk_cursor cursor
    if not fk_is_map(other):
        return word
    fk_cursor_start(&cursor, other, False)
    while True:
        retain(fk_cursor_value(&cursor))
        word = set_child(word, fk_cursor_key(&cursor), fk_cursor_value(&cursor))
        if not fk_cursor_next(&cursor):
            return word


cdef fk_word fk_at(fk_word word, const fk_key *path, Py_ssize_t length) noexcept:
    cdef Py_ssize_t i
    for i in range(length):
        word = fk_child(word, path[i])
    return word


cdef void add_change(fk_key key, fk_word old, fk_word new, Index index, list changes):
    cdef int code
    if fk_is_empty(old):
        if not fk_is_empty(new):
            changes.append(new_change(CHILD_ADDED, key, new))
    elif fk_is_empty(new):
        changes.append(new_change(CHILD_REMOVED, key, old))
    else:
        code = CHILD_CHANGED
        if not index.by_key and (
            index.by_value or fk_compare_values(index.value_of(old), index.value_of(new)) != 0
        ):
            code |= CHILD_MOVED
        changes.append(new_change(code, key, new))


cdef void differences(fk_word old, fk_word new, list touched):
    """Append the old child, or nothing, of every key whose children differ."""
    cdef fk_cursor a, b
    cdef bint more_old = fk_is_map(old), more_new = fk_is_map(new)
    cdef int order
    if more_old:
        fk_cursor_start(&a, old, False)
    if more_new:
        fk_cursor_start(&b, new, False)
    while more_old or more_new:
        if more_old and more_new:
            if fk_cursor_skip_shared(&a, &b):
                more_old = fk_cursor_next(&a)
                more_new = fk_cursor_next(&b)
                continue
            order = fk_compare_keys(fk_cursor_key(&a), fk_cursor_key(&b))
        else:
            order = -1 if more_old else 1
        if order == 0:
            if fk_cursor_value(&a) != fk_cursor_value(&b):
                if not equal(fk_cursor_value(&a), fk_cursor_value(&b)):
                    touched.append(
                        new_change(CHILD_CHANGED, fk_cursor_key(&a), fk_cursor_value(&a))
                    )
            more_old = fk_cursor_next(&a)
            more_new = fk_cursor_next(&b)
        elif order < 0:
            touched.append(new_change(CHILD_CHANGED, fk_cursor_key(&a), fk_cursor_value(&a)))
            more_old = fk_cursor_next(&a)
        else:
            touched.append(new_change(CHILD_CHANGED, fk_cursor_key(&b), FK_EMPTY))
            more_new = fk_cursor_next(&b)


cdef list in_order(list changes, Index index):
    """The changes sorted by the query's order: a merge sort, for a comparison in C."""
    cdef Py_ssize_t size = len(changes), width = 1, start, i, j, middle, end
    cdef list source = changes, target
    cdef Change x, y
    while width < size:
        target = []
        start = 0
        while start < size:
            i = start
            middle = min(start + width, size)
            j = middle
            end = min(start + 2 * width, size)
            while i < middle and j < end:
                x = <Change>source[i]
                y = <Change>source[j]
                if (
                    index.compare(y.key, index.value_of(y.word), x.key, index.value_of(x.word)) < 0
                ):
                    target.append(y)
                    j += 1
                else:
                    target.append(x)
                    i += 1
            target.extend(source[i:middle])
            target.extend(source[j:end])
            start = end
        source = target
        width *= 2
    return source
