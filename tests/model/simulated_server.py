"""The simplest server that keeps the protocol's promises, for one client at a time."""

from typing import Any, NamedTuple

from tests.api.engine.dialogue import Message, answer, push

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export


class Listen(NamedTuple):
    """One listen of the connection; a tag says that only some children are wanted."""

    path: Path
    params: QueryParams
    tag: int | None


class SimulatedServer:
    """Holds one value and the listens of one connection; commits in the order of requests."""

    def __init__(self) -> None:
        self.root: Node = EMPTY
        self.queries: list[Listen] = []

    @property
    def listens(self) -> list[Path]:
        """Where the client listens."""
        return [listen.path for listen in self.queries]

    def connection_lost(self) -> None:
        """Forget the listens."""
        self.queries.clear()

    def value(self, path: str) -> Any:
        """Return what is at a path."""
        return export(self.root.get(Path.from_wire(path)))

    def write(self, path: Path, node: Node) -> list[Message]:
        """Commit a value; return what the client is to be told."""
        before = self.root
        self.root = before.update(path, node)
        messages: list[Message] = []
        for listen in self.queries:
            if listen.tag is not None:
                messages += self._window_changes(listen, before)
            elif listen.path.contains(path):
                messages.append(push(str(path), export(self.root.get(path))))
            elif path.contains(listen.path):
                messages.append(push(str(listen.path), export(self.root.get(listen.path))))
        return messages

    def handle(self, request: Message, *, refuse: bool = False) -> tuple[list[Message], bool]:
        """Carry one request out; return the messages to send and whether something was written."""
        action, body = request["a"], request["b"]
        if action in ("s", "g"):
            return [answer(request)], False
        path = Path.from_wire(body["p"])
        if action in ("q", "n"):
            params = QueryParams.from_wire(body["q"]) if "q" in body else QueryParams.DEFAULT
            listen = Listen(path, params, body.get("t"))
            if action == "q":
                return self._listen(request, listen), False
            self.queries.remove(listen)
            return [answer(request)], False
        if refuse:
            return [answer(request, "permission_denied", "refused")], False
        if "h" in body and body["h"] != hash_v1(self.root.get(path)):
            return [answer(request, "datastale", "stale")], False
        messages: list[Message] = []
        if action == "m":
            for child, data in body["d"].items():
                messages += self.write(path.child(Path.from_wire(child)), from_export(data))
        else:
            messages += self.write(path, from_export(body["d"]))
        return [*messages, answer(request)], True

    def _listen(self, request: Message, listen: Listen) -> list[Message]:
        held = listen.params.filter(self.root.get(listen.path))
        self.queries.append(listen)
        if request["b"]["h"] == hash_v1(held):
            return [answer(request, data={})]
        return [push(str(listen.path), export(held), listen.tag), answer(request, data={})]

    def _window_changes(self, listen: Listen, before: Node) -> list[Message]:
        old = listen.params.filter(before.get(listen.path))
        new = listen.params.filter(self.root.get(listen.path))
        # What leaves comes first: what enters finds room.
        return [
            push(str(listen.path.child(Path.from_keys([key]))), export(new.child(key)), listen.tag)
            for key in [*(set(old) - set(new)), *new]
            if old.child(key) != new.child(key)
        ]
