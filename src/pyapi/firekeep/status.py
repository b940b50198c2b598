"""What is known about a database's connection, credential and queue at one moment."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["AuthState", "CacheInfo", "ConnectionState", "Status", "StorageState"]

ConnectionState = Literal[
    "offline", "waiting", "connecting", "authenticating", "online", "shutdown"
]
"""``offline``: by `go_offline`, before entry, or after leaving; ``waiting``: for the next attempt;
``shutdown``: the server told the client to stay away, `go_online` tries again."""

AuthState = Literal["signed_out", "pending", "valid", "expired"]
"""``pending``: a credential is held and not yet accepted; ``expired``: the server refused it, or there
is none to be had: what is known is served, writes wait, and nothing is sent until another one is
accepted."""

StorageState = Literal["memory", "disk", "full", "failed"]
"""``memory``: nothing is kept on disk; ``full``: the disk has no space, ``failed``: it failed
otherwise: what is written then is in memory only, and stored as soon as that can be."""


@dataclass(frozen=True, slots=True)
class Status:
    """One moment of a database; never changes.

    Example::

        if db.status.connection != "online":
            print(db.status.last_error)
    """

    connection: ConnectionState
    reason: str | None
    """Why there is no connection, where the server or the network gave a reason."""
    auth: AuthState
    auth_reason: str | None
    """Why there is no valid credential; says so if the local clock is the likely cause."""
    pending_writes: int
    """Writes that wait for the server's answer, sent or not."""
    pending_bytes: int
    """Their estimated size."""
    held_writes: int
    """Writes of users who are not signed in, which wait for them to return."""
    oldest_pending_ms: int | None
    """Age of the oldest of them in ms; None if there are none."""
    last_synced_ms: int | None
    """When something last arrived from the server, in ms since 1970 by the local clock."""
    clock_offset_ms: int | None
    """Server time minus local time in ms; None before the first connection."""
    cache_bytes: int
    """Estimated size of the data held in memory for live queries."""
    disk_bytes: int
    """Size of all files of the cache and the queue; 0 without persistence."""
    storage: StorageState
    is_over_budget: bool
    """Whether what is listened to and kept synced alone takes more disk than the cache may."""
    last_error: Exception | None
    """The last failure of the connection, the credential or a callback."""


class CacheInfo(NamedTuple):
    """What a database holds of the server's data at one moment; sizes are estimates.

    Example::

        print(db.cache_info().size_bytes)
    """

    queries: int
    """Queries that the server is, or is to be, listened at."""
    kept: int
    """Queries that `keep_synced` holds."""
    size_bytes: int
    """Size of what is held in memory for all of them."""
    kept_bytes: int
    """Size of what the kept ones show; where two of them overlap it counts twice."""
    disk_bytes: int
    """Size of all files of the cache and the queue; 0 without persistence, as what follows."""
    cached_bytes: int = 0
    """What counts against the budget: every row of the cache on disk."""
    cached_queries: int = 0
    """Queries that the cache on disk knows of, live or not."""
    budget_bytes: int = 0
    is_over_budget: bool = False
    """Whether what is listened to and kept synced alone exceeds the budget."""
