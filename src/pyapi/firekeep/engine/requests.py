"""Requests that wait: for a connection to be sent, or for the server's answer."""

from collections import ChainMap, deque
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from firekeep.engine.effects import Send
from firekeep.exceptions import InvalidValue, QueueFull
from firekeep_core.snap.json import dump
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.wire.message import Response, encode_request

__all__ = [
    "MAX_WRITE_BYTES",
    "PendingWrite",
    "Requests",
    "Updates",
    "WriteKind",
    "WriteState",
    "check_size",
    "text_of",
    "write_request",
]

WriteState = Literal["queued", "sent", "confirmed", "rejected", "cancelled", "unknown"]
WriteKind = Literal[
    "set", "update", "on_disconnect_set", "on_disconnect_update", "on_disconnect_cancel"
]
Updates: TypeAlias = list[tuple[Path, Node]]

MAX_WRITE_BYTES = 16 * 1024 * 1024
"""The longest text of one write's data that the service takes (wire §4.2)."""

# No value's JSON is longer than this many times its size estimate: a character may become six.
_JSON_PER_ESTIMATE = 6
_SURELY_SMALL_BYTES = MAX_WRITE_BYTES // _JSON_PER_ESTIMATE

_ACTIONS: dict[WriteKind, str] = {
    "set": "p",
    "update": "m",
    "on_disconnect_set": "o",
    "on_disconnect_update": "om",
    "on_disconnect_cancel": "oc",
}


class PendingWrite:
    """One write: what it says, and how far it has come.

    The payload is raw: server values in it are not resolved.
    """

    __slots__ = (
        "children",
        "created_ms",
        "error",
        "has_increment",
        "id",
        "is_loaded",
        "is_settled",
        "is_stored",
        "kind",
        "owner",
        "path",
        "payload",
        "resent",
        "server_ms",
        "size_bytes",
        "state",
        "storing",
        "uid",
        "waiter",
    )
    id: int
    path: Path
    kind: WriteKind
    payload: Node | Updates | None
    size_bytes: int
    children: tuple[Path, ...]
    """Of an update that is not loaded: the places it replaces, relative to `path`."""
    created_ms: int
    server_ms: int
    """The server's time as estimated when it was made."""
    uid: str | None
    """The user under whom it was made."""
    has_increment: bool
    resent: bool
    is_loaded: bool
    """Whether the payload is in memory."""
    is_stored: bool
    """Whether it is in the queue on disk."""
    state: WriteState
    error: Exception | None
    is_settled: bool
    """Whether it is known how it ended."""
    owner: Any
    """Whom a handle asks to cancel it; the engine does not look at it."""
    waiter: Any
    """What a handle waits with; likewise."""
    storing: Any
    """What it waits with for the disk; likewise."""

    def __init__(
        self,
        id: int,
        path: Path,
        kind: WriteKind,
        payload: Node | Updates | None,
        size_bytes: int,
        created_ms: int,
        has_increment: bool,
    ) -> None:
        self.id = id
        self.path = path
        self.kind = kind
        self.payload = payload
        self.size_bytes = size_bytes
        self.created_ms = created_ms
        self.has_increment = has_increment
        self.children = ()
        self.server_ms = created_ms
        self.uid = None
        self.resent = False
        self.is_loaded = True
        self.is_stored = False
        self.state = "queued"
        self.error = None
        self.is_settled = False
        self.owner = None
        self.waiter = None
        self.storing = None

    def places(self) -> list[Path]:
        """Return where it acts, whether it is loaded or not."""
        if isinstance(self.payload, list):
            return [self.path.child(child) for child, _ in self.payload]
        if self.children:
            return [self.path.child(child) for child in self.children]
        return [self.path]

    def note_stored(self, error: Exception | None) -> None:
        """Note that it is on disk or need not get there, or why it could not."""

    def settle(self, result: object, error: Exception | None) -> None:
        """Take the outcome of the write; `result` is nothing."""
        raise NotImplementedError


def text_of(response: Response) -> str:
    """Return what the server said for humans in an answer; may be empty."""
    text = response.data.value
    return text if isinstance(text, str) else ""


def write_request(write: PendingWrite) -> tuple[str, dict[str, Any]]:
    """Return the action and the body that say this write (wire §3.3)."""
    payload = write.payload
    data = {str(path)[1:]: node for path, node in payload} if type(payload) is list else payload
    return _ACTIONS[write.kind], {"p": str(write.path), "d": data}


def check_size(path: Path, nodes: list[Node], size_bytes: int) -> None:
    """Refuse a write whose data the service would not take (W-11, I-101).

    Raises:
        InvalidValue: its JSON is longer than 16 MiB.
    """
    if size_bytes <= _SURELY_SMALL_BYTES:
        return
    length = sum(len(dump(node)) for node in nodes)
    if length > MAX_WRITE_BYTES:
        raise InvalidValue(
            f"invalid value at {path}: {length} bytes of JSON in one write,"
            f" the limit is {MAX_WRITE_BYTES}"
        )


class Requests:
    """Numbers requests, and knows which writes and requests have no answer yet."""

    def __init__(self, *, max_writes: int, max_bytes: int) -> None:
        self._max_writes = max_writes
        self._max_bytes = max_bytes
        self._next_number = 1
        self._next_write_id = 1
        self.can_send = False
        """Whether the session is at a point where a request may go out at once."""
        self.outstanding: dict[int, object] = {}
        """Who waits for which answer, by request number; None: nobody cares."""
        self.writes: dict[int, PendingWrite] = {}
        """Sets and updates without an answer, by id and in its order."""
        self.held: dict[int, PendingWrite] = {}
        """Writes of users who are not signed in, by id: neither shown nor sent (I-99)."""
        self.unsent: deque[PendingWrite] = deque()
        """While `can_send`, those that this connection has not been given, in order.

        The first one is always without an answer.
        """
        self.bytes = 0

    def continue_from(self, write_id: int) -> None:
        """Give ids from this one on: those below have been given by an earlier process."""
        self._next_write_id = max(self._next_write_id, write_id)

    @property
    def last_write_id(self) -> int:
        """The latest id given; 0 if there was none."""
        return self._next_write_id - 1

    def is_behind(self, order: int) -> bool:
        """Return whether a write older than that id waits to be sent."""
        return bool(self.unsent) and self.unsent[0].id < order

    @property
    def all_writes(self) -> Mapping[int, PendingWrite]:
        """The writes of everybody."""
        return ChainMap(self.writes, self.held)

    def change_user(self, uid: str | None) -> tuple[list[PendingWrite], list[PendingWrite]]:
        """Hold the writes of others; return those, and the ones that are held no longer.

        A write without an owner belongs to whoever is signed in.
        """
        hidden = [w for w in self.writes.values() if w.uid is not None and w.uid != uid]
        shown = [w for w in self.held.values() if w.uid is None or w.uid == uid]
        if not hidden and not shown:
            return hidden, shown
        for write in hidden:
            del self.writes[write.id]
            self.held[write.id] = write
            self.bytes -= write.size_bytes
        for write in shown:
            del self.held[write.id]
            self.writes[write.id] = write
            self.bytes += write.size_bytes
        if shown:
            self.writes = dict(sorted(self.writes.items()))
        if self.can_send:
            self.unsent = deque(w for w in self.writes.values() if w.state == "queued")
        return hidden, shown

    def next_write_id(self) -> int:
        """Return an id above all that were given before."""
        id = self._next_write_id
        self._next_write_id = id + 1
        return id

    def request(self, action: str, body: dict[str, Any], owner: object) -> Send:
        """Return a numbered request whose answer goes to `owner`.

        Numbers go on after a reconnect, so that a late answer to an old one meets nobody.
        """
        number = self._next_number
        self._next_number = number + 1
        self.outstanding[number] = owner
        return Send(encode_request(number, action, body))

    @property
    def last_number(self) -> int:
        """The number of the latest request; 0 if there was none."""
        return self._next_number - 1

    def check_room(self, size_bytes: int) -> None:
        """Refuse a write for which the queue has no room (W-8).

        Raises:
            QueueFull: too many writes wait, or their sizes add up to too much.
        """
        if len(self.writes) >= self._max_writes:
            raise QueueFull(f"{len(self.writes)} writes wait for the server, the configured limit")
        if self.bytes + size_bytes > self._max_bytes:
            raise QueueFull(
                f"{self.bytes} bytes wait for the server and {size_bytes} would join them,"
                f" the configured limit is {self._max_bytes}"
            )

    def add(self, write: PendingWrite) -> None:
        """Queue a write; its id is above those of all others."""
        self.writes[write.id] = write
        self.bytes += write.size_bytes

    def remove(self, write: PendingWrite) -> None:
        """Forget a write that has an outcome."""
        if self.writes.pop(write.id, None) is not None:
            self.bytes -= write.size_bytes
            self.first_unsent()
        else:
            self.held.pop(write.id, None)

    def first_unsent(self) -> PendingWrite | None:
        """Return the write that is to be sent next; those dropped meanwhile are skipped."""
        unsent = self.unsent
        while unsent and unsent[0].id not in self.writes:
            unsent.popleft()
        return unsent[0] if unsent else None

    def send_write(self, write: PendingWrite) -> Send:
        """Return the message for a write, once more if it was sent before."""
        if write.state == "sent":
            write.resent = True
        else:
            write.state = "sent"
        action, body = write_request(write)
        return self.request(action, body, write)

    def first_sent(self) -> PendingWrite | None:
        """Return the oldest write if it has been sent."""
        write = next(iter(self.writes.values()), None)
        return write if write is not None and write.state == "sent" else None

    def purge(self) -> list[PendingWrite]:
        """Drop and return every write; answers to them meet nobody."""
        writes = list(self.writes.values())
        for number, owner in self.outstanding.items():
            if isinstance(owner, PendingWrite) and owner.id in self.writes:
                self.outstanding[number] = None
        self.writes.clear()
        self.unsent.clear()
        self.bytes = 0
        return writes

    def lost(self) -> list[object]:
        """Forget all numbers: the connection is gone. Return who waited, in order."""
        owners = list(self.outstanding.values())
        self.outstanding.clear()
        self.unsent.clear()
        self.can_send = False
        return owners
