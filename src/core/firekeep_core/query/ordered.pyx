"""``Ordered``: the children of a location in the order of an index, changed in place.

Sorted blocks of at most ``BLOCK`` entries. Finding a place takes two binary
searches, O(log n); what is moved in memory is one block and, once every
``BLOCK / 2`` insertions, the table of blocks: 16 bytes for every 100 entries or so.
"""

from libc.stdlib cimport abort, free, realloc
from libc.string cimport memcpy, memmove

from ..snap.node cimport Node
from ..snap.word cimport (
    FK_EMPTY,
    FK_TRUE,
    fk_bare,
    fk_is_map,
    fk_key,
    fk_word,
    key_from_str,
    key_to_str,
    new_map,
    release,
    release_key,
    retain,
    retain_key,
)
from .index cimport Index
from .selection cimport Entry

cdef enum:
    BLOCK = 128
    SPARE = 32      # what a block grows and shrinks by


cdef fk_word make_any_map():
    cdef fk_key key = key_from_str("0")
    cdef fk_word value = FK_TRUE
    return new_map(&key, &value, 1, FK_EMPTY)


cdef fk_word ANY_MAP = make_any_map()


cdef fk_word kept_value(fk_word value) noexcept:
    return ANY_MAP if fk_is_map(value) else fk_bare(value)


cdef void resize(Block *block, int capacity) noexcept:
    block.entries = <Entry *>realloc(block.entries, capacity * sizeof(Entry))
    if block.entries == NULL:
        abort()
    block.capacity = capacity


cdef class Ordered:
    """A sorted set of (indexed value, key); it keeps a reference to both."""

    def __init__(self, Index index not None):
        self.index = index

    def __dealloc__(self):
        cdef Py_ssize_t i
        cdef int j
        for i in range(self.block_count):
            for j in range(self.blocks[i].count):
                release(self.blocks[i].entries[j].value)
                release_key(self.blocks[i].entries[j].key)
            free(self.blocks[i].entries)
        free(self.blocks)

    def __len__(self) -> int:
        return self.count

    def add(self, key: str, Node node not None) -> bool:
        """Add a child by its key and its value in this order; whether it was missing."""
        cdef fk_key word = key_from_str(key)
        cdef bint added = self.insert(self.index.value_of(node.word), word)
        release_key(word)
        return added

    def discard(self, key: str, Node node not None) -> bool:
        """Take a child out that has that key and value in this order; whether it was there."""
        cdef fk_key word = key_from_str(key)
        cdef bint removed = self.remove(self.index.value_of(node.word), word)
        release_key(word)
        return removed

    def keys(self) -> list[str]:
        """Return the keys in order."""
        cdef Py_ssize_t i
        cdef int j
        return [
            key_to_str(self.blocks[i].entries[j].key)
            for i in range(self.block_count)
            for j in range(self.blocks[i].count)
        ]

    def neighbours(self, key: str, Node node not None) -> tuple[str | None, str | None]:
        """Return the keys just before and just after a child, held or not."""
        cdef fk_key word = key_from_str(key)
        cdef fk_word value = self.index.value_of(node.word)
        cdef Entry found
        before = key_to_str(found.key) if self.before(value, word, &found) else None
        after = key_to_str(found.key) if self.after(value, word, &found) else None
        release_key(word)
        return before, after

    cdef Py_ssize_t block_for(self, fk_word value, fk_key key) noexcept:
        """The first block whose last entry is not before the position; the last if none is."""
        cdef Py_ssize_t low = 0, high = self.block_count - 1, middle
        cdef Entry *last
        while low < high:
            middle = (low + high) >> 1
            last = &self.blocks[middle].last
            if self.index.compare(last.key, last.value, key, value) < 0:
                low = middle + 1
            else:
                high = middle
        return low

    cdef int place_in(self, const Block *block, fk_word value, fk_key key, bint *found) noexcept:
        """Where the first entry not before the position stands in a block."""
        cdef int low = 0, high = block.count, middle, order
        found[0] = False
        while low < high:
            middle = (low + high) >> 1
            order = self.index.compare(
                block.entries[middle].key, block.entries[middle].value, key, value
            )
            if order == 0:
                found[0] = True
                return middle
            if order < 0:
                low = middle + 1
            else:
                high = middle
        return low

    cdef bint insert(self, fk_word value, fk_key key) noexcept:
        cdef Py_ssize_t at
        cdef int place
        cdef bint found
        cdef Block *block
        if self.block_count == 0:
            self.new_block(0, SPARE // 4)
        at = self.block_for(value, key)
        place = self.place_in(&self.blocks[at], value, key, &found)
        if found:
            return False
        if self.blocks[at].count == BLOCK:
            # entries that come in ascending order leave full blocks behind
            self.split(at, BLOCK if place == BLOCK else BLOCK // 2)
            if place > self.blocks[at].count or place == BLOCK:
                place -= self.blocks[at].count
                at += 1
        block = &self.blocks[at]
        if block.count == block.capacity:
            resize(block, block.capacity * 2 if block.capacity < SPARE else block.capacity + SPARE)
        memmove(
            &block.entries[place + 1],
            &block.entries[place],
            (block.count - place) * sizeof(Entry),
        )
        value = kept_value(value)
        retain(value)
        retain_key(key)
        block.entries[place].value = value
        block.entries[place].key = key
        block.count += 1
        self.end_block(at)
        self.count += 1
        return True

    cdef bint remove(self, fk_word value, fk_key key) noexcept:
        cdef Py_ssize_t at
        cdef int place
        cdef bint found
        cdef Block *block
        cdef Entry entry
        if self.block_count == 0:
            return False
        at = self.block_for(value, key)
        block = &self.blocks[at]
        place = self.place_in(block, value, key, &found)
        if not found:
            return False
        entry = block.entries[place]
        block.count -= 1
        self.count -= 1
        memmove(
            &block.entries[place],
            &block.entries[place + 1],
            (block.count - place) * sizeof(Entry),
        )
        if block.count == 0:
            self.drop_block(at)
        else:
            self.end_block(at)
            self.thin_out(at)
        release(entry.value)
        release_key(entry.key)
        return True

    cdef void thin_out(self, Py_ssize_t at) noexcept:
        """Give memory back, now and then, of a block that has lost entries."""
        cdef Block *block = &self.blocks[at]
        if block.count % (SPARE // 2) and block.count & (block.count - 1):
            return
        if self.merge(at) or (at > 0 and self.merge(at - 1)):
            return
        if block.capacity - block.count >= 2 * SPARE:
            resize(block, block.capacity - SPARE)

    cdef void load(self, const Entry *entries, Py_ssize_t count) noexcept:
        cdef Py_ssize_t at = 0, i
        cdef int size
        cdef Entry *entry
        while at < count:
            size = <int>min(count - at, BLOCK - SPARE)
            self.new_block(self.block_count, size)
            for i in range(size):
                entry = &self.blocks[self.block_count - 1].entries[i]
                entry.value = kept_value(entries[at + i].value)
                entry.key = entries[at + i].key
                retain(entry.value)
                retain_key(entry.key)
            self.blocks[self.block_count - 1].count = size
            self.end_block(self.block_count - 1)
            at += size
        self.count = count

    cdef bint contains(self, fk_word value, fk_key key) noexcept:
        cdef bint found = False
        if self.block_count:
            self.place_in(&self.blocks[self.block_for(value, key)], value, key, &found)
        return found

    cdef bint before(self, fk_word value, fk_key key, Entry *found) noexcept:
        cdef Py_ssize_t at
        cdef int place
        cdef bint exact
        if self.block_count == 0:
            return False
        at = self.block_for(value, key)
        place = self.place_in(&self.blocks[at], value, key, &exact)
        if place == 0:
            if at == 0:
                return False
            at -= 1
            place = self.blocks[at].count
        found[0] = self.blocks[at].entries[place - 1]
        return True

    cdef bint after(self, fk_word value, fk_key key, Entry *found) noexcept:
        cdef Py_ssize_t at
        cdef int place
        cdef bint exact
        if self.block_count == 0:
            return False
        at = self.block_for(value, key)
        place = self.place_in(&self.blocks[at], value, key, &exact)
        place += exact
        if place == self.blocks[at].count:
            at += 1
            place = 0
            if at == self.block_count:
                return False
        found[0] = self.blocks[at].entries[place]
        return True

    cdef bint first(self, Entry *found) noexcept:
        if self.block_count == 0:
            return False
        found[0] = self.blocks[0].entries[0]
        return True

    cdef bint last(self, Entry *found) noexcept:
        cdef Block *block
        if self.block_count == 0:
            return False
        block = &self.blocks[self.block_count - 1]
        found[0] = block.entries[block.count - 1]
        return True

    # ---- blocks ------------------------------------------------------------------

    cdef void end_block(self, Py_ssize_t at) noexcept:
        """Note which entry is the last of a block."""
        self.blocks[at].last = self.blocks[at].entries[self.blocks[at].count - 1]

    cdef void new_block(self, Py_ssize_t at, int capacity) noexcept:
        if self.block_count == self.table_size:
            self.table_size = self.table_size + self.table_size // 2 + 1
            self.blocks = <Block *>realloc(self.blocks, self.table_size * sizeof(Block))
            if self.blocks == NULL:
                abort()
        memmove(&self.blocks[at + 1], &self.blocks[at], (self.block_count - at) * sizeof(Block))
        self.blocks[at].entries = NULL
        self.blocks[at].count = 0
        resize(&self.blocks[at], capacity)
        self.block_count += 1

    cdef void drop_block(self, Py_ssize_t at) noexcept:
        free(self.blocks[at].entries)
        self.block_count -= 1
        memmove(&self.blocks[at], &self.blocks[at + 1], (self.block_count - at) * sizeof(Block))

    cdef void split(self, Py_ssize_t at, int keep) noexcept:
        """Move what a block holds beyond ``keep`` into a new one after it."""
        cdef int moved = self.blocks[at].count - keep
        self.new_block(at + 1, moved + SPARE if moved else SPARE // 4)
        memcpy(
            self.blocks[at + 1].entries,
            &self.blocks[at].entries[keep],
            moved * sizeof(Entry),
        )
        self.blocks[at].count = keep
        self.end_block(at)
        self.blocks[at + 1].count = moved
        if moved:
            self.end_block(at + 1)
            resize(&self.blocks[at], keep + SPARE)

    cdef bint merge(self, Py_ssize_t at) noexcept:
        """Make one block of two neighbours, if that leaves room in it; whether it did."""
        cdef Block *block = &self.blocks[at]
        cdef int total
        if at + 1 == self.block_count:
            return False
        total = block.count + self.blocks[at + 1].count
        if total > BLOCK - SPARE:
            return False
        resize(block, total + SPARE // 4)
        memcpy(
            &block.entries[block.count],
            self.blocks[at + 1].entries,
            self.blocks[at + 1].count * sizeof(Entry),
        )
        block.count = total
        self.end_block(at)
        self.drop_block(at + 1)
        return True
