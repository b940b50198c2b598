"""``WriteTree``: the pending writes, and what a location looks like with them.

The value of a location is, by definition, its server value with every visible
write replayed in id order (sync-engine §5.4, D-5). It is computed without a
replay wherever order cannot matter:

* A location is decided by the latest write that covers it (at or above it);
  what older writes did there is lost. So each trie node keeps its writes in id
  order and the last one is found at once.
* Children of one location do not influence each other. What does depend on
  history is the location's own part: whether a leaf survives deletions below
  it, and whether a priority outlived a moment without children. A leaf dies
  with the first write that puts something below it; priorities are replayed,
  unless some child is certain to have been there all along.

Hence ``revalue`` follows one path, O(depth · log children), however many
writes are pending elsewhere.
"""

cimport cython
from libc.limits cimport LONG_MAX

from ..snap.node cimport Node
from ..snap.path cimport Path, path_from_words
from ..snap.word cimport (
    FK_DEFERRED_INCREMENT,
    FK_EMPTY,
    equal,
    fk_bare,
    fk_child,
    fk_child_count,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_start,
    fk_cursor_value,
    fk_deferred_kind,
    fk_deferred_operand,
    fk_from_double,
    fk_integer_of,
    fk_is_deferred,
    fk_is_empty,
    fk_is_integer,
    fk_is_leaf,
    fk_is_map,
    fk_is_number,
    fk_key,
    fk_number_of,
    fk_priority,
    fk_word,
    get_path,
    key_from_str,
    new_integer,
    release,
    release_key,
    retain,
    retain_key,
    set_child,
    set_path,
    set_priority,
)

cdef fk_key PRIORITY_KEY = key_from_str(".priority")
cdef long long SAFE_INTEGER = 2**53


@cython.no_gc
cdef class WriteEntry:
    def __cinit__(self):
        self.word = FK_EMPTY

    def __dealloc__(self):
        release(self.word)

    cdef bint seen_by(self, Reading reading):
        if reading is None:
            return self.visible
        if reading.exclude is not None and self.id in reading.exclude:
            return False
        return self.visible or reading.hidden

    cdef bint is_absorbed(self, Reading reading):
        """Whether the server's value includes all that this entry would do."""
        if self.increments is None or reading is None or reading.absorbed is None:
            return False
        return fk_is_deferred(fk_bare(self.word)) and self.increments[0] in reading.absorbed


cdef WriteEntry new_gone():
    """An entry older than every reader's bound."""
    cdef WriteEntry entry = WriteEntry.__new__(WriteEntry)
    entry.id = -1
    return entry


cdef WriteEntry GONE = new_gone()


@cython.no_gc
cdef class WriteNode:
    def __dealloc__(self):
        release_key(self.key)


cdef class Reading:
    def __cinit__(self, bint hidden, exclude, set absorbed):
        self.hidden = hidden
        self.exclude = exclude
        self.absorbed = absorbed


cdef WriteNode child_of(WriteNode node, fk_key key):
    if node is None or node.children is None:
        return None
    return <WriteNode>node.children.get(key)


cdef WriteEntry latest(list entries, long after, long before, Reading reading):
    """The last entry with an id between both, exclusive, that the reader sees."""
    cdef Py_ssize_t i
    cdef WriteEntry entry
    if entries is None:
        return None
    for i in range(len(entries) - 1, -1, -1):
        entry = <WriteEntry>entries[i]
        if entry.id <= after:
            return None
        if entry.id < before and entry.seen_by(reading) and not entry.is_absorbed(reading):
            return entry
    return None


cdef list find_increments(fk_word word, Path path):
    """Every unresolved increment at or below ``word``, which lies at ``path``."""
    cdef list found = []
    cdef fk_cursor cursor
    cdef Increment increment
    cdef fk_word bare = fk_bare(word)
    cdef fk_key step[1]
    if fk_is_deferred(bare) and fk_deferred_kind(bare) == FK_DEFERRED_INCREMENT:
        increment = Increment.__new__(Increment)
        increment.path = path
        found.append(increment)
    elif fk_is_map(word):
        fk_cursor_start(&cursor, word, False)
        while True:
            bare = fk_cursor_value(&cursor)
            if fk_is_map(bare) or fk_is_deferred(fk_bare(bare)):
                step[0] = fk_cursor_key(&cursor)
                found += find_increments(bare, path.child(path_from_words(step, 1)))
            if not fk_cursor_next(&cursor):
                break
    return found


cdef class WriteTree:
    """Pending writes by id and by location."""

    def __cinit__(self):
        self.root = WriteNode.__new__(WriteNode)
        self.records = {}
        self.last_id = -1

    def __len__(self) -> int:
        return len(self.records)

    def __contains__(self, write_id: int) -> bool:
        return write_id in self.records

    # ---- adding and removing ------------------------------------------------

    def add(self, long write_id, list parts, bint visible) -> None:
        """Add a write of ``(path, node)`` parts; its id must exceed all earlier ones."""
        cdef Path path
        cdef Node node
        if write_id <= self.last_id:
            raise ValueError(f"write id {write_id} does not follow {self.last_id}")
        self.last_id = write_id
        cdef list entries = [
            self.insert(write_id, position, path, node.word, visible)
            for position, (path, node) in enumerate(parts)
        ]
        self.records[write_id] = entries[0] if len(entries) == 1 else entries

    def restore(self, long write_id, list parts) -> None:
        """Add a write of an earlier time among those that are there already."""
        cdef Path path
        cdef Node node
        if write_id in self.records:
            raise ValueError(f"write id {write_id} is there already")
        self.last_id = max(self.last_id, write_id)
        cdef list entries = [
            self.insert(write_id, position, path, node.word, True)
            for position, (path, node) in enumerate(parts)
        ]
        self.records[write_id] = entries[0] if len(entries) == 1 else entries

    cdef list entries(self, write_id):
        """The entries of a write, one for each of its paths, in their order."""
        record = self.records[write_id]
        return record if type(record) is list else [record]

    cdef WriteEntry insert(
        self, long write_id, int position, Path path, fk_word word, bint visible
    ):
        cdef WriteEntry entry = WriteEntry.__new__(WriteEntry)
        cdef Py_ssize_t length = path.length
        entry.id = write_id
        entry.visible = visible
        entry.position = position
        retain(word)
        entry.word = word
        entry.priority = length > 0 and path.words[length - 1] == PRIORITY_KEY
        if entry.priority:
            length -= 1
        elif has_deferred(word):
            entry.increments = find_increments(word, path_from_words(NULL, 0)) or None
            self.increments += entry.increments is not None
        cdef WriteNode node = self.root
        cdef WriteNode child
        cdef Py_ssize_t i
        cdef bint solid = visible and not fk_is_empty(word) and not entry.priority
        for i in range(length):
            node.solid += solid
            child = child_of(node, path.words[i])
            if child is None:
                child = WriteNode.__new__(WriteNode)
                child.parent = <PyObject *>node
                retain_key(path.words[i])
                child.key = path.words[i]
                if node.children is None:
                    node.children = {}
                node.children[child.key] = child
            node = child
        entry.place = <PyObject *>node
        if entry.priority:
            if node.priorities is None:
                node.priorities = []
            put_in_order(node.priorities, entry)
        else:
            if node.entries is None:
                node.entries = []
            if not put_in_order(node.entries, entry):
                count_tail(node)
            elif not is_plain_increment(entry):
                node.tail_count = 0
                node.tail_sum = 0
            elif not extend_tail(node, entry):
                count_tail(node)
        return entry

    def remove(self, long write_id) -> None:
        """Take a write out, whatever the order."""
        cdef WriteEntry entry
        cdef WriteNode node, parent
        cdef Increment increment
        cdef bint solid
        cdef list entries = self.entries(write_id)
        del self.records[write_id]
        for entry in entries:
            for increment in entry.increments or ():
                increment.answered = True
            node = <WriteNode>entry.place
            solid = entry.visible and not fk_is_empty(entry.word) and not entry.priority
            self.increments -= entry.increments is not None
            if entry.priority:
                node.priorities.remove(entry)
                if not node.priorities:
                    node.priorities = None
            else:
                take_out(node, entry)
            entry.place = NULL
            while node is not None:
                parent = above(node)
                if parent is not None:
                    parent.solid -= solid
                    if node.entries is None and node.children is None and node.priorities is None:
                        del parent.children[node.key]
                        if not parent.children:
                            parent.children = None
                        node.parent = NULL
                node = parent

    def paths(self, long write_id) -> list[Path]:
        """Return the locations that a write changes, ``.priority`` kept as a last key."""
        cdef WriteEntry entry
        return [path_of(entry) for entry in self.entries(write_id)]

    # ---- reading ------------------------------------------------------------

    cdef WriteNode find(self, const fk_key *path, Py_ssize_t length):
        cdef WriteNode node = self.root
        cdef Py_ssize_t i
        for i in range(length):
            node = child_of(node, path[i])
            if node is None:
                return None
        return node

    cdef bint covers(self, const fk_key *path, Py_ssize_t length):
        """Whether a visible write covers the location, so that its value is known."""
        cdef WriteNode node = self.root
        cdef Py_ssize_t i = 0
        while True:
            if latest(node.entries, -1, LONG_MAX, None) is not None:
                return True
            if i == length:
                return False
            node = child_of(node, path[i])
            if node is None:
                return False
            i += 1

    cdef bint touches(self, const fk_key *path, Py_ssize_t length):
        """Whether any write lies at, above or below the location."""
        cdef WriteNode node = self.root
        cdef Py_ssize_t i
        for i in range(length):
            if node.entries is not None:
                return True
            node = child_of(node, path[i])
            if node is None:
                return False
        return node.entries is not None or node.children is not None or node.priorities is not None

    cdef fk_word value(
        self, const fk_key *path, Py_ssize_t length, fk_word server, Reading reading
    ):
        return self.value_before(path, length, server, LONG_MAX, reading)

    cdef fk_word value_before(
        self,
        const fk_key *path,
        Py_ssize_t length,
        fk_word server,
        long before,
        Reading reading,
    ):
        """As ``value``, of the writes with a smaller id only."""
        cdef long after = -1
        cdef fk_word base = self.cover(path, length, server, before, reading, &after)
        return layer(self.find(path, length), base, after, before, reading)

    cdef fk_word cover(
        self,
        const fk_key *path,
        Py_ssize_t length,
        fk_word server,
        long before,
        Reading reading,
        long *after,
    ):
        """What the latest write strictly above the location leaves there, else ``server``.

        Returns an owned word, and in ``after`` the id of that write.
        """
        cdef WriteNode node = self.root
        cdef WriteEntry entry, best = None
        cdef Py_ssize_t i, depth = 0
        cdef fk_word word, earlier
        after[0] = -1
        for i in range(length):
            entry = latest(node.entries, after[0], before, reading)
            if entry is not None:
                best = entry
                after[0] = entry.id
                depth = i
            node = child_of(node, path[i])
            if node is None:
                break
        if best is None:
            retain(server)
            return server
        word = get_path(best.word, path + depth, length - depth)
        retain(word)
        if best.increments is not None:
            earlier = self.value_before(path, length, server, best.id, reading)
            word = resolve(best, word, path + depth, length - depth, earlier, reading)
            release(earlier)
        return word

    cdef fk_word revalue(
        self,
        const fk_key *path,
        Py_ssize_t length,
        fk_word server,
        fk_word shown,
        const fk_key *below,
        Py_ssize_t depth,
        Reading reading,
    ):
        cdef long after = -1
        cdef fk_word base = self.cover(path, length, server, LONG_MAX, reading, &after)
        return relayer(self.find(path, length), base, after, shown, below, depth, reading)


cdef bint put_in_order(list entries, WriteEntry entry):
    """Add an entry where its id belongs; whether that is the end."""
    cdef Py_ssize_t at = len(entries)
    entries.append(entry)
    while at > 0 and (<WriteEntry>entries[at - 1]).id > entry.id:
        entries[at] = entries[at - 1]
        at -= 1
    entries[at] = entry
    return at == len(entries) - 1


cdef WriteNode above(WriteNode node):
    """The node above one; None at the root."""
    return None if node.parent == NULL else <WriteNode>node.parent


cdef bint has_deferred(fk_word word) noexcept:
    cdef fk_cursor cursor
    if not fk_is_map(word):
        return fk_is_deferred(fk_bare(word))
    fk_cursor_start(&cursor, word, False)
    while True:
        if has_deferred(fk_cursor_value(&cursor)):
            return True
        if not fk_cursor_next(&cursor):
            return False


cdef Path place_of(WriteNode node):
    """The location of a trie node."""
    cdef Py_ssize_t length = 0, i
    cdef fk_key words[1024]
    cdef WriteNode higher = above(node)
    while higher is not None:
        length += 1
        higher = above(higher)
    for i in range(length - 1, -1, -1):
        words[i] = node.key
        node = above(node)
    return path_from_words(words, length)


cdef Path path_of(WriteEntry entry):
    """Where an entry acts, ``.priority`` as a last key."""
    cdef fk_key step[1]
    cdef Path path = place_of(<WriteNode>entry.place)
    if not entry.priority:
        return path
    step[0] = PRIORITY_KEY
    return path.child(path_from_words(step, 1))


cdef fk_word resolve(
    WriteEntry entry,
    fk_word word,
    const fk_key *place,
    Py_ssize_t depth,
    fk_word earlier,
    Reading reading,
):
    """``word`` (owned), which lies ``depth`` keys below the entry, without increments.

    ``earlier`` (borrowed) is what was there before the entry.
    """
    cdef Increment increment
    cdef Py_ssize_t i, rest
    cdef fk_key *steps
    cdef fk_word leaf, before
    for increment in entry.increments:
        if increment.path.length < depth:
            continue
        for i in range(depth):
            if increment.path.words[i] != place[i]:
                break
        else:
            steps = increment.path.words + depth
            rest = increment.path.length - depth
            before = get_path(earlier, steps, rest)
            if reading is not None and reading.absorbed is not None and (
                increment in reading.absorbed
            ):
                leaf = before
                retain(leaf)
            else:
                leaf = get_path(word, steps, rest)
                leaf = set_priority(increment_word(fk_bare(leaf), before), priority_of(leaf))
            word = set_path(word, steps, rest, leaf)
    return word


cdef fk_word increment_word(fk_word deferred, fk_word before):
    """What an increment makes of the value before it (sync-engine §5.7); owned."""
    cdef fk_word operand = fk_deferred_operand(deferred)
    cdef long long total
    before = fk_bare(before)
    if not fk_is_number(before):
        retain(operand)
        return operand
    if fk_is_integer(before) and fk_is_integer(operand):
        if not add_overflows(fk_integer_of(before), fk_integer_of(operand), &total):
            return new_integer(total)
    return fk_from_double(fk_number_of(before) + fk_number_of(operand))


cdef bint add_overflows(long long a, long long b, long long *total) noexcept:
    total[0] = <long long>(<unsigned long long>a + <unsigned long long>b)
    return (a >= 0) == (b >= 0) and (total[0] >= 0) != (a >= 0)


cdef fk_word priority_of(fk_word word) noexcept:
    """The priority as an owned word."""
    cdef fk_word priority = fk_priority(word)
    retain(priority)
    return priority


cdef bint certain_to_last(WriteNode node, fk_word base):
    """Whether some child of ``base`` is touched by no write, so that it is never empty."""
    cdef Py_ssize_t touched = 0 if node.children is None else len(node.children)
    return fk_is_map(base) and <Py_ssize_t>fk_child_count(base) > touched


cdef bint puts_something_below(WriteNode node, long after, long before, Reading reading):
    cdef WriteNode child
    cdef WriteEntry entry
    if node.children is None or (node.solid == 0 and (reading is None or not reading.hidden)):
        return False
    for child in node.children.values():
        if child.entries is not None:
            for entry in child.entries:
                if (
                    after < entry.id < before
                    and not fk_is_empty(entry.word)
                    and entry.seen_by(reading)
                    and not entry.is_absorbed(reading)
                ):
                    return True
        if puts_something_below(child, after, before, reading):
            return True
    return False


cdef void collect(WriteNode node, list found, list steps, long after, long before, Reading reading):
    cdef WriteEntry entry
    cdef WriteNode child
    cdef list entries
    for entries in (node.entries, node.priorities):
        if entries is not None:
            for entry in entries:
                if after < entry.id < before and entry.seen_by(reading):
                    if not entry.is_absorbed(reading):
                        found.append((entry.id, entry.priority, entry.position, entry, steps))
    if node.children is not None:
        for child in node.children.values():
            collect(child, found, steps + [child.key], after, before, reading)


cdef fk_word replay(WriteNode node, fk_word base, long after, long before, Reading reading):
    """``base`` (owned) with all writes at and below the node one after the other."""
    cdef list found = [], steps
    cdef WriteEntry entry
    cdef fk_key path[1024]
    cdef Py_ssize_t i, length
    cdef fk_word word, target
    collect(node, found, [], after, before, reading)
    found.sort()
    for _, _, _, entry, steps in found:
        length = len(steps)
        for i in range(length):
            path[i] = steps[i]
        if entry.priority:
            target = get_path(base, path, length)
            if not fk_is_empty(target):
                retain(target)
                word = fk_bare(entry.word)
                retain(word)
                base = set_path(base, path, length, set_priority(target, word))
            continue
        word = entry.word
        retain(word)
        if entry.increments is not None:
            word = resolve(entry, word, NULL, 0, get_path(base, path, length), reading)
        base = set_path(base, path, length, word)
    return base


cdef void take_out(WriteNode node, WriteEntry entry):
    """Remove an entry from its place.

    Answers come in the order of the writes, so it is mostly the first: its slot is
    given to an entry that nobody sees, and such slots go when they are half of all.
    """
    cdef Py_ssize_t at = node.gone
    cdef Py_ssize_t tail = len(node.entries) - node.tail_count
    if node.entries[at] is entry:
        node.entries[at] = GONE
        node.gone += 1
        if 2 * node.gone >= len(node.entries):
            del node.entries[: node.gone]
            node.gone = 0
    else:
        at = node.entries.index(entry)
        del node.entries[at]
    if not node.entries:
        node.entries = None
    if at >= tail:
        node.tail_count -= 1
        if add_overflows(
            node.tail_sum, -fk_integer_of(fk_deferred_operand(entry.word)), &node.tail_sum
        ):
            count_tail(node)
    elif at == tail - 1:
        count_tail(node)  # what stood before the tail is gone


cdef bint is_plain_increment(WriteEntry entry) noexcept:
    """Whether all that a visible entry does is to add a safe integer to a leaf."""
    cdef fk_word operand
    if not entry.visible or entry.increments is None or not fk_is_deferred(entry.word):
        return False
    operand = fk_deferred_operand(entry.word)
    return fk_is_integer(operand) and -SAFE_INTEGER <= fk_integer_of(operand) <= SAFE_INTEGER


cdef void count_tail(WriteNode node) noexcept:
    """Find the plain increments at the end of a place's entries anew."""
    cdef Py_ssize_t i
    cdef WriteEntry entry
    node.tail_count = 0
    node.tail_sum = 0
    if node.entries is None:
        return
    for i in range(len(node.entries) - 1, -1, -1):
        entry = <WriteEntry>node.entries[i]
        if not is_plain_increment(entry) or not extend_tail(node, entry):
            return


cdef bint extend_tail(WriteNode node, WriteEntry entry) noexcept:
    """Count one more increment; not if the sum leaves 64 bits."""
    cdef long long total
    if add_overflows(node.tail_sum, fk_integer_of(fk_deferred_operand(entry.word)), &total):
        return False
    node.tail_sum = total
    node.tail_count += 1
    return True


cdef fk_word add_tail(
    WriteNode node, fk_word base, long *after, long before, Reading reading, bint *added
):
    """``base`` (owned) with the plain increments at the end, if one addition does it."""
    cdef Py_ssize_t first
    cdef long long total = node.tail_sum
    cdef fk_word bare = fk_bare(base)
    cdef WriteEntry entry
    added[0] = False
    if node.tail_count < 2 or before != LONG_MAX:
        return base
    if reading is not None and (reading.hidden or reading.exclude is not None):
        return base
    first = len(node.entries) - node.tail_count
    entry = <WriteEntry>node.entries[first]
    if entry.id <= after[0] or (fk_is_number(bare) and not fk_is_integer(bare)):
        return base
    if node.children is not None or node.priorities is not None:
        return base
    while entry.is_absorbed(reading):  # what the server has taken in, it took in in order
        if add_overflows(total, -fk_integer_of(fk_deferred_operand(entry.word)), &total):
            return base
        first += 1
        if first == len(node.entries):
            return base
        entry = <WriteEntry>node.entries[first]
    if fk_is_integer(bare) and add_overflows(fk_integer_of(bare), total, &total):
        return base
    added[0] = True
    after[0] = (<WriteEntry>node.entries[len(node.entries) - 1]).id
    release(base)
    return new_integer(total)


cdef fk_word own_overwrite(
    WriteNode node, fk_word base, long *after, long before, Reading reading
):
    """``base`` (owned), or what the writes at the node itself put in its place."""
    cdef Py_ssize_t i, last, start
    cdef WriteEntry entry = None
    cdef fk_word word
    cdef bint added
    if node.entries is None:
        return base
    last = len(node.entries) - 1
    # back to the latest write that does not build on what was there before
    i = last - node.tail_count if node.tail_count > 1 and before == LONG_MAX else last
    while i >= 0:
        entry = <WriteEntry>node.entries[i]
        if entry.id <= after[0]:
            break
        if entry.id < before and entry.increments is None and entry.seen_by(reading):
            release(base)
            base = entry.word
            retain(base)
            after[0] = entry.id
            break
        i -= 1
    start = i + 1
    # and forth again through the increments since
    if start == last + 1 - node.tail_count:
        base = add_tail(node, base, after, before, reading, &added)
        if added:
            return base
    for i in range(start, last + 1):
        entry = <WriteEntry>node.entries[i]
        if entry.id <= after[0] or entry.id >= before:
            continue
        if not entry.seen_by(reading) or entry.is_absorbed(reading):
            continue
        base = layer_below(node, base, after[0], entry.id, reading)
        word = entry.word
        retain(word)
        word = resolve(entry, word, NULL, 0, base, reading)
        release(base)
        base = word
        after[0] = entry.id
    return base


cdef fk_word layer(WriteNode node, fk_word base, long after, long before, Reading reading):
    """``base`` (owned) with the writes at and below the node whose id lies in between."""
    if node is None:
        return base
    base = own_overwrite(node, base, &after, before, reading)
    return layer_below(node, base, after, before, reading)


cdef fk_word layer_below(WriteNode node, fk_word base, long after, long before, Reading reading):
    """As ``layer``, without the writes at the node itself but for those of its priority."""
    cdef WriteNode child
    cdef fk_word word, old, result
    cdef WriteEntry entry
    if node.children is None and node.priorities is None:
        return base
    entry = latest(node.priorities, after, before, reading)
    cdef bint prioritised = entry is not None or not fk_is_empty(fk_priority(base))
    if prioritised and not certain_to_last(node, base):
        return replay(node, base, after, before, reading)
    result = FK_EMPTY
    if fk_is_map(base):
        retain(base)
        result = base
    if node.children is not None:
        for child in node.children.values():
            old = fk_child(base, child.key)
            retain(old)
            word = layer(child, old, after, before, reading)
            if word == old:
                release(word)
            else:
                result = set_child(result, child.key, word)
    if fk_is_empty(result) and fk_is_leaf(base):
        if not puts_something_below(node, after, before, reading):
            return base
    if entry is not None:
        word = fk_bare(entry.word)
        retain(word)
        result = set_priority(result, word)
    release(base)
    return result


cdef fk_word relayer(
    WriteNode node,
    fk_word base,
    long after,
    fk_word shown,
    const fk_key *below,
    Py_ssize_t depth,
    Reading reading,
):
    """As ``layer``, knowing that ``shown`` (owned) is right but for ``below``; base owned."""
    cdef WriteEntry entry
    cdef WriteNode child
    cdef fk_word old, word, priority, result
    if node is None:
        result = graft(base, shown, below, depth)
        release(base)
        return result
    if depth == 0:
        return unless_equal(layer(node, base, after, LONG_MAX, reading), shown)
    base = own_overwrite(node, base, &after, LONG_MAX, reading)
    entry = latest(node.priorities, after, LONG_MAX, reading)
    cdef bint prioritised = (
        entry is not None
        or not fk_is_empty(fk_priority(base))
        or not fk_is_empty(fk_priority(shown))
    )
    if (prioritised and not certain_to_last(node, base)) or below[0] == PRIORITY_KEY:
        return unless_equal(layer(node, base, after, LONG_MAX, reading), shown)
    child = child_of(node, below[0])
    old = fk_child(shown, below[0])
    word = fk_child(base, below[0])
    retain(word)
    retain(old)
    word = relayer(child, word, after, old, below + 1, depth - 1, reading)
    if word == fk_child(shown, below[0]):
        release(word)
        result = shown if fk_is_map(shown) else FK_EMPTY
        retain(result)
    else:
        result = FK_EMPTY
        if fk_is_map(shown):
            retain(shown)
            result = shown
        result = set_child(result, below[0], word)
    if fk_is_empty(result):
        if fk_is_leaf(base) and not puts_something_below(node, after, LONG_MAX, reading):
            retain(base)
            result = base
    elif prioritised:
        priority = fk_bare(entry.word) if entry is not None else fk_priority(base)
        if not equal(priority, fk_priority(result)):
            retain(priority)
            result = set_priority(result, priority)
    release(base)
    if not fk_is_map(result):
        return unless_equal(result, shown)
    release(shown)
    return result


cdef fk_word unless_equal(fk_word word, fk_word shown):
    """``shown`` if both are equal, so that what did not change keeps its identity; both owned."""
    if word == shown or not equal(word, shown):
        release(shown)
        return word
    release(word)
    return shown


cdef fk_word graft(fk_word base, fk_word shown, const fk_key *below, Py_ssize_t depth):
    """``shown`` (owned) with its part at ``below`` as in ``base`` (borrowed): no write is there."""
    cdef fk_word old, word
    if base == shown:
        return shown
    if (
        depth == 0
        or below[0] == PRIORITY_KEY
        or not fk_is_map(base)
        or not fk_is_map(shown)
        or fk_priority(base) != fk_priority(shown)
    ):
        retain(base)
        return unless_equal(base, shown)
    old = fk_child(shown, below[0])
    retain(old)
    word = graft(fk_child(base, below[0]), old, below + 1, depth - 1)
    if word == fk_child(shown, below[0]):
        release(word)
        return shown
    return set_child(shown, below[0], word)
