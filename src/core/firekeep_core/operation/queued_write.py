"""A user's write as the queue on disk keeps it: values only. Source: sync-engine §5.6, §8."""

from typing import Literal, NamedTuple

from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

__all__ = ["QueuedWrite", "WriteEnvelope"]


class WriteEnvelope(NamedTuple):
    """All of a queued write but its payload: what is kept in memory for each after a restart."""

    id: int
    owner: str | None
    """The user under whom it was made; None: it is sent under whoever comes next."""
    kind: Literal["set", "update"]
    path: Path
    children: tuple[Path, ...]
    """The places that an update replaces, relative to `path`; none for a set."""
    created_ms: int
    server_ms: int
    """The server's time as estimated at the call: what its timestamps show until the answer."""
    size_bytes: int
    has_increment: bool
    maybe_sent: bool
    """Whether an earlier process may have given it to a connection."""


class QueuedWrite(NamedTuple):
    """A queued write with its payload, which is raw: server values in it are not resolved."""

    envelope: WriteEnvelope
    nodes: tuple[Node, ...]
    """One for a set; for an update one for each of its children."""
