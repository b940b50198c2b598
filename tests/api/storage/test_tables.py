"""Large commits, which come as tables: all or nothing, whatever ends them."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firekeep.exceptions import StorageError
from firekeep.storage import tables
from firekeep.storage.backend import Row
from firekeep.storage.rocksdb import LARGE_BYTES, RocksBackend
from firekeep.storage.tuning import Role

LAST = b"\xff" * 20
NOISE = random.Random(0).randbytes(LARGE_BYTES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


def large(prefix: bytes, count: int = 300) -> list[Row]:
    """Return rows that together are too much for a log."""
    return [
        (b"%b%05d" % (prefix, number), NOISE[number : number + 5000]) for number in range(count)
    ]


def rows_of(backend: RocksBackend) -> list[tuple[bytes, bytes]]:
    return list(backend.scan(b"", LAST))


def log_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("*.log"))


@pytest.mark.parametrize("role", ["queue", "cache"])
def test_a_large_commit_is_not_in_a_log_before(path: Path, role: Role) -> None:
    backend = RocksBackend.open(path, role=role)

    backend.commit(large(b"a"))

    assert log_bytes(path) < 1000
    assert rows_of(backend) == large(b"a")
    backend.close()
    backend = RocksBackend.open(path, role=role)
    assert rows_of(backend) == large(b"a")
    backend.close()


def test_of_several_rows_with_one_key_the_last_counts(path: Path) -> None:
    backend = RocksBackend.open(path, role="cache")
    backend.commit([(b"b", b"old")])

    backend.commit([(b"z", b"1"), *large(b"a"), (b"z", b"2"), (b"b", None), (b"a00000", b"0")])

    assert rows_of(backend) == [(b"a00000", b"0"), *large(b"a")[1:], (b"z", b"2")]
    backend.close()


def test_rows_of_one_large_commit_may_all_be_deletions(path: Path) -> None:
    backend = RocksBackend.open(path, role="cache")
    keys = [b"%0200d" % number for number in range(LARGE_BYTES // 200 + 1)]
    backend.commit([(key, b"") for key in keys])

    backend.commit([(key, None) for key in keys])

    assert rows_of(backend) == []
    backend.close()


def test_a_table_is_merged_with_little_of_what_is_there(path: Path) -> None:
    """Else both would be on the disk meanwhile, as large as all there is."""
    backend = RocksBackend.open(path, role="cache")
    backend.commit(large(b"m", 4000))
    backend.compact()
    database = backend._database
    assert database is not None
    stored = {file["start_key"] for file in database.live_files()}

    backend.commit([(b"a", b""), *large(b"n"), *large(b"z"), *((key, b"") for key in stored)])

    files = database.live_files()
    for file in files:
        covered = [
            other["size"]
            for other in files
            if other["level"] > file["level"]
            and other["start_key"] <= file["end_key"]
            and file["start_key"] <= other["end_key"]
        ]
        assert sum(covered) < 5_000_000
    backend.close()


def test_however_much_lies_below_there_are_not_many_tables(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tables = tables._write_tables
    counts: list[int] = []

    def counted(*arguments: object) -> list[str]:
        written = write_tables(*arguments)  # type: ignore[arg-type]
        counts.append(len(written))
        return written

    monkeypatch.setattr(tables, "_write_tables", counted)
    backend = RocksBackend.open(path, role="cache")

    for _ in range(5):
        backend.commit(large(b"a", 1500))

    # 7.5 MB, each time above up to four times as much.
    assert max(counts) <= 8 + 4 * 4
    backend.close()


@pytest.mark.parametrize("step", ["write", "hand over"])
def test_a_commit_that_breaks_off_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    backend = RocksBackend.open(path, role="cache")
    backend.commit([(b"a", b"1")])
    with monkeypatch.context() as patch:
        if step == "write":
            fsync = os.fsync
            synced: list[int] = []

            def fail(file: int) -> None:
                fsync(file)
                synced.append(file)
                if len(synced) == 2:
                    raise OSError(5, "Input/output error")

            patch.setattr(os, "fsync", fail)
        else:
            patch.setattr(tables, "_write_tables", lambda *_: [str(path / "missing")])
        with pytest.raises(StorageError):
            backend.commit(large(b"a"))

    assert rows_of(backend) == [(b"a", b"1")]
    assert list(path.glob("*.coming")) == []
    backend.commit(large(b"a"))
    assert rows_of(backend) == [(b"a", b"1"), *large(b"a")]
    backend.close()


def test_tables_that_a_killed_process_left_are_taken_away(path: Path) -> None:
    backend = RocksBackend.open(path, role="cache")
    backend.commit([(b"a", b"1")])
    backend.close()
    (path / "0.coming").write_bytes(b"half a table")

    reader = RocksBackend.open_read_only(path)
    assert (path / "0.coming").exists()
    reader.close()
    backend = RocksBackend.open(path, role="cache")

    assert not (path / "0.coming").exists()
    assert rows_of(backend) == [(b"a", b"1")]
    backend.close()


def test_what_was_committed_before_is_on_the_disk_first(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut takes what was not synced: never an earlier commit without a later one."""
    backend = RocksBackend.open(path, role="cache")
    backend.commit([(b"a", b"earlier")])
    write_tables = tables._write_tables
    in_logs: list[int] = []

    def noted(*arguments: object) -> list[str]:
        in_logs.append(log_bytes(path))
        return write_tables(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tables, "_write_tables", noted)
    assert log_bytes(path) > 0

    backend.commit(large(b"a"))

    assert in_logs == [0]
    backend.close()


def test_each_table_is_private_to_the_user(path: Path) -> None:
    backend = RocksBackend.open(path, role="cache")
    backend.commit(large(b"a"))

    assert os.stat(path).st_mode & 0o077 == 0
    backend.close()


keys = st.integers(0, 400).map(lambda number: b"%03d" % number)
commits = st.lists(
    st.tuples(
        st.lists(st.tuples(keys, st.none() | st.integers(0, 9000)), min_size=1, max_size=40),
        st.booleans(),
        st.sampled_from(["go on", "go on", "go on", "compact", "reopen"]),
    ),
    max_size=8,
)


def test_large_and_small_commits_make_a_sorted_dictionary(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    @given(commits)
    @settings(max_examples=40, deadline=None)
    def run(history: list[tuple[list[tuple[bytes, int | None]], bool, str]]) -> None:
        path = tmp_path_factory.mktemp("data")
        backend = RocksBackend.open(path, role="cache")
        model: dict[bytes, bytes] = {}
        for changes, is_large, then in history:
            rows: list[Row] = [
                (key, None if size is None else NOISE[size : size * 2]) for key, size in changes
            ]
            if is_large:
                rows.append((b"large", NOISE))
            backend.commit(rows)
            for key, value in rows:
                model.pop(key, None)
                if value is not None:
                    model[key] = value
            if then == "compact":
                backend.compact()
            elif then == "reopen":
                backend.close()
                backend = RocksBackend.open(path, role="cache")
            assert rows_of(backend) == sorted(model.items())
            assert all(backend.get(key) == value for key, value in model.items())
        backend.close()

    run()
