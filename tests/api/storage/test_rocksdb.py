"""The traps of RocksDB and rocksdict, each of which the backend closes."""

import ast
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rocksdict
from tests.api.storage.damaging import LAST, flip, rows_of

from firekeep.exceptions import (
    CorruptRecord,
    FirekeepError,
    PersistenceInUse,
    StorageError,
    StorageFull,
)
from firekeep.storage import rocksdb
from firekeep.storage.failures import translated
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.stamp import SyncStamp
from firekeep.storage.tuning import Role

SETTINGS = "rocksdict-config.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def backend(path: Path) -> Iterator[RocksBackend]:
    one = RocksBackend.open(path, role="queue")
    yield one
    one.close()


def run(script: str, *arguments: object, limit_s: int = 60) -> str:
    """Run Python in a process of its own, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=limit_s,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Trap:
    """Something that creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.file),)


def test_a_database_of_somebody_else_is_refused_and_nothing_in_it_is_run(
    path: Path, tmp_path: Path
) -> None:
    foreign = rocksdict.Rdict(str(path))
    foreign[b"a"] = Trap(tmp_path / "sprung")
    foreign.close()

    with pytest.raises(CorruptRecord):
        RocksBackend.open(path, role="cache")

    assert not (tmp_path / "sprung").exists()


def test_no_file_can_turn_the_decoding_of_values_on(path: Path, tmp_path: Path) -> None:
    backend = RocksBackend.open(path, role="cache")
    values = [bytes([kind]) + pickle.dumps(Trap(tmp_path / "sprung")) for kind in range(10)]
    backend.commit([(b"%d" % number, value) for number, value in enumerate(values)])
    backend.close()
    (path / SETTINGS).write_text('{"raw_mode":false,"prefix_extractors":{}}')

    backend = RocksBackend.open(path, role="cache")

    assert list(rows_of(backend).values()) == values
    backend.close()
    assert not (tmp_path / "sprung").exists()


def test_a_scan_over_a_damaged_block_raises_instead_of_ending(path: Path) -> None:
    backend = RocksBackend.open(path, role="queue")
    rows = {b"%05d" % number: b"%d" % number * 50 for number in range(3000)}
    backend.commit(list(rows.items()))
    backend.compact()
    backend.close()
    for table in path.glob("*.sst"):
        flip(table, 0.5)
    backend = RocksBackend.open(path, role="queue")
    scan = backend.scan(b"", LAST)
    read: list[tuple[bytes, bytes]] = []

    with pytest.raises(CorruptRecord, match="damaged"):
        for row in scan:
            read.append(row)  # noqa: PERF402, what came before the error counts

    assert 0 < len(read) < len(rows)
    assert read == list(rows.items())[: len(read)]
    for _ in range(2):
        with pytest.raises(CorruptRecord):
            next(scan)
    backend.close()


def test_reading_a_damaged_block_raises(path: Path) -> None:
    backend = RocksBackend.open(path, role="queue")
    backend.commit([(b"a", b"1" * 1000)])
    backend.compact()
    backend.close()
    for table in path.glob("*.sst"):
        flip(table, 0.2)
    backend = RocksBackend.open(path, role="queue")

    with pytest.raises(CorruptRecord):
        backend.get(b"a")
    backend.close()


FORBIDDEN = {
    # They end in silence where rows are damaged.
    *("items", "keys", "values", "columns", "entities"),
    # What goes over it is not isolated from later writes.
    "snapshot",
    # With its ends swapped it makes every later write fail.
    "delete_range",
    # A write that syncs waits for the disk under the interpreter's lock.
    *("WriteOptions", "set_write_options"),
    # They live on when the database is closed.
    *("get_column_family", "get_column_family_handle"),
}


def test_what_cannot_be_made_safe_is_not_used() -> None:
    used: set[str] = set()
    for file in Path(rocksdb.__file__).parent.glob("*.py"):
        if file.stem in ("rocksdb", "scan", "tables", "upkeep", "tuning"):
            tree = ast.walk(ast.parse(file.read_text()))
            used |= {node.attr for node in tree if isinstance(node, ast.Attribute)}

    assert {"write", "flush_wal", "iter", "status"} <= used
    assert used & FORBIDDEN == set()


def test_a_scan_that_somebody_still_holds_does_not_keep_the_database(
    backend: RocksBackend, path: Path
) -> None:
    backend.commit([(b"a", b"1"), (b"b", b"2")])
    scan = backend.scan(b"", LAST)
    next(scan)

    backend.close()

    RocksBackend.open(path, role="queue").close()
    del scan


def test_an_error_that_somebody_still_holds_does_not_keep_the_database(path: Path) -> None:
    backend = RocksBackend.open(path, role="queue")
    backend.commit([(b"a", b"1" * 1000)])
    backend.compact()
    backend.close()
    for table in path.glob("*.sst"):
        flip(table, 0.2)
    backend = RocksBackend.open(path, role="queue")
    with pytest.raises(CorruptRecord) as caught:
        list(backend.scan(b"", LAST))

    backend.close()

    RocksBackend.open(path, role="queue").close()
    del caught


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("IO error: No space left on device: While appending to file: x.log", StorageFull),
        ("IO error: While appending to file: x.log: Disk quota exceeded", StorageFull),
        ("IO error: While appending to file: x.log: File too large", StorageFull),
        ("IO error: While lock file: LOCK: Resource temporarily unavailable", PersistenceInUse),
        ("IO error: lock hold by current process, acquire time 1 …", PersistenceInUse),
        ("Corruption: block checksum mismatch", CorruptRecord),
        ("Corruption: Corruption: IO error: No such file or directory", CorruptRecord),
        ("Invalid argument: rocksdict: does not match existing comparator", CorruptRecord),
        ("IO error: Input/output error", StorageError),
        ("IO error: No such file or directory", StorageError),
        ("something that nobody has seen before", StorageError),
    ],
)
def test_what_rocksdb_says_becomes_an_error_of_the_right_kind(
    text: str, kind: type[FirekeepError]
) -> None:
    error = translated(Exception(text), Path("data"))

    assert type(error) is kind
    assert text in str(error)
    assert "data" in str(error)


def test_a_file_that_is_not_there_is_damage_only_when_opening() -> None:
    missing = Exception("IO error: No such file or directory: MANIFEST-000005")

    assert type(translated(missing, Path("data"), is_opening=True)) is CorruptRecord


def test_a_second_open_in_this_process_is_refused(backend: RocksBackend, path: Path) -> None:
    with pytest.raises(PersistenceInUse, match="data"):
        RocksBackend.open(path, role="queue")

    backend.commit([(b"a", b"1")], sync=True)
    assert backend.get(b"a") == b"1"


def test_a_second_open_in_another_process_is_refused(backend: RocksBackend, path: Path) -> None:
    script = """if True:
        import sys
        from firekeep.exceptions import PersistenceInUse
        from firekeep.storage.rocksdb import RocksBackend
        try:
            RocksBackend.open(sys.argv[1], role="queue")
        except PersistenceInUse:
            print("in use")
    """

    assert run(script, path) == "in use\n"
    backend.commit([(b"a", b"1")], sync=True)


FORKING = """if True:
    import os, sys
    from firekeep.exceptions import UsageError
    from firekeep.storage.rocksdb import RocksBackend

    backend = RocksBackend.open(sys.argv[1], role="queue")
    backend.commit([(b"a", b"1"), (b"b", b"1")], sync=True)
    scan = backend.scan(b"", b"z")
    next(scan)
    if os.fork() == 0:
        calls = {
            "get": lambda: backend.get(b"a"),
            "scan": lambda: backend.scan(b"", b"z"),
            "next": lambda: next(scan),
            "commit": lambda: backend.commit([(b"child", b"1")], sync=True),
            "sync": backend.sync,
            "open": lambda: RocksBackend.open(sys.argv[1] + ".other", role="queue"),
        }
        for name, call in calls.items():
            try:
                call()
            except UsageError:
                print(name, "refused", flush=True)
        backend.close()
        del backend, scan, calls, call
        sys.exit()  # takes everything down, which must not close the parent's database
    os.wait()
    backend.commit([(b"c", b"1")], sync=True)
    print([key for key, _ in backend.scan(b"", b"z")], next(scan)[0])
    backend.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_is_refused_and_does_the_parent_no_harm(path: Path) -> None:
    lines = run(FORKING, path).splitlines()

    assert lines == [
        *(f"{name} refused" for name in ("get", "scan", "next", "commit", "sync", "open")),
        "[b'a', b'b', b'c'] b'b'",
    ]
    backend = RocksBackend.open(path, role="queue")
    assert list(rows_of(backend)) == [b"a", b"b", b"c"]
    backend.close()


def test_firekeep_works_without_rocksdict_and_says_what_it_lacks(tmp_path: Path) -> None:
    script = """if True:
        import sys
        sys.modules["rocksdict"] = None
        import firekeep
        from firekeep.storage.rocksdb import RocksBackend
        try:
            RocksBackend.open(sys.argv[1], role="cache")
        except firekeep.exceptions.StorageError as error:
            print(error)
    """

    assert "rocksdict" in run(script, tmp_path)


def test_rocksdict_is_not_loaded_before_it_is_needed() -> None:
    script = (
        "import firekeep, sys; import firekeep.storage.rocksdb; print('rocksdict' in sys.modules)"
    )

    assert run(script) == "False\n"


def test_a_directory_whose_parent_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        RocksBackend.open(tmp_path / "no" / "data", role="cache")

    assert not isinstance(caught.value, CorruptRecord)

    assert list(tmp_path.iterdir()) == []


def test_the_directory_is_closed_to_others(backend: RocksBackend, path: Path) -> None:
    assert os.name != "posix" or path.stat().st_mode & 0o777 == 0o700


def test_what_is_synced_is_what_was_asked_for_and_what_closing_leaves(path: Path) -> None:
    stamp = SyncStamp(path / "SYNCED")
    backend = RocksBackend.open(path, role="queue")

    backend.commit([(b"a", b"1")])
    unsynced = stamp.read()
    backend.commit([(b"b", b"1")], sync=True)
    synced = stamp.read()
    backend.commit([(b"c", b"1")])
    backend.sync()
    again = stamp.read()
    backend.commit([(b"d", b"1")])
    backend.close()

    assert [unsynced, synced, again, stamp.read()] == [0, 2, 3, 4]


def test_records_of_the_queue_can_be_found_in_the_files_as_they_are(path: Path) -> None:
    backend = RocksBackend.open(path, role="queue")
    rows = [(b"write/%03d" % number, b"value of %03d" % number * 9) for number in range(50)]
    backend.commit(rows[:25], sync=True)
    backend.compact()
    backend.commit(rows[25:], sync=True)

    stored = b"".join(file.read_bytes() for file in path.iterdir())

    assert all(key in stored and value in stored for key, value in rows)
    backend.close()


@pytest.mark.parametrize("role", ["queue", "cache"])
def test_a_directory_that_is_moved_away_takes_nothing_more(tmp_path: Path, role: Role) -> None:
    place, elsewhere = tmp_path / "data", tmp_path / "moved"
    backend = RocksBackend.open(place, role=role)
    backend.commit([(b"a", b"1")], sync=True)
    place.rename(elsewhere)

    for write in (lambda: backend.commit([(b"b", b"2")]), backend.sync, backend.compact):
        with pytest.raises(StorageError, match="moved or deleted while it was in use"):
            write()

    assert not place.exists()
    elsewhere.rename(place)
    backend.commit([(b"c", b"3")], sync=True)
    assert rows_of(backend) == {b"a": b"1", b"c": b"3"}
    backend.close()


def test_a_directory_that_is_deleted_is_not_made_again(tmp_path: Path) -> None:
    place = tmp_path / "store" / "data"
    place.parent.mkdir()
    backend = RocksBackend.open(place, role="queue")
    backend.commit([(b"a", b"1")], sync=True)
    shutil.rmtree(place.parent)

    for _ in range(3):
        with pytest.raises(StorageError, match="moved or deleted while it was in use"):
            backend.commit([(b"b", bytes(2_000_000))])
    backend.close()

    assert list(tmp_path.iterdir()) == []


def test_another_directory_in_its_place_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "data"
    backend = RocksBackend.open(place, role="queue")
    place.rename(tmp_path / "moved")
    place.mkdir()

    with pytest.raises(StorageError, match="moved or deleted while it was in use"):
        backend.commit([(b"a", b"1")])

    backend.close()
    assert list(place.iterdir()) == []
