"""Connecting, credentials, staying alive, being sent elsewhere."""

import pytest
from tests.api.engine.dialogue import HOST, Dialogue, answer, control, push

from firekeep.config import Config
from firekeep.engine.effects import Connect, Disconnect, FetchToken
from firekeep.exceptions import Disconnected, NetworkUnavailable, ProtocolError

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJpYXQiOjE3MDAwMDAwMDAsInN1YiI6InUxIn0.c2ln"


def actions(dialogue: Dialogue) -> list[str]:
    return [request["a"] for request in dialogue.requests]


def connection(dialogue: Dialogue) -> str:
    return dialogue.engine.overview.status(dialogue.wall_ms).connection


def auth(dialogue: Dialogue) -> str:
    return dialogue.engine.overview.status(dialogue.wall_ms).auth


def test_nothing_is_sent_before_the_server_has_greeted() -> None:
    dialogue = Dialogue()
    dialogue.listen("/a")
    dialogue.set("/b", 1)

    dialogue.go_online()

    assert dialogue.of(Connect) == [Connect(HOST, None)]
    assert dialogue.requests == []
    assert connection(dialogue) == "connecting"


def test_a_session_is_restored_in_order() -> None:
    # Wire §5.1, "Ours": stats, credentials and their answers, listens, writes by id,
    # onDisconnects, gets, then `.info/connected`.
    dialogue = Dialogue(has_auth=True, has_app_check=True)
    connected = dialogue.listen("/.info/connected")
    dialogue.go_online()
    dialogue.token("attested", "app_check")
    dialogue.token(JWT)
    dialogue.greet()
    dialogue.get("/get")
    dialogue.on_disconnect("set", "/bye", True)
    dialogue.set("/write", 1)
    dialogue.update("/write", {"x": 2})
    dialogue.listen("/listen")
    assert actions(dialogue) == ["s", "auth", "appcheck"]
    assert dialogue.last("auth")["b"] == {"cred": JWT}
    assert dialogue.last("appcheck")["b"] == {"token": "attested"}

    dialogue.answer(dialogue.last("auth"), data={"auth": None})
    assert actions(dialogue) == ["s", "auth", "appcheck"]
    dialogue.answer(dialogue.last("appcheck"))

    assert actions(dialogue)[3:] == ["q", "p", "m", "o", "g"]
    assert connected.values == [False, True]
    assert dialogue.log.index(dialogue.last("g")) < dialogue.log.index(
        (connected, "value", None, True)
    )
    assert [request["r"] for request in dialogue.requests] == list(range(1, 9))


def test_statistics_go_with_the_first_connection_only_and_numbers_go_on() -> None:
    dialogue = Dialogue()
    dialogue.listen("/a")
    dialogue.connect()
    dialogue.reconnect()

    assert actions(dialogue) == ["s", "q", "q"]
    assert [request["r"] for request in dialogue.requests] == [1, 2, 3]


def test_without_a_credential_nothing_waits() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.listen("/a")
    dialogue.go_online()
    dialogue.token(None)
    dialogue.greet()

    assert actions(dialogue) == ["s", "q"]
    assert auth(dialogue) == "signed_out"


def test_a_token_that_is_no_jwt_goes_by_gauth() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.go_online()
    dialogue.token("owner")
    dialogue.greet()

    assert dialogue.last("gauth")["b"] == {"cred": "owner"}


def test_a_refused_credential_holds_writes_back_and_is_fetched_anew() -> None:
    # I-97
    dialogue = Dialogue(has_auth=True)
    dialogue.set("/a", 1)
    dialogue.set("/b", 2)
    dialogue.go_online()
    dialogue.token(JWT)
    dialogue.greet()

    dialogue.answer(dialogue.last("auth"), "expired_token", "Auth token is expired.")

    assert auth(dialogue) == "expired"
    assert dialogue.sent("p") == []
    assert len(dialogue.of(Disconnect)) == 1
    dialogue.advance_to_wake()
    assert dialogue.of(FetchToken)[-1].force
    dialogue.token(JWT + "2")
    dialogue.greet()
    dialogue.answer(dialogue.last("auth"))
    assert auth(dialogue) == "valid"
    assert [request["b"]["p"] for request in dialogue.sent("p")] == ["/a", "/b"]


def test_three_refusals_in_a_row_wait_for_the_longest_delay() -> None:
    dialogue = Dialogue(has_auth=True, chance=lambda: 1.0)
    dialogue.go_online()
    waited_from_s = 0.0
    for _ in range(3):
        dialogue.token(JWT)
        dialogue.greet()
        dialogue.answer(dialogue.last("auth"), "invalid_token", "no")
        waited_from_s = dialogue.now_s
        dialogue.advance_to_wake()

    assert dialogue.now_s - waited_from_s == pytest.approx(30.0)


def test_a_revoked_credential_reconnects_with_a_fresh_one() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.go_online()
    dialogue.token(JWT)
    dialogue.greet()
    dialogue.answer(dialogue.last("auth"))

    dialogue.server({"t": "d", "d": {"a": "ac", "b": {"s": "expired_token", "d": "expired"}}})

    assert connection(dialogue) == "waiting"
    dialogue.advance_to_wake()
    assert dialogue.of(FetchToken)[-1].force


def test_a_revoked_attestation_keeps_the_connection() -> None:
    dialogue = Dialogue(has_app_check=True)
    dialogue.go_online()
    dialogue.token("attested", "app_check")
    dialogue.greet()
    dialogue.answer(dialogue.last("appcheck"), "invalid_token")

    dialogue.server({"t": "d", "d": {"a": "apc", "b": {"s": "invalid_token", "d": "no"}}})

    assert connection(dialogue) == "online"
    dialogue.lose()
    dialogue.advance_to_wake()
    assert dialogue.of(FetchToken)[-1].force


def test_a_new_token_on_a_live_connection_is_one_message_and_no_event() -> None:
    # I-98
    dialogue = Dialogue(has_auth=True)
    listener = dialogue.listen("/a")
    dialogue.go_online()
    dialogue.token(JWT)
    dialogue.greet()
    dialogue.answer(dialogue.last("auth"))
    dialogue.server(push("/a", 1), answer(dialogue.last("q"), data={}))
    dialogue.take_requests()

    dialogue.perform(dialogue.engine.set_token("auth", JWT + "2", dialogue.now_s))
    dialogue.set("/b", 1)
    dialogue.answer(dialogue.last("auth"))

    assert actions(dialogue) == ["auth", "p"]
    assert listener.values == [1]
    assert connection(dialogue) == "online"


def test_the_answer_to_an_outdated_login_means_nothing() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.go_online()
    dialogue.token(JWT)
    dialogue.greet()
    outdated = dialogue.last("auth")
    dialogue.perform(dialogue.engine.set_token("auth", JWT + "2", dialogue.now_s))

    dialogue.answer(outdated, "invalid_token", "no")
    dialogue.answer(dialogue.last("auth"))

    assert connection(dialogue) == "online"
    assert auth(dialogue) == "valid"


def test_signing_out_on_a_live_connection_says_so() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.go_online()
    dialogue.token(JWT)
    dialogue.greet()
    dialogue.answer(dialogue.last("auth"))

    dialogue.perform(dialogue.engine.set_token("auth", None, dialogue.now_s))

    assert dialogue.last("unauth")["b"] == {}
    assert auth(dialogue) == "signed_out"


def fetch_attempt(dialogue: Dialogue) -> int:
    return dialogue.of(FetchToken)[-1].attempt


def test_times_of_a_token_are_put_right_once_the_servers_clock_is_known() -> None:
    # The server's clock is 5 s ahead of this one.
    dialogue = Dialogue(has_auth=True)
    dialogue.go_online()
    start_s = dialogue.now_s
    dialogue.perform(
        dialogue.engine.token(
            "auth",
            fetch_attempt(dialogue),
            JWT,
            None,
            start_s,
            refresh_s=start_s + 30.0,
            expires_s=start_s + 40.0,
        )
    )
    dialogue.greet()
    dialogue.answer(dialogue.last("auth"), data={})

    dialogue.advance(24.0)
    assert len(dialogue.of(FetchToken)) == 1
    dialogue.advance(2.0)
    assert len(dialogue.of(FetchToken)) == 2

    assert auth(dialogue) == "valid"
    dialogue.advance(10.0)
    assert auth(dialogue) == "expired"


def test_a_credential_that_never_comes_shows_in_the_status() -> None:
    dialogue = Dialogue(has_auth=True, config=Config(connect_timeout_s=10.0))
    dialogue.go_online()

    dialogue.advance(11.0)

    status = dialogue.engine.overview.status(dialogue.wall_ms)
    assert (status.auth, status.auth_reason) == ("expired", "no credential within 10 s")


@pytest.mark.parametrize("is_late", [False, True])
def test_without_an_attestation_the_connection_is_made_all_the_same(is_late: bool) -> None:
    # Wire §5.4
    dialogue = Dialogue(has_app_check=True, config=Config(connect_timeout_s=10.0))
    dialogue.go_online()

    if is_late:
        dialogue.advance(11.0)
    else:
        error = NetworkUnavailable("no attestation")
        attempt = fetch_attempt(dialogue)
        dialogue.perform(dialogue.engine.token("app_check", attempt, None, error, dialogue.now_s))
    dialogue.greet()

    assert connection(dialogue) == "online"
    assert "appcheck" not in actions(dialogue)
    assert any("app_check credential" in text for text in dialogue.reports)


def test_another_attestation_is_presented_when_the_last_one_is_revoked() -> None:
    dialogue = Dialogue(has_app_check=True)
    dialogue.go_online()
    dialogue.token("one", "app_check")
    dialogue.greet()
    dialogue.answer(dialogue.last("appcheck"))

    dialogue.server({"t": "d", "d": {"a": "apc", "b": {"s": "expired_token", "d": ""}}})
    assert dialogue.of(FetchToken)[-1][:2] == ("app_check", True)
    dialogue.token("two", "app_check")
    assert dialogue.last("appcheck")["b"] == {"token": "two"}
    dialogue.answer(dialogue.last("appcheck"), "permission_denied")

    assert len(dialogue.of(FetchToken)) == 2
    assert connection(dialogue) == "online"


def test_the_clock_is_blamed_for_what_has_expired_alone() -> None:
    reasons: list[str | None] = []
    for status in ("expired_token", "invalid_token"):
        dialogue = Dialogue(has_auth=True)
        dialogue.go_online()
        dialogue.token(JWT)
        dialogue.server(
            control("h", {"ts": dialogue.wall_ms + 3_600_000, "v": "5", "h": HOST, "s": "s1"})
        )
        dialogue.answer(dialogue.last("auth"), status, "no")
        reasons.append(dialogue.engine.overview.status(dialogue.wall_ms).auth_reason)

    assert "3600 s behind" in (reasons[0] or "")
    assert "behind" not in (reasons[1] or "")


def test_a_token_that_the_server_repeats_is_not_shown() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.go_online()
    dialogue.token(JWT)
    dialogue.greet()

    dialogue.answer(dialogue.last("auth"), "invalid_token", f"cannot read {JWT}")

    status = dialogue.engine.overview.status(dialogue.wall_ms)
    shown = [*dialogue.reports, repr(status), str(status.last_error)]
    assert any("cannot read" in text for text in shown)
    assert not any(JWT in text for text in shown)


def test_no_token_is_no_connection_and_another_attempt() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.go_online()
    attempt = dialogue.of(FetchToken)[0].attempt

    dialogue.perform(
        dialogue.engine.token("auth", attempt, None, OSError("no network"), dialogue.now_s)
    )

    assert dialogue.of(Connect) == []
    assert connection(dialogue) == "waiting"
    dialogue.advance_to_wake()
    assert len(dialogue.of(FetchToken)) == 2


def test_silence_is_broken_and_then_questioned() -> None:
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.log.clear()

    dialogue.advance(44.9)
    assert dialogue.log == []
    dialogue.advance(0.2)

    assert dialogue.log == ["0", '{"t":"c","d":{"t":"p","d":{}}}']


def test_a_pong_in_time_keeps_the_connection() -> None:
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.advance(45.0)

    dialogue.advance(14.9)
    dialogue.server(control("o", None))
    dialogue.advance(10.0)

    assert connection(dialogue) == "online"


def test_no_frame_within_fifteen_seconds_of_a_ping_reconnects() -> None:
    dialogue = Dialogue()
    dialogue.connect()

    dialogue.advance(45.0)
    dialogue.advance(14.9)
    assert connection(dialogue) == "online"
    dialogue.advance(0.1)

    assert len(dialogue.of(Disconnect)) == 1
    assert len(dialogue.of(Connect)) == 2, "it had lasted long enough to try again at once"


def test_a_client_that_only_sends_still_asks_whether_the_server_is_there() -> None:
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.log.clear()

    for _ in range(5):
        dialogue.advance(10.0)
        dialogue.set("/a", 1)

    assert dialogue.log.count('{"t":"c","d":{"t":"p","d":{}}}') == 1
    assert "0" not in dialogue.log


def test_silence_means_nothing_while_nobody_reads() -> None:
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.engine.pause(True)

    dialogue.advance(500.0)

    assert connection(dialogue) == "online"


def test_a_server_that_never_greets_is_given_up() -> None:
    dialogue = Dialogue()
    dialogue.go_online()

    dialogue.advance(30.0)

    assert len(dialogue.of(Disconnect)) == 1
    assert connection(dialogue) == "waiting"


def test_delays_grow_and_keep_a_random_share() -> None:
    dialogue = Dialogue(chance=lambda: 0.0)
    dialogue.go_online()
    delays: list[float] = []
    for _ in range(16):
        dialogue.lose()
        before_s = dialogue.now_s
        dialogue.advance_to_wake()
        delays.append(dialogue.now_s - before_s)

    assert delays[:3] == pytest.approx([0.3, 0.39, 0.507])
    assert delays[-1] == pytest.approx(30.0 * 0.3)


def test_a_stable_connection_makes_the_next_attempt_immediate() -> None:
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.advance(31.0)

    dialogue.lose()
    dialogue.advance(0.0)

    assert len(dialogue.of(Connect)) == 2


def test_reconnects_name_the_last_session_and_the_servers_host() -> None:
    dialogue = Dialogue("https://my-db.firebaseio.com")
    dialogue.go_online()
    dialogue.greet("s-usc1c-nss-114.firebaseio.com")

    dialogue.lose()
    dialogue.advance_to_wake()
    assert dialogue.of(Connect)[-1] == Connect("s-usc1c-nss-114.firebaseio.com", "s1")

    dialogue.lose()
    dialogue.advance_to_wake()
    assert dialogue.of(Connect)[-1].host == "my-db.firebaseio.com", "that host never answered"


def test_a_local_server_is_reached_where_the_user_found_it() -> None:
    dialogue = Dialogue("http://localhost:9000?ns=test")
    dialogue.go_online()
    dialogue.greet("mock.firebase.server")

    dialogue.lose()
    dialogue.advance_to_wake()

    assert dialogue.of(Connect)[-1].host == "localhost:9000"


def test_a_redirect_is_followed_at_once() -> None:
    dialogue = Dialogue("https://my-db.firebaseio.com")
    dialogue.go_online()

    dialogue.server(control("r", "s-usc1c-nss-114.firebaseio.com"))

    assert len(dialogue.of(Disconnect)) == 1
    assert dialogue.of(Connect)[-1].host == "s-usc1c-nss-114.firebaseio.com"


@pytest.mark.parametrize(
    "host",
    [
        "http://my-db.firebaseio.com",
        "ws://s-usc1c-nss-114.firebaseio.com",
        "user:secret@s-usc1c-nss-114.firebaseio.com",
        "s-usc1c-nss-114.firebaseio.com/elsewhere",
        "evil.example.com",
        "firebaseio.com.evil.net",
        "",
        "a b",
    ],
)
@pytest.mark.parametrize("kind", ["redirect", "handshake"])
def test_a_host_that_cannot_be_the_databases_ends_the_connection(host: str, kind: str) -> None:
    dialogue = Dialogue("https://my-db.firebaseio.com")
    write = dialogue.set("/a", 1)
    dialogue.go_online()

    if kind == "redirect":
        dialogue.server(control("r", host))
    else:
        dialogue.greet(host)

    status = dialogue.engine.overview.status(dialogue.wall_ms)
    assert isinstance(status.last_error, ProtocolError)
    assert status.connection == "waiting"
    assert [effect.host for effect in dialogue.of(Connect)] == ["my-db.firebaseio.com"]
    assert write.state == "queued"
    assert any("ProtocolError" in text for text in dialogue.reports)


def test_endless_redirects_are_a_protocol_error() -> None:
    dialogue = Dialogue("https://my-db.firebaseio.com")
    dialogue.go_online()

    for number in range(6):
        dialogue.server(control("r", f"s-{number}.firebaseio.com"))

    assert connection(dialogue) == "waiting"


def test_redirects_count_within_one_attempt_only() -> None:
    dialogue = Dialogue("https://my-db.firebaseio.com")
    dialogue.go_online()

    for number in range(10):
        dialogue.server(control("r", f"s-{number}.firebaseio.com"))
        dialogue.lose(Disconnected("nobody there"))
        dialogue.advance_to_wake()

    assert connection(dialogue) == "connecting"
    assert not any("ProtocolError" in text for text in dialogue.reports)


def test_a_handshake_that_nobody_reads_for_now_is_not_missed() -> None:
    dialogue = Dialogue(config=Config(connect_timeout_s=10.0))
    dialogue.go_online()
    dialogue.engine.pause(True)

    dialogue.advance(60.0)
    assert connection(dialogue) == "connecting"

    dialogue.engine.pause(False)
    dialogue.advance(10.0)
    assert connection(dialogue) == "waiting"


def test_a_shutdown_shows_in_the_status_and_going_online_tries_again() -> None:
    dialogue = Dialogue()
    dialogue.connect()
    dialogue.set("/a", 1)

    dialogue.server(control("s", "Database lives in a different region."))

    status = dialogue.engine.overview.status(dialogue.wall_ms)
    assert (status.connection, status.reason) == (
        "shutdown",
        "Database lives in a different region.",
    )
    dialogue.advance(1000.0)
    assert len(dialogue.of(Connect)) == 1
    dialogue.go_online()
    dialogue.greet()
    assert connection(dialogue) == "online"
    assert len(dialogue.sent("p")) == 2


def test_a_refusal_to_connect_shows_in_the_status_and_going_online_tries_at_once() -> None:
    dialogue = Dialogue()
    dialogue.go_online()
    refusal = Disconnected("db.example.com:443 refused the WebSocket: HTTP 403 Forbidden")

    dialogue.lose(refusal)

    status = dialogue.engine.overview.status(dialogue.wall_ms)
    assert status.connection == "waiting"
    assert status.last_error is refusal
    assert status.reason is not None and "403" in status.reason
    dialogue.go_online()
    assert len(dialogue.of(Connect)) == 2


def test_going_offline_keeps_local_work_and_going_online_sends_it_once() -> None:
    # I-95
    dialogue = Dialogue()
    dialogue.connect()
    listener = dialogue.listen("/a")
    dialogue.server(answer(dialogue.last("q"), data={}))
    dialogue.set("/a/x", 1)
    dialogue.go_offline()
    dialogue.set("/a/y", 2)
    assert listener.value == {"x": 1, "y": 2}
    dialogue.advance(1000.0)
    assert len(dialogue.of(Connect)) == 1
    dialogue.take_requests()

    dialogue.go_online()
    dialogue.greet()

    assert actions(dialogue) == ["q", "p", "p"]
    assert [request["b"]["p"] for request in dialogue.sent("p")] == ["/a/x", "/a/y"]


def test_being_connected_alternates() -> None:
    # I-92
    dialogue = Dialogue()
    connected = dialogue.listen("/.info/connected")
    offset = dialogue.listen("/.info/serverTimeOffset")
    assert connected.values == [False]
    assert offset.values == []

    dialogue.connect()
    dialogue.lose()
    dialogue.advance_to_wake()
    dialogue.greet()
    dialogue.go_offline()
    dialogue.go_online()

    assert connected.values == [False, True, False, True, False]
    assert offset.values == [5000]


def test_the_clock_offset_is_known_before_being_connected() -> None:
    dialogue = Dialogue()
    connected = dialogue.listen("/.info/connected")
    offset = dialogue.listen("/.info/serverTimeOffset")
    dialogue.log.clear()

    dialogue.connect()

    assert dialogue.told == [offset, connected]


def test_a_limit_set_in_the_configuration_counts() -> None:
    dialogue = Dialogue(config=Config(connect_timeout_s=3.0))
    dialogue.go_online()

    dialogue.advance(3.0)

    assert len(dialogue.of(Disconnect)) == 1


@pytest.mark.parametrize("timestamp_ms", [-1, 2**48, 2**63])
def test_a_clock_that_can_be_no_clock_is_a_protocol_error(timestamp_ms: int) -> None:
    dialogue = Dialogue()
    dialogue.go_online()

    dialogue.server(control("h", {"ts": timestamp_ms, "v": "5", "h": HOST, "s": "s1"}))

    assert isinstance(dialogue.engine.overview.status(dialogue.wall_ms).last_error, ProtocolError)


def test_another_version_of_the_protocol_is_worth_a_warning() -> None:
    dialogue = Dialogue()
    dialogue.go_online()

    dialogue.server(control("h", {"ts": dialogue.wall_ms, "v": "6", "h": HOST, "s": "s1"}))

    assert connection(dialogue) == "online"
    assert any("version '6'" in text for text in dialogue.reports)


def test_segments_of_a_long_message_are_signs_of_life() -> None:
    dialogue = Dialogue()
    dialogue.connect()

    for _ in range(20):
        dialogue.advance(10.0)
        dialogue.perform(dialogue.engine.receive([], dialogue.now_s, dialogue.wall_ms))

    assert connection(dialogue) == "online"
    assert not any(isinstance(entry, str) for entry in dialogue.log)
