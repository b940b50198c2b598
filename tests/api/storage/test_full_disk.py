"""A disk that is full, and has space again."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.api.storage.damaging import LAST, rows_of
from tests.api.storage.queue import set_of

from firekeep.exceptions import FirekeepError, StorageError, StorageFull
from firekeep.storage.backend import Row
from firekeep.storage.directory import StoreDirectory
from firekeep.storage.opening import Salvage, open_cache, open_queue
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.store import Store
from firekeep.storage.tuning import Role
from firekeep_core.operation.cache_change import Acknowledged, Assume, Complete, Pin, Replace
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path as Place
from firekeep_core.snap.value import from_export

NOISE = random.Random(0).randbytes(1_000_000)
PLACE = Place.parse("a")
ALL = QueryParams.DEFAULT


@pytest.fixture(params=["queue", "cache"])
def role(request: pytest.FixtureRequest) -> Role:
    role: Role = request.param
    return role


@contextmanager
def no_file_grows_beyond(size: int) -> Generator[None]:
    """Let this process write no file beyond a size, which the system tells much like a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def backend(role: Role, tmp_path: Path) -> Iterator[RocksBackend]:
    """Open a database whose log is the largest of its files."""
    one = RocksBackend.open(tmp_path / "data", role=role)
    one.commit([(b"a", NOISE[:300_000])], sync=True)
    yield one
    one.close()


def test_a_write_without_space_is_told_and_reads_go_on(backend: RocksBackend) -> None:
    with no_file_grows_beyond(200_000):
        for _ in range(3):
            with pytest.raises(StorageFull, match="no space"):
                backend.commit([(b"b", b"1")])
            assert backend.get(b"b") is None
            assert rows_of(backend) == {b"a": NOISE[:300_000]}

    backend.commit([(b"b", b"1")])
    assert list(rows_of(backend)) == [b"a", b"b"]


def test_a_commit_after_there_is_space_again_is_stored(backend: RocksBackend) -> None:
    with no_file_grows_beyond(350_000), pytest.raises(StorageFull):
        backend.commit([(b"b", NOISE[:100_000]), (b"c", b"1")])

    backend.commit([(b"b", b"1")], sync=True)

    assert {key: value[:1] for key, value in rows_of(backend).items()} == {
        b"a": NOISE[:1],
        b"b": b"1",
    }


def test_a_large_commit_that_finds_no_space_leaves_nothing(backend: RocksBackend) -> None:
    rows: list[Row] = [(b"%d" % n, NOISE[n : n + 300_000]) for n in range(8)]
    with no_file_grows_beyond(500_000), pytest.raises(StorageFull):
        backend.commit([*rows, (b"a", None)])
    assert rows_of(backend) == {b"a": NOISE[:300_000]}

    backend.commit([*rows, (b"a", None)])

    assert rows_of(backend) == dict(rows)


def test_a_sync_heals_too(backend: RocksBackend) -> None:
    with no_file_grows_beyond(350_000), pytest.raises(StorageFull):
        backend.commit([(b"b", NOISE[:100_000])])

    backend.sync()

    backend.commit([(b"c", b"1")])
    assert list(rows_of(backend)) == [b"a", b"c"]


def test_a_scan_under_way_ends_with_an_error_when_the_storage_heals(backend: RocksBackend) -> None:
    backend.commit([(b"b", b"1")])
    scan = backend.scan(b"", LAST)
    next(scan)
    with no_file_grows_beyond(350_000), pytest.raises(StorageFull):
        backend.commit([(b"c", NOISE[:100_000])])

    backend.commit([(b"c", b"1")])

    with pytest.raises(StorageError, match="anew"):
        next(scan)


def test_closing_while_there_is_no_space_loses_nothing(
    backend: RocksBackend, tmp_path: Path, role: Role
) -> None:
    with no_file_grows_beyond(350_000):
        with pytest.raises(StorageFull):
            backend.commit([(b"b", NOISE[:100_000])])
        backend.close()

    again = RocksBackend.open(tmp_path / "data", role=role)
    assert list(rows_of(again)) == [b"a"]
    again.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Give a function that makes a disk of so many MiB, or changes its size."""
    place = tmp_path / "disk"

    def sized(mib: int) -> Path:
        is_there = place.exists()
        place.mkdir(exist_ok=True)
        options = f"size={mib}m" + (",remount" if is_there else "")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"this user cannot make a small disk: {done.stderr.strip()}")
        return place

    if sys.platform != "linux":
        pytest.skip("a small disk is made with Linux's mount")
    yield sized
    if os.path.ismount(place):
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(backend: RocksBackend) -> list[bytes]:
    """Commit until that has failed five times; return the keys that were stored.

    RocksDB may make space meanwhile, so that one that has failed need not be the last.
    """
    stored: list[bytes] = []
    failures = 0
    while failures < 5:
        key = b"%05d" % len(stored)
        try:
            backend.commit([(key, NOISE[len(stored) : len(stored) + 5000])], sync=True)
            stored.append(key)
        except StorageFull:
            failures += 1
            assert list(rows_of(backend)) == stored
    return stored


def test_a_disk_that_is_full_keeps_every_commit_and_takes_more_later(
    small_disk: Callable[[int], Path], role: Role
) -> None:
    path = small_disk(4) / "data"
    backend = RocksBackend.open(path, role=role)
    keys = fill(backend)

    small_disk(16)
    backend.commit([(b"later", b"1")], sync=True)

    assert list(rows_of(backend)) == [*keys, b"later"]
    backend.close()
    backend = RocksBackend.open(path, role=role)
    assert list(rows_of(backend)) == [*keys, b"later"]
    backend.close()


def test_a_full_disk_that_is_left_and_opened_again_has_lost_nothing(
    small_disk: Callable[[int], Path], role: Role
) -> None:
    path = small_disk(4) / "data"
    backend = RocksBackend.open(path, role=role)
    keys = fill(backend)
    backend.close()

    for _ in range(3):
        try:
            RocksBackend.open(path, role=role).close()
        except FirekeepError as error:
            assert isinstance(error, StorageFull)

    small_disk(16)
    backend = RocksBackend.open(path, role=role)
    assert list(rows_of(backend)) == keys
    backend.close()


@contextmanager
def filled(disk: Path, *, but_blocks: int = 0) -> Generator[None]:
    """Leave no space on a disk, or so many blocks of 4 KiB."""
    filler, reserved = disk / "filler", disk / "reserved"
    reserved.write_bytes(bytes(4096) * but_blocks)
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    reserved.unlink()
    yield
    filler.unlink()


def test_a_database_is_opened_and_read_on_a_full_disk(
    small_disk: Callable[[int], Path], role: Role
) -> None:
    disk = small_disk(8)
    backend = RocksBackend.open(disk / "data", role=role)
    backend.commit([(b"a", b"1")], sync=True)
    backend.close()

    with filled(disk):
        for _ in range(2):
            backend = RocksBackend.open(disk / "data", role=role)
            assert rows_of(backend) == {b"a": b"1"}
            with pytest.raises(StorageFull):
                backend.commit([(b"b", b"1")])
            backend.close()
        backend = RocksBackend.open(disk / "data", role=role)

    backend.commit([(b"b", b"1")], sync=True)
    assert list(rows_of(backend)) == [b"a", b"b"]
    backend.close()


def test_running_out_of_space_anywhere_in_opening_damages_nothing(
    small_disk: Callable[[int], Path], role: Role
) -> None:
    disk = small_disk(8)

    for blocks in range(0, 40, 3):
        path = disk / f"{blocks}"
        backend = RocksBackend.open(path, role=role)
        backend.commit([(b"a", NOISE[:20_000])], sync=True)
        backend.close()
        with filled(disk, but_blocks=blocks):
            for _ in range(2):
                backend = RocksBackend.open(path, role=role)
                assert rows_of(backend) == {b"a": NOISE[:20_000]}
                backend.close()

        backend = RocksBackend.open(path, role=role)
        backend.commit([(b"b", b"1")], sync=True)
        assert list(rows_of(backend)) == [b"a", b"b"]
        backend.close()
        shutil.rmtree(path)


def test_a_store_starts_with_its_data_on_a_full_disk(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(8)
    value = from_export(NOISE[:300_000].hex())
    store = Store(disk / "store", budget_bytes=2_000_000, durability="write")
    with store:
        store.store_writes([set_of(number, "x") for number in range(1, 4)], (), 0)
        store.apply([Replace(PLACE, value), Complete(PLACE, ALL), Pin(PLACE, ALL, True)])
        store.apply([Assume(Place.parse("b"), value), Acknowledged(2)])

    smaller = Store(disk / "store", budget_bytes=1_000_000, durability="write")
    with filled(disk):
        opened = smaller.open()

        assert [envelope.id for envelope in opened.envelopes] == [1, 3]
        assert (opened.next_write_id, opened.pinned) == (4, [(PLACE, ALL)])
        assert smaller.load(PLACE, ALL).node == value
        assert smaller.switch_owner([], "somebody new", None) == []
        with pytest.raises(StorageFull):
            smaller.store_writes([set_of(4, "y")], (), 0)
        with pytest.raises(StorageFull):
            smaller.apply([Assume(PLACE, value)])

    smaller.store_writes([set_of(4, "y")], (), 0)
    smaller.apply([Assume(PLACE, from_export("theirs"))])
    smaller.close()
    opened = smaller.open("somebody new")
    assert [envelope.id for envelope in opened.envelopes] == [1, 3, 4]
    assert smaller.load(PLACE, ALL).node == from_export("theirs")
    smaller.close()


def test_a_first_start_without_space_says_what_is_missing(
    small_disk: Callable[[int], Path],
) -> None:
    disk = small_disk(8)
    store = Store(disk / "store", budget_bytes=1_000_000, durability="write")

    with filled(disk), pytest.raises(StorageFull, match="no space is left"):
        store.open()

    store.open()
    store.close()


def test_a_queue_whose_first_sync_leaves_no_space_is_closed_in_peace(
    small_disk: Callable[[int], Path],
) -> None:
    disk = small_disk(8)
    backend = RocksBackend.open(disk / "data", role="queue")

    with filled(disk):
        backend.close()

    RocksBackend.open(disk / "data", role="queue").close()


def test_a_damaged_queue_on_a_full_disk_stays_where_it_is(
    small_disk: Callable[[int], Path],
) -> None:
    def salvage(path: Path) -> Salvage:
        return Salvage([(b"a", NOISE)], 1, 0)

    directory = StoreDirectory.open(small_disk(8) / "store")
    backend = open_queue(directory, salvage).backend
    backend.commit([(b"a", NOISE)], sync=True)
    backend.close()
    (manifest,) = directory.queue.glob("MANIFEST-*")
    manifest.write_bytes(manifest.read_bytes()[:-1])
    with filled(directory.path.parent), pytest.raises(StorageFull):
        open_queue(directory, salvage)

    backend, reports = open_queue(directory, salvage)
    assert (backend.get(b"a"), len(reports)) == (NOISE, 1)
    backend.close()
    open_cache(directory).backend.close()
    directory.close()
