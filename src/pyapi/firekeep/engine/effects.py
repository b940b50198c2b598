"""What the engine wants done; the driver does it, in the order in which it was returned."""

from typing import Literal, NamedTuple, Protocol, TypeAlias

from firekeep_core.operation.cache_change import CacheChange
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.sync.event import Event

__all__ = [
    "Complete",
    "Connect",
    "Deliver",
    "Disconnect",
    "Effect",
    "FetchToken",
    "Handle",
    "Load",
    "LoadWrites",
    "Report",
    "ReportLevel",
    "Send",
    "StatusChanged",
    "StoreCache",
    "StoreWrites",
    "SwitchOwner",
    "TokenKind",
    "Wake",
]

TokenKind = Literal["auth", "app_check"]
ReportLevel = Literal["debug", "info", "warning", "error"]


class Handle(Protocol):
    """What a caller waits with."""

    def settle(self, result: object, error: Exception | None) -> None:
        """Take the outcome: `result`, or `error` where that is not None."""
        ...


class Send(NamedTuple):
    """Give one message to the connection, after all earlier ones."""

    text: str


class Deliver(NamedTuple):
    """Hand each event to its registration, in order, before the call that caused it returns."""

    events: list[Event]


class Complete(NamedTuple):
    """Tell a caller how it ended."""

    handle: Handle
    result: object
    error: Exception | None


class Wake(NamedTuple):
    """Call `Engine.wake` at this time of the monotonic clock, if not earlier."""

    at_s: float


class Connect(NamedTuple):
    """Open a connection; there is none when this is asked for."""

    host: str
    """With its port, if it is not the usual one."""
    last_session: str | None
    """The previous session of this client, which the server may end at once."""


class Disconnect(NamedTuple):
    """Close the connection, or stop opening it; nothing of it is given to the engine any more."""

    reason: str


class FetchToken(NamedTuple):
    """Get a credential and hand it to `Engine.token`."""

    kind: TokenKind
    force: bool
    """The last one was refused: a cached one will not do."""
    attempt: int
    """To be handed back: an answer to an earlier attempt means nothing."""


class StatusChanged(NamedTuple):
    """Publish the status as it is at this moment."""


class StoreWrites(NamedTuple):
    """Take what `Engine.take_journal_batch` gives to the queue on disk, and say when it is there.

    Asked for once until that is called.
    """


class StoreCache(NamedTuple):
    """Take what `Engine.take_cache_changes` gives to the cache on disk, and say when it is there.

    Asked for once until that is called; there is no hurry.
    """


class SwitchOwner(NamedTuple):
    """Have the cache on disk be another user's from now on, and tell `Engine.owner_switched`."""

    changes: list[CacheChange]
    """What the user of before is still to be told of."""
    uid: str | None
    cleared_uid: str | None
    """Whose data are removed for good; None: nobody's."""


class Load(NamedTuple):
    """Ask the disk what it knows of a query, and hand it to `Engine.loaded`.

    What `StoreCache` was asked for before comes first.
    """

    path: Path
    params: QueryParams
    write_ids: list[int]
    """The queued writes whose payload is needed with it."""
    reader: object
    """Who asked; to be handed back."""


class LoadWrites(NamedTuple):
    """Read payloads of queued writes, and hand them to `Engine.writes_loaded`."""

    write_ids: list[int]


class Report(NamedTuple):
    """Write to the log."""

    level: ReportLevel
    text: str


Effect: TypeAlias = (
    Send
    | Deliver
    | Complete
    | Wake
    | Connect
    | Disconnect
    | FetchToken
    | StatusChanged
    | StoreWrites
    | StoreCache
    | SwitchOwner
    | Load
    | LoadWrites
    | Report
)
