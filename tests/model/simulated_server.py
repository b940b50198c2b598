"""The simplest server that keeps the protocol's promises, for one client at a time."""

from typing import Any

from tests.api.engine.dialogue import Message, answer, push

from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export


class SimulatedServer:
    """Holds one value and the listens of one connection; commits in the order of requests."""

    def __init__(self) -> None:
        self.root: Node = EMPTY
        self.listens: list[Path] = []

    def connection_lost(self) -> None:
        """Forget the listens."""
        self.listens.clear()

    def value(self, path: str) -> Any:
        """Return what is at a path."""
        return export(self.root.get(Path.from_wire(path)))

    def write(self, path: Path, node: Node) -> list[Message]:
        """Commit a value; return what the client is to be told."""
        self.root = self.root.update(path, node)
        messages: list[Message] = []
        for listen in self.listens:
            if listen.contains(path):
                messages.append(push(str(path), export(self.root.get(path))))
            elif path.contains(listen):
                messages.append(push(str(listen), export(self.root.get(listen))))
        return messages

    def handle(self, request: Message, *, refuse: bool = False) -> tuple[list[Message], bool]:
        """Carry one request out; return the messages to send and whether something was written."""
        action, body = request["a"], request["b"]
        if action in ("s", "g"):
            return [answer(request)], False
        path = Path.from_wire(body["p"])
        if action == "q":
            return self._listen(request, path), False
        if action == "n":
            self.listens.remove(path)
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

    def _listen(self, request: Message, path: Path) -> list[Message]:
        held = self.root.get(path)
        self.listens.append(path)
        if request["b"]["h"] == hash_v1(held):
            return [answer(request, data={})]
        return [push(str(path), export(held)), answer(request, data={})]
