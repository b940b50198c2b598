"""Windows at one place, and what it costs that there are many of them."""

from typing import Any

from tests.api.storage.counting import CountingBackend

from firekeep.storage.server_cache import ServerCache
from firekeep_core.operation.cache_change import (
    CacheChange,
    Clear,
    Complete,
    Forget,
    Hold,
    Replace,
    Track,
)
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export

MIB = 1024 * 1024
LOG = Path.parse("log")
ALL = QueryParams.DEFAULT


def page(number: int, keys: list[str]) -> list[CacheChange]:
    """Return what the engine says of a window that was listened to, answered and left."""
    params = ALL.order_by_key().start_at(f"m{number:05}").limit_to_first(len(keys))
    return [
        Track(LOG, params, True),
        *[Replace(LOG.child(Path.parse(key)), from_export("x" * 50)) for key in keys],
        Hold(LOG, params, keys, [], True),
        Complete(LOG, params),
        Track(LOG, params, False),
    ]


def paged(backend: CountingBackend, count: int, *, step: int = 10) -> ServerCache:
    """Return a cache with pages of ten children, each beginning `step` after the one before."""
    cache = ServerCache(backend, budget_bytes=10 * MIB)
    cache.open(None)
    for number in range(count):
        cache.apply(page(number, [f"m{number * step + place:05}" for place in range(10)]))
    return cache


def known(cache: ServerCache) -> Any:
    return export(cache.load(LOG, ALL).node)


def reads_of_clearing(count: int) -> int:
    backend = CountingBackend()
    cache = paged(backend, count)
    backend.reads = 0
    cache.apply([Clear()])
    assert known(cache) is None
    return backend.reads


def test_evicting_windows_of_one_place_reads_in_proportion_to_what_they_hold() -> None:
    few, many = reads_of_clearing(50), reads_of_clearing(400)

    assert many <= 9 * few


def test_a_window_that_moves_beside_many_others_reads_as_much_as_beside_few() -> None:
    costs: list[int] = []
    for count in (50, 400):
        backend = CountingBackend()
        cache = paged(backend, count)
        newest = ALL.limit_to_last(2)
        cache.apply([Hold(LOG, newest, ["n0", "n1"], [], True), Complete(LOG, newest)])
        cache.apply([Hold(LOG, newest, ["n2"], ["n0"], False)])
        backend.reads = 0
        cache.apply([Hold(LOG, newest, ["n3"], ["n1"], False)])
        costs.append(backend.reads)

    assert costs[0] == costs[1]


def test_what_several_windows_hold_goes_with_the_last_of_them() -> None:
    cache = paged(CountingBackend(), 20, step=5)
    cache.apply(page(90, ["m00000", "m00001"]))
    newest = ALL.order_by_key().start_at("m00090").limit_to_first(2)
    cache.apply([Track(LOG, newest, True)])

    cache.apply([Clear()])
    assert sorted(known(cache)) == ["m00000", "m00001"]

    cache.apply([Forget(LOG, newest)])
    assert known(cache) is None
    assert cache.verify() == []


def test_counted_windows_change_with_each_thing_that_is_said_of_them() -> None:
    cache = paged(CountingBackend(), 8, step=10)
    one, other = (ALL.order_by_key().start_at(f"z{n}").limit_to_first(1) for n in range(2))
    leave = Hold(LOG, one, [], ["m00001"], False)
    shared = Replace(LOG.child(Path.parse("z")), from_export(1))
    cache.apply([Hold(LOG, one, ["m00001"], [], True), Complete(LOG, one), leave])

    cache.apply([shared, Hold(LOG, one, ["z"], [], True)])
    cache.apply([Hold(LOG, other, ["z"], [], True), Complete(LOG, other)])
    cache.apply([Hold(LOG, one, [], ["z"], False)])
    assert known(cache)["z"] == 1

    cache.apply([Hold(LOG, other, [], ["z"], False)])
    assert "z" not in known(cache) and "m00001" in known(cache)
    assert cache.verify() == []
