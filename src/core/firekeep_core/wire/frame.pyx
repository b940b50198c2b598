"""WebSocket frames and the text messages in them, once the connection is open.

Bytes in, messages out, and the other way round; who reads the socket and who draws the masks is
the caller's affair. The outcome depends on the bytes alone, never on how the network cut them.

Source: RFC 6455 §5 and §7; wire §2.1 (text only, no extension).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from ..errors import InvalidValue, ProtocolError

__all__ = ["CLOSE", "PING", "PONG", "FrameReader", "encode_control", "encode_text", "encode_texts"]

CLOSE = 0x8
PING = 0x9
PONG = 0xA

cdef enum:
    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE_OPCODE = 0x8
    PING_OPCODE = 0x9
    PONG_OPCODE = 0xA
    CONTROL_BIT = 0x8

    PROTOCOL_VIOLATION = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    BROKEN_TEXT = 1007
    TOO_BIG = 1009

    MAX_CONTROL = 125
    MAX_HEAD = 14
    # A larger buffer is given back after its message: one big value must not stay paid for.
    KEPT_CAPACITY = 65536


cdef void xor_mask(
    uint8_t *data, Py_ssize_t size, const uint8_t *mask, Py_ssize_t offset
) noexcept nogil:
    """Mask or unmask in place; data[0] is byte number `offset` of the payload."""
    cdef uint8_t turned[8]
    cdef uint64_t wide
    cdef uint64_t word
    cdef Py_ssize_t i
    for i in range(8):
        turned[i] = mask[(offset + i) & 3]
    i = 0
    memcpy(&wide, turned, 8)
    while i + 8 <= size:
        memcpy(&word, data + i, 8)
        word ^= wide
        memcpy(data + i, &word, 8)
        i += 8
    while i < size:
        data[i] ^= turned[i & 7]
        i += 1


cdef Py_ssize_t utf8_error(const uint8_t *data, Py_ssize_t size) noexcept nogil:
    """Return where the first sequence that is not UTF-8 begins, or -1.

    Source: RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF.
    """
    cdef Py_ssize_t i = 0
    cdef uint64_t a
    cdef uint64_t b
    cdef uint8_t lead
    cdef uint8_t low
    cdef uint8_t high
    cdef Py_ssize_t more
    cdef Py_ssize_t k
    while i < size:
        if data[i] < 0x80:
            i += 1
            while i + 16 <= size:
                memcpy(&a, data + i, 8)
                memcpy(&b, data + i + 8, 8)
                if (a | b) & <uint64_t>0x8080808080808080:
                    break
                i += 16
            continue
        lead = data[i]
        low = 0x80
        high = 0xBF
        if lead < 0xC2:
            return i
        elif lead < 0xE0:
            more = 1
        elif lead < 0xF0:
            more = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        elif lead < 0xF5:
            more = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        else:
            return i
        if i + more >= size or data[i + 1] < low or data[i + 1] > high:
            return i
        for k in range(2, more + 1):
            if data[i + k] & 0xC0 != 0x80:
                return i
        i += more + 1
    return -1


cdef inline bint is_close_code(int code) noexcept:
    # Registered and private codes, and those of RFC 6455 §7.4.1 that may be on the wire.
    return 3000 <= code < 5000 or (1000 <= code <= 1014 and not 1004 <= code <= 1006)


@cython.final
cdef class FrameReader:
    """The receiving half of an open WebSocket: bytes → complete text messages.

    `masked` says what the peer has to do: a server's frames are bare, a client's are masked.
    `max_message_bytes` bounds one message, whatever its fragments; a larger one is refused by its
    length field, before its payload is read. A violation ends the stream: what was complete
    before it is still returned, then every `feed` raises.
    """

    cdef bint masked
    cdef uint64_t limit
    cdef uint64_t position       # of the frame being read, in bytes since the first
    cdef uint8_t head[MAX_HEAD]
    cdef int head_used
    cdef int head_size
    cdef bint in_payload
    cdef bint in_message         # fragments have come, the last has not
    cdef bint final
    cdef int opcode
    cdef uint64_t payload_size
    cdef uint64_t remaining
    cdef const uint8_t *mask     # in `head`, which stays untouched until the frame is complete
    cdef uint8_t *buffer         # the message so far
    cdef Py_ssize_t used
    cdef Py_ssize_t capacity
    cdef uint8_t control[MAX_CONTROL]
    cdef Py_ssize_t control_used
    cdef list messages
    cdef list controls
    cdef readonly bint closed
    cdef readonly int close_code
    cdef readonly str close_reason
    cdef readonly object error
    cdef readonly int error_code

    def __cinit__(self, uint64_t max_message_bytes, *, bint masked=False):
        self.masked = masked
        self.limit = max_message_bytes
        self.head_size = 2
        self.messages = []
        self.controls = []
        self.close_code = NO_STATUS
        self.close_reason = ""

    def __dealloc__(self):
        free(self.buffer)

    def feed(self, bytes data not None):
        """Take what the network delivered; return the text messages that are now complete.

        Data after a close frame are ignored.

        Raises:
            ProtocolError: the peer broke the protocol and no message came before that.
        """
        cdef list complete
        if self.error is None and not self.closed:
            self.read(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        complete = self.messages
        if complete:
            self.messages = []
        elif self.error is not None:
            raise self.error
        else:
            complete = []
        return complete

    def take_controls(self):
        """Return the control frames (opcode, payload) that came since the last call, in order."""
        taken = self.controls
        self.controls = []
        return taken

    cdef int read(self, const uint8_t *data, Py_ssize_t size) except -1:
        cdef const uint8_t *at = data
        cdef const uint8_t *end = data + size
        cdef Py_ssize_t taken
        while True:
            if not self.in_payload:
                while self.head_used < self.head_size and at < end:
                    self.head[self.head_used] = at[0]
                    self.head_used += 1
                    at += 1
                    if self.head_used == 2:
                        self.measure_head()
                if self.head_used < self.head_size:
                    return 0
                self.begin_frame()
                if self.error is not None:
                    return 0
            taken = end - at
            if <uint64_t>taken > self.remaining:
                taken = <Py_ssize_t>self.remaining
            if self.opcode == TEXT and self.final and <uint64_t>taken == self.payload_size:
                self.take_whole_text(at, taken)
            elif self.opcode & CONTROL_BIT:
                memcpy(self.control + self.control_used, at, taken)
                self.control_used += taken
            elif taken:
                self.append(at, taken)
            at += taken
            self.remaining -= taken
            if self.remaining:
                return 0
            self.end_frame()
            if self.error is not None or self.closed:
                return 0

    cdef void measure_head(self) noexcept:
        cdef int length = self.head[1] & 0x7F
        self.head_size = 2 if length < 126 else 4 if length == 126 else 10
        if self.head[1] & 0x80:
            self.head_size += 4

    cdef int begin_frame(self) except -1:
        cdef uint8_t first = self.head[0]
        cdef uint64_t length = self.head[1] & 0x7F
        cdef bint has_mask = (self.head[1] & 0x80) != 0
        cdef int i
        if first & 0x70:
            return self.fail(PROTOCOL_VIOLATION, f"reserved bits set in 0x{first:02x}")
        self.opcode = first & 0x0F
        self.final = (first & 0x80) != 0
        if self.opcode not in (
            CONTINUATION, TEXT, BINARY, CLOSE_OPCODE, PING_OPCODE, PONG_OPCODE
        ):
            return self.fail(PROTOCOL_VIOLATION, f"unknown opcode 0x{self.opcode:x}")
        if has_mask != self.masked:
            return self.fail(
                PROTOCOL_VIOLATION, "masked by a server" if has_mask else "not masked by a client"
            )
        if length == 126:
            length = <uint64_t>self.head[2] << 8 | self.head[3]
        elif length == 127:
            length = 0
            for i in range(2, 10):
                length = length << 8 | self.head[i]
        if self.opcode & CONTROL_BIT:
            if length > MAX_CONTROL:
                return self.fail(PROTOCOL_VIOLATION, f"control frame of {length} bytes")
            if not self.final:
                return self.fail(PROTOCOL_VIOLATION, "fragmented control frame")
        else:
            if self.opcode == BINARY:
                return self.fail(UNSUPPORTED_DATA, "binary message, expected text")
            if (self.opcode == CONTINUATION) != self.in_message:
                return self.fail(
                    PROTOCOL_VIOLATION,
                    "new message inside a fragmented one" if self.in_message
                    else "continuation of no message",
                )
            # `used` never passes the limit, so this difference cannot wrap around.
            if length > self.limit - <uint64_t>self.used:
                return self.fail(
                    TOO_BIG,
                    f"message of at least {length + <uint64_t>self.used} bytes,"
                    f" allowed are {self.limit}",
                )
        self.mask = self.head + self.head_size - 4
        self.payload_size = length
        self.remaining = length
        self.in_payload = True
        return 0

    cdef int take_whole_text(self, const uint8_t *data, Py_ssize_t size) except -1:
        """The usual case, a message in one frame in one piece: no buffer in between."""
        # Created empty: with its content given, bytes of length 1 are the interpreter's shared
        # ones, which must not be unmasked in place.
        cdef bytes message = PyBytes_FromStringAndSize(NULL, size)
        memcpy(PyBytes_AS_STRING(message), data, size)
        if self.masked:
            xor_mask(<uint8_t *>PyBytes_AS_STRING(message), size, self.mask, 0)
        return self.publish(message)

    cdef int append(self, const uint8_t *data, Py_ssize_t size) except -1:
        cdef Py_ssize_t wanted = self.used + size
        cdef Py_ssize_t capacity
        cdef uint8_t *grown
        if wanted > self.capacity:
            capacity = max(wanted, self.capacity + (self.capacity >> 1), 4096)
            grown = <uint8_t *>realloc(self.buffer, capacity)
            if grown == NULL:
                raise MemoryError(f"a message of {wanted} bytes")
            self.buffer = grown
            self.capacity = capacity
        memcpy(self.buffer + self.used, data, size)
        if self.masked:
            xor_mask(
                self.buffer + self.used, size, self.mask,
                <Py_ssize_t>((self.payload_size - self.remaining) & 3),
            )
        self.used = wanted
        return 0

    cdef int end_frame(self) except -1:
        if self.opcode & CONTROL_BIT:
            self.end_control()
        elif not self.final:
            self.in_message = True
        elif self.used or self.in_message:
            self.end_buffered_text()
        self.position += self.head_size + self.payload_size
        self.in_payload = False
        self.head_used = 0
        self.head_size = 2
        return 0

    cdef int end_buffered_text(self) except -1:
        cdef bytes message = PyBytes_FromStringAndSize(<const char *>self.buffer, self.used)
        self.in_message = False
        self.used = 0
        if self.capacity > KEPT_CAPACITY:
            free(self.buffer)
            self.buffer = NULL
            self.capacity = 0
        return self.publish(message)

    cdef int publish(self, bytes message) except -1:
        cdef Py_ssize_t wrong = utf8_error(
            <const uint8_t *>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message)
        )
        if wrong >= 0:
            return self.fail(BROKEN_TEXT, f"text that is not UTF-8 at its byte {wrong}")
        self.messages.append(message)
        return 0

    cdef int end_control(self) except -1:
        cdef bytes payload
        cdef Py_ssize_t size = self.control_used
        cdef int code
        cdef Py_ssize_t wrong
        self.control_used = 0
        if self.masked:
            xor_mask(self.control, size, self.mask, 0)
        payload = PyBytes_FromStringAndSize(<const char *>self.control, size)
        if self.opcode == CLOSE_OPCODE:
            if size == 1:
                return self.fail(PROTOCOL_VIOLATION, "close frame of one byte")
            if size:
                code = self.control[0] << 8 | self.control[1]
                wrong = utf8_error(self.control + 2, size - 2)
                if wrong >= 0:
                    return self.fail(BROKEN_TEXT, f"close reason that is not UTF-8: {payload!r}")
                if not is_close_code(code):
                    return self.fail(PROTOCOL_VIOLATION, f"close code {code}")
                self.close_code = code
                self.close_reason = payload[2:].decode()
            if self.in_message:
                return self.fail(PROTOCOL_VIOLATION, "close frame inside a fragmented message")
            self.closed = True
        self.controls.append((self.opcode, payload))
        return 0

    cdef int fail(self, int code, str what) except -1:
        self.error_code = code
        self.error = ProtocolError(
            f"WebSocket frame at byte {self.position} of the stream: {what}"
        )
        return 0


cdef Py_ssize_t head_size_of(Py_ssize_t size, bint masked) noexcept:
    return (2 if size < 126 else 4 if size < 65536 else 10) + (4 if masked else 0)


cdef uint8_t *write_frame(
    uint8_t *at, int opcode, const uint8_t *payload, Py_ssize_t size, const uint8_t *mask
) noexcept:
    """Write one final frame; return where the next begins. A NULL mask leaves it bare."""
    cdef uint8_t mask_bit = 0x80 if mask != NULL else 0
    cdef int i
    at[0] = <uint8_t>(0x80 | opcode)
    if size < 126:
        at[1] = mask_bit | <uint8_t>size
        at += 2
    elif size < 65536:
        at[1] = mask_bit | 126
        at[2] = <uint8_t>(size >> 8)
        at[3] = <uint8_t>(size & 0xFF)
        at += 4
    else:
        at[1] = mask_bit | 127
        for i in range(8):
            at[2 + i] = <uint8_t>((<uint64_t>size >> (56 - 8 * i)) & 0xFF)
        at += 10
    if mask != NULL:
        memcpy(at, mask, 4)
        at += 4
    memcpy(at, payload, size)
    if mask != NULL:
        xor_mask(at, size, mask, 0)
    return at + size


cdef const char *utf8_of(object payload, Py_ssize_t *size) except NULL:
    """Borrow the UTF-8 of a str, or the content of bytes, which the caller vouches for."""
    if isinstance(payload, str):
        try:
            return PyUnicode_AsUTF8AndSize(payload, size)
        except UnicodeEncodeError as error:
            raise InvalidValue(
                f"text to send has half a surrogate pair at {error.start}:"
                f" {payload[max(0, error.start - 10):error.start + 10]!r}"
            ) from error
    if not isinstance(payload, bytes):
        raise TypeError(f"a message is str or bytes, not {type(payload).__name__}")
    size[0] = PyBytes_GET_SIZE(payload)
    return PyBytes_AS_STRING(payload)


cdef bytes encode(int opcode, object payload, object mask):
    cdef uint8_t key[4]
    cdef Py_ssize_t size = 0
    cdef unsigned long number
    cdef int i
    cdef const uint8_t *content = <const uint8_t *>utf8_of(payload, &size)
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, size + head_size_of(size, mask is not None))
    if mask is not None:
        number = mask
        for i in range(4):
            key[i] = <uint8_t>(number >> (24 - 8 * i) & 0xFF)
    write_frame(
        <uint8_t *>PyBytes_AS_STRING(frame), opcode, content, size,
        key if mask is not None else NULL,
    )
    return frame


def encode_text(payload, mask=None):
    """Return one text frame; `mask` is 32 random bits for a client, None for a server.

    Raises:
        InvalidValue: the text holds half a surrogate pair, which has no UTF-8.
    """
    return encode(TEXT, payload, mask)


def encode_control(int opcode, bytes payload not None, mask=None):
    """Return one control frame (`PING`, `PONG` or `CLOSE`) of at most 125 bytes."""
    if PyBytes_GET_SIZE(payload) > MAX_CONTROL or not opcode & CONTROL_BIT:
        raise ValueError(f"no control frame: opcode {opcode}, {len(payload)} bytes")
    return encode(opcode, payload, mask)


def encode_texts(payloads, bytes masks=None):
    """Return the frames of several messages as one run of bytes, for one write.

    `masks` has four random bytes for each payload, or is None for a server.

    Raises:
        InvalidValue: a text holds half a surrogate pair; nothing is encoded.
    """
    cdef list texts = list(payloads)
    cdef Py_ssize_t total = 0
    cdef Py_ssize_t size = 0
    cdef const uint8_t *content
    cdef const uint8_t *mask = NULL
    cdef uint8_t *at
    cdef bytes frames
    if masks is not None:
        if PyBytes_GET_SIZE(masks) != 4 * len(texts):
            raise ValueError(f"{len(masks)} bytes of masks for {len(texts)} messages")
        mask = <const uint8_t *>PyBytes_AS_STRING(masks)
    for payload in texts:
        utf8_of(payload, &size)
        total += size + head_size_of(size, mask != NULL)
    frames = PyBytes_FromStringAndSize(NULL, total)
    at = <uint8_t *>PyBytes_AS_STRING(frames)
    for payload in texts:
        content = <const uint8_t *>utf8_of(payload, &size)
        at = write_frame(at, TEXT, content, size, mask)
        if mask != NULL:
            mask += 4
    return frames
