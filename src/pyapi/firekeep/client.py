"""What the references and queries of one database share."""

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from firekeep.config import Config
from firekeep.driver import Driver
from firekeep.event_stream import Stream
from firekeep.url import DatabaseUrl

__all__ = ["Client"]


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """One database as its parts see it."""

    driver: Driver
    url: DatabaseUrl
    config: Config
    streams: "WeakSet[Stream[Any]]" = field(default_factory=WeakSet["Stream[Any]"])
    """Iterators that leaving the database has to end."""
