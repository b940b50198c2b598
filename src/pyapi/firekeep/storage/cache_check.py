"""Looking at every row of a cache for what is wrong with it."""

from firekeep.exceptions import CorruptRecord
from firekeep.storage.backend import Backend
from firekeep.storage.cache_rows import DATA
from firekeep.storage.pieces import PIECE, expected_pieces
from firekeep.storage.staging import FIRST, LAST
from firekeep_core.store.record import FORM_PIECES, is_form, unseal

__all__ = ["wrong_rows"]


def wrong_rows(backend: Backend) -> list[str]:
    """Return, in plain words, which rows are damaged or lie where none should.

    Where the disk gives no more rows, that is the last thing said.
    """
    wrong: list[str] = []
    block: bytes | None = None
    expected: set[bytes] = set()
    """Pieces whose head has been seen; the heads come first."""
    try:
        for key, row in backend.scan(FIRST, LAST):
            try:
                if is_form(row, FORM_PIECES):
                    expected.update(expected_pieces(key, row))
                else:
                    unseal(key, row)
            except CorruptRecord as error:
                wrong.append(str(error))
            if key[:1] == PIECE:
                if key not in expected:
                    wrong.append(f"the row {key!r} is a piece of nothing")
                expected.discard(key)
            if key[:1] == DATA:
                if block is not None and key.startswith(block):
                    wrong.append(f"the row {key!r} lies inside the row {block!r}")
                if not key.endswith(b"\x00.priority\x00") and key[5:] != b".priority\x00":
                    block = key
        wrong += [f"the piece {key!r} of a record is missing" for key in sorted(expected)]
    except CorruptRecord as error:
        wrong.append(str(error))
    return wrong
