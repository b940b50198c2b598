"""Looking at every row of a cache for what is wrong with it."""

from firekeep.exceptions import CorruptRecord
from firekeep.storage.backend import Backend
from firekeep.storage.cache_rows import DATA
from firekeep.storage.staging import FIRST, LAST
from firekeep_core.store.record import unseal

__all__ = ["wrong_rows"]


def wrong_rows(backend: Backend) -> list[str]:
    """Return, in plain words, which rows are damaged or lie where none should.

    Where the disk gives no more rows, that is the last thing said.
    """
    wrong: list[str] = []
    block: bytes | None = None
    try:
        for key, record in backend.scan(FIRST, LAST):
            try:
                unseal(key, record)
            except CorruptRecord as error:
                wrong.append(str(error))
            if key[:1] == DATA:
                if block is not None and key.startswith(block):
                    wrong.append(f"the row {key!r} lies inside the row {block!r}")
                if not key.endswith(b"\x00.priority\x00") and key[5:] != b".priority\x00":
                    block = key
    except CorruptRecord as error:
        wrong.append(str(error))
    return wrong
