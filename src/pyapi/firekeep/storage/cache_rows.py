"""The rows of the cache besides those of its trees: how they are named, and what they hold."""

import json
from typing import NamedTuple

from firekeep.exceptions import CorruptRecord, InvalidArgument
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.store.layout import path_bytes, path_from_bytes
from firekeep_core.store.record import decode_fields, encode_fields, seal, unseal
from firekeep_core.store.tracked import TrackedQuery

__all__ = [
    "ACKNOWLEDGED",
    "DATA",
    "HELD",
    "OWNER",
    "TRACKED",
    "StoredQuery",
    "acknowledged_key",
    "data_prefix",
    "held_key",
    "held_prefix",
    "number_in",
    "owner_row",
    "read_owner",
    "read_tracked",
    "tracked_key",
    "tracked_row",
]

# What the first byte of a row's key says; then come numbers of fixed length, and bytes of any.
ACKNOWLEDGED = b"a"  # write id
DATA = b"d"  # owner, path
HELD = b"k"  # query id, child
OWNER = b"o"  # number
TRACKED = b"t"  # query id


class StoredQuery(NamedTuple):
    """A tracked query as a row has it, in the order in which `TrackedQueries.restore` takes it."""

    id: int
    owner: int
    path: Path
    params: QueryParams
    is_complete: bool
    is_pinned: bool
    last_use: int


def acknowledged_key(write_id: int) -> bytes:
    """Return the key of the row that says that a write has been confirmed."""
    return ACKNOWLEDGED + write_id.to_bytes(8, "big")


def data_prefix(owner: int) -> bytes:
    """Return what the keys of all rows of a user's tree begin with."""
    return DATA + owner.to_bytes(4, "big")


def held_prefix(query_id: int) -> bytes:
    """Return what the keys of the rows that name a query's children begin with."""
    return HELD + query_id.to_bytes(8, "big")


def held_key(query_id: int, key: str) -> bytes:
    """Return the key of the row that says that a query holds a child."""
    return held_prefix(query_id) + path_bytes(Path.from_keys([key]))


def tracked_key(query_id: int) -> bytes:
    """Return the key of a query's row."""
    return TRACKED + query_id.to_bytes(8, "big")


def number_in(key: bytes) -> int:
    """Return the number that a key of one number holds."""
    return int.from_bytes(key[1:], "big")


def owner_row(owner: str | None, number: int) -> tuple[bytes, bytes]:
    """Return the row that gives a user a number."""
    key = OWNER + number.to_bytes(4, "big")
    return key, seal(key, encode_fields([owner]))


def read_owner(key: bytes, record: bytes) -> str | None:
    """Return whose number the row's key holds."""
    fields = decode_fields(unseal(key, record))
    if len(fields) != 1 or not (fields[0] is None or isinstance(fields[0], str)):
        raise CorruptRecord(f"the record at {key!r} names no owner")
    return fields[0]


def tracked_row(query: TrackedQuery) -> tuple[bytes, bytes]:
    """Return the row of a query."""
    key = tracked_key(query.id)
    fields = [
        query.owner,
        path_bytes(query.path),
        "" if query.is_default else json.dumps(query.params.wire()),
        query.is_complete,
        query.is_pinned,
        query.last_use,
    ]
    return key, seal(key, encode_fields(fields))


def read_tracked(key: bytes, record: bytes) -> StoredQuery:
    """Return the query of a row."""
    body = unseal(key, record)
    try:
        owner, path, wire, is_complete, is_pinned, last_use = decode_fields(body)
        params = QueryParams.from_wire(json.loads(wire)) if wire else QueryParams.DEFAULT
        place = path_from_bytes(path)
        return StoredQuery(number_in(key), owner, place, params, is_complete, is_pinned, last_use)
    except (ValueError, TypeError, InvalidArgument) as error:
        raise CorruptRecord(f"the record at {key!r} is no tracked query: {error}") from error
