"""``Scanner``: reads a protocol message field by field, without making dicts of it.

Whatever is wrong is a ProtocolError that shows the beginning of the message.
"""

from libc.string cimport memcmp

from ..snap.json cimport (
    fk_accept,
    fk_number,
    fk_pass_value,
    fk_read_number,
    fk_read_string,
    fk_skip_space,
    read_value,
    reader_close,
    reader_open,
)
from ..snap.node cimport new_node
from ..snap.path cimport path_from_text
from ..snap.word cimport fk_word, release

from ..errors import ProtocolError
from ..snap.value import to_python

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *length) except NULL
    str PyUnicode_DecodeUTF8(const char *text, Py_ssize_t length, const char *errors)

cdef enum:
    EXCERPT_BYTES = 80

cdef long LARGEST_NUMBER = 2**31 - 1


cdef class Scanner:
    """One reader for many messages; what it learns about keys serves the next message."""

    def __dealloc__(self):
        reader_close(&self.reader)

    cdef int open(self, object message) except -1:
        """Begin a message, which the caller keeps alive while it is read."""
        cdef const char *text
        cdef Py_ssize_t length
        if isinstance(message, bytes):
            text = <bytes>message
            length = len(<bytes>message)
        elif isinstance(message, bytearray):
            text = <bytearray>message
            length = len(<bytearray>message)
        elif isinstance(message, str):
            try:
                text = PyUnicode_AsUTF8AndSize(message, &length)
            except UnicodeEncodeError:
                raise ProtocolError(f"half a character in {message!r:.80}") from None
        else:
            raise TypeError(f"a message is bytes or text, not {type(message).__name__}")
        if length > LARGEST_NUMBER:
            raise ProtocolError(f"a message of {length} bytes")
        reader_open(&self.reader, text, length)
        return 0

    cdef int finish(self) except -1:
        fk_skip_space(&self.reader)
        if self.reader.at != self.reader.end:
            raise self.error("more than one value")
        return 0

    cdef object error(self, str what):
        """A ProtocolError: what the reader or the caller found, where, and in which text."""
        cdef Py_ssize_t length = self.reader.end - self.reader.start
        cdef bint is_whole = length <= EXCERPT_BYTES
        if self.reader.error != NULL:
            what = self.reader.error.decode("ascii")
        excerpt = self.reader.start[: length if is_whole else EXCERPT_BYTES]
        return ProtocolError(
            f"unreadable message: {what} at byte {self.reader.at - self.reader.start} of"
            f" {excerpt.decode('utf-8', 'replace')!r}{'' if is_whole else '…'}"
        )

    cdef str excerpt(self):
        cdef Py_ssize_t length = min(self.reader.end - self.reader.start, EXCERPT_BYTES)
        return self.reader.start[:length].decode("utf-8", "replace")

    cdef bint enter(self) except -1:
        if not fk_accept(&self.reader, c"{"):
            raise self.error("an object was expected")
        if fk_accept(&self.reader, c"}"):
            return False
        self.read_name()
        return True

    cdef bint go_on(self) except -1:
        if fk_accept(&self.reader, c","):
            self.read_name()
            return True
        if fk_accept(&self.reader, c"}"):
            return False
        raise self.error("a comma or a closing brace was expected")

    cdef int read_name(self) except -1:
        if not fk_accept(&self.reader, c'"'):
            raise self.error("a key was expected")
        self.name = fk_read_string(&self.reader, &self.name_length)
        if self.name == NULL or not fk_accept(&self.reader, c":"):
            raise self.error("a colon was expected")
        return 0

    cdef bint is_name(self, char name) noexcept:
        return self.name_length == 1 and self.name[0] == name

    cdef const char *read_text(self, size_t *length) except NULL:
        if not fk_accept(&self.reader, c'"'):
            raise self.error("text was expected")
        cdef const char *text = fk_read_string(&self.reader, length)
        if text == NULL:
            raise self.error("text was expected")
        return text

    cdef str read_str(self):
        cdef size_t length
        cdef const char *text = self.read_text(&length)
        return PyUnicode_DecodeUTF8(text, length, "surrogatepass")

    cdef Path read_path(self):
        cdef size_t length
        cdef const char *text = self.read_text(&length)
        cdef Path path = path_from_text(text, length)
        if path.length > MAX_DEPTH:
            raise self.error(f"a path of {path.length} keys")
        return path

    cdef Node read_node(self):
        cdef fk_word word = read_value(&self.reader)
        if self.reader.error != NULL:
            release(word)
            raise self.error("a value was expected")
        return new_node(word)

    cdef long read_integer(self) except? -1:
        cdef fk_number number
        fk_skip_space(&self.reader)
        if (
            self.reader.at == self.reader.end
            or not (c"0" <= self.reader.at[0] <= c"9")
            or not fk_read_number(&self.reader, &number)
            or not number.is_integer
            or number.integer > LARGEST_NUMBER
        ):
            raise self.error("an integer of 31 bits was expected")
        return number.integer

    cdef bint accept_null(self) noexcept:
        fk_skip_space(&self.reader)
        if self.reader.end - self.reader.at < 4 or memcmp(self.reader.at, b"null", 4):
            return False
        self.reader.at += 4
        return True

    cdef int pass_over(self) except -1:
        """Read a value that means nothing."""
        self.read_node()
        return 0

    cdef int skip(self) except -1:
        """Pass over a value that is read later: only its end is looked for."""
        if not fk_pass_value(&self.reader):
            raise self.error("a value was expected")
        return 0

    cdef object read_python(self):
        """Return a value of any form, as the `json` module would."""
        cdef fk_number number
        fk_skip_space(&self.reader)
        cdef char c = self.reader.at[0] if self.reader.at < self.reader.end else 0
        if c == c'"':
            return self.read_str()
        if c == c"{" or c == c"[":
            self.reader.depth += 1
            if self.reader.depth > MAX_DEPTH:
                raise self.error("values nested too deep")
            container = self.read_dict() if c == c"{" else self.read_list()
            self.reader.depth -= 1
            return container
        if c == c"-" or c"0" <= c <= c"9":
            if not fk_read_number(&self.reader, &number):
                raise self.error("a number was expected")
            return number.integer if number.is_integer else number.real
        return to_python(self.read_node())      # a literal, or nothing

    cdef dict read_dict(self):
        cdef dict fields = {}
        cdef str name
        cdef bint more = self.enter()
        while more:
            name = PyUnicode_DecodeUTF8(self.name, self.name_length, "surrogatepass")
            fields[name] = self.read_python()
            more = self.go_on()
        return fields

    cdef list read_list(self):
        cdef list items = []
        fk_accept(&self.reader, c"[")
        if fk_accept(&self.reader, c"]"):
            return items
        while True:
            items.append(self.read_python())
            if fk_accept(&self.reader, c"]"):
                return items
            if not fk_accept(&self.reader, c","):
                raise self.error("a comma or a closing bracket was expected")
