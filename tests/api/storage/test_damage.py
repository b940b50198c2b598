"""A crash or damage at any place: what is opened is right, or it is an error of ours."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.api.storage.damaging import (
    LAST,
    ROWS,
    damage_one_file,
    flip,
    is_prefix,
    make_crashed,
    rows_of,
)

from firekeep.exceptions import CorruptRecord, StorageError
from firekeep.storage.files import check_files, fault_in_log
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.tuning import Role


@pytest.fixture(scope="module", params=["queue", "cache"])
def role(request: pytest.FixtureRequest) -> Role:
    role: Role = request.param
    return role


@pytest.fixture(scope="module")
def crashed(role: Role, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crashed") / "data"
    make_crashed(path, role)
    return path


@pytest.fixture
def path(crashed: Path, tmp_path: Path) -> Path:
    """Copy a database that was not closed."""
    return Path(shutil.copytree(crashed, tmp_path / "data"))


def only(path: Path, pattern: str) -> Path:
    (found,) = path.glob(pattern)
    return found


def test_what_was_committed_survives_a_crash(path: Path, role: Role) -> None:
    backend = RocksBackend.open(path, role=role)

    assert rows_of(backend) == ROWS
    backend.close()


@pytest.mark.parametrize("seed", range(40))
def test_damage_to_any_file_is_harmless_or_an_error(path: Path, role: Role, seed: int) -> None:
    what = damage_one_file(path, random.Random(seed))
    rows: dict[bytes, bytes] | None = None

    try:
        backend = RocksBackend.open(path, role=role)
    except StorageError:
        return
    try:
        rows = rows_of(backend)
        assert all(backend.get(key) == value for key, value in list(rows.items())[::50])
        backend.commit([(b"later", b"1")], sync=True)
        backend.compact()
    except CorruptRecord:
        pass
    finally:
        backend.close()

    assert rows is None or rows == ROWS or (role == "cache" and is_prefix(rows)), what


@pytest.mark.parametrize("place", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
def test_no_bit_of_the_stored_options_matters(path: Path, role: Role, place: float) -> None:
    flip(only(path, "OPTIONS-*"), place)

    backend = RocksBackend.open(path, role=role)

    assert rows_of(backend) == ROWS
    backend.close()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.33, 0.5, 0.77, 0.99, 0.9999])
def test_a_log_that_breaks_off_loses_no_write_in_silence(
    path: Path, role: Role, share: float
) -> None:
    log = only(path, "*.log")
    data = log.read_bytes()
    log.write_bytes(data[: int(len(data) * share)])

    if role == "queue":
        with pytest.raises(CorruptRecord):
            RocksBackend.open(path, role=role)
    else:
        backend = RocksBackend.open(path, role=role)
        assert is_prefix(rows_of(backend))
        backend.close()


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_damage_inside_a_log_is_told_in_the_queue_whether_it_was_synced_or_not(
    path: Path, role: Role, place: float
) -> None:
    (path / "SYNCED").unlink(missing_ok=True)
    flip(only(path, "*.log"), place)

    if role == "queue":
        with pytest.raises(CorruptRecord):
            RocksBackend.open(path, role=role)
    else:
        backend = RocksBackend.open(path, role=role)
        assert is_prefix(rows_of(backend))
        backend.close()


def test_a_log_that_is_gone_is_missed_in_the_queue(path: Path, role: Role) -> None:
    only(path, "*.log").unlink()

    if role == "queue":
        with pytest.raises(CorruptRecord, match="were on the disk"):
            RocksBackend.open(path, role=role)
    else:
        backend = RocksBackend.open(path, role=role)
        assert is_prefix(rows_of(backend))
        backend.close()


def test_a_list_of_tables_that_breaks_off_is_damage(path: Path, role: Role) -> None:
    manifest = only(path, "MANIFEST-*")
    manifest.write_bytes(manifest.read_bytes()[:-3])

    with pytest.raises(CorruptRecord, match="MANIFEST"):
        RocksBackend.open(path, role=role)


def test_a_database_without_its_entry_is_not_taken_for_a_new_one(path: Path, role: Role) -> None:
    (path / "CURRENT").unlink()
    only(path, "*.log").unlink()

    with pytest.raises(CorruptRecord, match="CURRENT"):
        RocksBackend.open(path, role=role)


def test_a_file_in_the_place_of_the_directory_is_damage(tmp_path: Path, role: Role) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CorruptRecord):
        RocksBackend.open(tmp_path / "file", role=role)


def test_an_attempt_that_fails_leaves_the_database_free(path: Path, role: Role) -> None:
    manifest = only(path, "MANIFEST-*")
    sound = manifest.read_bytes()
    flip(manifest, 0.5)
    with pytest.raises(CorruptRecord) as caught:
        RocksBackend.open(path, role=role)

    manifest.write_bytes(sound)

    backend = RocksBackend.open(path, role=role)
    assert rows_of(backend) == ROWS
    backend.close()
    del caught


ENDLESS = bytes.fromhex("ee4eee966eb10bfbae898100ecce a91f")


@pytest.mark.parametrize("pattern", ["*.log", "MANIFEST-*"])
def test_a_record_that_rocksdb_would_read_for_ever_is_found_before(
    path: Path, role: Role, pattern: str
) -> None:
    with only(path, pattern).open("ab") as file:
        file.write(ENDLESS)

    with pytest.raises(CorruptRecord, match="kind 11"):
        RocksBackend.open(path, role=role)


@pytest.mark.parametrize("kind", [5, 6, 7, 8, 11, 131])
@pytest.mark.parametrize("before", [0, 1, 3000])
def test_such_a_record_is_found_wherever_it_is(tmp_path: Path, kind: int, before: int) -> None:
    block = 32 * 1024
    sound = b""
    for _ in range(before):
        if block - len(sound) % block < 7 + 13:
            sound += bytes(block - len(sound) % block)
        sound += b"crc!\x0d\x00\x01" + b"x" * 13
    log = tmp_path / "000001.log"

    log.write_bytes(sound + b"crc!\x01\x00\x01x")
    assert fault_in_log(log, may_break_off=True) is None

    log.write_bytes(sound + b"crc!\x01\x00" + bytes([kind]) + b"x")
    assert (
        fault_in_log(log, may_break_off=True) == f"byte {len(sound)}: a record of the kind {kind}"
    )


def test_what_rocksdb_writes_is_found_sound(tmp_path: Path, role: Role) -> None:
    backend = RocksBackend.open(tmp_path / "data", role=role)

    for size in (1, 20, 32 * 1024 - 40, 32 * 1024 - 1, 100_000, 1_500_000):
        backend.commit([(b"%d" % number, b"x" * size) for number in range(3)])
        check_files(tmp_path / "data")
    backend.compact()

    check_files(tmp_path / "data")
    backend.close()


WRITER = """if True:
    import os, sys
    from firekeep.storage.rocksdb import RocksBackend
    backend = RocksBackend.open(sys.argv[1], role=sys.argv[2])
    for number in range(3000):
        backend.commit([(b"%05d" % number, b"x" * 300), (b"last", b"%05d" % number)], sync=True)
        if number == 200:
            backend.compact()
        print(number, flush=True)
"""


def test_a_killed_process_loses_nothing_that_was_synced(tmp_path: Path, role: Role) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "data"), role], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    with writer:
        line = next(line for line in writer.stdout if int(line) >= 400)
        writer.kill()
        last = int([line, *writer.stdout][-1])

    backend = RocksBackend.open(tmp_path / "data", role=role)

    rows = rows_of(backend)
    kept = int(rows.pop(b"last"))
    assert kept >= last
    assert list(rows) == [b"%05d" % number for number in range(kept + 1)]
    backend.close()


def test_a_reader_is_told_of_damage(path: Path, role: Role) -> None:
    flip(max(path.glob("*.sst"), key=lambda table: table.stat().st_size), 0.3)
    reader = RocksBackend.open_read_only(path)

    with pytest.raises(CorruptRecord):
        list(reader.scan(b"", LAST))
    reader.close()
