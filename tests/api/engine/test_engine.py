"""What a user of the engine sees of writes, listeners and their answers."""

import pytest
from tests.api.engine.dialogue import SERVER_AHEAD_MS, Dialogue, answer, merge, push

from firekeep.config import Config
from firekeep.engine.effects import Complete, Deliver
from firekeep.exceptions import (
    InvalidPath,
    InvalidValue,
    PermissionDenied,
    QueueFull,
    WriteCancelled,
)
from firekeep.server_value import TIMESTAMP, increment
from firekeep_core.snap.path import Path


@pytest.fixture
def online() -> Dialogue:
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.take_requests()
    return dialogue


def test_a_write_shows_at_once_and_is_sent_when_connected(online: Dialogue) -> None:
    listener = online.listen("/a")
    online.answer(online.last("q"), data={})
    online.take_requests()

    write = online.set("/a", 5)

    assert listener.values == [None, 5]
    assert online.requests == [{"r": write.id + 2, "a": "p", "b": {"p": "/a", "d": 5}}]
    assert write.state == "sent"


def test_a_write_made_offline_waits_in_the_queue() -> None:
    dialogue = Dialogue()
    listener = dialogue.listen("/a")

    write = dialogue.set("/a", {"b": 1})

    assert write.state == "queued"
    assert listener.values == [{"b": 1}]
    assert dialogue.requests == []


def test_confirmation_of_what_is_shown_raises_no_event(online: Dialogue) -> None:
    listener = online.listen("/a")
    online.answer(online.last("q"), data={})
    write = online.set("/a", 5)

    online.server(push("/a", 5), answer(online.last("p")))

    assert listener.values == [None, 5]
    assert write.state == "confirmed"


def test_completions_come_in_the_order_of_answers_after_their_events(online: Dialogue) -> None:
    # I-45
    listener = online.listen("/a")
    online.answer(online.last("q"), data={})
    first = online.set("/a/x", 1)
    second = online.set("/a/y", 2)
    requests = online.sent("p")
    online.log.clear()

    online.server(
        answer(requests[0], "permission_denied", "no"),
        push("/a", {"y": 2}),
        answer(requests[1]),
    )

    assert [entry[0] for entry in online.log] == [listener, first, second]
    assert listener.value == {"y": 2}


def test_a_rejected_write_is_reverted_before_its_error_and_disturbs_no_other(
    online: Dialogue,
) -> None:
    # I-100
    listener = online.listen("/a")
    online.answer(online.last("q"), data={})
    refused = online.set("/a/x", 1)
    other = online.set("/a/y", 2)
    online.log.clear()

    online.answer(online.sent("p")[0], "permission_denied", "Permission denied")

    assert online.log[0] == (listener, "value", None, {"y": 2})
    assert online.log[1][0] is refused
    assert isinstance(refused.error, PermissionDenied)
    assert refused.error.path == "/a/x"
    assert refused.state == "rejected"
    assert other.state == "sent"


def test_an_empty_update_succeeds_at_once_without_message_or_record(online: Dialogue) -> None:
    # I-46
    write = online.update("/a", {})

    assert write.state == "confirmed"
    assert online.requests == []
    assert not online.engine.writes


def test_an_update_is_one_message_with_relative_paths(online: Dialogue) -> None:
    online.update("/a", {"b/c": 1, "d": None})

    assert online.last("m")["b"] == {"p": "/a", "d": {"b/c": 1, "d": None}}


def test_purge_reverts_all_then_tells_each_write_in_order(online: Dialogue) -> None:
    # I-47
    listener = online.listen("/a")
    online.server(push("/a", {"s": 1}), answer(online.last("q"), data={}))
    writes = [online.set("/a/x", 1), online.update("/a", {"y": 2}), online.set("/b", 3)]
    transaction = online.transaction("/c", lambda value: 1)
    requests = online.sent("p")
    online.log.clear()

    online.purge()

    assert online.log[0] == (listener, "value", None, {"s": 1})
    assert [entry[0] for entry in online.log[1:5]] == [*writes, transaction]
    assert all(isinstance(entry[1], WriteCancelled) for entry in online.log[1:5])
    assert [write.state for write in writes] == ["cancelled"] * 3
    online.log.clear()
    online.server(*[answer(request) for request in requests])
    assert online.told == []


def test_a_purged_write_is_not_sent_by_a_later_connection() -> None:
    # I-47
    dialogue = Dialogue()
    dialogue.set("/a", 1)
    dialogue.purge()

    dialogue.connect()

    assert dialogue.sent("p") == []


def test_a_queued_write_can_be_cancelled_and_a_sent_one_cannot() -> None:
    dialogue = Dialogue()
    listener = dialogue.listen("/a")
    write = dialogue.set("/a", 1)
    kept = dialogue.set("/b", 2)

    assert dialogue.cancel(write)

    assert isinstance(write.error, WriteCancelled)
    assert "child_removed" not in listener.kinds
    dialogue.connect()
    assert [request["b"]["p"] for request in dialogue.sent("p")] == ["/b"]
    assert not dialogue.cancel(kept)


def test_a_write_that_is_too_large_never_enters_the_queue(online: Dialogue) -> None:
    # I-101
    parts = {f"k{number}": "\x01" * (3 * 1024 * 1024 // 6) for number in range(6)}

    with pytest.raises(InvalidValue, match="16777216"):
        online.set("/a", parts)

    assert online.requests == []
    assert not online.engine.writes
    assert not online.engine.overview.has_pending_writes(Path.from_wire("/a"))


def test_a_full_queue_refuses_a_write_and_changes_nothing() -> None:
    dialogue = Dialogue(config=Config(max_pending_writes=2))
    listener = dialogue.listen("/a")
    dialogue.set("/a", 1)
    dialogue.set("/a", 2)

    with pytest.raises(QueueFull):
        dialogue.set("/a", 3)

    assert listener.values == [1, 2]


def test_the_bytes_of_waiting_writes_are_limited() -> None:
    dialogue = Dialogue(config=Config(max_pending_bytes=100))
    dialogue.set("/a", "x" * 60)

    with pytest.raises(QueueFull):
        dialogue.set("/a", "x" * 60)

    dialogue.connect()
    dialogue.answer(dialogue.last("p"))
    dialogue.set("/a", "x" * 60)


def test_writes_below_info_are_refused(online: Dialogue) -> None:
    with pytest.raises(InvalidPath):
        online.set("/.info/connected", True)
    with pytest.raises(InvalidPath):
        online.transaction("/.info/connected", lambda value: 1)
    with pytest.raises(InvalidPath):
        online.keep_synced("/.info", True)


def test_all_timestamps_of_a_write_are_one_estimate_of_the_servers_clock(online: Dialogue) -> None:
    # I-43
    listener = online.listen("/a")
    online.answer(online.last("q"), data={})

    online.set("/a", {"x": TIMESTAMP, "y": {"z": TIMESTAMP}})

    now_ms = online.wall_ms + SERVER_AHEAD_MS
    assert listener.value == {"x": now_ms, "y": {"z": now_ms}}
    assert online.last("p")["b"]["d"] == {
        "x": {".sv": "timestamp"},
        "y": {"z": {".sv": "timestamp"}},
    }


def test_an_increment_sent_twice_says_that_it_may_count_twice(online: Dialogue) -> None:
    write = online.set("/n", increment(1))
    plain = online.set("/m", 1)
    assert not write.maybe_applied_twice

    online.reconnect()

    assert write.maybe_applied_twice
    assert not plain.maybe_applied_twice
    assert online.last("p")["b"] == {"p": "/m", "d": 1}


def test_data_of_one_wake_up_reach_the_tree_as_one_batch(online: Dialogue) -> None:
    listener = online.listen("/a")
    online.server(push("/a", {"x": 0}), answer(online.last("q"), data={}))
    online.effects.clear()

    online.server(push("/a/x", 1), push("/a/x", 2), merge("/a", {"x": 3, "y": 4}))

    assert [type(effect) for effect in online.effects] == [Deliver]
    assert listener.values == [{"x": 0}, {"x": 1}, {"x": 2}, {"x": 3, "y": 4}]


def test_keeping_synced_is_idempotent_and_exact_per_query(online: Dialogue) -> None:
    # I-72
    online.keep_synced("/a", True)
    online.keep_synced("/a", True)
    online.keep_synced("/a/b", True)

    online.keep_synced("/a", False)

    assert [str(path) for path, _ in online.engine.overview.kept_synced()] == ["/a/b"]
    actions = [(request["a"], request["b"]["p"]) for request in online.requests]
    assert actions == [("q", "/a"), ("q", "/a/b"), ("n", "/a")]


def test_closing_tells_everybody_who_waits(online: Dialogue) -> None:
    write = online.set("/a", 1)
    get = online.get("/b")
    transaction = online.transaction("/c", lambda value: 1)
    armed = online.on_disconnect("set", "/d", 1)

    unfinished, effects = online.engine.close()

    assert unfinished == 2
    told = [effect.handle for effect in effects if isinstance(effect, Complete)]
    assert set(told) == {write, get, transaction, armed}
