"""Long messages: cut into segments for the peer, and put together from its own.

Source: wire §2.2 and §2.3.
"""

cimport cython

from ..errors import ProtocolError

#: UTF-16 code units of a segment, the length in which the protocol counts text.
SEGMENT_UNITS = 16384
#: Digits of a number of segments; what is longer is a message.
MAX_COUNT_DIGITS = 6
#: More segments than this no client reads; longer messages get longer segments.
MAX_SEGMENTS = 9999
#: The service answers one read with at most 256 MB.
MAX_MESSAGE_BYTES = 256 * 1024 * 1024


def split(text: str) -> list[str]:
    """Return the WebSocket messages that carry ``text``: itself, or a number and its segments.

    A segment has at most ``SEGMENT_UNITS`` UTF-16 code units and never ends inside a
    character, since each is encoded by itself.
    """
    cdef Py_ssize_t units, length = len(text)
    if length * 2 <= SEGMENT_UNITS:     # a character may take two units
        return [text]
    units = count_units(text)
    if units <= SEGMENT_UNITS:
        return [text]
    cdef list segments = cut(text, max(SEGMENT_UNITS, units // (MAX_SEGMENTS - 1) + 1))
    return [str(len(segments)), *segments]


cdef Py_ssize_t count_units(str text) noexcept:
    cdef Py_ssize_t units = len(text)
    cdef Py_UCS4 c
    for c in text:
        units += c > 0xFFFF
    return units


cdef list cut(str text, Py_ssize_t limit):
    cdef list segments = []
    cdef Py_ssize_t start = 0, i = 0, units = 0, more
    cdef Py_UCS4 c
    for c in text:
        more = 2 if c > 0xFFFF else 1
        if units + more > limit:
            segments.append(text[start:i])
            start = i
            units = 0
        units += more
        i += 1
    segments.append(text[start:])
    return segments


@cython.final
cdef class Joiner:
    """Puts the segments of one connection's messages together.

    A lone ``0``, the peer's sign of life, is no message. Segments of bytes go into one
    growing buffer, so that a long message leaves no holes among what it becomes. Memory is
    bounded by ``max_bytes``, beyond which ProtocolError is raised; the joiner is of no use
    after an error.
    """

    cdef list _segments             # of text
    cdef bytearray _buffer          # of bytes
    cdef Py_ssize_t _missing
    cdef Py_ssize_t _bytes
    cdef Py_ssize_t _max_bytes

    def __init__(self, max_bytes: int = MAX_MESSAGE_BYTES):
        self._segments = []
        self._buffer = bytearray()
        self._max_bytes = max_bytes

    def feed(self, message: bytes | str) -> bytes | bytearray | str | None:
        """Take one WebSocket message; return the message it completes, if it does.

        All segments of a message are of the type that the first has.
        """
        if self._missing:
            return self._collect(message)
        if len(message) <= MAX_COUNT_DIGITS and message.isdigit() and message.isascii():
            self._missing = int(message)
            return None
        self._check(len(message))
        return message

    def join(self, messages) -> list[bytes | bytearray]:
        """Take the WebSocket messages of one wake-up; return all messages they complete."""
        joined = []
        for message in messages:
            if self._missing or len(message) <= MAX_COUNT_DIGITS:
                message = self.feed(message)
                if message is None:
                    continue
            else:
                self._check(len(message))
            joined.append(message)
        return joined

    cdef object _collect(self, object message):
        self._bytes += len(message)
        self._check(self._bytes)
        if isinstance(message, str):
            self._segments.append(message)
        else:
            self._buffer += message
        self._missing -= 1
        if self._missing:
            return None
        self._bytes = 0
        if isinstance(message, str):
            segments, self._segments = self._segments, []
            return "".join(segments)
        joined, self._buffer = self._buffer, bytearray()
        return joined

    cdef int _check(self, Py_ssize_t size) except -1:
        if size > self._max_bytes:
            raise ProtocolError(
                f"a message of at least {size} bytes, the limit is {self._max_bytes}"
            )
        return 0
