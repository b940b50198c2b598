"""What the engine tells the cache on disk, and what it is told by it: values only.

Changes that one turn brings are applied together or not at all. Source: sync-engine §8.
"""

from typing import NamedTuple, TypeAlias

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

__all__ = [
    "Acknowledged",
    "Assume",
    "CacheChange",
    "CachedQuery",
    "Clear",
    "Complete",
    "Concluded",
    "Forget",
    "Hold",
    "Pin",
    "Replace",
    "Track",
]


class Replace(NamedTuple):
    """All that the server holds at a path, as part of what some complete query holds.

    A last key ``.priority`` says the priority of a map that is there.
    """

    path: Path
    node: Node


class Hold(NamedTuple):
    """Which children a query with bounds or a limit holds; their values come with `Replace`.

    A child that is removed has left the query's window, which does not say that it is gone.
    """

    path: Path
    params: QueryParams
    added: list[str]
    removed: list[str]
    is_all: bool
    """Whether `added` is all of them, whatever was held before."""


class Complete(NamedTuple):
    """All that a query selects is known; for the default query, so is every query at or below."""

    path: Path
    params: QueryParams


class Assume(NamedTuple):
    """What an acknowledged write left at a place whose data no complete query brings.

    The place is complete from then on, as if it had been listened to and left; a query with bounds
    or a limit that is listened to there keeps to what it is told.
    """

    path: Path
    node: Node


class Track(NamedTuple):
    """Somebody has begun to listen to a query, or the last one has ceased."""

    path: Path
    params: QueryParams
    is_active: bool


class Pin(NamedTuple):
    """A query is to be kept synced until this is taken back, restarts included."""

    path: Path
    params: QueryParams
    is_pinned: bool


class Forget(NamedTuple):
    """A query's data are not to be served any more: the server has denied them.

    The default query takes with it every query at or below its path, and every default query above
    that nobody listens to: it would bring the data back.
    """

    path: Path
    params: QueryParams


class Acknowledged(NamedTuple):
    """The server has confirmed a queued write; stored with its effect, before the queue lets go."""

    write_id: int


class Concluded(NamedTuple):
    """The queue no longer holds an acknowledged write."""

    write_id: int


class Clear(NamedTuple):
    """Drop all that is neither listened to nor kept synced."""


CacheChange: TypeAlias = (
    Replace | Hold | Complete | Assume | Track | Pin | Forget | Acknowledged | Concluded | Clear
)


class CachedQuery(NamedTuple):
    """What the cache knows of a query."""

    node: Node
    """Everything at the path, or only the children that are known."""
    is_complete: bool
    """Whether nothing that the query selects is missing."""
    is_filtered: bool
    """Whether `node` holds the query's children only, not all of the location's."""
