"""What the backend for tests can be made to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firekeep.exceptions import CorruptRecord, StorageFull
from firekeep.storage.backend import Row
from firekeep.storage.memory import MemoryBackend

LAST = b"\xff"


def test_a_full_one_refuses_writes_whole_and_still_reads() -> None:
    backend = MemoryBackend([(b"a", b"1")])
    backend.is_full = True

    with pytest.raises(StorageFull):
        backend.commit([(b"a", b"2"), (b"b", b"2")])
    with pytest.raises(StorageFull):
        backend.sync()

    assert list(backend.scan(b"", LAST)) == [(b"a", b"1")]


def test_a_full_one_takes_writes_again_once_there_is_space() -> None:
    backend = MemoryBackend()
    backend.is_full = True
    with pytest.raises(StorageFull):
        backend.commit([(b"a", b"1")])

    backend.is_full = False
    backend.commit([(b"a", b"1")], sync=True)

    assert backend.crashed(0).get(b"a") == b"1"


def test_a_crash_leaves_what_was_synced_and_a_prefix_of_the_rest() -> None:
    backend = MemoryBackend()
    backend.commit([(b"a", b"1")], sync=True)
    backend.commit([(b"b", b"1"), (b"a", None)])
    backend.commit([(b"c", b"1")])

    assert backend.unsynced_count == 2
    assert [list(backend.crashed(kept).scan(b"", LAST)) for kept in (0, 1, 2, None)] == [
        [(b"a", b"1")],
        [(b"b", b"1")],
        [(b"b", b"1"), (b"c", b"1")],
        [(b"b", b"1"), (b"c", b"1")],
    ]


def test_a_crash_does_not_touch_the_one_that_it_is_a_copy_of() -> None:
    backend = MemoryBackend([(b"a", b"1")])

    after = backend.crashed()
    after.commit([(b"a", None)])

    assert backend.get(b"a") == b"1"


def test_a_damaged_row_is_told_when_it_is_reached() -> None:
    backend = MemoryBackend([(b"a", b"1"), (b"b", b"1"), (b"c", b"1")])
    backend.damage(b"b")

    scan = backend.scan(b"", LAST)

    assert next(scan) == (b"a", b"1")
    with pytest.raises(CorruptRecord):
        next(scan)
    with pytest.raises(CorruptRecord):
        backend.get(b"b")
    assert backend.get(b"c") == b"1"


def test_damage_outlives_a_crash_and_ends_with_the_next_write() -> None:
    backend = MemoryBackend([(b"a", b"1")])
    backend.damage(b"a")

    after = backend.crashed()

    with pytest.raises(CorruptRecord):
        after.get(b"a")
    after.commit([(b"a", b"2")])
    assert after.get(b"a") == b"2"


batches = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.none() | st.binary(max_size=2))),
        st.booleans(),
    ),
    max_size=8,
)


@given(batches, st.integers(min_value=0, max_value=8))
def test_after_a_crash_the_rows_are_those_of_the_first_commits(
    history: list[tuple[list[Row], bool]], kept: int
) -> None:
    backend = MemoryBackend()
    for batch, sync in history:
        backend.commit(batch, sync=sync)

    first = MemoryBackend()
    survivors = len(history) - backend.unsynced_count + min(kept, backend.unsynced_count)
    for batch, _ in history[:survivors]:
        first.commit(batch)

    assert list(backend.crashed(kept).scan(b"", LAST)) == list(first.scan(b"", LAST))
