"""Listens on the wire: started, answered, refused, revoked, sent again."""

from tests.api.engine.dialogue import Dialogue, Listener, answer, node, push

from firekeep.config import Config
from firekeep.exceptions import PermissionDenied
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.path import Path

FIRST_TWO = QueryParams.DEFAULT.limit_to_first(2)


def online(config: Config | None = None) -> Dialogue:
    dialogue = Dialogue(config=config)
    dialogue.connect()
    dialogue.take_requests()
    return dialogue


def sent(dialogue: Dialogue) -> list[tuple[str, str]]:
    return [(request["a"], request["b"]["p"]) for request in dialogue.take_requests()]


def test_a_listen_says_what_is_held_and_an_unlisten_ends_it() -> None:
    dialogue = online()
    listener = dialogue.listen("/a")
    assert dialogue.last("q")["b"] == {"p": "/a", "h": ""}
    dialogue.server(push("/a", 1), answer(dialogue.last("q"), data={}))

    dialogue.unlisten("/a", listener)

    assert dialogue.last("n")["b"] == {"p": "/a"}
    assert listener.values == [1]


def test_a_filtered_listen_carries_its_query_and_tag() -> None:
    dialogue = online()
    listener = dialogue.listen("/a", FIRST_TWO)
    body = dialogue.last("q")["b"]
    assert body["p"] == "/a"
    assert body["t"] == 1
    assert body["q"] == FIRST_TWO.wire()

    dialogue.unlisten("/a", listener, FIRST_TWO)

    assert dialogue.last("n")["b"] == {"p": "/a", "q": FIRST_TWO.wire(), "t": 1}


def test_hashes_are_those_of_server_data_at_the_time_of_sending() -> None:
    dialogue = online()
    dialogue.listen("/a")
    dialogue.server(push("/a", {"x": 1}), answer(dialogue.last("q"), data={}))
    dialogue.set("/a/y", 2)
    dialogue.push("/a/x", 3)

    dialogue.reconnect()

    assert dialogue.last("q")["b"]["h"] == hash_v1(node({"x": 3}))


def test_large_data_are_described_range_by_range_unless_they_hold_priorities() -> None:
    dialogue = online()
    dialogue.listen("/a")
    dialogue.listen("/b")
    plain = {f"k{number}": "some text" for number in range(200)}
    for request, data in zip(
        dialogue.sent("q"), (plain, {**plain, "k1": {".value": 1, ".priority": 2}}), strict=True
    ):
        dialogue.server(push(request["b"]["p"], data), answer(request, data={}))

    dialogue.reconnect()

    with_ranges, without = dialogue.sent("q")[-2:]
    assert len(with_ranges["b"]["ch"]["hs"]) == len(with_ranges["b"]["ch"]["ps"]) + 1
    assert "ch" not in without["b"]


def test_reconnecting_with_nothing_changed_is_not_seen_at_all() -> None:
    # I-96
    dialogue = online()
    listeners = [dialogue.listen(path) for path in ("/a", "/b", "/c")]
    for request in dialogue.sent("q"):
        data = {"v": request["b"]["p"]}
        dialogue.server(push(request["b"]["p"], data), answer(request, data={}))
    writes = [dialogue.set("/a/w", 1), dialogue.set("/b/w", 2)]
    before = [list(listener.values) for listener in listeners]
    dialogue.lose()
    dialogue.advance_to_wake()
    dialogue.take_requests()
    dialogue.greet()

    # The writes had been applied before the connection broke; the server knows them already.
    first, second, third = dialogue.sent("q")
    puts = dialogue.sent("p")
    dialogue.server(
        push("/a", {"v": "/a", "w": 1}), answer(first, data={}), answer(second, data={})
    )
    dialogue.server(answer(puts[0]))
    dialogue.server(push("/b/w", 2), answer(puts[1]), answer(third, data={}))

    assert [listener.values for listener in listeners] == before
    assert [write.state for write in writes] == ["confirmed", "confirmed"]


def test_an_answer_to_a_write_waits_for_the_listens_sent_before_it() -> None:
    # I-96, §3.8
    dialogue = online()
    listener = dialogue.listen("/a")
    dialogue.server(push("/a", {"x": 1}), answer(dialogue.last("q"), data={}))
    write = dialogue.set("/a/x", 2)
    dialogue.reconnect()
    listen, put = dialogue.last("q"), dialogue.last("p")

    dialogue.server(answer(put))
    assert write.state == "sent"
    assert listener.values == [{"x": 1}, {"x": 2}]

    dialogue.server(push("/a", {"x": 2}), answer(listen, data={}))
    assert write.state == "confirmed"
    assert listener.values == [{"x": 1}, {"x": 2}]


def test_an_answer_does_not_wait_for_a_listen_sent_after_its_write() -> None:
    dialogue = online()
    write = dialogue.set("/a", 1)
    dialogue.listen("/b")

    dialogue.answer(dialogue.last("p"))

    assert write.state == "confirmed"


def test_removing_the_listener_it_waits_for_lets_an_answer_through() -> None:
    dialogue = online()
    listener = dialogue.listen("/b")
    write = dialogue.set("/a", 1)
    dialogue.answer(dialogue.last("p"))
    assert write.state == "sent"

    dialogue.unlisten("/b", listener)

    assert write.state == "confirmed"


def test_a_held_back_answer_counts_when_the_connection_breaks() -> None:
    dialogue = online()
    dialogue.listen("/b")
    write = dialogue.set("/a", 1)
    dialogue.answer(dialogue.last("p"))

    dialogue.reconnect()

    assert write.state == "confirmed"
    assert len(dialogue.sent("p")) == 1


def test_a_refused_listen_cancels_once_and_is_not_sent_again() -> None:
    dialogue = online()
    listener = dialogue.listen("/a")

    dialogue.answer(dialogue.last("q"), "permission_denied", "Permission denied")

    assert listener.kinds == ["cancel"]
    error = listener.events[0].error
    assert isinstance(error, PermissionDenied)
    assert (error.path, error.text) == ("/a", "Permission denied")
    dialogue.reconnect()
    assert len(dialogue.sent("q")) == 1


def test_a_revoked_query_cancels_that_query_alone() -> None:
    # I-56
    dialogue = online()
    limited = dialogue.listen("/a", FIRST_TWO)
    other = dialogue.listen("/b")
    for request in dialogue.sent("q"):
        dialogue.answer(request, data={})

    dialogue.server(
        {"t": "d", "d": {"a": "c", "b": {"p": "a", "q": [FIRST_TWO.wire()]}}},
        push("/b", 1),
    )

    assert limited.kinds[-1:] == ["cancel"]
    assert other.values == [None, 1]
    assert sent(dialogue) == [("q", "/a"), ("q", "/b")]


def test_a_revoked_location_cancels_everything_there_and_deeper_listens_take_over() -> None:
    # I-56
    dialogue = online()
    whole = dialogue.listen("/a")
    limited = dialogue.listen("/a", FIRST_TWO)
    deeper = dialogue.listen("/a/b")
    dialogue.server(push("/a", {"b": 1}), answer(dialogue.last("q"), data={}))
    dialogue.take_requests()

    dialogue.server({"t": "d", "d": {"a": "c", "b": {"p": "a"}}})

    assert whole.kinds[-1] == limited.kinds[-1] == "cancel"
    assert "cancel" not in deeper.kinds
    assert sent(dialogue) == [("q", "/a/b")]


def test_the_answer_to_a_listen_that_is_gone_means_nothing() -> None:
    dialogue = online()
    first = dialogue.listen("/a")
    outdated = dialogue.last("q")
    dialogue.unlisten("/a", first)
    second = dialogue.listen("/a")

    dialogue.answer(outdated, "permission_denied", "no")
    assert second.kinds == []
    dialogue.server(push("/a", 1), answer(dialogue.last("q"), data={}))

    assert second.values == [1]


def after_another(dialogue: Dialogue, ended: str, path: str) -> Listener:
    """Listen somewhere while data for a listen that has ended are under way."""
    dialogue.unlisten(ended, dialogue.listen(ended))
    listener = dialogue.listen(path)
    dialogue.push(path, {"x": 1})
    assert listener.value == {"x": 1}
    return listener


def test_that_nothing_has_changed_is_said_of_what_was_held_when_the_server_was_asked() -> None:
    for ended in ("/", "/a", "/a/x"):
        dialogue = online()
        listener = after_another(dialogue, ended, "/a")
        dialogue.answer(dialogue.last("n"))
        assert listener.value == {"x": 1}

        dialogue.answer(dialogue.last("q"), data={})

        assert listener.value is None


def test_ranges_are_laid_into_what_was_held_when_the_server_was_asked() -> None:
    dialogue = online()
    listener = after_another(dialogue, "/a", "/a")
    dialogue.answer(dialogue.last("n"))

    ranges = {"s": "y", "m": {"z": 2}}
    dialogue.server({"t": "d", "d": {"a": "rm", "b": {"p": "a", "d": [ranges]}}})
    dialogue.answer(dialogue.last("q"), data={})

    assert listener.values == [{"x": 1}, {"z": 2}]


def test_what_is_pushed_for_a_listen_itself_is_beyond_doubt() -> None:
    dialogue = online()
    listener = after_another(dialogue, "/a", "/a")
    dialogue.server(answer(dialogue.last("n")), push("/a", 2), answer(dialogue.last("q"), data={}))

    assert listener.values == [{"x": 1}, 2]


def test_what_is_pushed_counts_if_the_server_never_answers_an_unlisten() -> None:
    dialogue = online()
    listener = after_another(dialogue, "/a", "/a")

    dialogue.answer(dialogue.last("q"), data={})

    assert listener.values == [{"x": 1}]


def test_only_unanswered_unlistens_that_overlap_cast_doubt() -> None:
    dialogue = online()
    for path in ("/b", "/ab", "/a"):
        dialogue.unlisten(path, dialogue.listen(path))
    unlistens = dialogue.sent("n")
    dialogue.answer(unlistens[2])
    listener = dialogue.listen("/a")
    dialogue.push("/a", 1)
    for unlisten in unlistens[:2]:
        dialogue.answer(unlisten)
    dialogue.answer(dialogue.last("q"), data={})

    assert listener.values == [1]


def test_of_two_listens_that_have_ended_the_later_one_decides() -> None:
    dialogue = online()
    dialogue.unlisten("/", dialogue.listen("/"))
    dialogue.unlisten("/a/b", dialogue.listen("/a/b"))
    listener = dialogue.listen("/a")
    above, below = dialogue.sent("n")
    dialogue.answer(above)
    dialogue.push("/a", 1)
    dialogue.answer(below)
    assert listener.values == [1]

    dialogue.answer(dialogue.last("q"), data={})

    assert listener.values == [1, None]


def test_a_doubt_ends_with_its_listen_and_with_its_connection() -> None:
    dialogue = online()
    after_another(dialogue, "/a", "/a")
    dialogue.answer(dialogue.last("n"))
    dialogue.reconnect()
    dialogue.push("/a", 2)
    dialogue.answer(dialogue.last("q"), data={})
    listener = dialogue.listen("/a")
    assert listener.values == [2]

    dialogue = online()
    listener = after_another(dialogue, "/a", "/a")
    dialogue.answer(dialogue.last("n"))
    dialogue.unlisten("/a", listener)
    again = dialogue.listen("/a")
    dialogue.push("/a", 3)
    dialogue.answer(dialogue.sent("q")[-2], data={})
    dialogue.answer(dialogue.last("q"), data={})
    assert again.values == [3]


def test_a_warning_of_the_server_is_logged_once() -> None:
    dialogue = online()
    for _ in range(3):
        listener = dialogue.listen("/a", FIRST_TWO)
        dialogue.answer(dialogue.last("q"), data={"w": ["no_index"]})
        dialogue.unlisten("/a", listener, FIRST_TWO)

    assert [text for text in dialogue.reports if "no_index" in text] == ["listen at /a: no_index"]


def test_a_lingering_listen_serves_the_next_listener() -> None:
    # W-32
    dialogue = online(Config(linger_s=2.0))
    first = dialogue.listen("/a")
    dialogue.server(push("/a", 1), answer(dialogue.last("q"), data={}))
    dialogue.unlisten("/a", first)

    dialogue.advance(1.9)
    second = dialogue.listen("/a")

    assert second.values == [1]
    assert sent(dialogue) == [("q", "/a")]
    dialogue.advance(10.0)
    assert sent(dialogue) == []
    dialogue.push("/a", 2)
    assert (first.values, second.values) == ([1], [1, 2])


def test_a_lingering_listen_that_nobody_wants_ends() -> None:
    dialogue = online(Config(linger_s=2.0))
    listener = dialogue.listen("/a")
    dialogue.unlisten("/a", listener)
    assert sent(dialogue) == [("q", "/a")]

    dialogue.advance(1.0)
    dialogue.unlisten("/a", dialogue.listen("/a"))
    dialogue.advance(1.9)
    assert sent(dialogue) == []
    dialogue.advance(0.2)

    assert sent(dialogue) == [("n", "/a")]


def test_what_a_query_shows_is_confirmed_once_the_server_has_answered() -> None:
    dialogue = online()
    path = Path.from_wire("/a/b")
    dialogue.listen("/a")
    dialogue.push("/a", {"b": 1})
    assert not dialogue.engine.overview.is_confirmed(path, QueryParams.DEFAULT)

    dialogue.answer(dialogue.last("q"), data={})
    assert dialogue.engine.overview.is_confirmed(path, QueryParams.DEFAULT)
    assert dialogue.engine.overview.is_confirmed(path, FIRST_TWO)
    assert not dialogue.engine.overview.is_confirmed(Path.from_wire("/"), QueryParams.DEFAULT)

    dialogue.lose()
    assert not dialogue.engine.overview.is_confirmed(path, QueryParams.DEFAULT)


def test_a_kept_query_that_the_server_ends_can_be_asked_for_again() -> None:
    dialogue = online()
    dialogue.keep_synced("/a", True)
    dialogue.answer(dialogue.last("q"), "permission_denied", "no")

    assert dialogue.engine.overview.kept_synced() == []
    assert any("no longer kept synced" in text for text in dialogue.reports)
    dialogue.keep_synced("/a", True)

    assert sent(dialogue) == [("q", "/a"), ("q", "/a")]


def test_revoking_no_query_at_all_ends_nothing() -> None:
    dialogue = online()
    listener = dialogue.listen("/a")

    dialogue.server({"t": "d", "d": {"a": "c", "b": {"p": "a", "q": []}}})

    assert listener.kinds == []
