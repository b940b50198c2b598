"""``Ordered``: the children of a location in the order of an index, changed in place.

Sorted blocks of at most ``BLOCK`` entries. Finding a place takes two binary
searches, O(log n); what is moved in memory is one block and, once every
``BLOCK / 2`` insertions, the table of blocks: 16 bytes for every 100 entries or so.
"""

from libc.stdlib cimport abort, free, malloc, realloc
from libc.string cimport memcpy, memmove

from ..snap.word cimport fk_key, fk_word, release, release_key, retain, retain_key
from .index cimport Index

cdef enum:
    BLOCK = 128


cdef class Ordered:
    """A sorted set of (indexed value, key); it keeps a reference to both."""

    def __init__(self, Index index not None):
        self.index = index

    def __dealloc__(self):
        cdef Py_ssize_t i, j
        for i in range(self.block_count):
            for j in range(self.blocks[i].count):
                release(self.blocks[i].entries[j].value)
                release_key(self.blocks[i].entries[j].key)
            free(self.blocks[i].entries)
        free(self.blocks)

    def __len__(self) -> int:
        return self.count

    cdef Py_ssize_t block_for(self, fk_word value, fk_key key):
        """The first block whose last entry is not before the position; the last if none is."""
        cdef Py_ssize_t low = 0, high = self.block_count - 1, middle
        cdef Entry *last
        while low < high:
            middle = (low + high) >> 1
            last = &self.blocks[middle].entries[self.blocks[middle].count - 1]
            if self.index.compare(last.key, last.value, key, value) < 0:
                low = middle + 1
            else:
                high = middle
        return low

    cdef Py_ssize_t place_in(self, Block *block, fk_word value, fk_key key, bint *found):
        """Where the first entry not before the position stands in a block."""
        cdef Py_ssize_t low = 0, high = block.count, middle
        cdef int order
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

    cdef void insert(self, fk_word value, fk_key key):
        """Add an entry that is not held yet."""
        cdef Py_ssize_t at, place
        cdef bint found
        cdef Block *block
        if self.block_count == 0:
            self.new_block(0)
        at = self.block_for(value, key)
        block = &self.blocks[at]
        place = self.place_in(block, value, key, &found)
        if block.count == BLOCK:
            # entries that come in ascending order leave full blocks behind
            self.split(at, BLOCK if place == BLOCK else BLOCK // 2)
            if place > self.blocks[at].count or self.blocks[at].count == BLOCK:
                place -= self.blocks[at].count
                at += 1
            block = &self.blocks[at]
        memmove(
            &block.entries[place + 1],
            &block.entries[place],
            (block.count - place) * sizeof(Entry),
        )
        retain(value)
        retain_key(key)
        block.entries[place].value = value
        block.entries[place].key = key
        block.count += 1
        self.count += 1

    cdef void new_block(self, Py_ssize_t at):
        if self.block_count == self.capacity:
            self.capacity = self.capacity * 2 if self.capacity else 4
            self.blocks = <Block *>realloc(self.blocks, self.capacity * sizeof(Block))
            if self.blocks == NULL:
                abort()
        memmove(&self.blocks[at + 1], &self.blocks[at], (self.block_count - at) * sizeof(Block))
        self.blocks[at].count = 0
        self.blocks[at].entries = <Entry *>malloc(BLOCK * sizeof(Entry))
        if self.blocks[at].entries == NULL:
            abort()
        self.block_count += 1

    cdef void split(self, Py_ssize_t at, Py_ssize_t keep):
        """Move what a block holds beyond ``keep`` into a new one after it."""
        cdef Py_ssize_t moved = self.blocks[at].count - keep
        self.new_block(at + 1)
        memcpy(
            self.blocks[at + 1].entries,
            &self.blocks[at].entries[keep],
            moved * sizeof(Entry),
        )
        self.blocks[at].count = keep
        self.blocks[at + 1].count = moved

    cdef bint remove(self, fk_word value, fk_key key):
        """Take an entry out; whether it was there."""
        cdef Py_ssize_t at, place
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
            free(block.entries)
            self.block_count -= 1
            memmove(
                &self.blocks[at], &self.blocks[at + 1], (self.block_count - at) * sizeof(Block)
            )
        release(entry.value)
        release_key(entry.key)
        return True

    cdef bint before(self, fk_word value, fk_key key, Entry *found):
        cdef Py_ssize_t at, place
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

    cdef bint after(self, fk_word value, fk_key key, Entry *found):
        cdef Py_ssize_t at, place
        cdef bint exact
        if self.block_count == 0:
            return False
        at = self.block_for(value, key)
        place = self.place_in(&self.blocks[at], value, key, &exact) + exact
        if place == self.blocks[at].count:
            at += 1
            place = 0
            if at == self.block_count:
                return False
        found[0] = self.blocks[at].entries[place]
        return True

    cdef bint edge(self, bint last, Entry *found):
        cdef Block *block
        if self.block_count == 0:
            return False
        block = &self.blocks[self.block_count - 1 if last else 0]
        found[0] = block.entries[block.count - 1 if last else 0]
        return True
