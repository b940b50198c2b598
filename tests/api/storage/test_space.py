"""The files of a database stay in proportion to what is stored."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from firekeep.storage.backend import Row
from firekeep.storage.memory import MemoryBackend
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.space import SpaceKeeper
from firekeep.storage.store import Store
from firekeep.storage.tuning import Role
from firekeep_core.operation.cache_change import Complete, Forget, Replace
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path as Place
from firekeep_core.snap.value import from_export

MIB = 1024 * 1024
ALL = QueryParams.DEFAULT
NOISE = random.Random(0).randbytes(MIB)
"""Nothing that a compression could make smaller."""


class Churn:
    """Commits to a database and looks at its files after each."""

    def __init__(self, path: Path, role: Role) -> None:
        self.path = path
        self.backend = RocksBackend.open(path, role=role)
        self.keeper = SpaceKeeper(self.backend)
        self.worst_excess_bytes = -(10**9)

    def commit(self, rows: list[Row], live_bytes: int) -> None:
        self.backend.commit(rows)
        self.look(live_bytes)
        self.keeper.keep(live_bytes)
        self.look(live_bytes)

    def look(self, live_bytes: int) -> None:
        # Counted from outside, and as du does.
        used_bytes = 0
        for file in self.path.iterdir():
            try:
                used_bytes += file.stat().st_blocks * 512
            except FileNotFoundError:  # compacted away meanwhile
                continue
        excess_bytes = used_bytes - (2 * live_bytes + 8 * MIB)
        self.worst_excess_bytes = max(self.worst_excess_bytes, excess_bytes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


def value(chance: random.Random, size: int) -> bytes:
    start = chance.randrange(MIB - size)
    return NOISE[start : start + size]


@pytest.mark.parametrize(("size", "count"), [(100, 200), (2000, 50), (100_000, 5)])
def test_the_cache_takes_at_most_twice_its_budget_and_8_mib(
    path: Path, size: int, count: int
) -> None:
    churn = Churn(path, "cache")
    chance = random.Random(1)
    budget_bytes = 3 * MIB
    keys = budget_bytes // (size + 8)

    for _ in range(30 * MIB // (size * count)):
        rows: list[Row] = [
            (b"%08d" % chance.randrange(keys), value(chance, size)) for _ in range(count)
        ]
        churn.commit(rows, budget_bytes)

    assert churn.worst_excess_bytes <= 0
    churn.backend.close()


@pytest.mark.parametrize("places", [1, 8])
def test_a_large_commit_comes_on_top_of_the_bound_while_it_is_taken(
    path: Path, places: int
) -> None:
    churn = Churn(path, "cache")
    chance = random.Random(3)
    large_bytes = 6 * MIB
    rows: dict[bytes, bytes] = {}

    for number in range(16):
        gone: list[Row] = [(key, None) for key in rows]
        rows = {
            b"%d/%05d" % (number % places, part): value(chance, 4000)
            for part in range(large_bytes // 4000)
        }
        churn.keeper.make_room(large_bytes, large_bytes)
        churn.commit([*gone, *rows.items()], large_bytes)

    assert churn.worst_excess_bytes <= large_bytes
    churn.backend.close()


@pytest.mark.parametrize("waiting", [0, 3000])
def test_a_queue_that_is_filled_and_drained_takes_little_more_than_what_waits(
    path: Path, waiting: int
) -> None:
    churn = Churn(path, "queue")
    chance = random.Random(2)
    first = last = 0

    def step(added: int, removed: int) -> None:
        nonlocal first, last
        rows: list[Row] = [
            (b"write/%020d" % number, value(chance, 400)) for number in range(last, last + added)
        ]
        rows += [(b"write/%020d" % number, None) for number in range(first, first + removed)]
        first, last = first + removed, last + added
        churn.commit(rows, (last - first) * 426)

    for _ in range(waiting // 50):
        step(50, 0)
    for _ in range(40_000 // 50):
        step(50, 50)
    for _ in range(waiting // 50):
        step(0, 50)

    assert first == last
    assert churn.worst_excess_bytes <= 0
    churn.backend.close()


@pytest.mark.parametrize("is_reopened", [False, True])
def test_deletions_that_lie_where_nothing_else_does_are_cleared_away(
    path: Path, is_reopened: bool
) -> None:
    backend = RocksBackend.open(path, role="queue")
    backend.compact()
    for start in range(0, 10_000, 100):
        keys = [b"%08d" % number for number in range(start, start + 100)]
        backend.commit([row for key in keys for row in ((key, NOISE[:1000]), (key, None))])
    if is_reopened:
        backend.close()
        backend = RocksBackend.open(path, role="queue")

    backend.compact()

    assert list(path.glob("*.sst")) == []
    backend.close()


def test_a_commit_waits_for_rocksdb_before_it_would_have_to_wait_inside(path: Path) -> None:
    backend = RocksBackend.open(path, role="cache")
    behind: list[int] = []

    for number in range(150):
        backend.commit([(b"%d" % (number % 4), NOISE)])
        behind.append(
            backend._upkeep.number("num-files-at-level0")
            + backend._upkeep.number("num-immutable-mem-table")
        )

    assert max(behind) <= 8
    backend.close()


class Ballast(MemoryBackend):
    """Files of any size, which compaction may or may not make smaller."""

    def __init__(self) -> None:
        super().__init__()
        self.size_bytes = 0
        self.least_bytes = 0
        self.compactions = 0

    def disk_bytes(self) -> int:
        return self.size_bytes

    def compact(self) -> None:
        self.compactions += 1
        self.size_bytes = self.least_bytes


@pytest.fixture
def ballast() -> Iterator[Ballast]:
    yield Ballast()


def test_files_in_proportion_are_left_alone(ballast: Ballast) -> None:
    ballast.size_bytes = 19 * MIB

    assert not SpaceKeeper(ballast).keep(10 * MIB)
    assert ballast.compactions == 0


def test_files_out_of_proportion_are_compacted(ballast: Ballast) -> None:
    ballast.size_bytes, ballast.least_bytes = 20 * MIB, 11 * MIB

    assert SpaceKeeper(ballast).keep(10 * MIB)
    assert ballast.size_bytes == 11 * MIB


def test_what_compaction_could_not_help_is_not_compacted_each_time(ballast: Ballast) -> None:
    keeper = SpaceKeeper(ballast)
    ballast.size_bytes = ballast.least_bytes = 30 * MIB

    assert [keeper.keep(10 * MIB) for _ in range(3)] == [True, False, False]

    ballast.size_bytes += 3 * MIB
    assert keeper.keep(10 * MIB)


def test_what_is_left_over_goes_before_a_large_commit_comes(ballast: Ballast) -> None:
    keeper = SpaceKeeper(ballast)
    ballast.size_bytes, ballast.least_bytes = 14 * MIB, 10 * MIB

    assert not keeper.make_room(10 * MIB, 2 * MIB)
    assert keeper.make_room(10 * MIB, 9 * MIB)
    assert not keeper.make_room(10 * MIB, 9 * MIB)


def test_what_has_been_deleted_since_is_worth_another_time(ballast: Ballast) -> None:
    keeper = SpaceKeeper(ballast)
    ballast.size_bytes = ballast.least_bytes = 30 * MIB
    keeper.keep(10 * MIB)

    assert keeper.keep(7 * MIB)


def test_a_store_makes_room_for_each_large_value(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compactions: list[int] = []
    compact = RocksBackend.compact

    def noted(backend: RocksBackend) -> None:
        compactions.append(backend.disk_bytes())
        compact(backend)

    monkeypatch.setattr(RocksBackend, "compact", noted)
    with Store(path, budget_bytes=20 * MIB, durability="none") as store:
        for number in range(3):
            text = from_export({f"{part}": NOISE[part:100_000].hex() for part in range(20)})
            place = Place.parse(f"a{number}")
            store.apply([Replace(place, text), Complete(place, ALL)])
            store.apply([Forget(place, ALL)])

    assert compactions
