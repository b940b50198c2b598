"""Python values ↔ ``Node``: what users pass and get, checked and with the array rule.

Source: sync-engine §1.2, §1.3 and §1.10, wire §4.1 and §4.2.
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc

cimport cython

from .node cimport Node, new_node, scalar_from_python
from .path cimport Path, path_from_words
from .python_writer cimport word_to_export, word_to_python
from .word cimport (
    FK_DEFERRED_INCREMENT,
    FK_DEFERRED_TIMESTAMP,
    FK_DEFERRED_UNKNOWN,
    FK_EMPTY,
    fk_bare,
    fk_from_double,
    fk_is_deferred,
    fk_is_empty,
    fk_is_number,
    fk_is_string,
    fk_key,
    fk_key_text,
    fk_word,
    key_from_str,
    key_from_text,
    new_deferred,
    new_map,
    release,
    release_key,
    set_priority,
    string_from_str,
)

from collections.abc import Mapping
from reprlib import repr as shorten

from ..errors import InvalidArgument, InvalidKey, InvalidValue
from .keys import byte_length, forbidden_character

#: Keys from the root down to a written leaf, and bytes of UTF-8 with a separator each.
MAX_DEPTH = 32
MAX_PATH_BYTES = 768
#: Bytes of UTF-8 in one text.
MAX_STRING_BYTES = 10 * 1024 * 1024

#: How deep a peer's value may nest: far above what any peer accepts, far below the stack's end.
MAX_EXPORT_DEPTH = 256

cdef Py_ssize_t DEPTH_LIMIT = MAX_DEPTH
cdef Py_ssize_t PATH_LIMIT = MAX_PATH_BYTES
cdef Py_ssize_t STRING_LIMIT = MAX_STRING_BYTES
cdef Py_ssize_t EXPORT_DEPTH_LIMIT = MAX_EXPORT_DEPTH

cdef object UNSET = object()
cdef Path ROOT = path_from_words(NULL, 0)

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *length) except NULL


cdef bint is_server_value(object value) except -1:
    return isinstance(value, (dict, Mapping)) and len(value) == 1 and ".sv" in value


@cython.final
cdef class _Reader:
    """Makes words of Python values; the entries of maps not yet complete lie on one stack."""

    cdef fk_key *keys
    cdef fk_word *values
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef Py_ssize_t base_depth      # keys of `base`
    cdef Py_ssize_t depth_limit     # keys below `base`
    cdef bint strict
    cdef Path base
    cdef list place                 # keys below `base`

    def __cinit__(self, Path base, bint strict):
        self.base = base
        self.strict = strict
        self.base_depth = base.length
        self.depth_limit = DEPTH_LIMIT - base.length if strict else EXPORT_DEPTH_LIMIT
        self.place = []

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.count):
            release_key(self.keys[i])
            release(self.values[i])
        PyMem_Free(self.keys)
        PyMem_Free(self.values)

    cdef str where(self):
        path = str(self.base.child(Path.from_keys([str(key) for key in self.place])))
        return path if len(path) <= 200 else f"{path[:100]}…{path[len(path) - 99:]}"

    cdef int push(self, fk_key key, fk_word value) except -1:
        """Both owned."""
        cdef void *larger
        cdef Py_ssize_t capacity
        if self.count == self.capacity:
            capacity = self.capacity * 2 or 32
            larger = PyMem_Realloc(self.keys, capacity * sizeof(fk_key))
            if larger != NULL:
                self.keys = <fk_key *>larger
                larger = PyMem_Realloc(self.values, capacity * sizeof(fk_word))
            if larger == NULL:
                release_key(key)
                release(value)
                raise MemoryError
            self.values = <fk_word *>larger
            self.capacity = capacity
        self.keys[self.count] = key
        self.values[self.count] = value
        self.count += 1
        return 0

    cdef fk_word finish(self, Py_ssize_t start, fk_word priority) noexcept:
        """Take the entries from ``start`` on as a map; priority owned."""
        cdef Py_ssize_t count = self.count - start
        self.count = start
        return new_map(self.keys + start, self.values + start, count, priority)

    cdef fk_word read(self, object value, Py_ssize_t path_bytes) except? 0:
        """Return the word of ``value``, owned by the caller."""
        if value is None:
            return FK_EMPTY
        if isinstance(value, str):
            return self.read_text(value)
        if isinstance(value, (bool, int)):
            return self.read_scalar(value)
        if isinstance(value, float):
            if self.strict and value == 0.0:
                return fk_from_double(0.0)
            return self.read_scalar(value)
        if isinstance(value, (list, tuple)):
            return self.read_list(value, path_bytes)
        if isinstance(value, (dict, Mapping)):
            return self.read_mapping(value, path_bytes)
        raise InvalidValue(
            f"invalid value at {self.where()}: {type(value).__name__} is no JSON value:"
            f" {shorten(value)}"
        )

    cdef fk_word read_scalar(self, object value) except? 0:
        try:
            return scalar_from_python(value)
        except InvalidValue as error:
            raise InvalidValue(f"invalid value at {self.where()}: {error}") from None

    cdef fk_word read_text(self, object value) except? 0:
        if not self.strict or len(value) * 4 <= STRING_LIMIT:
            pass
        elif byte_length(str.__str__(value)) > STRING_LIMIT:
            raise InvalidValue(
                f"invalid value at {self.where()}: text of {byte_length(str.__str__(value))} bytes,"
                f" the limit is {STRING_LIMIT}: {value[:40]!r}…"
            )
        return string_from_str(value)

    cdef int descend(self, object key, Py_ssize_t path_bytes) except -1:
        """Note that what is read next lies under ``key``, and check that this is not too deep."""
        self.place.append(key)
        if len(self.place) > self.depth_limit:
            raise InvalidValue(
                f"invalid value at {self.where()}: deeper than"
                f" {self.base_depth + self.depth_limit} keys from the root"
            )
        if self.strict and path_bytes > PATH_LIMIT:
            raise InvalidValue(
                f"invalid value at {self.where()}: a path longer than {PATH_LIMIT} bytes"
            )
        return 0

    cdef fk_word read_list(self, object values, Py_ssize_t path_bytes) except? 0:
        cdef Py_ssize_t start = self.count, i = 0
        cdef fk_word word
        cdef bytes digits
        for value in values:
            digits = b"%d" % i
            self.descend(i, path_bytes + 1 + len(digits))
            word = self.read(value, path_bytes + 1 + len(digits))
            self.place.pop()
            if not fk_is_empty(word):
                self.push(key_from_text(digits, len(digits)), word)
            i += 1
        return self.finish(start, FK_EMPTY)

    cdef fk_word read_mapping(self, object mapping, Py_ssize_t path_bytes) except? 0:
        cdef Py_ssize_t start = self.count, length
        cdef const char *text
        cdef fk_word word
        cdef object special = None      # the values under keys that begin with a dot
        cdef bint has_children = False
        for key, value in self.items_of(mapping):
            if not isinstance(key, str):
                raise InvalidKey(
                    f"invalid key at {self.where()}: keys are text,"
                    f" not {type(key).__name__}: {shorten(key)}"
                )
            if type(key) is not str:
                key = str.__str__(key)
            if key.startswith("."):
                if key in (".value", ".priority", ".sv"):
                    special = special or {}
                    special[key] = value
                    continue
                if not self.strict:
                    continue
            has_children = True
            text = NULL
            if self.strict:
                length = self.check_key(key, &text)
            else:
                length = 0
            self.descend(key, path_bytes + 1 + length)
            word = self.read(value, path_bytes + 1 + length)
            self.place.pop()
            if not fk_is_empty(word):
                if text == NULL:
                    self.push(key_from_str(key), word)
                else:
                    self.push(key_from_text(text, length), word)
        if special is not None:
            return self.read_special(special, start, has_children, path_bytes)
        return self.finish(start, FK_EMPTY)

    cdef object items_of(self, object mapping):
        """The entries of a mapping; those of a user's own class are read by its code."""
        if type(mapping) is dict:
            return mapping.items()
        try:
            return list(mapping.items())
        except Exception as error:
            raise InvalidValue(
                f"invalid value at {self.where()}: {type(mapping).__name__} cannot be read:"
                f" {shorten(error)}"
            ) from error

    cdef Py_ssize_t check_key(self, str key, const char **text) except -1:
        """Return the key's length in UTF-8, which is at ``text`` unless it has lone surrogates."""
        cdef Py_ssize_t length, i
        cdef unsigned char c
        try:
            text[0] = PyUnicode_AsUTF8AndSize(key, &length)
        except UnicodeEncodeError:
            text[0] = NULL
        else:
            for i in range(length):
                c = <unsigned char>text[0][i]
                if (
                    c < 0x20 or c == c"." or c == c"#" or c == c"$" or c == c"/" or c == c"["
                    or c == c"]" or c == 0x7F
                ):
                    break
            else:
                if length:
                    return length
        if not key:
            raise InvalidKey(f"invalid key '' at {self.where()}: a key is not empty")
        character = forbidden_character(key)
        if character is not None:
            raise InvalidKey(
                f"invalid key {shorten(key)} at {self.where()}: {character!r} is not allowed"
            )
        return byte_length(key)

    cdef fk_word read_special(
        self, dict special, Py_ssize_t start, bint has_children, Py_ssize_t path_bytes
    ) except? 0:
        """The node of a mapping with keys that begin with a dot; its children lie on the stack."""
        cdef fk_word priority = self.read_priority(special.get(".priority"))
        cdef fk_word word
        try:
            if self.strict and has_children and special.keys() & {".value", ".sv"}:
                raise InvalidValue(
                    f"invalid value at {self.where()}:"
                    f" {'.value' if '.value' in special else '.sv'} beside children"
                )
            if special.get(".value") is not None:
                if self.strict and ".sv" in special:
                    raise InvalidValue(f"invalid value at {self.where()}: both .value and .sv")
                word = self.read_leaf(special[".value"], path_bytes)
            elif ".sv" in special:
                word = self.read_server_value(special[".sv"])
            else:
                word = self.finish(start, FK_EMPTY)
        except BaseException:
            release(priority)
            raise
        while self.count > start:       # children beside a `.value` do not count
            self.count -= 1
            release_key(self.keys[self.count])
            release(self.values[self.count])
        return set_priority(word, priority)

    cdef fk_word read_leaf(self, object value, Py_ssize_t path_bytes) except? 0:
        if not isinstance(value, (list, tuple, dict, Mapping)):
            return self.read(value, path_bytes)
        if self.strict:
            if is_server_value(value):
                return self.read_server_value(value[".sv"])
            raise InvalidValue(
                f"invalid value at {self.where()}: .value is a scalar or a server value,"
                f" not {shorten(value)}"
            )
        self.descend(".value", path_bytes)
        cdef fk_word word = self.read(value, path_bytes)
        self.place.pop()
        return word

    cdef fk_word read_server_value(self, object operand) except? 0:
        cdef fk_word word
        if isinstance(operand, str) and operand == "timestamp":
            return new_deferred(FK_DEFERRED_TIMESTAMP, FK_EMPTY)
        if isinstance(operand, (dict, Mapping)) and len(operand) == 1 and "increment" in operand:
            delta = operand["increment"]
            if isinstance(delta, (int, float)) and not isinstance(delta, bool):
                return new_deferred(FK_DEFERRED_INCREMENT, self.read(delta, 0))
        if self.strict:
            raise InvalidValue(
                f"invalid value at {self.where()}: no such server value: {shorten(operand)}"
            )
        self.descend(".sv", 0)
        word = self.read(operand, 0)
        self.place.pop()
        return new_deferred(FK_DEFERRED_UNKNOWN, word)

    cdef fk_word read_priority(self, object value) except? 0:
        """Return a priority's word; a peer's impossible priority counts as none."""
        cdef fk_word word, bare
        if value is None:
            return FK_EMPTY
        self.place.append(".priority")
        if not self.strict:
            self.descend(".priority", 0)
            word = self.read(value, 0)
            self.place.pop()
        elif is_server_value(value):
            word = self.read_server_value(value[".sv"])
        elif isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise InvalidValue(
                f"invalid priority at {self.where()}: a number, text or None,"
                f" not {shorten(value)}"
            )
        else:
            word = self.read(value, 0)
        self.place.pop()
        if not self.strict:
            bare = fk_bare(word)
            if not (fk_is_number(bare) or fk_is_string(bare) or fk_is_deferred(bare)):
                release(word)
                return FK_EMPTY
            return set_priority(word, FK_EMPTY)
        return word


cdef Node read_user_value(object value, object priority, Path path):
    cdef _Reader reader = _Reader.__new__(_Reader, path, True)
    cdef Py_ssize_t path_bytes = path_length(path)
    cdef fk_word word, priority_word
    if path.length > DEPTH_LIMIT:
        raise InvalidValue(
            f"invalid value at {reader.where()}: deeper than {DEPTH_LIMIT} keys from the root"
        )
    if path_bytes > PATH_LIMIT:
        raise InvalidValue(
            f"invalid value at {reader.where()}: a path longer than {PATH_LIMIT} bytes"
        )
    word = reader.read(value, path_bytes)
    if priority is not UNSET:
        try:
            priority_word = reader.read_priority(priority)
        except BaseException:
            release(word)
            raise
        word = set_priority(word, priority_word)
    return new_node(word)


cdef Py_ssize_t path_length(Path path) noexcept:
    """Bytes of UTF-8 of the path, a separator counted with each key."""
    cdef char buffer[1024]
    cdef size_t length
    cdef Py_ssize_t total = 0, i
    for i in range(path.length):
        fk_key_text(path.words[i], buffer, &length)
        total += length + 1
    return total


cdef fk_word read_export(object value) except? 0:
    cdef _Reader reader = _Reader.__new__(_Reader, ROOT, False)
    return reader.read(value, 0)


def from_python(value: object, priority: object = UNSET, *, Path path not None = ROOT) -> Node:
    """Return the node of what a user wants written at ``path``; None gives ``EMPTY``.

    Mappings, lists and tuples become children; ``{".value": …, ".priority": …}`` and
    ``{".sv": …}`` mean what they mean in an export. A ``priority``, None included, overrides
    the one inside the value. -0.0 becomes 0.0. At most 32 keys and 768 bytes lead from the
    root to a leaf; text has at most 10 MiB.

    Raises InvalidKey and InvalidValue, naming the place.
    Source: sync-engine §1.2 and §1.10, wire §4.2.

    >>> from_python({"a": [1, 2]}).size_bytes
    32
    """
    return read_user_value(value, priority, path)


def validate_priority(priority: object, *, Path path not None = ROOT) -> Node:
    """Return the leaf of a user's priority for ``path``: text, a number or a server value.

    None gives ``EMPTY``. Raises InvalidValue for anything else.
    """
    cdef _Reader reader = _Reader.__new__(_Reader, path, True)
    return new_node(reader.read_priority(priority))


def from_export(value: object) -> Node:
    """Return the node of an export, made by :func:`export` or read from a peer.

    Lists are maps of their indexes; unknown keys that begin with a dot, and impossible
    priorities, are passed over. Raises InvalidValue for what is no JSON, or nests too deep.
    Source: sync-engine §1.2, wire §4.1.
    """
    return new_node(read_export(value))


def to_python(Node node not None, arrays: str = "auto") -> object:
    """Return the plain value of ``node``, without priorities.

    A map whose keys are integers from 0, at least half of them taken, becomes a list with None
    in the gaps, unless ``arrays`` is ``"never"``.
    Source: sync-engine §1.3.
    """
    if arrays not in ("auto", "never"):
        raise InvalidArgument(f'arrays is "auto" or "never", not {shorten(arrays)}')
    return word_to_python(node.word, arrays == "auto")


def export(Node node not None) -> object:
    """Return the value of ``node`` with its priorities, and with no lists.

    Source: sync-engine §1.3, wire §4.1.
    """
    return word_to_export(node.word)
