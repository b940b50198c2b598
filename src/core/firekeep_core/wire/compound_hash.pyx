"""The compound hash of a listen, and what of a tree differs from the one it stands for.

A tree's leaves, in key order, are cut into ranges, each known by its last path and a hash.
The priority of a map is a leaf named ``.priority``; that of a leaf is part of the leaf.

Source: wire §4.5 and §4.6.
"""

from libc.math cimport sqrt
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport abort, free, realloc

cimport cython

from ..snap.digest cimport (
    FK_DIGEST_TEXT,
    fk_digest_text,
    fk_sha1,
    fk_sha1_add,
    fk_sha1_finish,
    fk_sha1_start,
    number_text,
)
from ..snap.node cimport Node, new_node
from ..snap.path cimport Path
from ..snap.word cimport (
    FK_EMPTY,
    FK_KEY_MIN,
    FK_TRUE,
    fk_bare,
    fk_compare_keys,
    fk_cursor,
    fk_cursor_key,
    fk_cursor_next,
    fk_cursor_seek,
    fk_cursor_start,
    fk_cursor_value,
    fk_is_empty,
    fk_is_map,
    fk_key,
    fk_key_text,
    fk_number_of,
    fk_priority,
    fk_rank,
    fk_string_length,
    fk_string_text,
    fk_text_units,
    fk_word,
    key_from_str,
    key_to_str,
    retain,
    set_child,
    size_bytes,
)

from ..errors import ProtocolError

#: A range is cut when its text is longer than this, or than a share of the whole.
MIN_RANGE_UNITS = 512

cdef fk_key PRIORITY_KEY = key_from_str(".priority")


@cython.final
cdef class _Ranges:
    """Walks a tree leaf by leaf and hashes the text of one range after the other.

    The ranges end where a text has grown beyond ``threshold``; or, if there are ``bounds``,
    after each of these paths.
    """

    cdef fk_sha1 sha1
    cdef uint64_t units         # UTF-16 code units of the range's text so far
    cdef bint is_open           # whether the range has a text
    cdef bint needs_comma
    cdef fk_key *keys           # from the root to where the walk is; borrowed
    cdef Py_ssize_t depth
    cdef Py_ssize_t leaf_depth  # of the leaf visited last
    cdef Py_ssize_t capacity
    cdef Py_ssize_t written     # how many of `keys` are open in the text
    cdef uint64_t threshold
    cdef list bounds            # of Path
    cdef list hashes
    cdef list paths             # where ranges end, if there are no bounds

    def __cinit__(self, uint64_t threshold, list bounds):
        self.threshold = threshold
        self.bounds = bounds
        self.hashes = []
        self.paths = []

    def __dealloc__(self):
        free(self.keys)

    cdef void add(self, const char *text, size_t length) noexcept:
        fk_sha1_add(&self.sha1, text, length)
        self.units += length        # of ASCII

    cdef void add_quoted(self, const char *text, size_t length) noexcept:
        cdef size_t i, done = 0
        self.add(b'"', 1)
        for i in range(length):
            if text[i] == c'"' or text[i] == c"\\":
                fk_sha1_add(&self.sha1, text + done, i - done)
                self.add(b"\\", 1)
                done = i
        fk_sha1_add(&self.sha1, text + done, length - done)
        self.units += fk_text_units(text, length)
        self.add(b'"', 1)

    cdef void add_scalar(self, fk_word bare) noexcept:
        cdef char digits[16]
        cdef int rank = fk_rank(bare)
        if rank == 2:
            if bare == FK_TRUE:
                self.add(b"boolean:true", 12)
            else:
                self.add(b"boolean:false", 13)
        elif rank == 3:
            number_text(fk_number_of(bare), digits)
            self.add(b"number:", 7)
            self.add(digits, 16)
        elif rank == 4:
            self.add(b"string:", 7)
            self.add_quoted(fk_string_text(bare), fk_string_length(bare))

    cdef void add_keys(self) noexcept:
        """Open the range if need be, and the keys down to where the walk is."""
        cdef char buffer[1024]
        cdef const char *text
        cdef size_t length
        if not self.is_open:
            self.is_open = True
            self.written = 0
            self.units = 0
            self.needs_comma = False
            fk_sha1_start(&self.sha1)
            self.add(b"(", 1)
        while self.written < self.depth:
            if self.needs_comma:
                self.add(b",", 1)
            text = fk_key_text(self.keys[self.written], buffer, &length)
            self.add_quoted(text, length)
            self.add(b":(", 2)
            self.needs_comma = False
            self.written += 1

    cdef int walk(self, fk_word word) except -1:
        if not fk_is_map(word):
            return self.visit_leaf(word)
        cdef fk_cursor cursor
        cdef fk_word priority = fk_priority(word)
        fk_cursor_start(&cursor, word, False)
        while True:
            if (
                not fk_is_empty(priority)
                and fk_compare_keys(PRIORITY_KEY, fk_cursor_key(&cursor)) < 0
            ):
                self.walk_child(PRIORITY_KEY, priority)
                priority = FK_EMPTY
            self.walk_child(fk_cursor_key(&cursor), fk_cursor_value(&cursor))
            if not fk_cursor_next(&cursor):
                break
        if not fk_is_empty(priority):
            self.walk_child(PRIORITY_KEY, priority)
        return 0

    cdef int walk_child(self, fk_key key, fk_word word) except -1:
        cdef void *larger
        if self.depth == self.capacity:
            larger = realloc(self.keys, (self.capacity * 2 + 32) * sizeof(fk_key))
            if larger == NULL:
                abort()
            self.keys = <fk_key *>larger
            self.capacity = self.capacity * 2 + 32
        self.keys[self.depth] = key
        self.depth += 1
        self.walk(word)
        self.depth -= 1
        if self.is_open and self.written > self.depth:
            self.add(b")", 1)
            self.written = self.depth
            self.needs_comma = True
        return 0

    cdef int visit_leaf(self, fk_word leaf) except -1:
        cdef fk_word priority = fk_priority(leaf)
        while self.bounds is not None and self.is_past_bound():
            self.end_range()
        self.add_keys()
        if not fk_is_empty(priority):
            self.add(b"priority:", 9)
            self.add_scalar(priority)
            self.add(b":", 1)
        self.add_scalar(fk_bare(leaf))
        self.leaf_depth = self.depth
        if (
            self.bounds is None
            and self.units > self.threshold
            and not (self.depth and self.keys[self.depth - 1] == PRIORITY_KEY)
        ):
            self.end_range()
        return 0

    cdef bint is_past_bound(self):
        """Whether the walk has left the range that the next of the bounds ends."""
        cdef Path bound
        cdef Py_ssize_t i
        cdef int order
        if len(self.hashes) == len(self.bounds):
            return False
        bound = <Path>self.bounds[len(self.hashes)]
        for i in range(min(self.depth, bound.length)):
            order = fk_compare_keys(self.keys[i], bound.words[i])
            if order:
                return order > 0
        return self.depth > bound.length

    cdef int end_range(self) except -1:
        cdef uint8_t digest[20]
        cdef char text[28]
        if not self.is_open:
            self.hashes.append("")
            return 0
        for _ in range(self.written + 1):
            self.add(b")", 1)
        fk_sha1_finish(&self.sha1, digest)
        fk_digest_text(digest, text)
        self.hashes.append(text[:FK_DIGEST_TEXT].decode("ascii"))
        self.is_open = False
        if self.bounds is None:
            names = [key_to_str(self.keys[i]) for i in range(self.leaf_depth)]
            self.paths.append("/".join(names) or "/")
        return 0

    cdef int finish(self) except -1:
        """End the last range; with bounds, also those that begin after the last leaf."""
        if self.is_open:
            self.end_range()
        while self.bounds is not None and len(self.hashes) <= len(self.bounds):
            self.end_range()
        return 0


def compound_hash(Node node not None, threshold: int | None = None) -> tuple[list[str], list[str]]:
    """Return the hashes of the ranges of ``node`` and the paths that end them.

    A range ends where its text is longer than ``threshold`` UTF-16 code units, by default a
    share of the node's size. The last hash, after the last path, is always ``""``.
    Source: wire §4.5.

    >>> from firekeep_core.snap.node import from_scalar
    >>> compound_hash(from_scalar(True))[1]
    ['/']
    """
    cdef _Ranges ranges
    if threshold is None:
        threshold = max(MIN_RANGE_UNITS, int(sqrt(100.0 * size_bytes(node.word))))
    ranges = _Ranges.__new__(_Ranges, threshold, None)
    if not fk_is_empty(node.word):
        ranges.walk(node.word)
    ranges.finish()
    return [*ranges.hashes, ""], ranges.paths


cdef struct Edge:
    bint is_open            # nothing limits the range on this side
    const fk_key *keys      # what is left of the path to the edge
    Py_ssize_t length


cdef Edge edge_of(Path path):
    cdef Edge edge
    edge.is_open = path is None
    edge.keys = NULL if path is None else path.words
    edge.length = 0 if path is None else path.length
    return edge


cdef Edge edge_below(Edge edge, fk_key key) noexcept:
    """The edge as seen from a child, which is not beyond it."""
    if not edge.is_open:
        if edge.length and edge.keys[0] == key:
            edge.keys += 1
            edge.length -= 1
        else:
            edge.is_open = True
    return edge


cdef fk_word restricted(fk_word word, Edge start, Edge end) except? 0:
    """Return ``word`` with only its leaves after ``start``, up to and including ``end``.

    Owned by the caller. Only for trees without priorities.
    """
    cdef fk_cursor cursor
    cdef fk_key key
    if start.is_open and end.is_open:
        retain(word)
        return word
    if not fk_is_map(word):
        if not start.is_open:       # at the start, or before it
            return FK_EMPTY
        retain(word)
        return word
    if not end.is_open and end.length == 0:
        return FK_EMPTY             # all of this lies below the end, and so after it
    cdef fk_word result = FK_EMPTY
    cdef bint more
    key = start.keys[0] if not start.is_open and start.length else FK_KEY_MIN
    more = fk_cursor_seek(&cursor, word, key, False)
    while more:
        key = fk_cursor_key(&cursor)
        if not end.is_open and fk_compare_keys(key, end.keys[0]) > 0:
            break
        result = set_child(
            result,
            key,
            restricted(fk_cursor_value(&cursor), edge_below(start, key), edge_below(end, key)),
        )
        more = fk_cursor_next(&cursor)
    return result


def has_priorities(Node node not None) -> bool:
    """Return whether anything in ``node`` has a priority: range merges may then go wrong.

    Source: wire §4.6.
    """
    return has_priority(node.word)


cdef bint has_priority(fk_word word) noexcept:
    cdef fk_cursor cursor
    if not fk_is_empty(fk_priority(word)):
        return True
    if not fk_is_map(word):
        return False
    fk_cursor_start(&cursor, word, False)
    while True:
        if has_priority(fk_cursor_value(&cursor)):
            return True
        if not fk_cursor_next(&cursor):
            return False


cdef list bounds_of(list paths):
    bounds = [Path.from_wire(path) for path in paths]
    for i in range(len(bounds) - 1):
        if bounds[i] >= bounds[i + 1]:
            raise ProtocolError(f"ranges out of order: {paths[i]!r:.80}, {paths[i + 1]!r:.80}")
    return bounds


cdef list hash_ranges(Node node, list bounds):
    cdef _Ranges ranges = _Ranges.__new__(_Ranges, 0, bounds)
    if not fk_is_empty(node.word):
        ranges.walk(node.word)
    ranges.finish()
    return ranges.hashes


def range_hashes(node: Node, paths: list[str]) -> list[str]:
    """Return the hashes of the ranges of ``node`` that end after each of ``paths``.

    One more, the last, is of what comes after all of them. Raises ProtocolError if the paths
    are not in order.
    """
    return hash_ranges(node, bounds_of(paths))


def differing_ranges(
    Node node not None, hashes: list[str], paths: list[str]
) -> list[tuple[Path | None, Path | None, Node]] | None:
    """Return what a peer that holds the tree of that compound hash needs to hold ``node``.

    The answer is a list of (start, end, node) as :class:`RangeMerge` has it, neighbours joined;
    or None where ``node`` had better be sent whole: if no range is as it was, and if a
    priority occurs in it, since range merges lose some. Raises ProtocolError if ``hashes`` and
    ``paths`` are no compound hash.
    Source: wire §4.6.
    """
    cdef Path start = None
    if len(hashes) != len(paths) + 1:
        raise ProtocolError(f"{len(hashes)} hashes of ranges, and {len(paths)} paths")
    bounds = bounds_of(paths)
    if has_priority(node.word):
        return None
    differing = []
    first = None            # where the latest run of differing ranges begins
    in_run = False
    is_any_kept = False
    for end, held, wanted in zip(
        [*bounds, None], hashes, hash_ranges(node, bounds), strict=True
    ):
        if held == wanted:
            is_any_kept |= bool(held)
            if in_run:
                differing.append((first, start))
        elif not in_run:
            first = start
        in_run = held != wanted
        start = end
    if in_run:
        differing.append((first, None))
    if differing and not is_any_kept:
        return None
    return [
        (start, end, new_node(restricted(node.word, edge_of(start), edge_of(end))))
        for start, end in differing
    ]
