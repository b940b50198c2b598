"""The files of a database stay in proportion to what is stored, at all times."""

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from tests.api.storage.disk_use import DiskUse
from tests.api.storage.queue import set_of, update_of

from firekeep.exceptions import StorageFull
from firekeep.storage.memory import MemoryBackend
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.server_cache import ServerCache
from firekeep.storage.space import SpaceKeeper
from firekeep.storage.write_journal import WriteJournal
from firekeep_core.operation.cache_change import Assume, CacheChange, Complete, Replace, Track
from firekeep_core.operation.queued_write import QueuedWrite
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path as Place
from firekeep_core.snap.value import from_export

MIB = 1024 * 1024
BUDGET_BYTES = 4 * MIB
ALL = QueryParams.DEFAULT
NOISE = random.Random(0).randbytes(8 * MIB)
"""Nothing that a compression could make smaller."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


def text(chance: random.Random, size_bytes: int) -> str:
    """Return a text that takes about so much; half of its characters take two bytes."""
    length = size_bytes * 2 // 3
    start = chance.randrange(len(NOISE) - length)
    return NOISE[start : start + length].decode("latin-1")


def value(chance: random.Random, size_bytes: int, row_bytes: int) -> Node:
    """Return a map of so many rows, or a single text that is longer than a row."""
    if row_bytes >= size_bytes:
        return from_export(text(chance, size_bytes))
    return from_export(
        {f"k{part:05}": text(chance, row_bytes) for part in range(size_bytes // row_bytes)}
    )


def replaced(place: str, values: Iterable[Node]) -> Iterator[list[CacheChange]]:
    """Listen to a place, where one value comes after the other."""
    path = Place.parse(place)
    yield [Track(path, ALL, True)]
    for node in values:
        yield [Replace(path, node), Complete(path, ALL)]


def visited(values: Iterable[Node]) -> Iterator[list[CacheChange]]:
    """Look at one place after the other."""
    for number, node in enumerate(values):
        path = Place.parse(f"v{number % 30}")
        yield [Track(path, ALL, True), Replace(path, node), Complete(path, ALL)]
        yield [Track(path, ALL, False)]


def changed(chance: random.Random, count: int) -> Iterator[list[CacheChange]]:
    """Listen to a place where now all is another, now a few children anywhere."""
    path = Place.parse("a")
    yield from replaced("a", [value(chance, 6 * MIB, 4000)])
    for number in range(count):
        if number % 20 == 19:
            yield [Replace(path, value(chance, 6 * MIB, 4000))]
        keys = [f"k{chance.randrange(1500):05}" for _ in range(chance.choice([1, 20, 200]))]
        yield [
            Replace(path.child(Place.from_keys([key])), from_export(text(chance, 4000)))
            for key in keys
        ]


def confirmed(chance: random.Random, count: int, size_bytes: int) -> Iterator[list[CacheChange]]:
    """Have several writes confirmed at once, at places to which nobody listens."""
    for number in range(count):
        yield [
            Assume(Place.parse(f"w{number % 3}x{part}"), value(chance, size_bytes, 4000))
            for part in range(4)
        ]


def units(kind: str) -> Iterator[list[CacheChange]]:
    chance = random.Random(1)
    sizes = {
        "a few rows": visited(value(chance, 100_000, 2000) for _ in range(200)),
        "what is just not large": visited(value(chance, 1_900_000, 4000) for _ in range(60)),
        "large ones": visited(value(chance, 3_500_000, 4000) for _ in range(40)),
        "one that is listened to": replaced("a", [value(chance, 9 * MIB, 4000) for _ in range(8)]),
        "a long text": replaced("a", [value(chance, 9 * MIB, 9 * MIB) for _ in range(8)]),
        "one of any size": replaced(
            "a", [value(chance, chance.randrange(10_000, 12 * MIB), 4000) for _ in range(15)]
        ),
        "children among many": changed(chance, 80),
        "confirmed writes": confirmed(chance, 8, 3_500_000),
    }
    return sizes[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "a few rows",
        "what is just not large",
        "large ones",
        "one that is listened to",
        "a long text",
        "one of any size",
        "children among many",
        "confirmed writes",
    ],
)
def test_the_cache_takes_at_most_twice_its_budget_or_what_is_active_and_8_mib(
    path: Path, kind: str
) -> None:
    backend = RocksBackend.open(path, role="cache")
    cache = ServerCache(backend, budget_bytes=BUDGET_BYTES)
    cache.open(None)
    worst_bytes = -(10**9)
    before_bytes = 0
    with DiskUse(path) as disk:
        for changes in units(kind):
            # What is evictable goes with the commit that brings too much.
            needed_bytes = cache.apply(changes).size_bytes
            live_bytes = max(BUDGET_BYTES, before_bytes, needed_bytes)
            worst_bytes = max(worst_bytes, disk.most_bytes() - (2 * live_bytes + 8 * MIB))
            before_bytes = needed_bytes

    assert cache.recount() == cache.size_bytes
    assert worst_bytes <= 0
    backend.close()


def in_turn(
    chance: random.Random, size_bytes: int
) -> Iterator[tuple[list[QueuedWrite], list[int]]]:
    """Keep three writes waiting, the oldest of which is answered as the next one comes."""
    for id in range(1, 30):
        yield [set_of(id, text(chance, size_bytes))], [id - 3]
    yield [], [27, 28, 29]


def one_by_one(
    chance: random.Random, size_bytes: int
) -> Iterator[tuple[list[QueuedWrite], list[int]]]:
    """Fill the queue and drain it, over and over."""
    for start in range(1, 1000, 100):
        for id in range(start, start + 100, 10):
            yield [set_of(id + n, text(chance, size_bytes)) for n in range(10)], []
        for id in range(start, start + 100, 10):
            yield [], list(range(id, id + 10))


def in_any_order(
    chance: random.Random, size_bytes: int
) -> Iterator[tuple[list[QueuedWrite], list[int]]]:
    """Add and answer in any order, as when some writes are refused or cancelled."""
    waiting: list[int] = []
    last_id = 0
    for number in range(80):
        count = chance.choice([0, 1, 1, 3]) if number < 50 else 0
        added = list(range(last_id + 1, last_id + 1 + count))
        last_id += count
        gone = chance.sample(waiting, min(len(waiting), chance.choice([0, 1, 2, 4])))
        yield [set_of(id, text(chance, chance.randrange(size_bytes))) for id in added], gone
        waiting = [*(id for id in waiting if id not in gone), *added]
    yield [], waiting


def to_many_places(
    chance: random.Random, size_bytes: int
) -> Iterator[tuple[list[QueuedWrite], list[int]]]:
    """Add updates whose paths take that much, and answer them in any order."""
    for added, gone in in_any_order(chance, 2):
        sizes = [chance.choice([10, size_bytes // 2, size_bytes]) for _ in added]
        updates = [
            update_of(
                write.envelope.id,
                [f"{n:05}" + chance.randbytes(345).hex() for n in range(size // 700)],
                1,
            )
            for write, size in zip(added, sizes, strict=True)
        ]
        yield updates, gone


@pytest.mark.parametrize(
    ("order", "size_bytes"),
    [
        (to_many_places, 8_000_000),
        (in_turn, 400),
        (in_turn, 2_000_000),
        (in_turn, 6_000_000),
        (one_by_one, 400),
        (one_by_one, 30_000),
        (in_any_order, 400_000),
        (in_any_order, 6_000_000),
    ],
)
def test_the_queue_takes_at_most_twice_what_waits_and_8_mib(
    path: Path, order: Callable[..., Iterator[tuple[list[QueuedWrite], list[int]]]], size_bytes: int
) -> None:
    backend = RocksBackend.open(path, role="queue")
    journal = WriteJournal(backend)
    journal.open()
    worst_bytes = -(10**9)
    before_bytes = 0
    with DiskUse(path) as disk:
        for added, removed in order(random.Random(2), size_bytes):
            journal.store(added, removed)
            live_bytes = max(before_bytes, journal.pending_bytes)
            worst_bytes = max(worst_bytes, disk.most_bytes() - (2 * live_bytes + 8 * MIB))
            before_bytes = journal.pending_bytes

    assert before_bytes == 0
    assert worst_bytes <= 0
    backend.close()


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
        backend.commit([(b"%d" % (number % 4), NOISE[:MIB])])
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
        self.sync()  # which a full disk refuses
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


def test_a_commit_that_needs_the_space_of_what_is_left_over_gets_it(ballast: Ballast) -> None:
    keeper = SpaceKeeper(ballast)
    ballast.size_bytes, ballast.least_bytes = 14 * MIB, 10 * MIB

    assert not keeper.make_room(10 * MIB, 1 * MIB)
    assert not keeper.make_room(10 * MIB, 5 * MIB)
    assert keeper.make_room(10 * MIB, 7 * MIB)
    assert ballast.size_bytes == 10 * MIB


def test_a_full_disk_is_for_the_next_commit_to_tell(ballast: Ballast) -> None:
    ballast.size_bytes, ballast.is_full = 20 * MIB, True

    SpaceKeeper(ballast).keep(10 * MIB)
    with pytest.raises(StorageFull):
        SpaceKeeper(ballast).make_room(10 * MIB, 9 * MIB)


def test_what_has_been_deleted_since_is_worth_another_time(ballast: Ballast) -> None:
    keeper = SpaceKeeper(ballast)
    ballast.size_bytes = ballast.least_bytes = 30 * MIB
    keeper.keep(10 * MIB)

    assert keeper.keep(7 * MIB)
