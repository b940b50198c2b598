"""onDisconnect: registered, armed, run, registered again."""

from tests.api.engine.dialogue import SERVER_AHEAD_MS, Dialogue, answer, node, push

from firekeep.engine.disconnect_ops import Values
from firekeep.exceptions import MaybeApplied, PermissionDenied, TransactionAborted
from firekeep.server_value import TIMESTAMP
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export


def online() -> Dialogue:
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.take_requests()
    return dialogue


def test_operations_are_requests_with_answers_of_their_own() -> None:
    dialogue = online()
    writes = [
        dialogue.on_disconnect("set", "/a", TIMESTAMP),
        dialogue.on_disconnect("update", "/b", {"x": 1}),
        dialogue.on_disconnect("cancel", "/c"),
    ]
    assert [(request["a"], request["b"]) for request in dialogue.requests] == [
        ("o", {"p": "/a", "d": {".sv": "timestamp"}}),
        ("om", {"p": "/b", "d": {"x": 1}}),
        ("oc", {"p": "/c", "d": None}),
    ]

    first, second, third = dialogue.requests
    dialogue.server(answer(first), answer(second, "permission_denied", "no"), answer(third))

    assert [write.state for write in writes] == ["confirmed", "rejected", "confirmed"]
    assert isinstance(writes[1].error, PermissionDenied)
    assert not dialogue.engine.writes


def test_effects_show_in_one_batch_when_the_connection_breaks_and_only_once() -> None:
    # I-93
    dialogue = online()
    listener = dialogue.listen("/p")
    dialogue.server(push("/p", {"on": True}), answer(dialogue.last("q"), data={}))
    dialogue.on_disconnect("update", "/p", {"on": False, "seen": TIMESTAMP})
    dialogue.answer(dialogue.last("om"))

    dialogue.lose()

    gone = {"on": False, "seen": dialogue.wall_ms + SERVER_AHEAD_MS}
    assert listener.values[-1] == gone
    dialogue.advance_to_wake()
    dialogue.greet()
    dialogue.push("/p", {"on": True})
    dialogue.lose()
    assert listener.values[-1] == {"on": True}


def test_being_disconnected_is_published_before_its_effects() -> None:
    # §7.2
    dialogue = online()
    connected = dialogue.listen("/.info/connected")
    listener = dialogue.listen("/p")
    dialogue.answer(dialogue.last("q"), data={})
    dialogue.on_disconnect("set", "/p", False)
    dialogue.answer(dialogue.last("o"))
    dialogue.log.clear()

    dialogue.lose()

    told = [entry[0] for entry in dialogue.log]
    assert told == [connected, listener]


def test_an_operation_that_was_not_confirmed_has_no_local_effect() -> None:
    dialogue = online()
    listener = dialogue.listen("/p")
    dialogue.answer(dialogue.last("q"), data={})
    write = dialogue.on_disconnect("set", "/p", False)

    dialogue.lose()

    assert listener.values == [None]
    assert write.state == "unknown"
    assert isinstance(write.error, MaybeApplied)


def test_operations_made_offline_are_sent_once() -> None:
    dialogue = Dialogue()
    write = dialogue.on_disconnect("set", "/p", False)
    assert write.state == "queued"

    dialogue.connect()
    dialogue.answer(dialogue.last("o"))
    assert write.state == "confirmed"

    dialogue.reconnect()
    assert len(dialogue.sent("o")) == 1


def test_persistent_operations_are_registered_before_connected_is_announced() -> None:
    dialogue = online()
    connected = dialogue.listen("/.info/connected")
    write = dialogue.on_disconnect("set", "/p", False, persistent=True)
    dialogue.answer(dialogue.last("o"))
    dialogue.lose()
    later = dialogue.on_disconnect("set", "/q", 1)
    dialogue.advance_to_wake()
    dialogue.take_requests()
    dialogue.greet()

    assert [request["b"]["p"] for request in dialogue.sent("o")] == ["/p", "/q"]
    assert dialogue.log.index(dialogue.sent("o")[0]) < dialogue.log.index(
        (connected, "value", None, True), 3
    )
    assert (write.state, later.state) == ("confirmed", "sent")
    dialogue.answer(dialogue.sent("o")[0], "permission_denied", "no longer")
    assert any("not registered again" in text for text in dialogue.reports)


def test_a_cancel_ends_the_repetition() -> None:
    dialogue = online()
    dialogue.on_disconnect("set", "/p/a", False, persistent=True)
    dialogue.on_disconnect("set", "/q", False, persistent=True)
    dialogue.on_disconnect("cancel", "/p")
    dialogue.take_requests()

    dialogue.reconnect()

    assert [request["b"]["p"] for request in dialogue.sent("o")] == ["/q"]


def test_cancelling_a_deep_path_leaves_its_siblings_armed() -> None:
    # I-94
    dialogue = online()
    listener = dialogue.listen("/p")
    dialogue.server(push("/p", {"a": 1, "b": 1}), answer(dialogue.last("q"), data={}))
    dialogue.on_disconnect("set", "/p", {"a": 0, "b": 0})
    dialogue.answer(dialogue.last("o"))
    dialogue.on_disconnect("cancel", "/p/a")
    dialogue.answer(dialogue.last("oc"))

    dialogue.lose()

    assert listener.value == {"a": 1, "b": 0}


def test_effects_override_transactions() -> None:
    # §6.6
    dialogue = online()
    listener = dialogue.listen("/p")
    dialogue.server(push("/p", 1), answer(dialogue.last("q"), data={}))
    dialogue.on_disconnect("set", "/p", 0)
    dialogue.answer(dialogue.last("o"))
    dialogue.transaction("/p", lambda value: value + 1)
    waiting = dialogue.transaction("/p", lambda value: value + 1)

    dialogue.lose()

    ended = dialogue.ended(waiting)
    assert ended is not None
    assert isinstance(ended.error, TransactionAborted)
    assert listener.value == 0


def test_a_purge_drops_what_was_not_sent() -> None:
    dialogue = Dialogue()
    write = dialogue.on_disconnect("set", "/p", False)

    dialogue.purge()
    dialogue.connect()

    assert write.state == "cancelled"
    assert dialogue.sent("o") == []


def test_the_last_value_at_a_place_counts_and_drops_those_below() -> None:
    values = Values()
    values.remember(path("/a/b"), node(1))
    values.remember(path("/a/c"), node(2))
    values.remember(path("/x"), node(3))
    assert shown(values) == {"/a/b": 1, "/a/c": 2, "/x": 3}

    values.remember(path("/a"), node({"d": 4}))
    assert shown(values) == {"/a": {"d": 4}, "/x": 3}

    values.remember(path("/a/b/c"), node(5))
    assert shown(values) == {"/a": {"b": {"c": 5}, "d": 4}, "/x": 3}


def test_forgetting_splits_what_covers_the_place() -> None:
    values = Values()
    values.remember(path("/a"), node({"b": {"c": 1, "d": 2}, "e": 3}))

    values.forget(path("/a/b/c"))
    assert shown(values) == {"/a/b/d": 2, "/a/e": 3}

    values.forget(path("/a/b"))
    assert shown(values) == {"/a/e": 3}

    values.forget(path("/a/e/below/a/leaf"))
    assert shown(values) == {"/a/e": 3}

    values.forget(path("/"))
    assert shown(values) == {}


def path(text: str) -> Path:
    return Path.from_wire(text)


def shown(values: Values) -> dict[str, object]:
    return {str(place): export(value) for place, value in values.items()}
