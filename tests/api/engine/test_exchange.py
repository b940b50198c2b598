"""Losing the connection, poisoned writes, broken and unknown messages."""

import pytest
from tests.api.engine.dialogue import Dialogue, Message, answer, control, push

from firekeep.engine.effects import Report
from firekeep.exceptions import Disconnected, ProtocolError, WriteFailed


@pytest.fixture
def online() -> Dialogue:
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.take_requests()
    return dialogue


def test_unanswered_writes_are_sent_again_once_per_connection_in_order(online: Dialogue) -> None:
    # I-95
    writes = [online.set("/a", 1), online.update("/b", {"x": 2}), online.set("/c", 3)]
    online.answer(online.last("p"))
    online.take_requests()

    online.reconnect()

    assert [request["b"]["p"] for request in online.take_requests()] == ["/a", "/b"]
    assert [write.state for write in writes] == ["sent", "sent", "confirmed"]


def test_a_late_answer_to_an_old_number_meets_nobody(online: Dialogue) -> None:
    write = online.set("/a", 1)
    old = online.last("p")
    online.reconnect()

    online.answer(old, "permission_denied", "no")

    assert write.state == "sent"


def test_a_write_that_breaks_the_connection_three_times_is_given_up(online: Dialogue) -> None:
    # W-11
    listener = online.listen("/p")
    online.answer(online.last("q"), data={})
    poisoned = online.set("/p", "poison")
    innocent = online.set("/i", 1)

    online.reconnect()
    online.reconnect()
    assert poisoned.state == "sent"
    online.lose()

    assert isinstance(poisoned.error, WriteFailed)
    assert "3 times" in str(poisoned.error)
    assert listener.values == [None, "poison", None]
    online.advance_to_wake()
    online.take_requests()
    online.greet()
    assert [request["b"]["p"] for request in online.sent("p")] == ["/i"]
    assert innocent.state == "sent"


def test_what_a_server_says_wrong_is_no_fault_of_the_write_before_it(online: Dialogue) -> None:
    write = online.set("/a", 1)

    for _ in range(5):
        online.lose(ProtocolError("invalid UTF-8"))
        online.advance_to_wake()
        online.greet()

    assert write.state == "sent"


def test_an_answer_between_two_losses_clears_the_suspicion(online: Dialogue) -> None:
    for _ in range(5):
        online.set("/a", 1)
    for _ in range(5):
        online.reconnect()
        online.answer(online.sent("p")[-len(online.engine.writes)])

    assert not online.engine.writes


def test_losses_before_the_write_was_sent_do_not_count(online: Dialogue) -> None:
    online.lose()
    write = online.set("/a", 1)

    for _ in range(5):
        online.advance_to_wake()
        online.lose()

    assert write.state == "queued"


def test_going_offline_does_not_make_a_write_suspicious(online: Dialogue) -> None:
    write = online.set("/a", 1)

    for _ in range(5):
        online.go_offline()
        online.go_online()
        online.greet()

    assert write.state == "sent"


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        "[]",
        '"text"',
        '{"t":"d"}',
        '{"t":"d","d":{"a":"d","b":{"p":"a"}}}',
        '{"t":"d","d":{"a":"d","b":{"p":1,"d":1}}}',
        '{"t":"d","d":{"r":"one","b":{"s":"ok"}}}',
        '{"t":"d","d":{"r":1,"b":{"s":7}}}',
        '{"t":"c","d":{"t":"h","d":{"ts":"now","v":"5","h":"x","s":"y"}}}',
        '{"t":"d","d":{"a":"d","b":{"p":"a","d":' + "[" * 5000 + "]" * 5000 + "}}}",
    ],
)
def test_a_broken_message_ends_the_connection_and_leaves_the_queue(
    online: Dialogue, message: str
) -> None:
    listener = online.listen("/a")
    online.answer(online.last("q"), data={})
    write = online.set("/w", 1)

    online.server(push("/a", 1), message, push("/a", 2))

    status = online.engine.overview.status(online.wall_ms)
    assert isinstance(status.last_error, ProtocolError)
    assert status.connection == "waiting"
    assert listener.values == [None, 1], "what came before it counts"
    assert list(online.engine.writes) == [write.id]
    assert any("ProtocolError" in text for text in online.reports)
    online.advance_to_wake()
    online.greet()
    assert len(online.sent("p")) == 2


def test_bytes_that_are_no_text_end_the_connection(online: Dialogue) -> None:
    online.perform(online.engine.receive([b'{"t":"d\xff"}'], online.now_s, online.wall_ms))

    assert isinstance(online.engine.overview.status(online.wall_ms).last_error, ProtocolError)


def test_what_is_unknown_is_logged_once_and_ignored(online: Dialogue) -> None:
    # I-106
    listener = online.listen("/a")
    online.answer(online.last("q"), data={})
    unknown: list[Message] = [
        {"t": "d", "d": {"a": "zz", "b": {}}},
        control("z", {}),
        push("/nowhere", 1, tag=99),
        push("/nobody/listens/here", 1),
        control("o", None),
    ]

    for _ in range(3):
        online.server(*unknown, push("/a", 1))

    assert listener.values == [None, 1]
    assert online.engine.overview.status(online.wall_ms).connection == "online"
    ignored = [text for text in online.reports if text.startswith("ignored")]
    assert len(ignored) == len(set(ignored)) == 3


def test_a_server_cannot_fill_the_log_with_what_is_unknown(online: Dialogue) -> None:
    for number in range(1000):
        online.server({"t": "d", "d": {"a": f"z{number}", "b": {}}})

    assert len(online.reports) <= 100


def test_an_error_report_of_the_server_is_logged(online: Dialogue) -> None:
    online.server(control("e", "text for humans"))

    assert Report("error", "the server reports: text for humans") in online.effects


def test_a_failure_of_the_connection_shows_in_the_status(online: Dialogue) -> None:
    broken = Disconnected("the connection broke: timed out")

    online.lose(broken)

    status = online.engine.overview.status(online.wall_ms)
    assert (status.connection, status.last_error) == ("waiting", broken)


def test_the_status_counts_what_waits(online: Dialogue) -> None:
    online.set("/a", "text")
    online.wall_ms += 700
    online.set("/b", 1)

    status = online.engine.overview.status(online.wall_ms)

    assert status.pending_writes == 2
    assert status.pending_bytes > 0
    assert status.oldest_pending_ms == 700
    assert status.clock_offset_ms == 5000
    assert status.last_synced_ms == online.wall_ms - 700


def test_a_fault_in_the_tree_costs_the_connection_and_nothing_else(
    online: Dialogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # I-107
    listener = online.listen("/a")
    online.server(push("/a", 1), answer(online.last("q"), data={}))
    write = online.set("/w", 1)

    def fail(raw: object) -> list[object]:
        raise AssertionError("an invariant does not hold")

    monkeypatch.setattr("firekeep.engine.exchange.decode", fail)
    online.push("/a", 2)
    monkeypatch.undo()

    assert any("internal error" in text for text in online.reports)
    online.advance_to_wake()
    online.greet()
    online.server(push("/a", 2), answer(online.last("q"), data={}))
    assert listener.values == [1, 2]
    assert list(online.engine.writes) == [write.id]


def test_a_push_before_the_greeting_is_ignored() -> None:
    dialogue = Dialogue()
    listener = dialogue.listen("/a")
    dialogue.go_online()

    dialogue.server(push("/a", 1))

    assert listener.values == []
