"""The cache against the slow, obvious one, and what the budget makes go."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.api.storage.counting import CountingBackend
from tests.model.disk_model import DiskModel

from firekeep.exceptions import CorruptRecord, StorageFull
from firekeep.storage.backend import Row
from firekeep.storage.memory import MemoryBackend
from firekeep.storage.server_cache import ServerCache
from firekeep_core.operation.cache_change import (
    Acknowledged,
    Assume,
    CacheChange,
    CachedQuery,
    Clear,
    Complete,
    Concluded,
    Forget,
    Hold,
    Pin,
    Replace,
    Track,
)
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.value import export, from_export

DEFAULT = QueryParams.DEFAULT
LAST_TWO = DEFAULT.limit_to_last(2)
MIB = 1024 * 1024


def at(text: str) -> Path:
    return Path.from_wire(text)


def opened(
    backend: MemoryBackend | None = None, owner: str | None = None, budget_bytes: int = 10 * MIB
) -> ServerCache:
    cache = ServerCache(MemoryBackend() if backend is None else backend, budget_bytes=budget_bytes)
    cache.open(owner)
    return cache


def synced(path: str, value: Any, params: QueryParams = DEFAULT) -> list[CacheChange]:
    """Return what the engine says of a query that was listened to, answered and left."""
    place, node = at(path), from_export(value)
    if params == DEFAULT:
        data: list[CacheChange] = [Replace(place, node)]
    else:
        data = [Replace(place.child(at(key)), child) for key, child in node.items()]
        data.append(Hold(place, params, node.keys(), [], True))
    return [Track(place, params, True), *data, Complete(place, params), Track(place, params, False)]


def value(cache: ServerCache, path: str, params: QueryParams = DEFAULT) -> Any:
    """Return what is known of a query, None if not all of it is."""
    cached = cache.load(at(path), params)
    return export(params.filter(cached.node)) if cached.is_complete else None


# ---- the rows of a tree ---------------------------------------------------------------------

LARGE = {f"k{number:03}": {"text": "x" * 30, "n": number} for number in range(300)}


@pytest.mark.parametrize(
    "whole",
    [
        5,
        {"a": 1, ".priority": 2},
        LARGE,
        {**LARGE, ".priority": "high"},
        {"deep": {"deeper": {**LARGE, ".priority": 7}}, "b": {".value": 1, ".priority": 3}},
    ],
)
def test_a_value_comes_back_as_it_was(whole: Any) -> None:
    backend = MemoryBackend()
    opened(backend).apply(synced("a", whole))

    assert value(opened(backend), "a") == whole


@pytest.mark.parametrize("path", ["k007", "k007/text", "k007/text/below", "new", "new/deep"])
@pytest.mark.parametrize("part", [None, 1, {"b": 2}, LARGE])
def test_a_part_of_a_value_is_replaced(path: str, part: Any) -> None:
    cache = opened()
    cache.apply(synced("a", LARGE))

    cache.apply([Replace(at(f"a/{path}"), from_export(part))])

    expected = from_export(LARGE).update(at(path), from_export(part))
    assert cache.load(at("a"), DEFAULT).node == expected
    assert cache.verify() == []


def test_the_priority_of_a_large_map_goes_with_its_last_child() -> None:
    cache = opened()
    cache.apply(synced("a", {**LARGE, ".priority": 1}))

    cache.apply([Replace(at(f"a/{key}"), EMPTY) for key in LARGE])
    cache.apply([Replace(at("a/b"), from_export(1))])

    assert value(cache, "a") == {"b": 1}


def test_a_write_meets_what_the_one_before_it_has_left() -> None:
    cache = opened()
    cache.apply(synced("a", {**LARGE, ".priority": 1}))

    removed = [Assume(at(f"a/{key}"), EMPTY) for key in LARGE]
    cache.apply([*removed, Assume(at("a/b"), from_export(1))])

    assert value(cache, "a") == {"b": 1}


def test_a_value_is_not_mistaken_for_one_whose_key_it_begins() -> None:
    cache = opened()
    for number, key in enumerate(["a", "ab", "a0", "a!"]):
        cache.apply(synced(key, {**LARGE, "own": number}))

    cache.apply([Forget(at("ab"), DEFAULT)])

    assert [value(cache, key)["own"] for key in ("a", "a0", "a!")] == [0, 2, 3]
    assert value(cache, "ab") is None


def test_large_values_and_long_keys_come_back() -> None:
    cache = opened(budget_bytes=100 * MIB)
    text = "é" * (5 * MIB)
    many = {f"{number}": number for number in range(100_000)}

    cache.apply([*synced("text", text), *synced("many", many), *synced("k" * 700, 1)])

    assert value(cache, "text") == text
    assert cache.load(at("many"), DEFAULT).node == from_export(many)
    assert value(cache, "k" * 700) == 1


def test_a_window_is_read_without_the_rest_of_its_location() -> None:
    backend = CountingBackend()
    cache = opened(backend)
    cache.apply(synced("a", LARGE, DEFAULT.order_by_key()))
    cache.apply(synced("a", {key: LARGE[key] for key in ("k298", "k299")}, LAST_TWO))

    backend.reads = 0
    cached = cache.load(at("a"), LAST_TWO)

    assert cached.node.keys() == ["k298", "k299"]
    assert backend.reads <= 6


def test_a_damaged_row_is_never_served() -> None:
    backend = MemoryBackend()
    cache = opened(backend)
    cache.apply(synced("a", {"b": 1}))
    ((key, record),) = backend.scan(b"d", b"e")
    backend.commit([(key, record[:-1] + bytes([record[-1] ^ 1]))])

    with pytest.raises(CorruptRecord):
        cache.load(at("a"), DEFAULT)


def test_what_the_disk_does_not_take_changes_nothing() -> None:
    backend = MemoryBackend()
    cache = opened(backend)
    cache.apply(synced("a", {"b": 1}))
    backend.is_full = True

    with pytest.raises(StorageFull):
        cache.apply([*synced("c", 1), Replace(at("a/b"), from_export(2))])

    backend.is_full = False
    assert value(cache, "a") == {"b": 1}
    assert value(cache, "c") is None
    cache.apply(synced("c", 3))
    assert (value(cache, "c"), cache.verify()) == (3, [])


# ---- the budget -------------------------------------------------------------------------------


def filled(budget_bytes: int, count: int, size_bytes: int) -> tuple[ServerCache, list[str]]:
    cache = opened(budget_bytes=budget_bytes)
    names = [f"q{number:05}" for number in range(count)]
    for name in names:
        cache.apply(synced(name, {"text": "x" * size_bytes}))
    return cache, names


def test_the_least_recently_used_goes_first() -> None:
    cache, names = filled(MIB, 40, 50_000)

    kept = [name for name in names if value(cache, name) is not None]

    assert kept == names[-len(kept) :]
    assert 0.8 * MIB < cache.size_bytes <= MIB


class Watched(MemoryBackend):
    """Remembers how large it has been."""

    most_bytes = 0

    def commit(self, rows: Sequence[Row], *, sync: bool = False) -> None:
        super().commit(rows, sync=sync)
        self.most_bytes = max(self.most_bytes, self.disk_bytes())


def test_what_the_budget_has_no_room_for_is_never_stored() -> None:
    backend = Watched()
    cache = opened(backend, budget_bytes=MIB)
    cache.apply(synced("kept", {"text": "x" * 1000}))

    for number in range(10):
        writes = [Assume(at(f"w{number}{part}"), from_export("x" * 400_000)) for part in range(4)]
        report = cache.apply([*writes, *synced(f"r{number}", "x" * 300_000)])
        assert report.evicted_queries >= 3
        assert report.freed_bytes > 900_000

    assert backend.most_bytes <= MIB + 20
    assert value(cache, "r9") == "x" * 300_000
    assert cache.verify() == []


def test_what_is_evicted_as_it_comes_leaves_nothing_behind() -> None:
    backend = MemoryBackend()
    cache = opened(backend, budget_bytes=MIB)

    cache.apply(synced("a", {**LARGE, "long": "x" * (2 * MIB), ".priority": 1}))
    cache.apply(synced("a", {"b": "x" * (2 * MIB), "c": 1}, LAST_TWO))

    assert (cache.entries(), cache.verify()) == ([], [])
    # There is the name of the user, and the sum.
    assert [key[:1] for key, _ in backend.scan(b"", b"\xff")] == [b"\x00", b"o"]


def test_using_a_query_again_keeps_it() -> None:
    cache, _ = filled(MIB, 15, 50_000)
    cache.apply([Track(at("q00000"), DEFAULT, True), Track(at("q00000"), DEFAULT, False)])

    for number in range(10):
        cache.apply(synced(f"r{number}", {"text": "x" * 50_000}))

    assert value(cache, "q00000") is not None
    assert value(cache, "q00001") is None


def test_active_and_pinned_data_stay_and_say_that_they_are_too_much() -> None:
    cache = opened(budget_bytes=MIB)
    active: list[CacheChange] = synced("active", {"text": "x" * MIB})[:-1]
    cache.apply(active)
    cache.apply([Pin(at("pinned"), DEFAULT, True), *synced("pinned", {"text": "x" * MIB})])

    report = cache.apply(synced("other", {"text": "x" * 1000}))

    assert report.is_over_budget
    assert value(cache, "active") is not None
    assert value(cache, "pinned") is not None
    assert value(cache, "other") is None


def test_what_a_younger_query_shares_with_an_evicted_one_stays() -> None:
    cache = opened(budget_bytes=MIB)
    cache.apply(synced("a", {"small": {"b": 1}, "keep": {"c": 2}, "rest": "x" * 400_000}))
    cache.apply(synced("a/small", {"b": 1}))
    window = DEFAULT.order_by_key().equal_to("keep")
    cache.apply(synced("a", {"keep": {"c": 2}}, window))

    cache.apply(synced("b", {"text": "x" * 800_000}))

    assert value(cache, "a") is None
    assert value(cache, "a/small") == {"b": 1}
    assert value(cache, "a", window) == {"keep": {"c": 2}}
    assert cache.verify() == []


def test_a_query_for_a_long_text_is_known_after_a_restart() -> None:
    backend = MemoryBackend()
    text = "x" * 1_000_000
    params = DEFAULT.order_by_child("c").equal_to(text)
    opened(backend).apply(synced("a", {"b": {"c": text}}, params))

    again = ServerCache(backend.crashed(), budget_bytes=10 * MIB)
    again.open(None)

    assert again.load(at("a"), params).is_complete
    assert value(again, "a", params) == {"b": {"c": text}}
    assert again.verify() == []


def test_children_that_leave_a_window_are_dropped() -> None:
    cache = opened()
    cache.apply(synced("a", {"m1": "x" * 100, "m2": "x" * 100}, LAST_TWO))
    size_bytes = cache.size_bytes

    for number in range(3, 50):
        cache.apply(
            [
                Replace(at(f"a/m{number}"), from_export("x" * 100)),
                Hold(at("a"), LAST_TWO, [f"m{number}"], [f"m{number - 2}"], False),
            ]
        )

    assert cache.size_bytes <= size_bytes + 10
    assert cache.load(at("a"), LAST_TWO).node.keys() == ["m48", "m49"]


def test_one_of_several_queries_that_are_left_together_is_not_taken_for_another() -> None:
    """D-7: else some stay active, and are never evicted."""
    cache = opened(budget_bytes=MIB)
    queries = [DEFAULT, LAST_TWO, DEFAULT.limit_to_first(2)]
    for params in queries:
        cache.apply(synced("a", {"b": "x" * 1000}, params)[:-1])
    cache.apply([Track(at("a"), params, False) for params in queries])

    cache.apply(synced("b", {"text": "x" * 1_047_500}))

    assert [value(cache, "a", params) for params in queries] == [None, None, None]


def test_attaching_and_detaching_over_and_over_adds_nothing() -> None:
    cache = opened()
    cache.apply(synced("a", 1))
    cache.apply(synced("a", 1))
    size_bytes, count = cache.size_bytes, len(cache.entries())

    for _ in range(100):
        cache.apply([Track(at("a"), DEFAULT, True), Track(at("b"), DEFAULT, True)])
        cache.apply([Track(at("a"), DEFAULT, False), Track(at("b"), DEFAULT, False)])

    assert cache.size_bytes <= size_bytes + 2
    assert len(cache.entries()) == count


def test_ten_thousand_small_queries_are_evicted_in_their_order() -> None:
    cache, names = filled(MIB, 10_000, 100)

    kept = [name for name in names if value(cache, name) is not None]

    assert kept == names[-len(kept) :]
    assert cache.verify() == []


def test_a_user_of_whom_nothing_was_stored_at_first_is_told_from_others_later() -> None:
    backend = MemoryBackend()
    for user, said in (("ada", 1), ("bob", 2)):
        cache = opened(backend, user)
        cache.apply([Track(at("a"), DEFAULT, True)])
        cache.apply(synced("a", said))

    assert [value(opened(backend, user), "a") for user in ("ada", "bob", None)] == [1, 2, None]
    assert [entry.owner for entry in cache.entries()] == ["bob", "ada"]


def test_each_user_sees_their_own_data_and_all_share_the_budget() -> None:
    backend = MemoryBackend()
    cache = opened(backend, "ada", budget_bytes=MIB)
    cache.apply([*synced("a", 1), Pin(at("a"), DEFAULT, True)])
    assert cache.switch_owner("bob") == []
    cache.apply(synced("a", 2))

    assert value(cache, "a") == 2
    assert cache.switch_owner("ada") == [(at("a"), DEFAULT)]
    assert value(cache, "a") == 1
    cache.forget_owner("ada")
    assert value(cache, "a") is None
    assert value(opened(backend, "bob"), "a") == 2


# ---- against the model --------------------------------------------------------------------------

PATHS = ["", "a", "a/b", "a/b/c", "a/c", "d"]
QUERIES = [DEFAULT, DEFAULT, LAST_TWO, DEFAULT.order_by_child("c").limit_to_first(2)]
VALUES: list[Any] = [
    None,
    1,
    {"b": 1},
    {"b": {"c": 5}, "c": 1},
    {"b": {"c": 1, "x": "y" * 3000}, "c": {"c": 2, "x": "y" * 3000}},
    {"b": {"c": {"x": "y" * 5000, "z": "y" * 5000}}, "c": "y" * 5000, ".priority": 2},
    {".value": 4, ".priority": 1},
]
paths = st.sampled_from([at(path) for path in PATHS])
queries = st.sampled_from(QUERIES)
values = st.sampled_from([from_export(value) for value in VALUES])


class CacheMachine(RuleBasedStateMachine):
    """Says to both what an engine could say, and compares all that can be asked."""

    @initialize()
    def begin(self) -> None:
        self.backend = MemoryBackend()
        self.model = DiskModel()
        self.cache = opened(self.backend)
        self.active: set[tuple[Path, QueryParams]] = set()

    def apply(self, *changes: CacheChange) -> None:
        self.model.apply(list(changes))
        self.cache.apply(changes)

    @rule(path=paths, params=queries)
    def track(self, path: Path, params: QueryParams) -> None:
        is_active = (path, params) not in self.active
        (self.active.add if is_active else self.active.discard)((path, params))
        self.apply(Track(path, params, is_active))

    @rule(path=paths, params=queries, node=values)
    def answer(self, path: Path, params: QueryParams, node: Node) -> None:
        if (path, params) not in self.active:
            return
        if params == DEFAULT:
            self.apply(Replace(path, node), Complete(path, params))
        elif not self.model.is_covered(path):
            window = params.filter(node)
            self.apply(
                *[Replace(path.child(at(key)), child) for key, child in window.items()],
                Hold(path, params, window.keys(), [], True),
                Complete(path, params),
            )

    @rule(path=paths, node=values)
    def change(self, path: Path, node: Node) -> None:
        if self.model.is_covered(path):
            self.apply(Replace(path, node))

    @rule(path=paths, priority=st.sampled_from([EMPTY, from_export(3)]))
    def set_priority(self, path: Path, priority: Node) -> None:
        if self.model.is_covered(path) and path:
            self.apply(Replace(path.child(Path.from_keys([".priority"])), priority))

    @rule(path=paths, node=values)
    def assume(self, path: Path, node: Node) -> None:
        self.apply(Assume(path, node))

    @rule(path=paths, params=queries, is_pinned=st.booleans())
    def pin(self, path: Path, params: QueryParams, is_pinned: bool) -> None:
        self.apply(Pin(path, params, is_pinned))

    @rule(path=paths, params=queries)
    def forget(self, path: Path, params: QueryParams) -> None:
        self.active.discard((path, params))
        self.apply(Forget(path, params))

    @rule()
    def clear(self) -> None:
        self.apply(Clear())

    @rule(write_id=st.integers(1, 3), is_over=st.booleans())
    def acknowledge(self, write_id: int, is_over: bool) -> None:
        self.apply(Concluded(write_id) if is_over else Acknowledged(write_id))

    @rule()
    def reopen(self) -> None:
        self.active.clear()
        acknowledged = set(self.model.acknowledged)
        _, _, pinned = self.model.open()
        self.backend = self.backend.crashed()
        self.cache = ServerCache(self.backend, budget_bytes=10 * MIB)
        said = self.cache.open(None)
        assert set(said.acknowledged) == acknowledged
        assert set(said.pinned) == set(pinned)
        self.cache.apply([Concluded(write_id) for write_id in acknowledged])
        for query, record in list(self.model.tracked.items()):
            if not (record.is_complete or record.is_pinned):
                del self.model.tracked[query]

    @rule()
    def fail(self) -> None:
        self.backend.is_full = True
        with pytest.raises(StorageFull):
            self.cache.apply([Track(ROOT, DEFAULT, True), Assume(at("a"), from_export(7))])
        self.backend.is_full = False

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "cache"):
            return
        for path in PATHS:
            for params in QUERIES[1:]:
                assert alike(self.cache.load(at(path), params), self.model.load(at(path), params))
        assert self.cache.verify() == []


def alike(one: CachedQuery, other: CachedQuery) -> bool:
    return one.is_complete == other.is_complete and one.node == other.node


def test_a_query_that_is_of_no_use_learns_of_nothing() -> None:
    history = CacheMachine()
    history.begin()
    history.pin(at("d"), DEFAULT, False)
    history.assume(ROOT, EMPTY)
    history.forget(at("a"), DEFAULT)
    history.they_agree()


TestCaches = CacheMachine.TestCase
TestCaches.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


class BudgetMachine(CacheMachine):
    """Compares evicting in the commit that brings too much with evicting once it has been made."""

    BUDGET_BYTES = 12_000

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.cache = opened(self.backend, budget_bytes=self.BUDGET_BYTES)
        self.slow_backend = MemoryBackend()
        self.slow = opened(self.slow_backend, budget_bytes=self.BUDGET_BYTES)

    def apply(self, *changes: CacheChange) -> None:
        report = self.cache.apply(changes)
        self.slow._budget_bytes = 10 * MIB
        self.slow.apply(changes)
        self.slow._budget_bytes = self.BUDGET_BYTES
        assert self.slow.apply([]) == report
        self.model = DiskModel()
        for entry in self.cache.entries():
            if entry.is_complete and entry.params == DEFAULT:
                self.model.apply([Complete(entry.path, entry.params)])

    @rule()
    def reopen(self) -> None:
        self.active.clear()
        self.backend, self.slow_backend = self.backend.crashed(), self.slow_backend.crashed()
        self.cache = ServerCache(self.backend, budget_bytes=self.BUDGET_BYTES)
        self.slow = ServerCache(self.slow_backend, budget_bytes=self.BUDGET_BYTES)
        assert self.cache.open(None) == self.slow.open(None)

    @rule()
    def fail(self) -> None:
        super().fail()
        self.slow_backend.is_full = True
        with pytest.raises(StorageFull):
            self.slow.apply([Track(ROOT, DEFAULT, True), Assume(at("a"), from_export(7))])
        self.slow_backend.is_full = False

    @invariant()
    def they_agree(self) -> None:
        if not hasattr(self, "slow"):
            return
        assert list(self.backend.scan(b"", b"\xff")) == list(self.slow_backend.scan(b"", b"\xff"))
        assert self.cache.entries() == self.slow.entries()
        assert self.cache.verify() == []


TestBudgets = BudgetMachine.TestCase
TestBudgets.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
