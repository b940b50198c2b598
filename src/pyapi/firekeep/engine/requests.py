"""Requests that wait: for a connection to be sent, or for the server's answer."""

from typing import Literal

from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

WriteState = Literal["queued", "sent", "confirmed", "rejected", "cancelled", "unknown"]
WriteKind = Literal["set", "update", "on_disconnect_set", "on_disconnect_update", "on_disconnect_cancel"]
Payload = Node | list[tuple[Path, Node]] | None


class PendingWrite:
    """One write: what it says, and how far it got."""

    __slots__ = ("error", "id", "kind", "path", "payload", "state")
    id: int
    path: Path
    kind: WriteKind
    payload: Payload
    state: WriteState
    error: Exception | None

    def __init__(self, id: int, path: Path, kind: WriteKind, payload: Payload) -> None:
        self.id = id
        self.path = path
        self.kind = kind
        self.payload = payload
        self.state = "queued"
        self.error = None
