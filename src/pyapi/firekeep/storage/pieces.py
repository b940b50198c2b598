"""Records too long for one row: what replaces a row is on the disk beside it for a while."""

from collections.abc import Callable, Iterator

from firekeep.exceptions import CorruptRecord
from firekeep_core.store.record import FORM_PIECES, is_form, seal, unseal

__all__ = ["PIECE", "PIECE_BYTES", "expected_pieces", "joined", "split"]

PIECE = b"x"
"""What the keys of all pieces begin with, and no others."""

PIECE_BYTES = 256 * 1024
"""A record up to this long is a row as it is."""


def split(key: bytes, record: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the rows that hold a long record: a *head*, which counts its pieces, and these.

    The same record always gives the same rows.
    """
    starts = range(0, len(record), PIECE_BYTES)
    yield key, seal(key, len(starts).to_bytes(4, "big"), FORM_PIECES)
    for number, start in enumerate(starts):
        place = _piece_key(key, number)
        yield place, seal(place, record[start : start + PIECE_BYTES])


def joined(key: bytes, row: bytes, get: Callable[[bytes], bytes | None]) -> bytes:
    """Return the record that a row stands for; `get` gives the rows of its pieces, if it has some.

    Raises:
        CorruptRecord: the head or a piece is damaged, or one is missing.
    """
    if not is_form(row, FORM_PIECES):
        return row
    return b"".join(unseal(place, _found(place, get(place))) for place in expected_pieces(key, row))


def expected_pieces(key: bytes, row: bytes) -> Iterator[bytes]:
    """Return the keys of the pieces that a row stands for; none for a row that is no head.

    Raises:
        CorruptRecord: the head is damaged.
    """
    if is_form(row, FORM_PIECES):
        count = int.from_bytes(unseal(key, row, FORM_PIECES), "big")
        yield from (_piece_key(key, number) for number in range(count))


def _piece_key(key: bytes, number: int) -> bytes:
    return PIECE + key + number.to_bytes(4, "big")


def _found(place: bytes, row: bytes | None) -> bytes:
    if row is None:
        raise CorruptRecord(f"the piece {place!r:.200} of a record is missing")
    return row
