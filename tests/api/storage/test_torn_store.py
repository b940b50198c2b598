"""Damage to any file of a whole store: it opens, and what it serves and sends was once stored."""

import shutil
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import NamedTuple

import pytest
from tests.api.storage.chronicle import BUDGET_BYTES, Chronicle, make_store, write_of
from tests.api.storage.tearing import (
    KINDS,
    NOTHING,
    Case,
    Damage,
    damages,
    is_idle,
    judge,
    judge_each,
    record_starts,
)

from firekeep.exceptions import CorruptRecord
from firekeep.storage.store import Store
from firekeep_core.operation.cache_change import (
    Acknowledged,
    CacheChange,
    Complete,
    Replace,
    Track,
)
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export

DEFAULT = QueryParams.DEFAULT


class Torn(NamedTuple):
    """A store, and what is true of it."""

    place: FilePath
    chronicle: Chronicle


def made(place: FilePath, *, is_killed: bool) -> Torn:
    return Torn(place, make_store(place, is_killed=is_killed))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Torn:
    return made(tmp_path_factory.mktemp("closed") / "store", is_killed=False)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Torn:
    return made(tmp_path_factory.mktemp("killed") / "store", is_killed=True)


def copied(torn: Torn, place: FilePath) -> FilePath:
    return FilePath(shutil.copytree(torn.place, place))


def faults(cases: list[Case]) -> list[str]:
    return [f"{case.damage}: {case.fault}" for case in cases if case.fault]


def check(torn: Torn, chosen: list[Damage], scratch: FilePath) -> set[str]:
    """Judge what comes of each damage, and return which outcomes there were."""
    cases = judge_each(torn.place, torn.chronicle, chosen, scratch)
    assert not faults(cases), "\n".join(faults(cases))
    assert [case.damage for case in cases] == chosen
    return {case.outcome for case in cases}


def a_third(found: list[Damage], which: int) -> list[Damage]:
    """Return two kinds of damage to each file that matters, others for its neighbours."""
    found = [damage for damage in found if not is_idle(FilePath(damage.files[0]))]
    files = sorted({damage.files for damage in found})
    return [
        damage
        for damage in found
        if (KINDS.index(damage.kind) + files.index(damage.files) + which) % 3 == 0
    ]


def test_a_store_that_nothing_happened_to_is_as_it_was(
    closed: Torn, killed: Torn, tmp_path: FilePath
) -> None:
    for name, torn in (("closed", closed), ("killed", killed)):
        assert judge(copied(torn, tmp_path / name), NOTHING, torn.chronicle) == "as it was"


def test_damage_to_a_file_of_a_closed_store_is_survived(closed: Torn, tmp_path: FilePath) -> None:
    outcomes = check(closed, a_third(damages(closed.place, [1]), 0), tmp_path)

    assert {"as it was", "cache emptied", "queue searched"} <= outcomes


def test_damage_to_a_file_of_a_store_in_use_is_survived(killed: Torn, tmp_path: FilePath) -> None:
    outcomes = check(killed, a_third(damages(killed.place, [2]), 1), tmp_path)

    assert {"as it was", "cache emptied"} <= outcomes


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
@pytest.mark.parametrize("is_killed", [False, True])
def test_many_damages_to_all_files_are_survived(
    is_killed: bool, seed: int, tmp_path: FilePath
) -> None:
    torn = made(tmp_path / "store", is_killed=is_killed)

    check(torn, damages(torn.place, range(seed * 3, seed * 3 + 3)), tmp_path)


def test_files_in_which_nothing_is_stored_do_not_matter(closed: Torn, tmp_path: FilePath) -> None:
    chosen = [damage for damage in damages(closed.place, [3]) if is_idle(FilePath(damage.files[0]))]

    assert chosen
    assert check(closed, chosen, tmp_path) == {"as it was"}


# What the store makes of some damages.


def test_a_list_of_tables_that_ends_between_two_records_costs_no_write(
    closed: Torn, tmp_path: FilePath
) -> None:
    (manifest,) = (closed.place / "queue").glob("MANIFEST-*")
    data = manifest.read_bytes()

    for end in record_starts(data)[-3:]:
        copy = copied(closed, tmp_path / f"{end}")
        (copy / "queue" / manifest.name).write_bytes(data[:end])
        damage = Damage((f"queue/{manifest.name}",), "cut between records", 0)
        outcome = judge(copy, damage, closed.chronicle)
        assert "lost" not in outcome
        assert not (copy / "queue.kept").exists(), "second names are there only while it opens"


def test_a_damaged_block_costs_only_the_write_that_is_hit(tmp_path: FilePath) -> None:
    store = Store(tmp_path / "store", budget_bytes=BUDGET_BYTES, durability="batch")
    store.open()
    store.store_writes([write_of(id) for id in range(1, 20)], (), 0)
    store.close()
    (table,) = (tmp_path / "store" / "queue").glob("*.sst")
    data = bytearray(table.read_bytes())
    data[data.index(b"x" * (11 * 37))] ^= 1
    table.write_bytes(data)

    opened = store.open()
    loaded = store.load_writes([envelope.id for envelope in opened.envelopes])
    store.close()

    assert loaded.unreadable == [11]
    assert {write.envelope.id for write in loaded.writes} == set(range(1, 20)) - {11}
    assert all(write.nodes == write_of(write.envelope.id).nodes for write in loaded.writes)


def test_a_queue_that_turns_out_to_be_damaged_goes_on_with_what_is_intact(
    tmp_path: FilePath,
) -> None:
    store = Store(tmp_path / "store", budget_bytes=BUDGET_BYTES, durability="batch")
    store.open()
    store.store_writes([write_of(id) for id in range(1, 20)], [3, 4, 19], 6)
    store.close()
    (table,) = (tmp_path / "store" / "queue").glob("*.sst")
    data = bytearray(table.read_bytes())
    data[data.index(b"x" * (11 * 37))] ^= 1
    table.write_bytes(data)
    store.open()

    repaired = store.repair_queue(CorruptRecord("a damaged block"))
    store.store_writes([write_of(20)], [5], 20)
    store.close()

    assert repaired.lost == [11]
    assert "a damaged block" in repaired.note
    waiting = sorted(set(range(1, 21)) - {3, 4, 5, 11, 19})
    opened = store.open()
    assert [envelope.id for envelope in opened.envelopes] == waiting
    assert opened.next_write_id == 21
    loaded = store.load_writes(waiting)
    assert [write.nodes for write in loaded.writes] == [write_of(id).nodes for id in waiting]
    store.close()


def units(number: int, *paths: str) -> list[CacheChange]:
    changes: list[CacheChange] = []
    for text in paths:
        path = Path.parse(text)
        changes += [
            Track(path, DEFAULT, True),
            Replace(path, from_export(number)),
            Complete(path, DEFAULT),
        ]
    return changes


def test_a_list_of_tables_that_ends_between_two_records_mixes_no_moments(
    tmp_path: FilePath,
) -> None:
    store = Store(tmp_path / "live", budget_bytes=BUDGET_BYTES, durability="batch")
    store.open()
    store.apply(units(1, "a", "b"))
    assert store._rows is not None
    store._rows.compact()
    store.close()
    store.open()
    store.apply(units(2, "a", "b"))
    store._rows._writable().flush(wait=True)
    store.apply(units(3, "b"))
    shutil.copytree(tmp_path / "live", tmp_path / "store")
    store.close()
    (manifest,) = (tmp_path / "store" / "cache").glob("MANIFEST-*")
    data = manifest.read_bytes()

    for end in record_starts(data):
        copy = FilePath(shutil.copytree(tmp_path / "store", tmp_path / f"{end}"))
        (copy / "cache" / manifest.name).write_bytes(data[:end])
        torn = Store(copy, budget_bytes=BUDGET_BYTES, durability="batch")
        torn.open()
        shown = [torn.load(Path.parse(text), DEFAULT) for text in ("a", "b")]
        torn.close()
        served = [export(cached.node) for cached in shown]
        assert served in ([1, 1], [2, 2], [2, 3], [None, None])


# The judge sees faults.


def lose_a_write(store: Store, chronicle: Chronicle) -> None:
    store.store_writes((), (max(chronicle.waiting),), 0)


def alter_a_payload(store: Store, chronicle: Chronicle) -> None:
    lost = max(chronicle.waiting)
    envelope, _ = write_of(lost)
    assert store._journal is not None
    store._journal.remove((lost,))
    store._journal._last_id = lost - 1
    store._journal.append([write_of(lost)._replace(nodes=write_of(lost - 3).nodes)], sync=True)
    assert envelope.id == lost


def serve_a_wrong_value(store: Store, chronicle: Chronicle) -> None:
    store.apply([Replace(Path.parse("rooms/lobby/unit"), from_export(-1))])


def serve_an_older_value(store: Store, chronicle: Chronicle) -> None:
    _, value = chronicle.moments[20]["ada", "lobby"]
    store.apply([Replace(Path.parse("rooms/lobby"), from_export(value))])


def serve_what_was_denied(store: Store, chronicle: Chronicle) -> None:
    path = Path.parse("secret")
    store.apply(
        [Replace(path, from_export(1)), Complete(path, DEFAULT), Track(path, DEFAULT, True)]
    )


def take_a_write_for_answered(store: Store, chronicle: Chronicle) -> None:
    store.apply([Acknowledged(max(chronicle.waiting))])


@pytest.mark.parametrize(
    "fault",
    [
        lose_a_write,
        alter_a_payload,
        serve_a_wrong_value,
        serve_an_older_value,
        serve_what_was_denied,
        take_a_write_for_answered,
    ],
)
def test_a_fault_does_not_escape_the_judge(
    closed: Torn, tmp_path: FilePath, fault: Callable[[Store, Chronicle], None]
) -> None:
    place = copied(closed, tmp_path / "store")
    store = Store(place, budget_bytes=BUDGET_BYTES, durability="batch")
    store.open("ada")
    fault(store, closed.chronicle)
    store.close()

    with pytest.raises(AssertionError):
        # Even when the cache is thought to be damaged, and may be older than it was.
        judge(place, Damage(("cache/CURRENT",), "", 0), closed.chronicle)
