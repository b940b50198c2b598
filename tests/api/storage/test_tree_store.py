"""A tree that is stored again and again, and read by the next process."""

import random
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.storage.damaging import flip
from tests.api.storage.test_full_disk import no_file_grows_beyond
from tests.core.snap.strategies import EXPORTS

from firekeep.exceptions import CorruptRecord, PersistenceInUse, StorageError, StorageFull
from firekeep.storage.store import Store
from firekeep.storage.tree_store import TreeStore
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_export

NOISE = random.Random(0).randbytes(100_000).hex()
KEYS = ["a", "b", "c", "long key " * 5]


def stored(path: FilePath) -> Node:
    store = TreeStore.open(path)
    try:
        return store.root
    finally:
        store.close()


STEPS = st.lists(
    st.one_of(
        st.just("reopen"),
        st.tuples(
            st.lists(st.sampled_from(KEYS), max_size=4),
            EXPORTS | st.sampled_from([dict.fromkeys(KEYS, "x" * 2000), "y" * 5000]),
        ),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_what_was_saved_last_is_what_the_next_one_finds(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("tree") / "data"
    root = EMPTY
    store = TreeStore.open(path)
    for step in steps:
        if step == "reopen":
            store.close()
            store = TreeStore.open(path)
            assert store.root == root
        else:
            root = root.update(Path.from_keys(step[0]), from_export(step[1]))
            store.save(root)
    store.close()
    assert stored(path) == root


def test_a_directory_has_one_user_at_a_time(tmp_path: FilePath) -> None:
    store = TreeStore.open(tmp_path / "data")
    with pytest.raises(PersistenceInUse, match="in use by process"):
        TreeStore.open(tmp_path / "data")
    store.close()
    store.close()
    TreeStore.open(tmp_path / "data").close()


def test_an_emulator_and_a_client_do_not_share_a_directory(tmp_path: FilePath) -> None:
    TreeStore.open(tmp_path / "one").close()
    with pytest.raises(StorageError, match="the data of an emulator"):
        Store(tmp_path / "one", budget_bytes=1, durability="none").open()
    with Store(tmp_path / "two", budget_bytes=1, durability="none"):
        pass
    with pytest.raises(StorageError, match="the data of a client"):
        TreeStore.open(tmp_path / "two")


def test_damaged_data_are_not_taken_for_others(tmp_path: FilePath) -> None:
    store = TreeStore.open(tmp_path / "data")
    store.save(from_export(dict.fromkeys(KEYS, NOISE)))
    store.close()
    store = TreeStore.open(tmp_path / "data")
    store.close()
    for table in (tmp_path / "data" / "data").glob("*.sst"):
        flip(table, 0.5)
    with pytest.raises(CorruptRecord):
        TreeStore.open(tmp_path / "data")
    # And nobody is locked out by the attempt.
    with pytest.raises(CorruptRecord):
        TreeStore.open(tmp_path / "data")


def test_data_without_a_format_are_left_alone(tmp_path: FilePath) -> None:
    TreeStore.open(tmp_path / "data").close()
    (tmp_path / "data" / "format").unlink()
    with pytest.raises(CorruptRecord, match="format is missing"):
        TreeStore.open(tmp_path / "data")


def test_what_a_full_disk_did_not_take_is_saved_with_the_next(tmp_path: FilePath) -> None:
    store = TreeStore.open(tmp_path / "data")
    first = from_export({"a": NOISE})
    store.save(first)
    second = first.update(Path.parse("/b"), from_export(1))
    with no_file_grows_beyond(50_000), pytest.raises(StorageFull):
        store.save(second)
    assert store.root == first
    store.save(second.update(Path.parse("/c"), from_export(2)))
    store.close()
    assert stored(tmp_path / "data") == from_export({"a": NOISE, "b": 1, "c": 2})
