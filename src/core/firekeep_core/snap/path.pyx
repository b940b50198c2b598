"""``Path``: a location in the tree, as keys from the root down."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc

from .word cimport fk_compare_keys, fk_key, key_from_str, key_from_text, key_to_str
from .word cimport release_key, retain_key

from ..errors import InvalidPath
from .keys import MAX_KEY_BYTES, byte_length, forbidden_character

cdef Path allocate(Py_ssize_t length):
    cdef Path path = Path.__new__(Path)
    if length:
        path.words = <fk_key *>PyMem_Malloc(length * sizeof(fk_key))
        if path.words == NULL:
            raise MemoryError
    return path


cdef Path path_from_words(const fk_key *words, Py_ssize_t length):
    cdef Path path = allocate(length)
    cdef Py_ssize_t i
    for i in range(length):
        retain_key(words[i])
        path.words[i] = words[i]
    path.length = length
    return path


cdef Path path_from_text(const char *text, Py_ssize_t length):
    cdef Py_ssize_t i, start = 0, count = 0
    cdef Path path
    for i in range(length + 1):
        if i == length or text[i] == c"/":
            count += i > start
            start = i + 1
    path = allocate(count)
    start = 0
    for i in range(length + 1):
        if i == length or text[i] == c"/":
            if i > start:
                path.words[path.length] = key_from_text(text + start, i - start)
                path.length += 1
            start = i + 1
    return path


cdef class Path:
    """A location: immutable, hashable, ordered like the tree is (a prefix first).

    >>> str(Path.parse("rooms/r1") .child("name"))
    '/rooms/r1/name'
    """

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.length):
            release_key(self.words[i])
        PyMem_Free(self.words)

    def __init__(self):
        raise TypeError("use Path.parse, Path.from_keys or Path.from_wire")

    @staticmethod
    def parse(text: object) -> Path:
        """Return the location that ``text`` names; empty segments do not count.

        Raises InvalidPath for a key that no child may have. ``.info`` may be the first key.
        """
        if not isinstance(text, str):
            raise InvalidPath(f"a path is text, not {type(text).__name__}: {text!r:.80}")
        if type(text) is not str:
            text = str.__str__(text)
        for number, part in enumerate(part for part in text.split("/") if part):
            character = forbidden_character(part)
            if character is not None and not (number == 0 and part == ".info"):
                raise InvalidPath(
                    f"invalid key {part!r:.80} in path {text!r:.200}: {character!r} is not allowed"
                )
            if byte_length(part) > MAX_KEY_BYTES:
                raise InvalidPath(
                    f"invalid key {part!r:.80} in path {text!r:.80}: over {MAX_KEY_BYTES} bytes"
                )
        return Path.from_wire(text)

    @staticmethod
    def from_wire(text: str) -> Path:
        """Return the location of a peer's path, whose keys are taken as they are."""
        cdef bytes utf8 = text.encode("utf-8", "surrogatepass")
        return path_from_text(utf8, len(utf8))

    @staticmethod
    def from_keys(keys) -> Path:
        """Return the location that ``keys`` lead to, taken as they are."""
        cdef list parts = list(keys)
        cdef Path path = allocate(len(parts))
        for key in parts:
            path.words[path.length] = key_from_str(key)
            path.length += 1
        return path

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys from the root down."""
        cdef Py_ssize_t i
        return tuple([key_to_str(self.words[i]) for i in range(self.length)])

    @property
    def key(self) -> str | None:
        """The last key; None at the root."""
        return key_to_str(self.words[self.length - 1]) if self.length else None

    @property
    def front(self) -> str | None:
        """The first key; None at the root."""
        return key_to_str(self.words[0]) if self.length else None

    @property
    def parent(self) -> Path | None:
        """The location above; None at the root."""
        return path_from_words(self.words, self.length - 1) if self.length else None

    def pop_front(self) -> Path:
        """Return this location as seen from its first key; the root for the root."""
        if not self.length:
            return self
        return path_from_words(self.words + 1, self.length - 1)

    def child(self, other: str | Path) -> Path:
        """Return the location below: one key (text, taken as it is) or a whole path."""
        cdef Path below, path
        cdef Py_ssize_t i
        if isinstance(other, Path):
            below = <Path>other
            path = allocate(self.length + below.length)
            for i in range(below.length):
                retain_key(below.words[i])
                path.words[self.length + i] = below.words[i]
            path.length = self.length + below.length
        else:
            path = allocate(self.length + 1)
            path.words[self.length] = key_from_str(other)
            path.length = self.length + 1
        for i in range(self.length):
            retain_key(self.words[i])
            path.words[i] = self.words[i]
        return path

    def contains(self, Path other not None) -> bool:
        """Return whether ``other`` is this location or lies below it."""
        cdef Py_ssize_t i
        if self.length > other.length:
            return False
        for i in range(self.length):
            if self.words[i] != other.words[i]:
                return False
        return True

    def relative_to(self, Path ancestor not None) -> Path:
        """Return the rest of this location below ``ancestor``; raises InvalidPath if not below."""
        if not ancestor.contains(self):
            raise InvalidPath(f"{self} is not below {ancestor}")
        return path_from_words(self.words + ancestor.length, self.length - ancestor.length)

    def __len__(self) -> int:
        return self.length

    def __bool__(self) -> bool:
        return self.length > 0

    def __iter__(self):
        return iter(self.keys)

    def __hash__(self) -> int:
        cdef Py_ssize_t i
        cdef unsigned long long h = 0x9E3779B97F4A7C15u
        for i in range(self.length):
            h = (h ^ self.words[i]) * 0xBF58476D1CE4E5B9u
            h ^= h >> 29
        return <Py_ssize_t>(h >> 1)

    def __eq__(self, other) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        return self.length == (<Path>other).length and self.contains(<Path>other)

    def __lt__(self, other) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        return compare(self, <Path>other) < 0

    def __le__(self, other) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        return compare(self, <Path>other) <= 0

    def __gt__(self, other) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        return compare(self, <Path>other) > 0

    def __ge__(self, other) -> bool:
        if not isinstance(other, Path):
            return NotImplemented
        return compare(self, <Path>other) >= 0

    def __str__(self) -> str:
        return "/" + "/".join(self.keys)

    def __repr__(self) -> str:
        return f"Path({str(self)!r})"


cdef int compare(Path a, Path b) noexcept:
    cdef Py_ssize_t i
    cdef int order
    for i in range(min(a.length, b.length)):
        order = fk_compare_keys(a.words[i], b.words[i])
        if order:
            return order
    return (a.length > b.length) - (a.length < b.length)


ROOT = Path.from_wire("")
