"""What every backend does, the one for tests and the one on the disk alike."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firekeep.exceptions import DatabaseClosed
from firekeep.storage.backend import Backend, Row
from firekeep.storage.memory import MemoryBackend
from firekeep.storage.rocksdb import RocksBackend

Kind = Literal["memory", "queue", "cache"]
KINDS: list[Kind] = ["memory", "queue", "cache"]
LAST = b"\xff" * 20


def opened(kind: Kind, path: Path) -> Backend:
    return MemoryBackend() if kind == "memory" else RocksBackend.open(path, role=kind)


@pytest.fixture(params=KINDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    one = opened(request.param, tmp_path / "data")
    yield one
    one.close()


def rows_of(backend: Backend) -> list[tuple[bytes, bytes]]:
    return list(backend.scan(b"", LAST))


def test_a_key_that_is_not_there_has_no_value(backend: Backend) -> None:
    assert backend.get(b"a") is None


def test_what_is_committed_is_read_back(backend: Backend) -> None:
    backend.commit([(b"a", b"1"), (b"b", b"\x00\xff"), (b"c", b"")])

    assert [backend.get(key) for key in (b"a", b"b", b"c")] == [b"1", b"\x00\xff", b""]


def test_none_takes_a_key_away(backend: Backend) -> None:
    backend.commit([(b"a", b"1")])

    backend.commit([(b"a", None), (b"b", None)])

    assert rows_of(backend) == []


def test_the_last_row_of_a_key_counts(backend: Backend) -> None:
    backend.commit([(b"a", b"1"), (b"b", b"1"), (b"a", None), (b"b", None), (b"a", b"2")])

    assert rows_of(backend) == [(b"a", b"2")]


def test_the_empty_key_is_one_like_others(backend: Backend) -> None:
    backend.commit([(b"", b"0"), (b"a", b"1")])

    assert backend.get(b"") == b"0"
    assert rows_of(backend) == [(b"", b"0"), (b"a", b"1")]


def test_a_commit_of_nothing_changes_nothing(backend: Backend) -> None:
    backend.commit([], sync=True)

    assert rows_of(backend) == []


def test_a_scan_ascends_by_bytes_from_start_to_before_end(backend: Backend) -> None:
    keys = [b"a", b"a\x00", b"a\x00b", b"a\x01", b"aa", b"b", b"\xff"]
    backend.commit([(key, key) for key in reversed(keys)])

    assert [key for key, _ in backend.scan(b"a\x00", b"b")] == keys[1:5]


@pytest.mark.parametrize(("start", "end"), [(b"z", b"a"), (b"a", b"a"), (b"", b"")])
def test_an_empty_range_has_no_rows_and_does_no_harm(
    backend: Backend, start: bytes, end: bytes
) -> None:
    backend.commit([(b"a", b"1"), (b"b", b"2"), (b"z", b"3")])

    assert list(backend.scan(start, end)) == []

    backend.commit([(b"c", b"3")], sync=True)
    assert backend.get(b"c") == b"3"


def test_a_scan_shows_the_rows_of_its_call_whatever_is_committed_later(backend: Backend) -> None:
    backend.commit([(b"a", b"1"), (b"b", b"1"), (b"c", b"1")])
    untouched = backend.scan(b"", LAST)
    begun = backend.scan(b"", LAST)
    next(begun)

    backend.commit([(b"a", b"2"), (b"b", None), (b"bb", b"2")])
    backend.compact()

    assert list(untouched) == [(b"a", b"1"), (b"b", b"1"), (b"c", b"1")]
    assert list(begun) == [(b"b", b"1"), (b"c", b"1")]


def test_scans_may_overlap_and_be_left_unfinished(backend: Backend) -> None:
    backend.commit([(b"%d" % number, b"") for number in range(9)])

    firsts = [next(backend.scan(b"%d" % number, LAST))[0] for number in range(9)]

    assert firsts == [b"%d" % number for number in range(9)]


def test_a_scan_that_has_ended_stays_ended(backend: Backend) -> None:
    scan = backend.scan(b"", LAST)

    assert next(scan, "none") == next(scan, "none") == "none"


@pytest.mark.parametrize(
    "row",
    [
        (bytearray(b"b"), b"1"),
        (memoryview(b"b"), b"1"),
        ("b", b"1"),
        (b"b", bytearray(b"1")),
        (b"b", "1"),
        (b"b", 1),
        (3, None),
    ],
)
def test_what_is_not_bytes_is_refused_with_the_whole_commit(
    backend: Backend, row: tuple[bytes, bytes]
) -> None:
    with pytest.raises(TypeError, match="bytes"):
        backend.commit([(b"a", b"1"), row])

    assert rows_of(backend) == []
    backend.commit([(b"a", b"1")])
    assert rows_of(backend) == [(b"a", b"1")]


@pytest.mark.parametrize("key", ["a", bytearray(b"a"), 1])
def test_a_key_that_is_not_bytes_cannot_be_asked_for(backend: Backend, key: bytes) -> None:
    with pytest.raises(TypeError, match="bytes"):
        backend.get(key)


def test_the_same_rows_can_be_committed_twice(backend: Backend) -> None:
    rows: list[Row] = [(b"a", b"1"), (b"b", None)]

    backend.commit(rows)
    backend.commit(rows)

    assert rows_of(backend) == [(b"a", b"1")]


def test_it_tells_how_much_it_takes(backend: Backend) -> None:
    before = backend.disk_bytes()

    backend.commit([(b"a", b"x" * 100_000)], sync=True)

    assert backend.disk_bytes() >= before + 100_000


CALLS: dict[str, Callable[[Backend], object]] = {
    "get": lambda backend: backend.get(b"a"),
    "scan": lambda backend: backend.scan(b"", LAST),
    "empty scan": lambda backend: backend.scan(b"", b""),
    "commit": lambda backend: backend.commit([]),
    "sync": lambda backend: backend.sync(),
    "compact": lambda backend: backend.compact(),
    "disk_bytes": lambda backend: backend.disk_bytes(),
}


@pytest.mark.parametrize("call", CALLS)
def test_once_closed_it_answers_nothing(backend: Backend, call: str) -> None:
    backend.close()
    backend.close()

    with pytest.raises(DatabaseClosed):
        CALLS[call](backend)


def test_a_scan_does_not_go_on_after_closing(backend: Backend) -> None:
    backend.commit([(b"a", b"1"), (b"b", b"2")])
    scan = backend.scan(b"", LAST)
    next(scan)

    backend.close()

    for _ in range(2):
        with pytest.raises(DatabaseClosed):
            next(scan)


keys = st.binary(max_size=3) | st.sampled_from([b"a", b"b", b"ab"])
rows = st.lists(st.tuples(keys, st.none() | st.binary(max_size=5)), max_size=6)
steps = st.lists(
    st.tuples(st.just("commit"), rows, st.booleans())
    | st.tuples(st.just("scan"), keys, keys)
    | st.tuples(st.sampled_from(["read", "compact", "sync", "reopen"]), st.none(), st.none()),
    max_size=12,
)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_sorted_dictionary(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> None:
    @given(steps)
    @settings(max_examples=25)
    def run(history: list[tuple[str, object, object]]) -> None:
        path = tmp_path_factory.mktemp("data")
        backend = opened(kind, path)
        model: dict[bytes, bytes] = {}
        scans: list[tuple[Iterator[tuple[bytes, bytes]], list[tuple[bytes, bytes]]]] = []
        for step, first, second in history:
            match step, first, second:
                case "commit", list() as batch, bool() as sync:
                    backend.commit(batch, sync=sync)
                    for key, value in batch:
                        model.pop(key, None)
                        if value is not None:
                            model[key] = value
                case "scan", bytes() as start, bytes() as end:
                    expected = [row for row in sorted(model.items()) if start <= row[0] < end]
                    scans.append((backend.scan(start, end), expected))
                case "read", _, _:
                    assert [next(scan, None) for scan, _ in scans] == [
                        expected.pop(0) if expected else None for _, expected in scans
                    ]
                case "reopen", _, _ if kind != "memory":
                    backend.close()
                    backend = opened(kind, path)
                    scans = []
                case "compact", _, _:
                    backend.compact()
                case _:
                    backend.sync()
            assert rows_of(backend) == sorted(model.items())
            assert all(backend.get(key) == value for key, value in model.items())
        assert [list(scan) for scan, _ in scans] == [expected for _, expected in scans]
        backend.close()

    run()
