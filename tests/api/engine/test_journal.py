"""The engine with a disk: what is sent is stored, and what was stored comes back."""

from typing import Any

from tests.api.engine.dialogue import ALL_KINDS, DEFAULT, Dialogue, Message, answer, push
from tests.model.disk_model import DiskModel

from firekeep.engine.effects import Complete, Load, LoadWrites
from firekeep.exceptions import (
    CorruptRecord,
    NotCached,
    Offline,
    PermissionDenied,
    StorageFull,
    WriteCancelled,
)
from firekeep_core.operation.cache_change import Acknowledged, Assume, Forget, Pin, Track
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export

LAST_TWO = DEFAULT.limit_to_last(2)


def opened(disk: DiskModel | None = None) -> Dialogue:
    """Start a client on a disk."""
    dialogue = Dialogue(disk=DiskModel() if disk is None else disk)
    dialogue.open_disk()
    return dialogue


def restarted(dialogue: Dialogue) -> Dialogue:
    """Let the disk do all it has to do, end the client, and start another one on its disk."""
    dialogue.run_disk()
    assert isinstance(dialogue.disk, DiskModel)
    return opened(dialogue.disk.copy())


def bodies(requests: list[Message]) -> list[Any]:
    """Return what was asked for, and where."""
    return [(request["a"], request["b"].get("p")) for request in requests]


def serve(dialogue: Dialogue, path: str, data: object) -> None:
    """Answer the last listen with data."""
    dialogue.server(push(path, data), answer(dialogue.last("q"), data={}))


# ---- the queue ----------------------------------------------------------------------


def test_a_write_is_shown_at_once_and_sent_when_it_is_stored() -> None:
    dialogue = opened()
    listener = dialogue.listen("/a")
    dialogue.run_disk()
    dialogue.connect()

    dialogue.set("/a", 1)

    assert listener.value == 1
    assert dialogue.sent("p") == []
    dialogue.run_disk()
    assert bodies(dialogue.sent("p")) == [("p", "/a")]


def test_writes_of_an_earlier_process_are_sent_in_order_before_new_ones() -> None:
    before = opened()
    for number in range(12):
        before.set("/a", number)
    dialogue = restarted(before)

    dialogue.set("/a", "new")
    dialogue.run_disk()
    dialogue.connect()
    dialogue.run_disk()

    assert [request["b"]["d"] for request in dialogue.sent("p")] == [*range(12), "new"]


def test_the_payloads_of_a_long_queue_are_read_as_they_are_sent() -> None:
    before = opened()
    for number in range(1500):
        before.set(f"/a/k{number}", number)
    dialogue = restarted(before)
    dialogue.connect()

    dialogue.run_disk()
    first = dialogue.take_requests()

    assert len([request for request in first if request["a"] == "p"]) == 512
    assert sum(write.is_loaded for write in dialogue.engine.writes.values()) == 512
    while requests := [request for request in first if request["a"] == "p"]:
        dialogue.server(*[answer(request) for request in requests])
        dialogue.run_disk()
        first = dialogue.take_requests()
    assert dialogue.engine.writes == {}


def test_a_listener_finds_the_queued_writes_at_above_and_below_it() -> None:
    before = opened()
    before.set("/a", {"b": {"c": 1}})
    before.set("/a/b/d", 2)
    before.update("/", {"a/b/e": 3, "x": 4})
    before.set("/y", 5)
    dialogue = restarted(before)

    listener = dialogue.listen("/a/b")
    (load,) = dialogue.of(Load)
    dialogue.run_disk()

    assert load.write_ids == [1, 2, 3]
    assert listener.values == [{"c": 1, "d": 2, "e": 3}]


def test_a_write_that_was_confirmed_does_not_come_back() -> None:
    before = opened()
    before.connect()
    before.set("/a", 1)
    before.set("/b", 2)
    before.run_disk()
    before.answer(before.sent("p")[0])
    before.run_disk()

    dialogue = restarted(before)

    assert [str(write.path) for write in dialogue.engine.writes.values()] == ["/b"]


def test_a_write_that_the_cache_has_marked_is_not_sent_though_the_queue_still_holds_it() -> None:
    before = opened()
    before.connect()
    before.set("/a", 1)
    before.run_disk()
    before.answer(before.last("p"))
    before.store_cache()
    assert isinstance(before.disk, DiskModel)
    assert list(before.disk.queue) == [1]

    dialogue = opened(before.disk.copy())

    assert dialogue.engine.writes == {}


def test_a_refused_write_leaves_queue_and_cache_untouched() -> None:
    before = opened()
    before.connect()
    before.set("/a", 1)
    before.run_disk()
    before.answer(before.last("p"), "permission_denied")

    dialogue = restarted(before)

    assert dialogue.engine.writes == {}
    assert not dialogue.disk.load(Path.from_wire("/a"), DEFAULT).is_complete  # type: ignore[union-attr]


def test_an_id_is_never_given_twice() -> None:
    before = opened()
    before.connect()
    before.set("/a", 1)
    before.run_disk()
    before.answer(before.last("p"))

    dialogue = restarted(before)

    assert dialogue.set("/a", 2).id > 1


def test_a_timestamp_shows_after_a_restart_what_it_showed_before() -> None:
    before = opened()
    listener = before.listen("/a")
    before.set("/a", {".sv": "timestamp"})
    dialogue = restarted(before)
    dialogue.advance(1000)

    again = dialogue.listen("/a")
    dialogue.run_disk()

    assert again.values == listener.values
    dialogue.connect()
    dialogue.run_disk()
    assert dialogue.last("p")["b"]["d"] == {".sv": "timestamp"}


def test_an_increment_builds_on_what_is_known_after_a_restart() -> None:
    before = opened()
    before.set("/a", {".sv": {"increment": 2}})
    dialogue = restarted(before)
    listener = dialogue.listen("/a")
    dialogue.run_disk()
    dialogue.connect()

    serve(dialogue, "/a", 10)

    assert listener.value == 12


def test_a_restored_increment_says_that_it_may_have_been_applied_before() -> None:
    before = opened()
    before.set("/a", {".sv": {"increment": 1}})
    before.run_disk()
    before.connect()
    before.run_disk()
    before.set("/b", {".sv": {"increment": 1}})
    assert isinstance(before.disk, DiskModel)

    dialogue = opened(before.disk.copy())

    assert [w.maybe_applied_twice for w in dialogue.engine.writes.values()] == [True]


def test_cancelling_a_restored_write_takes_it_off_the_disk() -> None:
    before = opened()
    before.set("/a", 1)
    dialogue = restarted(before)

    (write,) = dialogue.engine.writes.values()
    assert dialogue.cancel(write)

    assert isinstance(write.error, WriteCancelled)
    assert restarted(dialogue).engine.writes == {}


def test_a_write_cancelled_in_the_middle_of_the_queue_is_not_sent() -> None:
    dialogue = opened()
    dialogue.connect()
    writes = [dialogue.set("/a", number) for number in range(5)]

    assert dialogue.cancel(writes[2])
    dialogue.run_disk()

    assert [request["b"]["d"] for request in dialogue.sent("p")] == [0, 1, 3, 4]


def test_restored_writes_that_are_cancelled_in_the_middle_hold_nobody_up() -> None:
    before = opened()
    for number in range(1500):
        before.set("/a", number)
    dialogue = restarted(before)
    dialogue.connect()
    for number in (3, 514, 700, 1400):
        assert dialogue.cancel(dialogue.engine.writes[number + 1])

    sent: list[Any] = []
    dialogue.run_disk()
    while requests := [request for request in dialogue.take_requests() if request["a"] == "p"]:
        sent += [request["b"]["d"] for request in requests]
        dialogue.server(*[answer(request) for request in requests])
        dialogue.run_disk()

    assert sent == [number for number in range(1500) if number not in (3, 514, 700, 1400)]
    assert dialogue.engine.writes == {}


def test_a_purge_takes_every_write_off_the_disk() -> None:
    before = opened()
    before.set("/a", 1)
    dialogue = restarted(before)
    dialogue.set("/b", 2)

    dialogue.purge()

    assert restarted(dialogue).engine.writes == {}


def test_a_write_whose_payload_is_damaged_ends_with_an_error_and_the_rest_goes_on() -> None:
    before = opened()
    before.set("/a", 1)
    before.set("/b", 2)
    dialogue = restarted(before)
    dialogue.connect()
    dialogue.run_disk_job(0)
    (job,) = [job for job in dialogue.disk_jobs if isinstance(job, LoadWrites)]
    assert dialogue.disk is not None

    damaged, whole = dialogue.engine.writes.values()
    dialogue.perform(
        dialogue.disk_side.writes_loaded(
            dialogue.disk.load_writes([2]), [1], dialogue.now_s, dialogue.wall_ms
        )
    )

    assert job.write_ids == [1, 2]
    assert isinstance(damaged.error, CorruptRecord)
    assert bodies(dialogue.sent("p")) == [("p", "/b")]
    assert whole.error is None


def test_a_disk_that_is_full_holds_nothing_up() -> None:
    dialogue = opened()
    dialogue.connect()
    write = dialogue.set("/a", 1)
    batch = dialogue.disk_side.take_journal_batch()

    dialogue.perform(
        dialogue.disk_side.journal_failed(batch, StorageFull("full"), dialogue.now_s, 0)
    )

    assert bodies(dialogue.sent("p")) == [("p", "/a")]
    assert not write.is_stored
    again = dialogue.disk_side.take_journal_batch()
    assert [added.id for added in again.added] == [write.id], "stored as soon as that can be"


def test_a_write_answered_while_the_disk_was_full_is_not_stored_later() -> None:
    dialogue = opened()
    dialogue.connect()
    dialogue.set("/a", 1)
    batch = dialogue.disk_side.take_journal_batch()
    dialogue.perform(
        dialogue.disk_side.journal_failed(batch, StorageFull("full"), dialogue.now_s, 0)
    )

    dialogue.answer(dialogue.last("p"))

    assert dialogue.disk_side.take_journal_batch().added == []


def test_what_may_be_stored_of_a_batch_that_failed_is_removed_once_it_is_answered() -> None:
    """Asked for one sync for each write, a disk may fill up between two of a batch."""
    for is_tried_again in (False, True):
        dialogue = opened()
        dialogue.connect()
        dialogue.set("/a", 1)
        batch = dialogue.disk_side.take_journal_batch()
        full = StorageFull("full")
        dialogue.perform(dialogue.disk_side.journal_failed(batch, full, dialogue.now_s, 0))

        if is_tried_again:
            batch = dialogue.disk_side.take_journal_batch()
            dialogue.answer(dialogue.last("p"))
            dialogue.perform(dialogue.disk_side.journal_failed(batch, full, dialogue.now_s, 0))
        else:
            dialogue.answer(dialogue.last("p"))

        batch = dialogue.disk_side.take_journal_batch()
        assert (batch.added, batch.removed) == ([], [1])
        dialogue.perform(dialogue.disk_side.journal_stored(batch, (), dialogue.now_s, 0))
        assert dialogue.disk_side.take_journal_batch().removed == []


def test_a_transaction_waits_for_older_writes_to_be_stored_and_no_longer() -> None:
    dialogue = opened()
    dialogue.connect()
    dialogue.listen("/a")
    dialogue.run_disk()
    dialogue.set("/b", 1)
    dialogue.transaction("/a", lambda value: 5)
    dialogue.set("/c", 2)

    assert dialogue.sent("p") == []
    dialogue.run_disk()

    assert [path for _, path in bodies(dialogue.sent("p"))] == ["/b", "/a", "/c"]


# ---- the cache ------------------------------------------------------------------------


def test_what_was_synced_is_there_without_a_network() -> None:
    before = opened()
    before.connect()
    before.listen("/a")
    before.run_disk()
    serve(before, "/a", {"b": 1, "c": 2})

    dialogue = restarted(before)
    listener = dialogue.listen("/a", kinds=ALL_KINDS)
    assert listener.events == []
    dialogue.run_disk()

    assert listener.values == [{"b": 1, "c": 2}]
    assert all(event.initial for event in listener.events)
    assert not dialogue.engine.overview.is_confirmed(Path.from_wire("/a"), DEFAULT)


def test_a_listen_waits_for_the_disk_and_carries_the_hash_of_what_it_had() -> None:
    before = opened()
    before.connect()
    before.listen("/a")
    before.run_disk()
    serve(before, "/a", {"b": 1})
    dialogue = restarted(before)
    dialogue.connect()

    listener = dialogue.listen("/a")
    assert dialogue.sent("q") == []
    dialogue.run_disk()
    dialogue.answer(dialogue.last("q"), data={})

    assert dialogue.last("q")["b"]["h"] != ""
    assert listener.values == [{"b": 1}], "nothing is transferred, nothing said twice (I-78)"
    assert dialogue.engine.overview.is_confirmed(Path.from_wire("/a"), DEFAULT)


def test_a_confirmed_write_does_not_vanish_while_cached_data_are_shown() -> None:
    """The answer to the listen has its effect, and may come behind that to the write."""
    before = opened()
    before.connect()
    before.listen("/a")
    before.run_disk()
    serve(before, "/a", {"b": 1})
    dialogue = restarted(before)
    dialogue.connect()
    write = dialogue.set("/a/b", 2)
    dialogue.run_disk()
    listener = dialogue.listen("/a")
    dialogue.run_disk()

    dialogue.answer(dialogue.sent("p")[0])
    assert write.id in dialogue.engine.writes
    dialogue.server(push("/a", {"b": 2}), answer(dialogue.last("q"), data={}))

    assert dialogue.engine.writes == {}
    assert write.error is None
    assert listener.values == [{"b": 2}]


def test_an_old_listen_goes_on_until_the_one_that_replaces_it_has_been_sent() -> None:
    dialogue = opened()
    dialogue.connect()
    dialogue.listen("/a")
    dialogue.run_disk()

    dialogue.listen("/")
    assert dialogue.sent("n") == []
    dialogue.run_disk()

    assert bodies(dialogue.take_requests())[-2:] == [("q", "/"), ("n", "/a")]


def test_what_the_server_said_meanwhile_counts_for_more_than_what_was_read() -> None:
    before = opened()
    before.connect()
    before.listen("/a")
    before.run_disk()
    serve(before, "/a", {"b": 1, "c": 1})
    dialogue = restarted(before)
    dialogue.connect()
    dialogue.listen("/a/b")
    dialogue.run_disk()
    serve(dialogue, "/a/b", 2)

    listener = dialogue.listen("/a")
    dialogue.run_disk()

    assert listener.values == [{"b": 2, "c": 1}]


def test_a_window_shows_its_own_children_and_no_others() -> None:
    before = opened()
    before.connect()
    before.listen("/a", LAST_TWO)
    before.run_disk()
    tag = before.last("q")["b"]["t"]
    before.server(
        push("/a", {"b": 1, "c": 2}, tag),
        answer(before.last("q"), data={}),
        push("/a/d", 3, tag),
        push("/a/b", None, tag),
    )

    dialogue = restarted(before)
    listener = dialogue.listen("/a", LAST_TWO)
    dialogue.run_disk()

    assert listener.values == [{"c": 2, "d": 3}]


def test_a_window_that_a_whole_location_covered_is_there_when_that_is_gone() -> None:
    before = opened()
    before.connect()
    whole = before.listen("/a")
    before.run_disk()
    serve(before, "/a", {"b": 1, "c": 2, "d": 3})
    before.listen("/a", LAST_TWO)
    before.unlisten("/a", whole)

    disk = restarted(before).disk

    assert disk is not None
    cached = disk.load(Path.from_wire("/a"), LAST_TWO)
    assert (export(cached.node), cached.is_complete) == ({"c": 2, "d": 3}, True)


def test_a_listener_below_one_whose_data_are_being_read_hears_of_them_too() -> None:
    before = opened()
    before.connect()
    before.listen("/")
    before.run_disk()
    serve(before, "/", {"a": {"b": 1}})
    dialogue = restarted(before)

    dialogue.listen("/")
    below = dialogue.listen("/a")
    dialogue.run_disk()

    assert below.values == [{"b": 1}]


def test_a_confirmed_write_can_be_read_though_nobody_ever_listened() -> None:
    before = opened()
    before.connect()
    before.set("/a", {"b": 1})
    before.run_disk()
    before.answer(before.last("p"))

    dialogue = restarted(before)
    listener = dialogue.listen("/a")
    dialogue.run_disk()

    assert listener.values == [{"b": 1}]


def test_a_write_that_was_not_confirmed_is_not_in_the_cache() -> None:
    dialogue = opened()
    dialogue.connect()
    dialogue.listen("/a")
    dialogue.run_disk()
    serve(dialogue, "/a", {"b": 1})

    dialogue.set("/a/b", 2)
    dialogue.run_disk()

    assert dialogue.disk is not None
    assert export(dialogue.disk.load(Path.from_wire("/a"), DEFAULT).node) == {"b": 1}


def test_a_kept_query_is_kept_after_a_restart_until_it_is_switched_off() -> None:
    before = opened()
    before.keep_synced("/a", True)
    before.keep_synced("/a", True)

    dialogue = restarted(before)
    dialogue.run_disk()
    dialogue.connect()
    assert bodies(dialogue.sent("q")) == [("q", "/a")]
    dialogue.keep_synced("/a", False)

    assert restarted(dialogue).engine.overview.kept_synced() == []


def test_what_the_server_denies_is_not_served_from_the_disk_any_more() -> None:
    before = opened()
    before.connect()
    before.listen("/a")
    before.run_disk()
    serve(before, "/a", 1)
    before.run_disk()
    before.reconnect()
    before.answer(before.last("q"), "permission_denied")

    dialogue = restarted(before)
    listener = dialogue.listen("/a")
    dialogue.run_disk()

    assert listener.events == []


def test_what_is_denied_is_not_served_as_part_of_something_larger() -> None:
    before = opened()
    before.connect()
    listener = before.listen("/")
    before.run_disk()
    serve(before, "/", {"a": 1, "b": 2})
    before.unlisten("/", listener)
    before.run_disk()
    before.listen("/a", kinds=ALL_KINDS)
    before.run_disk()
    before.server(answer(before.last("q"), "permission_denied"))

    dialogue = restarted(before)
    again = dialogue.listen("/a")
    dialogue.run_disk()

    assert again.events == []


def test_a_cache_that_was_lost_is_told_everything_that_is_live() -> None:
    dialogue = opened()
    dialogue.connect()
    dialogue.listen("/a")
    dialogue.keep_synced("/b", True)
    dialogue.run_disk()
    requests = dialogue.sent("q")
    dialogue.server(
        push("/a", {"x": 1}),
        answer(requests[0], data={}),
        push("/b", 2),
        answer(requests[1], data={}),
    )
    dialogue.run_disk()

    dialogue.disk = DiskModel()
    dialogue.perform(dialogue.disk_side.cache_lost(()))
    again = restarted(dialogue)
    again.run_disk()

    assert again.disk is not None
    assert export(again.disk.load(Path.from_wire("/a"), DEFAULT).node) == {"x": 1}
    assert [str(path) for path, _ in again.engine.overview.kept_synced()] == ["/b"]


def test_a_whole_location_is_let_go_after_a_restart_in_whatever_order_it_was_kept() -> None:
    disk = DiskModel()
    by_child = DEFAULT.order_by_child("x")
    before = opened(disk)
    before.keep_synced("/a", True, by_child)
    before.run_disk()

    dialogue = opened(disk.copy())
    dialogue.keep_synced("/a", False, by_child)
    dialogue.run_disk()
    assert dialogue.engine.overview.kept_synced() == []

    again = opened(disk.copy())
    again.keep_synced("/a", True)
    again.keep_synced("/a", False, by_child)
    assert again.engine.overview.kept_synced() == [(Path.parse("/a"), DEFAULT)]


def test_a_cache_that_takes_nothing_is_told_later_what_nobody_says_again() -> None:
    dialogue = opened()
    dialogue.connect()
    dialogue.listen("/a")
    dialogue.keep_synced("/b", True)
    dialogue.run_disk()
    told, marked = dialogue.set("/c", 1), dialogue.set("/d", 2)
    dialogue.run_disk()
    first, second = dialogue.sent("p")
    dialogue.server(*[answer(listen, data={}) for listen in dialogue.sent("q")])
    dialogue.answer(first)
    lost = dialogue.disk_side.take_cache_changes()
    dialogue.answer(second)
    dialogue.server({"t": "d", "d": {"a": "c", "b": {"p": "/a"}}})
    dialogue.keep_synced("/b", False)

    dialogue.perform(dialogue.disk_side.cache_lost(lost))

    assert dialogue.disk_side.take_journal_batch().removed == []
    changes = dialogue.disk_side.take_cache_changes()
    for write, path, value in ((told, "/c", 1), (marked, "/d", 2)):
        assert Assume(Path.parse(path), from_export(value)) in changes
        assert Acknowledged(write.id) in changes
    assert Track(Path.parse("/a"), DEFAULT, False) in changes
    assert Forget(Path.parse("/a"), DEFAULT) in changes
    assert Pin(Path.parse("/b"), DEFAULT, False) in changes


def test_a_large_value_is_told_to_the_disk_by_what_has_changed() -> None:
    dialogue = opened()
    dialogue.connect()
    dialogue.listen("/a")
    dialogue.run_disk()
    serve(dialogue, "/a", {f"k{number}": "x" * 20 for number in range(1000)})
    dialogue.run_disk()

    dialogue.push("/a/k7", "y")
    dialogue.push("/a/k7", "z")
    changes = dialogue.disk_side.take_cache_changes()

    assert [(str(change.path), export(change.node)) for change in changes] == [("/a/k7", "z")]  # type: ignore[union-attr]


# ---- single reads -----------------------------------------------------------------------


def result(dialogue: Dialogue, handle: object) -> Complete:
    """Return how a read ended."""
    ended = dialogue.ended(handle)
    assert ended is not None
    return ended


def test_a_read_of_the_cache_finds_what_is_on_disk() -> None:
    before = opened()
    before.connect()
    before.listen("/a")
    before.run_disk()
    serve(before, "/a", {"b": 1})
    before.set("/a/c", 2)
    dialogue = restarted(before)

    handle = dialogue.get("/a", source="cache")
    dialogue.run_disk()

    got: Any = result(dialogue, handle).result
    assert export(got.node) == {"b": 1, "c": 2}
    assert got.from_cache
    assert got.has_pending_writes


def test_a_read_of_what_is_not_cached_says_so() -> None:
    dialogue = opened()

    handle = dialogue.get("/a", source="cache")
    dialogue.run_disk()

    assert isinstance(result(dialogue, handle).error, NotCached)


def test_a_read_without_a_network_falls_back_on_the_disk_and_one_of_the_server_does_not() -> None:
    before = opened()
    before.connect()
    before.listen("/a")
    before.run_disk()
    serve(before, "/a", 1)
    dialogue = restarted(before)

    default = dialogue.get("/a")
    server = dialogue.get("/a", source="server")
    dialogue.run_disk()

    got: Any = result(dialogue, default).result
    assert export(got.node) == 1
    assert isinstance(result(dialogue, server).error, Offline)


def test_what_was_read_once_is_cached(params: QueryParams = LAST_TWO) -> None:
    before = opened()
    before.connect()
    for query in (DEFAULT, params):
        before.get("/a", query)
        before.answer(before.last("g"), data={"b": 1, "c": 2, "d": 3})
        before.run_disk()

    disk = restarted(before).disk

    assert disk is not None
    whole = disk.load(Path.from_wire("/a"), DEFAULT)
    window = disk.load(Path.from_wire("/a"), params)
    assert (whole.is_complete, whole.node) == (True, from_export({"b": 1, "c": 2, "d": 3}))
    assert (window.is_complete, params.filter(window.node)) == (True, from_export({"c": 2, "d": 3}))


def test_a_refused_read_is_refused_whatever_is_cached() -> None:
    dialogue = opened()
    dialogue.connect()

    handle = dialogue.get("/a")
    dialogue.answer(dialogue.last("g"), "permission_denied")

    assert isinstance(result(dialogue, handle).error, PermissionDenied)
