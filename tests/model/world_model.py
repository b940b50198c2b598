"""A legal world around a sync tree: one server, one connection, somebody else who writes.

The server holds the truth, answers listens with data and an "ok", pushes every change to the
listens that it concerns before it answers the write that made it, and does all that in order.
Nothing here knows how the engine works; requests and messages wait in two queues, so that any
interleaving that a real connection allows can be played.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.model.operation_model import Record, replay_record, starts_with
from tests.model.query_model import Query
from tests.model.tree_model import Keys, Tree, children_of, get, same


@dataclass(frozen=True)
class Request:
    """What the client sends: ``listen``, ``unlisten`` or ``put``."""

    kind: str
    path: Keys = ()
    query: Query = field(default_factory=Query)
    tag: int | None = None
    listen_id: int = 0
    held: tuple[Tree] | None = None  # what the client says with a hash that it holds
    record: Record | None = None


@dataclass(frozen=True)
class Message:
    """What the server sends: ``data``, ``merge``, ``ok``, ``refused``, ``ack`` or ``reject``.

    With the last message that a change makes comes the truth that the client could know then.
    """

    kind: str
    path: Keys = ()
    query: Query = field(default_factory=Query)
    value: Tree = None
    children: tuple[tuple[Keys, Tree], ...] = ()
    tag: int | None = None
    listen_id: int = 0
    write_id: int = 0
    truth: tuple[Tree] | None = None


@dataclass(frozen=True)
class Choices:
    """What a legal server is free to do."""

    accept: bool = True  # the write, or the listen
    use_hash: bool = True  # send no data when the client has them already
    as_merge: bool = True  # send a change of several children in one message


class World:
    """The truth, the server's listens and what is under way in both directions."""

    def __init__(self) -> None:
        self.truth: Tree = None
        self.listens: dict[tuple[Keys, Query], Request] = {}
        self.to_server: deque[Request] = deque()
        self.to_client: deque[Message] = deque()

    def drop_connection(self) -> None:
        """Lose everything that is under way; the server forgets the listens."""
        self.listens.clear()
        self.to_server.clear()
        self.to_client.clear()

    def change(self, record: Record, choices: Choices) -> None:
        """Change the truth and push what that changes for each listen."""
        old = self.truth
        self.truth = replay_record(record, old, ())
        messages: list[Message] = []
        for listen in self.listens.values():
            if listen.query.loads_all:
                messages += self._push_all(listen, record, choices)
            else:
                messages += self._push_window(listen, old, choices)
        self._send(messages)

    def _send(self, messages: list[Message]) -> None:
        for index, message in enumerate(messages):
            if index == len(messages) - 1:
                message = replace(message, truth=(self.truth,))
            self.to_client.append(message)

    def serve(self, choices: Choices) -> None:
        """Take the next request."""
        request = self.to_server.popleft()
        key = (request.path, request.query)
        if request.kind == "unlisten":
            self.listens.pop(key, None)
        elif request.kind == "listen":
            assert key not in self.listens, f"listened twice: {key}"
            self._answer_listen(request, choices)
        else:
            assert request.record is not None
            if choices.accept:
                self.change(request.record, choices)
            answer = "ack" if choices.accept else "reject"
            self.to_client.append(Message(answer, write_id=request.record.write_id))

    def _answer_listen(self, request: Request, choices: Choices) -> None:
        path, query, listen_id = request.path, request.query, request.listen_id
        if not choices.accept:
            self.to_client.append(Message("refused", path, query, listen_id=listen_id))
            return
        self.listens[request.path, request.query] = request
        value = request.query.filter(get(self.truth, request.path))
        messages = [Message("ok", path, query, tag=request.tag, listen_id=listen_id)]
        if not (choices.use_hash and request.held is not None and same(value, *request.held)):
            messages.insert(0, Message("data", request.path, value=value, tag=request.tag))
        self._send(messages)

    def _push_all(self, listen: Request, record: Record, choices: Choices) -> Iterator[Message]:
        at = listen.path
        below = [entry for entry, _ in record.entries if starts_with(entry, at)]
        if any(starts_with(at, entry) and at != entry for entry, _ in record.entries):
            yield Message("data", at, value=get(self.truth, at))
        elif len(below) > 1 and choices.as_merge:
            merged = tuple((entry[len(at) :], get(self.truth, entry)) for entry in below)
            yield Message("merge", at, children=merged)
        else:
            for entry in below:
                yield Message("data", entry, value=get(self.truth, entry))

    def _push_window(self, listen: Request, old: Tree, choices: Choices) -> Iterator[Message]:
        at = listen.path
        before = children_of(listen.query.filter(get(old, at)))
        after = children_of(listen.query.filter(get(self.truth, at)))
        removed = [(key, None) for key in before if key not in after]
        put = [
            (key, child)
            for key, child in after.items()
            if key not in before or not same(child, before[key])
        ]
        # Room is made first: a full window drops what does not fit in.
        changes: list[tuple[str, Tree]] = [*removed, *put]
        if len(changes) > 1 and choices.as_merge:
            merged = tuple(((key,), child) for key, child in changes)
            yield Message("merge", at, children=merged, tag=listen.tag)
        else:
            for key, child in changes:
                yield Message("data", (*at, key), value=child, tag=listen.tag)
