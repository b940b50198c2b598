"""Firebase Realtime Database client that works offline."""

from firekeep import exceptions
from firekeep.config import Config, Persistence
from firekeep.database import Database, KeptQuery, open
from firekeep.event_stream import EventStream, ValueStream
from firekeep.listener import Listener
from firekeep.on_disconnect import OnDisconnect
from firekeep.presence import Presence
from firekeep.query import Query
from firekeep.reference import Reference
from firekeep.server_value import TIMESTAMP, increment
from firekeep.snapshot import Event, Metadata, Snapshot
from firekeep.status import CacheInfo, Status
from firekeep.status_stream import StatusStream
from firekeep.transaction import ABORT, Transaction, TransactionResult
from firekeep.write import Write
from firekeep_core.snap.path import Path

__all__ = [
    "ABORT",
    "TIMESTAMP",
    "CacheInfo",
    "Config",
    "Database",
    "Event",
    "EventStream",
    "KeptQuery",
    "Listener",
    "Metadata",
    "OnDisconnect",
    "Path",
    "Persistence",
    "Presence",
    "Query",
    "Reference",
    "Snapshot",
    "Status",
    "StatusStream",
    "Transaction",
    "TransactionResult",
    "ValueStream",
    "Write",
    "exceptions",
    "increment",
    "open",
]
