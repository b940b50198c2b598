"""What is kept synced is remembered until it is switched off, whatever happens to the cache."""

import shutil
from pathlib import Path as FilePath

import pytest
from tests.api.storage.damaging import flip

from firekeep.exceptions import CorruptRecord
from firekeep.storage.pins import PinFile, Pinned
from firekeep.storage.store import Store
from firekeep_core.operation.cache_change import Forget, Pin
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path

ALL = QueryParams.DEFAULT
NEWEST = ALL.order_by_child("time").limit_to_last(10)
NEWS, LOG = Path.parse("news"), Path.parse("log")


@pytest.fixture
def store(tmp_path: FilePath) -> Store:
    """Return one in which two users have asked for something; it is closed."""
    one = Store(tmp_path / "store", budget_bytes=1_000_000, durability="none")
    one.open("ada")
    one.apply([Pin(NEWS, ALL, True), Pin(LOG, NEWEST, True)])
    one.switch_owner([], None, None)
    one.apply([Pin(NEWS, ALL, True)])
    one.close()
    return one


def break_cache(store: Store) -> None:
    (manifest,) = (store._path / "cache").glob("MANIFEST-*")
    manifest.write_bytes(manifest.read_bytes()[:-1])


def pinned(store: Store, owner: str | None) -> set[tuple[Path, QueryParams]]:
    """Return what the next start is told, which it then leaves as it is."""
    opened = store.open(owner)
    store.close()
    return set(opened.pinned)


def test_what_each_user_keeps_synced_outlives_a_damaged_cache(store: Store) -> None:
    break_cache(store)

    assert pinned(store, "ada") == {(NEWS, ALL), (LOG, NEWEST)}
    assert pinned(store, None) == {(NEWS, ALL)}
    assert pinned(store, "bob") == set()


def test_it_outlives_a_cache_that_is_deleted(store: Store) -> None:
    shutil.rmtree(store._path / "cache")

    assert pinned(store, "ada") == {(NEWS, ALL), (LOG, NEWEST)}


def test_it_outlives_damage_that_is_found_in_use(store: Store) -> None:
    store.open("ada")
    store.reset_cache(CorruptRecord("a row"))
    store.close()
    break_cache(store)

    assert pinned(store, None) == {(NEWS, ALL)}
    assert pinned(store, "ada") == {(NEWS, ALL), (LOG, NEWEST)}


@pytest.mark.parametrize("change", [Pin(LOG, NEWEST, False), Forget(LOG, NEWEST)])
def test_what_was_switched_off_does_not_come_back(store: Store, change: Pin | Forget) -> None:
    store.open("ada")
    store.apply([change])
    store.close()
    break_cache(store)

    assert pinned(store, "ada") == {(NEWS, ALL)}


def test_a_user_whose_data_are_cleared_is_forgotten(store: Store) -> None:
    store.open("ada")
    store.switch_owner([], None, "ada")
    store.close()
    break_cache(store)

    assert pinned(store, "ada") == set()
    assert pinned(store, None) == {(NEWS, ALL)}


def test_where_the_cache_is_sound_it_is_right(store: Store) -> None:
    pins = store._path / "pins"
    whole = pins.read_bytes()
    for damaged in (b"", whole[:-1], None):
        pins.unlink()
        if damaged is not None:
            pins.write_bytes(damaged)

        assert pinned(store, "ada") == {(NEWS, ALL), (LOG, NEWEST)}
        assert pins.read_bytes() == whole


def test_a_directory_in_the_place_of_the_file_is_moved_aside(store: Store) -> None:
    pins = store._path / "pins"
    pins.unlink()
    pins.mkdir()

    assert pinned(store, "ada") == {(NEWS, ALL), (LOG, NEWEST)}
    assert pins.is_file()


def test_of_a_damaged_file_the_other_records_are_read(tmp_path: FilePath) -> None:
    pins = [Pinned(None, NEWS, ALL), Pinned("ada", LOG, NEWEST), Pinned("bob", LOG, ALL)]
    PinFile(tmp_path / "pins").write(pins)
    assert PinFile(tmp_path / "pins").read() == set(pins)

    flip(tmp_path / "pins", 0.9)

    assert len(PinFile(tmp_path / "pins").read()) == 2


def test_the_file_is_private_and_written_only_when_it_changes(tmp_path: FilePath) -> None:
    file = PinFile(tmp_path / "pins")
    file.write([Pinned(None, NEWS, ALL)])
    before = (tmp_path / "pins").stat()

    file.write([Pinned(None, NEWS, ALL)])

    after = (tmp_path / "pins").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert after.st_mode & 0o777 == 0o600
