"""Transactions: what their functions see, what is sent, how they end."""

from typing import Any

import pytest
from tests.api.engine.dialogue import SERVER_AHEAD_MS, Dialogue, Message, answer, node, push

from firekeep.engine.transactions import ABORT, MAX_SENDS
from firekeep.exceptions import (
    FirekeepError,
    InvalidValue,
    MaybeApplied,
    PermissionDenied,
    TooManyRetries,
    TransactionAborted,
    WriteCancelled,
)
from firekeep.pending import Pending
from firekeep.server_value import TIMESTAMP, increment
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.value import export


class Function:
    """A transaction's function that remembers what it saw."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.seen: list[Any] = []

    def __call__(self, value: Any) -> object:
        self.seen.append(value)
        return self.function(value)


def add_one(value: Any) -> Any:
    """Count."""
    return (value or 0) + 1


def times_hundred(value: Any) -> Any:
    """Show that the order counts."""
    return value * 100


def outcome(dialogue: Dialogue, handle: Pending[Any]) -> Any:
    """Return ``(committed, value)`` of a transaction, its error, or "pending"."""
    ended = dialogue.ended(handle)
    if ended is None:
        return "pending"
    result: Any = ended.result
    return ended.error or (result.committed, export(result.node))


def online() -> Dialogue:
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.take_requests()
    return dialogue


def synced(path: str, data: object) -> tuple[Dialogue, Any]:
    """Return a dialogue with a listener that the server has told everything."""
    dialogue = online()
    listener = dialogue.listen(path)
    dialogue.server(push(path, data), answer(dialogue.last("q"), data={}))
    dialogue.take_requests()
    return dialogue, listener


def assert_no_keeper(dialogue: Dialogue) -> None:
    """Check that the tree holds no registration but those of listeners (I-91)."""
    dialogue.take_requests()
    dialogue.reconnect()
    listened = {request["b"]["p"] for request in dialogue.sent("q")}
    assert listened <= {"/a", "/n"}


def test_a_transaction_shows_at_once_and_is_guarded_by_the_hash_of_its_input() -> None:
    # I-82
    dialogue, listener = synced("/n", 4)
    counting = Function(add_one)

    handle = dialogue.transaction("/n", counting)

    assert listener.values == [4, 5]
    assert dialogue.last("p")["b"] == {"p": "/n", "d": 5, "h": hash_v1(node(4))}
    assert outcome(dialogue, handle) == "pending"
    dialogue.server(push("/n", 5), answer(dialogue.last("p")))
    assert outcome(dialogue, handle) == (True, 5)
    assert listener.values == [4, 5]
    assert counting.seen == [4]


def test_a_hidden_transaction_never_shows_whatever_else_comes_and_goes() -> None:
    # I-82, D-2
    dialogue, listener = synced("/a", {"n": 1})
    handle = dialogue.transaction("/a/n", add_one, apply_locally=False)

    other = dialogue.set("/a/x", 1)
    dialogue.server(push("/a/x", 1), answer(dialogue.sent("p")[1]))
    refused = dialogue.set("/a/y", 1)
    dialogue.answer(dialogue.last("p"), "permission_denied")

    assert [value["n"] for value in listener.values] == [1] * len(listener.values)
    assert (other.state, refused.state) == ("confirmed", "rejected")
    dialogue.server(push("/a/n", 2), answer(dialogue.sent("p")[0]))
    assert outcome(dialogue, handle) == (True, 2)
    assert listener.value == {"n": 2, "x": 1}


def test_a_later_transaction_runs_on_the_output_of_an_earlier_one() -> None:
    # I-83
    dialogue, listener = synced("/a", {"n": 1})
    handles = [
        dialogue.transaction("/a/n", add_one),
        dialogue.transaction("/a", lambda value: {**value, "m": value["n"] * 10}),
        dialogue.transaction("/a/n", add_one),
    ]

    assert listener.value == {"n": 3, "m": 20}
    assert len(dialogue.sent("p")) == 1, "what lies on an output in flight waits for its outcome"
    dialogue.server(push("/a/n", 2), answer(dialogue.last("p")))
    assert dialogue.last("p")["b"] == {
        "p": "/a",
        "d": {"n": 3, "m": 20},
        "h": hash_v1(node({"n": 2})),
    }
    dialogue.server(push("/a", {"n": 3, "m": 20}), answer(dialogue.last("p")))
    assert [outcome(dialogue, handle)[0] for handle in handles] == [True] * 3
    assert listener.values == [
        {"n": 1},
        {"n": 2},
        {"n": 2, "m": 20},
        {"n": 3, "m": 20},
    ]


def test_a_batch_ends_in_the_order_of_creation() -> None:
    # I-83
    dialogue = Dialogue()
    handles = [
        dialogue.transaction(path, lambda value: value or {"z": 1})
        for path in ("/a/x", "/a", "/a/y")
    ]
    dialogue.connect()
    dialogue.answer(dialogue.last("q"), data={})

    dialogue.answer(dialogue.last("p"))

    assert [handle for handle in dialogue.told if handle in handles] == handles


def test_a_change_by_others_runs_the_function_again_and_views_pass_straight_to_its_output() -> None:
    # I-84
    dialogue, listener = synced("/n", 4)
    counting = Function(add_one)
    dialogue.go_offline()
    dialogue.transaction("/n", counting)
    dialogue.go_online()
    dialogue.greet()

    dialogue.push("/n", 10)

    assert counting.seen == [4], "it is in flight: only its answer can tell"
    dialogue.server(
        answer(dialogue.last("q"), data={}), answer(dialogue.last("p"), "datastale", "stale")
    )
    assert listener.values == [4, 5, 11]
    assert dialogue.last("p")["b"] == {"p": "/n", "d": 11, "h": hash_v1(node(10))}


def test_an_unsent_transaction_runs_again_when_its_input_changes() -> None:
    # I-84
    dialogue, listener = synced("/n", 4)
    first = dialogue.transaction("/n", add_one)
    counting = Function(times_hundred)
    dialogue.transaction("/n", counting)
    assert counting.seen == [5]

    dialogue.server(push("/n", 7), answer(dialogue.last("p"), "datastale"))

    assert counting.seen == [5, 8]
    assert listener.values == [4, 5, 500, 8, 800], "never what the server alone has"
    assert outcome(dialogue, first) == "pending"


def test_an_unchanged_input_does_not_run_the_function_again() -> None:
    # W-34
    dialogue, _ = synced("/a", {"n": 1, "other": 1})
    first = Function(add_one)
    second = Function(add_one)
    dialogue.transaction("/a/n", first)
    dialogue.transaction("/a/n", second)

    for number in range(5):
        dialogue.push("/a/other", number)
        dialogue.push("/a/n", 1)

    assert (first.seen, second.seen) == ([1], [2])


def test_a_transaction_is_sent_twentyfive_times_at_most() -> None:
    # I-85
    dialogue, listener = synced("/n", 0)
    handle = dialogue.transaction("/n", add_one)

    for number in range(1, 40):
        if outcome(dialogue, handle) != "pending":
            break
        dialogue.server(push("/n", number * 10), answer(dialogue.last("p"), "datastale"))

    assert isinstance(outcome(dialogue, handle), TooManyRetries)
    assert len(dialogue.sent("p")) == MAX_SENDS == 25
    assert listener.value == 250
    assert_no_keeper(dialogue)


def test_running_again_without_having_been_sent_does_not_count() -> None:
    # I-85
    dialogue, _ = synced("/n", 0)
    blocker = dialogue.transaction("/n", add_one)
    counting = Function(add_one)
    waiting = dialogue.transaction("/n", counting)

    for number in range(1, 25):
        dialogue.server(push("/n", number), answer(dialogue.last("p"), "datastale"))

    assert len(counting.seen) == 25
    assert outcome(dialogue, blocker) == outcome(dialogue, waiting) == "pending"


def test_aborting_leaves_everything_as_it_was() -> None:
    # I-86
    dialogue, listener = synced("/n", 4)

    handle = dialogue.transaction("/n", lambda value: ABORT)

    assert outcome(dialogue, handle) == (False, 4)
    assert listener.values == [4]
    assert dialogue.requests == []
    assert_no_keeper(dialogue)


def test_an_exception_ends_the_transaction_and_leaves_everything_as_it_was() -> None:
    # I-86, I-91
    dialogue, listener = synced("/a", 4)
    failure = KeyError("mine")

    def fail(value: Any) -> Any:
        raise failure

    handle = dialogue.transaction("/n", fail)

    assert outcome(dialogue, handle) is failure
    assert listener.values == [4]
    assert [request["a"] for request in dialogue.requests] == ["q", "n"]
    assert_no_keeper(dialogue)


def test_an_exception_when_run_again_reverts_what_was_shown() -> None:
    # I-86
    dialogue, listener = synced("/n", 4)

    def fail_on_ten(value: Any) -> Any:
        if value == 10:
            raise ValueError("ten")
        return value + 1

    handle = dialogue.transaction("/n", fail_on_ten)
    dialogue.server(push("/n", 10), answer(dialogue.last("p"), "datastale"))

    assert isinstance(outcome(dialogue, handle), ValueError)
    assert listener.values == [4, 5, 10]
    assert_no_keeper(dialogue)


def test_a_result_that_no_database_could_hold_is_an_error() -> None:
    dialogue, listener = synced("/n", 4)

    handle = dialogue.transaction("/n", lambda value: {"a.b": 1})

    assert isinstance(outcome(dialogue, handle), FirekeepError)
    assert isinstance(
        outcome(dialogue, dialogue.transaction("/n", lambda value: object())), InvalidValue
    )
    assert listener.values == [4]


@pytest.mark.parametrize("path", ["/a", "/a/b", "/a/b/c", "/"])
def test_a_set_above_at_or_below_overrides(path: str) -> None:
    # I-87
    dialogue, listener = synced("/a/b", {"c": 0})
    dialogue.go_offline()
    handle = dialogue.transaction("/a/b", lambda value: {"c": 1, "d": 2})
    sibling = dialogue.transaction("/e/f" if path != "/" else "/e", lambda value: 1)

    dialogue.set(path, {"b": {"c": 3}} if path == "/a" else 3)

    assert isinstance(outcome(dialogue, handle), TransactionAborted)
    assert "overridden" in str(outcome(dialogue, handle))
    assert outcome(dialogue, sibling) == "pending" or path == "/"
    expected = {"/a": {"c": 3}, "/a/b": 3, "/a/b/c": {"c": 3}, "/": None}[path]
    assert listener.value == expected


def test_a_transaction_in_flight_that_is_overridden_may_still_commit() -> None:
    # §6.4
    dialogue, listener = synced("/n", 4)
    handle = dialogue.transaction("/n", add_one)
    put = dialogue.last("p")
    dialogue.set("/n", 100)
    assert outcome(dialogue, handle) == "pending"

    dialogue.server(push("/n", 5), answer(put))

    assert outcome(dialogue, handle) == (True, 5)
    assert listener.values == [4, 5, 100]


def test_a_transaction_in_flight_that_is_overridden_is_not_tried_again() -> None:
    # I-87
    dialogue, listener = synced("/n", 4)
    handle = dialogue.transaction("/n", add_one)
    put = dialogue.last("p")
    dialogue.set("/n", 100)

    dialogue.server(push("/n", 50), answer(put, "datastale"))

    assert isinstance(outcome(dialogue, handle), TransactionAborted)
    assert len(dialogue.sent("p")) == 2
    assert listener.values == [4, 5, 100]
    assert_no_keeper(dialogue)


def test_an_update_overrides_only_what_it_names() -> None:
    # I-87
    dialogue = Dialogue()
    named = dialogue.transaction("/a/b/c", lambda value: 1)
    sibling = dialogue.transaction("/a/x", lambda value: 1)

    dialogue.update("/a", {"b": 2, "y": 3})

    assert isinstance(outcome(dialogue, named), TransactionAborted)
    assert outcome(dialogue, sibling) == "pending"


def test_being_in_flight_when_the_connection_breaks_is_an_error() -> None:
    # I-88
    dialogue, listener = synced("/n", 4)
    handle = dialogue.transaction("/n", add_one)

    dialogue.lose()

    error = outcome(dialogue, handle)
    assert isinstance(error, MaybeApplied)
    assert "disconnect" in str(error)
    assert listener.values == [4, 5, 4]
    dialogue.advance_to_wake()
    dialogue.take_requests()
    dialogue.greet()
    assert dialogue.sent("p") == []


def test_one_that_was_not_sent_survives_broken_connections_and_commits_later() -> None:
    # I-88
    dialogue, _ = synced("/n", 4)
    dialogue.lose()
    handle = dialogue.transaction("/n", add_one)
    dialogue.advance_to_wake()
    dialogue.lose()
    dialogue.advance_to_wake()
    dialogue.greet()
    dialogue.answer(dialogue.last("q"), data={})

    dialogue.server(push("/n", 5), answer(dialogue.last("p")))

    assert outcome(dialogue, handle) == (True, 5)


def test_unknown_data_are_null_at_first_and_the_real_value_after_a_stale_answer() -> None:
    # I-89
    dialogue = online()
    counting = Function(add_one)
    handle = dialogue.transaction("/n", counting)
    first = dialogue.last("p")
    assert first["b"] == {"p": "/n", "d": 1, "h": ""}

    dialogue.server(push("/n", 7), answer(dialogue.last("q"), data={}), answer(first, "datastale"))
    dialogue.server(push("/n", 8), answer(dialogue.last("p")))

    assert counting.seen == [None, 7]
    assert outcome(dialogue, handle) == (True, 8)
    assert_no_keeper(dialogue)


def test_requiring_the_server_waits_for_its_value() -> None:
    dialogue = online()
    counting = Function(add_one)
    handle = dialogue.transaction("/n", counting, require_server=True)
    assert counting.seen == []
    dialogue.push("/n", 7)
    assert counting.seen == []

    dialogue.answer(dialogue.last("q"), data={})

    assert counting.seen == [7]
    dialogue.server(push("/n", 8), answer(dialogue.last("p")))
    assert outcome(dialogue, handle) == (True, 8)


def test_the_priority_stays_unless_the_function_returns_one() -> None:
    # I-90
    dialogue, _ = synced("/n", {".value": 4, ".priority": 9})
    dialogue.transaction("/n", add_one)
    assert dialogue.last("p")["b"]["d"] == {".value": 5, ".priority": 9}
    dialogue.server(push("/n", {".value": 5, ".priority": 9}), answer(dialogue.last("p")))

    dialogue.transaction("/n", lambda value: {".value": value + 1, ".priority": None})

    assert dialogue.last("p")["b"]["d"] == 6


def test_a_refused_transaction_is_reverted_before_its_error() -> None:
    dialogue, listener = synced("/n", 4)
    handle = dialogue.transaction("/n", add_one)
    dialogue.log.clear()

    dialogue.answer(dialogue.last("p"), "permission_denied", "no")

    assert [entry[0] for entry in dialogue.log] == [listener, handle]
    assert isinstance(outcome(dialogue, handle), PermissionDenied)
    assert listener.values == [4, 5, 4]
    assert_no_keeper(dialogue)


def test_placeholders_are_sent_raw_and_shown_resolved() -> None:
    dialogue, listener = synced("/a", {"n": 4})

    handle = dialogue.transaction("/a", lambda value: {"n": increment(2), "at": TIMESTAMP})

    resolved = {"n": 6, "at": dialogue.wall_ms + SERVER_AHEAD_MS}
    assert listener.value == resolved
    assert dialogue.last("p")["b"]["d"] == {
        "n": {".sv": {"increment": 2}},
        "at": {".sv": "timestamp"},
    }
    dialogue.server(push("/a", resolved), answer(dialogue.last("p")))
    assert outcome(dialogue, handle) == (True, resolved)


def test_the_function_gets_a_private_copy() -> None:
    dialogue, listener = synced("/a", {"list": {"x": 1}})

    def change_in_place(value: Any) -> Any:
        value["list"]["x"] = 2
        return ABORT

    dialogue.transaction("/a", change_in_place)
    dialogue.set("/a/y", 1)

    assert listener.value == {"list": {"x": 1}, "y": 1}


def test_transactions_of_a_purge_end_after_the_writes() -> None:
    # §6.7
    dialogue, listener = synced("/a", {"n": 4})
    handle = dialogue.transaction("/a/n", add_one)
    put = dialogue.last("p")
    waiting = dialogue.transaction("/a/n", add_one)

    dialogue.purge()

    assert isinstance(outcome(dialogue, handle), WriteCancelled)
    assert isinstance(outcome(dialogue, waiting), WriteCancelled)
    assert listener.value == {"n": 4}
    dialogue.server(push("/a/n", 5), answer(put))
    assert listener.value == {"n": 5}
    assert_no_keeper(dialogue)


def test_transactions_at_different_places_go_their_own_ways() -> None:
    dialogue = online()
    handles = [dialogue.transaction(f"/t/{number}", add_one) for number in range(3)]
    puts = dialogue.sent("p")
    assert [put["b"]["p"] for put in puts] == ["/t/0", "/t/1", "/t/2"]
    answers: list[Message] = [answer(listen, data={}) for listen in dialogue.sent("q")]

    dialogue.server(*answers, answer(puts[1]), answer(puts[0]))

    assert [outcome(dialogue, handle) != "pending" for handle in handles] == [True, True, False]


def test_a_transaction_among_queued_writes_keeps_its_place() -> None:
    dialogue = Dialogue()
    dialogue.set("/a", 1)
    dialogue.transaction("/b", add_one)
    dialogue.set("/c", 1)

    dialogue.connect()

    assert [put["b"]["p"] for put in dialogue.sent("p")] == ["/a", "/b", "/c"]


def test_the_input_counts_writes_that_wait() -> None:
    dialogue, _ = synced("/n", 4)
    dialogue.set("/n", 10)

    dialogue.transaction("/n", add_one)

    assert dialogue.last("p")["b"] == {"p": "/n", "d": 11, "h": hash_v1(node(10))}


def test_a_rejected_write_below_runs_the_function_again() -> None:
    dialogue, listener = synced("/n", 4)
    dialogue.set("/n", 10)
    counting = Function(add_one)
    handle = dialogue.transaction("/n", counting)
    write, put = dialogue.sent("p")

    dialogue.server(answer(write, "permission_denied"), answer(put, "datastale"))

    assert counting.seen == [10, 4]
    assert listener.value == 5
    assert outcome(dialogue, handle) == "pending"


def test_one_that_ends_lets_those_go_that_waited_for_it() -> None:
    dialogue = Dialogue()
    first = dialogue.transaction("/n", lambda value: ABORT, require_server=True)
    second = dialogue.transaction("/n", add_one)
    dialogue.connect()
    assert dialogue.sent("p") == [], "the first has not run, and the second stands behind it"

    dialogue.answer(dialogue.last("q"), data={})

    assert outcome(dialogue, first) == (False, None)
    assert outcome(dialogue, second) == "pending"
    assert dialogue.last("p")["b"]["d"] == 1


def test_one_that_runs_late_puts_those_behind_it_on_its_output() -> None:
    dialogue = Dialogue()
    listener = dialogue.listen("/n")
    dialogue.transaction("/n", add_one, require_server=True)
    behind = Function(add_one)
    dialogue.transaction("/n", behind)
    dialogue.connect()

    dialogue.server(push("/n", 5), answer(dialogue.last("q"), data={}))

    assert behind.seen[-1] == 6
    assert listener.value == 7
    assert dialogue.last("p")["b"] == {"p": "/n", "d": 7, "h": hash_v1(node(5))}


def test_requiring_the_server_fails_if_it_gives_no_data() -> None:
    dialogue = online()
    handle = dialogue.transaction("/n", add_one, require_server=True)
    behind = dialogue.transaction("/n", add_one)

    dialogue.answer(dialogue.last("q"), "permission_denied", "no")

    assert isinstance(outcome(dialogue, handle), PermissionDenied)
    dialogue.answer(dialogue.last("p"))
    assert outcome(dialogue, behind) == (True, 1)


def test_data_that_may_be_written_and_not_read_do_not_stop_a_transaction() -> None:
    dialogue = online()
    handle = dialogue.transaction("/n", add_one)

    dialogue.answer(dialogue.last("q"), "permission_denied", "no")
    dialogue.answer(dialogue.last("p"))

    assert outcome(dialogue, handle) == (True, 1)
