"""Envelopes: complete messages ↔ typed values; data pushes become operations with no dicts.

Source: wire §2.4, §3.1, §3.3 and §3.5.
"""

from libc.string cimport memcmp, memset

cimport cython

from ..operation.operation cimport Merge, RangeMerge, new_overwrite
from ..snap.json cimport (
    dump_python,
    dump_text,
    fk_accept,
    fk_buffer,
    fk_buffer_close,
    fk_put,
    fk_skip_space,
)
from ..snap.node cimport Node, new_node
from ..snap.path cimport Path, path_from_text
from ..snap.word cimport FK_EMPTY
from .scanner cimport MAX_DEPTH, Scanner

from ..query.params import QueryParams
from ..snap.value import to_python
from .control import (
    AppCheckRevoked,
    AuthRevoked,
    Handshake,
    ListenRevoked,
    Ping,
    Pong,
    Redirect,
    SecurityDebug,
    ServerError,
    Shutdown,
    Unknown,
)

cdef extern from "Python.h":
    str PyUnicode_DecodeUTF8(const char *text, Py_ssize_t length, const char *errors)
cdef Node EMPTY = new_node(FK_EMPTY)


@cython.final
cdef class Response:
    """The answer to the request of that number; ``data`` is ``EMPTY`` if it has none."""

    cdef readonly long number
    cdef readonly str status
    cdef readonly Node data

    def __init__(self, number: int, status: str, Node data not None = EMPTY):
        self.number = number
        self.status = status
        self.data = data

    @property
    def payload(self) -> object:
        """The data as a plain value."""
        return to_python(self.data)

    def __repr__(self) -> str:
        return f"Response({self.number}, {self.status!r}, {self.data!r})"


@cython.final
cdef class Request:
    """What a client asks of a server.

    In the body, ``d`` is a Node for puts and a list of (relative Path, Node) for merges;
    all else is plain Python.
    """

    cdef readonly long number
    cdef readonly str action
    cdef readonly dict body

    def __init__(self, number: int, action: str, dict body not None):
        self.number = number
        self.action = action
        self.body = body

    def __repr__(self) -> str:
        return f"Request({self.number}, {self.action!r}, {self.body!r:.80})"


@cython.final
cdef class _Decoder(Scanner):
    """Reads messages; fields may come in any order, though the usual one is read in one pass.

    A field that cannot be understood until a later one is known is passed over, and read
    once the later one is.
    """

    cdef object decode(self, object message):
        """Return what one complete message says; None for a push that says nothing."""
        self.open(message)
        said = self.read_envelope()
        self.finish()
        return said

    # The envelope: {"t": kind, "d": message}.

    cdef object read_envelope(self):
        cdef const char *start = NULL
        cdef const char *end = NULL
        cdef char kind = 0
        cdef bint has_message = False
        cdef size_t length
        cdef const char *text
        said = None
        more = self.enter()
        while more:
            if self.is_name(c"t"):
                text = self.read_text(&length)
                kind = text[0] if length == 1 else c"?"
            elif self.is_name(c"d") and kind:
                said = self.read_message(kind)
                has_message = True
            elif self.is_name(c"d"):
                start = self.reader.at
                self.skip()
                end = self.reader.at
            else:
                self.pass_over()
            more = self.go_on()
        if not kind:
            raise self.error('an envelope without "t"')
        if not has_message:
            if start == NULL:
                raise self.error('an envelope without "d"')
            said = self.read_span(start, end, kind)
        return said

    cdef object read_span(self, const char *start, const char *end, char kind):
        """Read what was passed over before its kind was known."""
        cdef const char *at = self.reader.at
        cdef const char *text_end = self.reader.end
        self.reader.at = start
        self.reader.end = end
        said = self.read_message(kind)
        fk_skip_space(&self.reader)
        if self.reader.at != end:
            raise self.error("a comma was expected")
        self.reader.at = at
        self.reader.end = text_end
        return said

    cdef object read_message(self, char kind):
        if kind == c"d":
            return self.read_data()
        if kind == c"c":
            return self.read_control()
        self.pass_over()
        return Unknown(self.excerpt())

    # Control messages: {"t": type, "d": payload}.

    cdef object read_control(self):
        message = self.read_dict()
        kind, payload = message.get("t"), message.get("d")
        if not isinstance(kind, str):
            raise self.error('a control message without "t"')
        if kind == "h":
            return self.read_handshake(payload)
        if kind in ("r", "s", "e"):
            if not isinstance(payload, str):
                raise self.error(f"a control message {kind!r} without its text")
            return {"r": Redirect, "s": Shutdown, "e": ServerError}[kind](payload)
        if kind in ("o", "p"):
            return Pong() if kind == "o" else Ping()
        return Unknown(self.excerpt())

    cdef object read_handshake(self, object payload):
        fields = payload if isinstance(payload, dict) else {}
        timestamp_ms, host = fields.get("ts"), fields.get("h")
        if isinstance(timestamp_ms, bool) or not isinstance(timestamp_ms, (int, float)):
            raise self.error('a greeting without the time "ts"')
        if not host or not isinstance(host, str):
            raise self.error('a greeting without the host "h"')
        return Handshake(
            int(timestamp_ms), str(fields.get("v", "")), host, str(fields.get("s") or "")
        )

    # Data messages: {"a": action, "b": body}, with "r" requests; {"r": number, "b": body}.

    cdef object read_data(self):
        cdef const char *start = NULL
        cdef const char *end = NULL
        cdef long number = -1
        cdef str action = None
        cdef str trouble = None
        cdef bint had_number = False, had_action = False
        said = None
        more = self.enter()
        while more:
            if self.is_name(c"r"):
                number = self.read_integer()
            elif self.is_name(c"a"):
                action = self.read_str()
            elif self.is_name(c"b"):
                fk_skip_space(&self.reader)
                start = self.reader.at
                had_number = number >= 0
                had_action = action is not None
                said = self.read_body(number, action)
                end = self.reader.at
            elif self.name_length == 5 and not memcmp(self.name, b"error", 5):
                trouble = str(self.read_python())
            else:
                self.pass_over()
            more = self.go_on()
        if trouble is not None:
            return ServerError(trouble)
        if start == NULL or (number < 0 and action is None):
            raise self.error('a data message without "b", or with neither "a" nor "r"')
        if had_number != (number >= 0) or had_action != (action is not None):
            said = self.read_body_again(start, end, number, action)
        if action is None and (<Response>said).status is None:
            raise self.error('a response without its status "s"')
        return said

    cdef object read_body_again(
        self, const char *start, const char *end, long number, str action
    ):
        """Read a body that came before what says how to read it."""
        cdef const char *at = self.reader.at
        cdef const char *text_end = self.reader.end
        self.reader.at = start
        self.reader.end = end
        said = self.read_body(number, action)
        self.reader.at = at
        self.reader.end = text_end
        return said

    cdef object read_body(self, long number, str action):
        if action is None:
            if number >= 0:
                return self.read_response(number)
            self.skip()
            return None
        if number >= 0:
            return Request(number, action, self.read_request(action))
        if action == "d":
            return self.read_overwrite()
        if action == "m":
            return self.read_merge()
        if action == "rm":
            return self.read_range_merge()
        if action in ("c", "ac", "apc", "sd"):
            return self.read_notice(action)
        self.pass_over()
        return Unknown(self.excerpt())

    cdef object read_response(self, long number):
        cdef Response response = Response.__new__(Response)
        response.number = number
        response.data = EMPTY
        more = self.enter()
        while more:
            if self.is_name(c"s"):
                response.status = self.read_str()
            elif self.is_name(c"d"):
                response.data = self.read_node()
            else:
                self.pass_over()
            more = self.go_on()
        return response     # maybe without a status: an action may follow, and make it a request

    cdef dict read_request(self, str action):
        cdef dict body = {}
        cdef str name
        more = self.enter()
        while more:
            name = PyUnicode_DecodeUTF8(self.name, self.name_length, "surrogatepass")
            if name == "d" and action in ("p", "o"):
                body[name] = self.read_node()
            elif name == "d" and action in ("m", "om"):
                body[name] = self.read_children()
            else:
                body[name] = self.read_python()
            more = self.go_on()
        return body

    # Pushes.

    cdef long read_tag(self) except? -1:
        return 0 if self.accept_null() else self.read_integer()

    cdef object read_overwrite(self):
        cdef Path path = None
        cdef Node node = None
        cdef long tag = 0
        more = self.enter()
        while more:
            if self.is_name(c"p"):
                path = self.read_path()
            elif self.is_name(c"d"):
                node = self.read_node()
            elif self.is_name(c"t"):
                tag = self.read_tag()
            else:
                self.pass_over()
            more = self.go_on()
        if path is None or node is None:
            raise self.error('a push without "p" or "d"')
        return new_overwrite(path, node, tag)

    cdef object read_merge(self):
        cdef Path path = None
        cdef list children = None
        cdef long tag = 0
        more = self.enter()
        while more:
            if self.is_name(c"p"):
                path = self.read_path()
            elif self.is_name(c"d"):
                children = self.read_children()
            elif self.is_name(c"t"):
                tag = self.read_tag()
            else:
                self.pass_over()
            more = self.go_on()
        if path is None or children is None:
            raise self.error('a push without "p" or "d"')
        return Merge(path, children, tag) if children else None

    cdef list read_children(self):
        """The relative paths and values of a merge; a list is an object of its indexes."""
        cdef list children = []
        cdef Path path
        fk_skip_space(&self.reader)
        if self.reader.at < self.reader.end and self.reader.at[0] == c"[":
            return [
                (Path.from_keys([str(index)]), value)
                for index, value in enumerate(self.read_nodes())
            ]
        if self.accept_null():
            return children
        more = self.enter()
        while more:
            path = path_from_text(self.name, self.name_length)
            if not 0 < path.length <= MAX_DEPTH:
                raise self.error(f"a merge at a path of {path.length} keys")
            children.append((path, self.read_node()))
            more = self.go_on()
        return children

    cdef list read_nodes(self):
        cdef list nodes = []
        fk_accept(&self.reader, c"[")
        if fk_accept(&self.reader, c"]"):
            return nodes
        while True:
            nodes.append(self.read_node())
            if fk_accept(&self.reader, c"]"):
                return nodes
            if not fk_accept(&self.reader, c","):
                raise self.error("a comma or a closing bracket was expected")

    cdef object read_range_merge(self):
        cdef Path path = None
        cdef list ranges = None
        cdef long tag = 0
        more = self.enter()
        while more:
            if self.is_name(c"p"):
                path = self.read_path()
            elif self.is_name(c"d"):
                ranges = self.read_ranges()
            elif self.is_name(c"t"):
                tag = self.read_tag()
            else:
                self.pass_over()
            more = self.go_on()
        if path is None or ranges is None:
            raise self.error('a push without "p" or "d"')
        return RangeMerge(path, ranges, tag) if ranges else None

    cdef list read_ranges(self):
        cdef list ranges = []
        if not fk_accept(&self.reader, c"["):
            raise self.error("a list of ranges was expected")
        if fk_accept(&self.reader, c"]"):
            return ranges
        while True:
            ranges.append(self.read_range())
            if fk_accept(&self.reader, c"]"):
                return ranges
            if not fk_accept(&self.reader, c","):
                raise self.error("a comma or a closing bracket was expected")

    cdef tuple read_range(self):
        cdef Path start = None
        cdef Path end = None
        cdef Node node = EMPTY
        more = self.enter()
        while more:
            if self.is_name(c"s"):
                start = None if self.accept_null() else self.read_path()
            elif self.is_name(c"e"):
                end = None if self.accept_null() else self.read_path()
            elif self.is_name(c"m"):
                node = self.read_node()
            else:
                self.pass_over()
            more = self.go_on()
        return (start, end, node)

    cdef object read_notice(self, str action):
        """The pushes that carry no data; they are rare."""
        fields = self.read_dict()
        if action == "c":
            return self.revoked(fields.get("p"), fields.get("q"))
        if action == "sd":
            return SecurityDebug(str(fields.get("msg", "")))
        kind = AuthRevoked if action == "ac" else AppCheckRevoked
        return kind(str(fields.get("s", "")), str(fields.get("d", "")))

    cdef object revoked(self, object path, object queries):
        if not isinstance(path, str):
            raise self.error('a push without "p"')
        place = Path.from_wire(path)
        if len(place) > MAX_DEPTH:
            raise self.error(f"a path of {len(place)} keys")
        if queries is None:
            return ListenRevoked(place)
        if not isinstance(queries, list):
            queries = [queries]
        if not all([isinstance(query, dict) for query in queries]):
            raise self.error('a query "q" that is no object')
        return ListenRevoked(place, [QueryParams.from_wire(query) for query in queries])


def decode(messages) -> list[object]:
    """Return what complete messages say, in their order; pushes of nothing are left out.

    A data push is an :class:`Operation`, an answer a :class:`Response`, and what a server gets
    a :class:`Request`; all else is a class of :mod:`firekeep_core.wire.control`. Raises
    ProtocolError on the first message that breaks the protocol.

    >>> decode([b'{"t":"d","d":{"a":"d","b":{"p":"rooms","d":{"a":1}}}}'])
    [Overwrite('/rooms')]
    """
    cdef _Decoder decoder = _Decoder.__new__(_Decoder)
    decoded = []
    for message in messages:
        said = decoder.decode(message)
        if said is not None:
            decoded.append(said)
    return decoded


def encode_request(number: int, action: str, body) -> str:
    """Return the message of a request; nodes anywhere in ``body`` go out in export form.

    Source: wire §3.1.

    >>> encode_request(1, "p", {"p": "/a", "d": None})
    '{"t":"d","d":{"r":1,"a":"p","b":{"p":"/a","d":null}}}'
    """
    cdef fk_buffer buffer
    memset(&buffer, 0, sizeof(buffer))
    try:
        fk_put(&buffer, b'{"t":"d","d":{"r":', 18)
        dump_python(&buffer, number)
        fk_put(&buffer, b',"a":', 5)
        dump_text(&buffer, action)
        fk_put(&buffer, b',"b":', 5)
        dump_python(&buffer, body)
        fk_put(&buffer, b"}}", 2)
        return PyUnicode_DecodeUTF8(buffer.text, buffer.length, "strict")
    finally:
        fk_buffer_close(&buffer)
