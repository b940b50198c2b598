"""What is to be kept synced, in a file of its own that outlives the cache."""

import json
from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import NamedTuple

from firekeep.exceptions import CorruptRecord, InvalidArgument
from firekeep.storage.failures import translated
from firekeep.storage.files import replace_file
from firekeep.storage.frame import Frame, find_frames, pack_frame
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.store.layout import path_bytes, path_from_bytes
from firekeep_core.store.record import decode_fields, encode_fields

__all__ = ["PinFile", "Pinned"]

_KIND = 16


class Pinned(NamedTuple):
    """A query that a user wants to be kept synced."""

    owner: str | None
    path: Path
    params: QueryParams


class PinFile:
    """The queries that the cache has noted as kept synced; it is right, this follows.

    Each one is a record that can be read without the others. Small, and rewritten as a whole.
    """

    def __init__(self, path: FilePath) -> None:
        self._path = path
        self._stored: frozenset[Pinned] | None = None
        """What the file says, if that is known."""

    def read(self) -> frozenset[Pinned]:
        """Return what is stored; what is damaged of it, or missing, is left out.

        Raises:
            StorageError: the disk failed.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise translated(error, self._path) from error
        found = (_pinned(frame) for frame in find_frames(data))
        self._stored = frozenset(pinned for pinned in found if pinned is not None)
        return self._stored

    def write(self, pins: Iterable[Pinned]) -> None:
        """Store these and no others, on the disk, unless that is what is stored.

        Raises:
            StorageFull, StorageError: they could not be written; what was stored still is.
        """
        wanted = frozenset(pins)
        if wanted == self._stored:
            return
        self._stored = None
        replace_file(self._path, b"".join(sorted(map(_frame, wanted))))
        self._stored = wanted


def _frame(pinned: Pinned) -> bytes:
    owner, path, params = pinned
    wire = "" if params.is_default else json.dumps(params.wire())
    return pack_frame(_KIND, b"", encode_fields([owner, path_bytes(path), wire]))


def _pinned(frame: Frame) -> Pinned | None:
    if frame.kind != _KIND:
        return None
    try:
        owner, path, wire = decode_fields(frame.body)
        params = QueryParams.from_wire(json.loads(wire)) if wire else QueryParams.DEFAULT
        return Pinned(owner, path_from_bytes(path), params)
    except (CorruptRecord, InvalidArgument, ValueError, TypeError):
        return None
