"""Single reads: where they come from, what they leave behind, how long they wait."""

from typing import Any

import pytest
from tests.api.engine.dialogue import Dialogue, answer, push

from firekeep.engine.gets import GetResult
from firekeep.exceptions import NotCached, Offline, PermissionDenied, TimedOut
from firekeep.pending import Pending
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.value import export

FIRST_TWO = QueryParams.DEFAULT.limit_to_first(2)


def outcome(dialogue: Dialogue, handle: Pending[GetResult]) -> Any:
    """Return the result of a read as data, or its error."""
    ended = dialogue.ended(handle)
    if ended is None:
        return "waiting"
    result: Any = ended.result
    return ended.error or (export(result.node), result.from_cache, result.has_pending_writes)


@pytest.fixture
def online() -> Dialogue:
    dialogue = Dialogue()
    dialogue.connect()
    return dialogue


def test_a_read_asks_the_server_and_leaves_nothing_behind(online: Dialogue) -> None:
    # I-102
    handle = online.get("/a")
    assert online.last("g")["b"] == {"p": "/a", "q": {}}

    online.answer(online.last("g"), data={"x": 1})

    assert outcome(online, handle) == ({"x": 1}, False, False)
    listener = online.listen("/a")
    assert listener.values == []
    assert online.last("q")["b"]["h"] == ""


def test_a_read_shows_pending_writes_over_the_answer(online: Dialogue) -> None:
    # I-102
    handle = online.get("/a")
    online.set("/a/y", 2)

    online.answer(online.last("g"), data={"x": 1})

    assert outcome(online, handle) == ({"x": 1, "y": 2}, False, True)


def test_a_live_complete_view_answers_at_once(online: Dialogue) -> None:
    online.listen("/a")
    online.server(push("/a", {"x": 1}), answer(online.last("q"), data={}))
    online.set("/a/y", 2)

    handle = online.get("/a")

    assert outcome(online, handle) == ({"x": 1, "y": 2}, False, True)
    assert online.sent("g") == []


def test_a_live_view_that_is_not_confirmed_says_so(online: Dialogue) -> None:
    # I-103
    online.listen("/a")
    online.server(push("/a", 1), answer(online.last("q"), data={}))
    online.go_offline()

    assert outcome(online, online.get("/a")) == (1, True, False)
    assert outcome(online, online.get("/a", source="cache")) == (1, True, False)


def test_reading_the_server_passes_a_live_view_by(online: Dialogue) -> None:
    listener = online.listen("/a")
    online.server(push("/a", 1), answer(online.last("q"), data={}))

    handle = online.get("/a", source="server")
    online.answer(online.last("g"), data=2)

    assert outcome(online, handle) == (2, False, False)
    assert listener.values == [1]


def test_a_filtered_read_does_not_clobber_a_broader_view(online: Dialogue) -> None:
    # D-8, I-102
    listener = online.listen("/a")
    everything = {"k1": 1, "k2": 2, "k3": 3}
    online.server(push("/a", everything), answer(online.last("q"), data={}))

    handle = online.get("/a", FIRST_TWO, source="server")
    online.answer(online.last("g"), data={"k1": 1, "k2": 2})

    assert outcome(online, handle)[0] == {"k1": 1, "k2": 2}
    assert listener.values == [everything]
    assert outcome(online, online.get("/a"))[0] == everything


def test_a_read_that_ends_early_leaves_no_tag_behind(online: Dialogue) -> None:
    # D-9, I-102
    waiting = online.get("/a", FIRST_TWO)
    online.answer(online.last("g"), "permission_denied", "Permission denied")
    assert isinstance(outcome(online, waiting), PermissionDenied)

    listener = online.listen("/a", FIRST_TWO)
    online.server(push("/a", {"k1": 1}, tag=1), answer(online.last("q"), data={}))
    online.get("/a", FIRST_TWO)
    online.unlisten("/a", listener, FIRST_TWO)
    again = online.listen("/a", FIRST_TWO)

    assert [request["b"]["t"] for request in online.sent("q")] == [1, 2]
    assert [request["b"]["t"] for request in online.sent("n")] == [1]
    online.server(push("/a", {"k2": 2}, tag=2), answer(online.last("q"), data={}))
    assert again.values == [{"k2": 2}]


def test_a_window_is_cut_from_the_answer_and_the_pending_writes_together(
    online: Dialogue,
) -> None:
    # I-102
    online.set("/a/k0", 0)
    handle = online.get("/a", FIRST_TWO)

    online.answer(online.last("g"), data={"k1": 1, "k2": 2})

    assert outcome(online, handle)[0] == {"k0": 0, "k1": 1}


def test_a_read_is_asked_again_after_a_reconnect(online: Dialogue) -> None:
    handle = online.get("/a")
    online.reconnect()
    assert len(online.sent("g")) == 2

    online.answer(online.last("g"), data=1)

    assert outcome(online, handle) == (1, False, False)


def test_a_read_without_a_connection_fails_by_the_deadline() -> None:
    # I-103
    dialogue = Dialogue()
    dialogue.go_online()
    handle = dialogue.get("/a", timeout_s=10.0)

    dialogue.advance(9.9)
    assert outcome(dialogue, handle) == "waiting"
    dialogue.advance(0.1)

    assert isinstance(outcome(dialogue, handle), Offline)


def test_a_read_without_an_answer_fails_by_the_deadline(online: Dialogue) -> None:
    handle = online.get("/a", timeout_s=10.0)

    online.advance(10.0)
    assert isinstance(outcome(online, handle), TimedOut)

    online.answer(online.last("g"), data=1)
    assert isinstance(outcome(online, handle), TimedOut)


def test_a_read_while_offline_on_purpose_fails_at_once(online: Dialogue) -> None:
    waiting = online.get("/a")
    online.go_offline()

    assert isinstance(outcome(online, waiting), Offline)
    assert isinstance(outcome(online, online.get("/a")), Offline)


def test_a_read_of_the_cache_alone_never_asks(online: Dialogue) -> None:
    assert isinstance(outcome(online, online.get("/a", source="cache")), NotCached)
    assert online.sent("g") == []


def test_an_abandoned_read_is_forgotten(online: Dialogue) -> None:
    handle = online.get("/a")

    online.engine.abandon_get(handle)
    online.answer(online.last("g"), data=1)
    online.reconnect()

    assert outcome(online, handle) == "waiting"
    assert len(online.sent("g")) == 1


def test_a_read_does_not_count_an_increment_twice_whose_answer_is_kept_back(
    online: Dialogue,
) -> None:
    online.listen("/elsewhere")
    online.set("/a", {".sv": {"increment": 1}})
    handle = online.get("/a")

    online.answer(online.last("p"))
    online.answer(online.last("g"), data=1)
    assert outcome(online, handle) == "waiting"
    online.answer(online.last("q"), data={})

    assert outcome(online, handle) == (1, False, False)


def test_many_reads_are_ended_each_by_its_own_deadline(online: Dialogue) -> None:
    answered = [online.get("/a", timeout_s=100.0) for _ in range(200)]
    for request in online.sent("g"):
        online.answer(request, data=1)
    late = [online.get("/a", timeout_s=seconds) for seconds in (30.0, 10.0, 20.0)]

    online.advance(15.0)

    assert all(outcome(online, handle) == (1, False, False) for handle in answered)
    assert outcome(online, late[0]) == outcome(online, late[2]) == "waiting"
    assert isinstance(outcome(online, late[1]), TimedOut)


def test_a_query_on_what_the_client_knows_itself_is_applied(online: Dialogue) -> None:
    info = online.get("/.info", QueryParams.DEFAULT.order_by_key().start_at("d"))

    assert outcome(online, info) == ({"serverTimeOffset": 5000}, False, False)


def test_info_is_read_locally(online: Dialogue) -> None:
    assert outcome(online, online.get("/.info/connected")) == (True, False, False)
    assert outcome(online, online.get("/.info/nothing")) == (None, False, False)
