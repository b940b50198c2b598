"""Long records as several rows, which those who use them do not see."""

from collections.abc import Callable

import pytest

from firekeep.exceptions import CorruptRecord
from firekeep.storage.cache_check import wrong_rows
from firekeep.storage.memory import MemoryBackend
from firekeep.storage.pieces import PIECE, PIECE_BYTES
from firekeep.storage.staging import FIRST, LAST, Staging
from firekeep_core.store.record import seal, unseal

KEY = b"d\x00\x00\x00\x01a\x00"
LENGTHS = [PIECE_BYTES - 6, PIECE_BYTES - 5, PIECE_BYTES - 4, 2 * PIECE_BYTES - 5, 10**6]


def record(length: int, letter: bytes = b"x") -> bytes:
    return seal(KEY, letter * length)


def staged(backend: MemoryBackend) -> Staging:
    staging = Staging(backend)
    staging.count()
    return staging


def stored(backend: MemoryBackend, length: int = 10**6) -> Staging:
    staging = staged(backend)
    staging.put(KEY, record(length))
    staging.commit()
    return staging


@pytest.mark.parametrize("length", LENGTHS)
def test_a_record_of_any_length_is_read_as_it_was_written(length: int) -> None:
    backend = MemoryBackend()
    staging = staged(backend)

    staging.put(KEY, record(length))
    before = (staging.get(KEY), list(staging.scan(b"d", b"e")))
    staging.commit()
    after = (staging.get(KEY), list(staging.scan(b"d", b"e")))

    assert before == after == (record(length), [(KEY, record(length))])
    assert unseal(KEY, record(length)) == b"x" * length
    assert max(len(row) for _, row in backend.scan(FIRST, LAST)) <= PIECE_BYTES + 5
    assert wrong_rows(backend) == []


@pytest.mark.parametrize("before", [0, *LENGTHS])
@pytest.mark.parametrize("after", [0, *LENGTHS])
def test_what_replaces_a_long_record_leaves_none_of_its_pieces(before: int, after: int) -> None:
    backend = MemoryBackend()
    staging = stored(backend, before)

    staging.put(KEY, record(after, b"y"))
    staging.commit()

    assert staging.get(KEY) == record(after, b"y")
    fresh = MemoryBackend()
    writer = staged(fresh)
    writer.put(KEY, record(after, b"y"))
    writer.commit()
    assert list(backend.scan(b"", LAST)) == list(fresh.scan(b"", LAST))
    assert staging.size_bytes == sum(len(k) + len(v) for k, v in backend.scan(FIRST, LAST))


def test_a_long_record_goes_with_all_its_pieces() -> None:
    backend = MemoryBackend()
    staging = stored(backend)

    staging.delete(KEY)
    staging.commit()

    assert list(backend.scan(FIRST, LAST)) == []
    assert staging.size_bytes == 0


def piece(backend: MemoryBackend) -> bytes:
    keys = [key for key, _ in backend.scan(PIECE, LAST)]
    return keys[1]


def flip(row: bytes) -> bytes:
    return row[:-1] + bytes([row[-1] ^ 1])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda b: b.commit([(piece(b), None)]), "is missing"),
        (lambda b: b.commit([(piece(b), flip(b.get(piece(b))))]), "checksum"),
        (lambda b: b.commit([(KEY, flip(b.get(KEY)))]), "checksum"),
        (lambda b: b.commit([(piece(b), b.get(KEY))]), "checksum"),
    ],
)
def test_what_is_wrong_with_a_piece_is_wrong_with_its_record(
    damage: Callable[[MemoryBackend], None], said: str
) -> None:
    backend = MemoryBackend()
    staging = stored(backend)

    damage(backend)

    with pytest.raises(CorruptRecord, match=said):
        staging.get(KEY)
    with pytest.raises(CorruptRecord, match=said):
        list(staging.scan(b"d", b"e"))
    assert said in " ".join(wrong_rows(backend))


def test_a_piece_of_nothing_is_found() -> None:
    backend = MemoryBackend()
    stored(backend)

    backend.commit([(KEY, None)])

    assert "is a piece of nothing" in wrong_rows(backend)[0]
