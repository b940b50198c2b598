"""The engine with a user: a credential that lapses is no refusal, and each write has an owner."""

import pytest
from tests.api.engine.dialogue import ALL_KINDS, HOST, Dialogue, answer, control, push
from tests.model.disk_model import DiskModel

from firekeep.engine.effects import Disconnect, FetchToken, SwitchOwner
from firekeep.exceptions import (
    DatabaseClosed,
    PermissionDenied,
    TransactionAborted,
    WriteCancelled,
)
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export

AC = {
    "t": "d",
    "d": {"a": "ac", "b": {"s": "expired_token", "d": "the token has expired"}},
}


def signed_in(
    *,
    expires_s: float = float("inf"),
    refresh_s: float = float("inf"),
    margin_s: float = 10.0,
    disk: DiskModel | None = None,
) -> Dialogue:
    """Start as Ada, whose credential the server has taken.

    Times are what the client makes of them before it knows that its clock is 5 s slow.
    """
    dialogue = Dialogue(has_auth=True, disk=disk)
    dialogue.engine.begin_as("ada")
    if disk is not None:
        dialogue.open_disk("ada")
    dialogue.go_online()
    give(dialogue, "token-1", expires_s=expires_s, refresh_s=refresh_s, margin_s=margin_s)
    dialogue.greet()
    dialogue.answer(dialogue.last("gauth"), data={})
    return dialogue


def give(
    dialogue: Dialogue,
    token: str,
    *,
    expires_s: float = float("inf"),
    refresh_s: float = float("inf"),
    margin_s: float = 10.0,
) -> None:
    """Hand over the credential that was asked for last."""
    attempt = [effect for effect in dialogue.effects if isinstance(effect, FetchToken)][-1].attempt
    dialogue.perform(
        dialogue.engine.token(
            "auth",
            attempt,
            token,
            None,
            dialogue.now_s,
            refresh_s=refresh_s,
            expires_s=expires_s,
            margin_s=margin_s,
        )
    )


def present(dialogue: Dialogue, token: str) -> None:
    """Come to a connection with a credential that the server takes."""
    give(dialogue, token)
    dialogue.greet()
    dialogue.answer(dialogue.last("gauth"), data={})


def sign_in_again(dialogue: Dialogue) -> None:
    """Wait for the next attempt."""
    dialogue.advance_to_wake()
    present(dialogue, "token-2")


def test_a_listen_refused_with_the_revocation_is_suspended_and_resumed() -> None:
    dialogue = signed_in()
    listener = dialogue.listen("/a", kinds=ALL_KINDS)
    first = dialogue.last("q")

    dialogue.server(answer(first, "permission_denied", ""), AC)

    assert listener.events == []
    assert dialogue.of(Disconnect)
    sign_in_again(dialogue)
    assert dialogue.last("q")["r"] != first["r"]
    dialogue.server(push("/a", 1), answer(dialogue.last("q"), data={}))
    assert listener.value == 1


def test_a_listen_revoked_after_the_token_ran_out_is_suspended() -> None:
    dialogue = signed_in(expires_s=145.0)
    listener = dialogue.listen("/a", kinds=ALL_KINDS)
    dialogue.server(push("/a", 1), answer(dialogue.last("q"), data={}))
    dialogue.advance(37.0)

    dialogue.server({"t": "d", "d": {"a": "c", "b": {"p": "a"}}})
    sign_in_again(dialogue)

    assert "cancel" not in listener.kinds
    assert len(dialogue.sent("q")) == 2


def test_a_listen_refused_under_a_valid_credential_is_cancelled() -> None:
    dialogue = signed_in()
    listener = dialogue.listen("/a", kinds=ALL_KINDS)

    dialogue.answer(dialogue.last("q"), "permission_denied")

    assert listener.kinds == ["cancel"]


def test_what_is_refused_under_a_credential_of_seconds_is_refused_for_good() -> None:
    dialogue = signed_in(expires_s=110.0, margin_s=0.5)
    listener = dialogue.listen("/a", kinds=ALL_KINDS)
    write = dialogue.set("/b", 1)

    dialogue.answer(dialogue.last("q"), "permission_denied")
    dialogue.answer(dialogue.last("p"), "permission_denied")

    assert listener.kinds == ["cancel"]
    assert write.state == "rejected"


def test_a_write_refused_for_want_of_a_credential_waits_for_the_next_one() -> None:
    dialogue = signed_in()
    listener = dialogue.listen("/a")
    write = dialogue.set("/a", 1)

    dialogue.server(answer(dialogue.last("p"), "permission_denied", ""), AC)
    sign_in_again(dialogue)

    dialogue.answer(dialogue.last("q"), data={})
    assert listener.values == [1], "it is not taken back"
    assert [request["b"]["d"] for request in dialogue.sent("p")] == [1, 1]
    dialogue.answer(dialogue.last("p"))
    assert write.state == "confirmed"


def test_a_write_refused_under_a_valid_credential_is_rejected() -> None:
    dialogue = signed_in()
    write = dialogue.set("/a", 1)

    dialogue.answer(dialogue.last("p"), "permission_denied")

    assert isinstance(write.error, PermissionDenied)


def test_a_transaction_refused_for_want_of_a_credential_is_sent_again() -> None:
    dialogue = signed_in()
    handle = dialogue.transaction("/a", lambda value: 5)

    dialogue.server(answer(dialogue.last("p"), "permission_denied", ""), AC)
    sign_in_again(dialogue)
    dialogue.answer(dialogue.last("q"), data={})
    dialogue.answer(dialogue.last("p"))

    ended = dialogue.ended(handle)
    assert ended is not None
    assert ended.error is None


def test_a_credential_is_refreshed_in_time_on_the_live_connection() -> None:
    dialogue = signed_in(refresh_s=110.0, expires_s=200.0)
    listener = dialogue.listen("/a", kinds=ALL_KINDS)
    dialogue.server(push("/a", 1), answer(dialogue.last("q"), data={}))
    told = len(listener.events)

    dialogue.advance(10.0)
    give(dialogue, "token-2", refresh_s=210.0, expires_s=300.0)
    dialogue.answer(dialogue.last("gauth"), data={})

    assert [request["b"]["cred"] for request in dialogue.sent("gauth")] == ["token-1", "token-2"]
    assert len(listener.events) == told
    assert len(dialogue.sent("q")) == 1
    assert dialogue.of(Disconnect) == []


def test_without_a_credential_in_time_the_client_leaves_rather_than_be_nobody() -> None:
    dialogue = signed_in(expires_s=120.0)

    dialogue.advance(20.0)

    assert dialogue.of(Disconnect)
    status = dialogue.engine.overview.status(dialogue.wall_ms)
    assert status.auth == "expired"
    assert status.auth_reason == "the credential has expired"


def test_a_clock_that_is_off_is_named_as_the_likely_cause() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.engine.begin_as("ada")
    dialogue.go_online()
    give(dialogue, "token-1")
    ahead = {"ts": dialogue.wall_ms + 3_600_000, "v": "5", "h": HOST, "s": "s1"}
    dialogue.server(control("h", ahead))

    dialogue.answer(dialogue.last("gauth"), "expired_token")

    reason = dialogue.engine.overview.status(dialogue.wall_ms).auth_reason
    assert reason is not None
    assert "the local clock is 3600 s behind the server's" in reason


def test_the_writes_of_others_are_neither_shown_nor_sent_until_they_return() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.engine.begin_as("ada")
    listener = dialogue.listen("/a")
    mine = dialogue.set("/a", "from ada")

    dialogue.perform(dialogue.engine.change_user("bob", dialogue.now_s, dialogue.wall_ms))
    dialogue.go_online()
    present(dialogue, "token-of-bob")
    dialogue.server(answer(dialogue.last("q"), data={}))

    assert dialogue.sent("p") == []
    assert listener.value is None
    assert dialogue.engine.overview.status(dialogue.wall_ms).held_writes == 1
    dialogue.perform(dialogue.engine.change_user("ada", dialogue.now_s, dialogue.wall_ms))
    assert listener.value == "from ada"
    give(dialogue, "token-of-ada")
    dialogue.greet()
    dialogue.answer(dialogue.last("gauth"), data={})
    assert [request["b"]["d"] for request in dialogue.sent("p")] == ["from ada"]
    assert mine.state == "sent"


def test_an_answer_to_a_write_of_another_user_meets_no_handle_of_this_one() -> None:
    dialogue = signed_in()
    write = dialogue.set("/a", 1)

    dialogue.perform(dialogue.engine.change_user("bob", dialogue.now_s, dialogue.wall_ms))

    assert write.state == "sent"
    assert dict(dialogue.engine.writes) == {}


def test_a_change_of_user_ends_transactions_and_unsent_disconnect_requests() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.engine.begin_as("ada")
    handle = dialogue.transaction("/a", lambda value: 5)
    request = dialogue.on_disconnect("set", "/b", 1)

    dialogue.perform(dialogue.engine.change_user("bob", dialogue.now_s, dialogue.wall_ms))

    ended = dialogue.ended(handle)
    assert ended is not None
    assert isinstance(ended.error, TransactionAborted)
    assert isinstance(request.error, WriteCancelled)


def test_a_listen_refused_before_the_next_credential_was_taken_is_suspended() -> None:
    dialogue = signed_in(refresh_s=140.0, expires_s=145.0)
    dialogue.advance(37.0)
    listener = dialogue.listen("/a", kinds=ALL_KINDS)
    refused = dialogue.last("q")
    give(dialogue, "token-2", expires_s=300.0)

    dialogue.answer(refused, "permission_denied")
    sign_in_again(dialogue)

    assert listener.kinds == []
    assert len(dialogue.sent("q")) == 2


def test_what_is_refused_together_with_the_next_credential_is_suspended() -> None:
    dialogue = signed_in(refresh_s=110.0)
    listener = dialogue.listen("/a", kinds=ALL_KINDS)
    write = dialogue.set("/b", 1)
    dialogue.advance(10.0)
    give(dialogue, "token-2")

    dialogue.server(
        answer(dialogue.last("q"), "permission_denied"),
        answer(dialogue.last("p"), "permission_denied"),
        answer(dialogue.last("gauth"), "expired_token"),
    )
    sign_in_again(dialogue)

    assert listener.kinds == []
    assert len(dialogue.sent("q")) == 2
    assert len(dialogue.sent("p")) == 2
    assert not write.is_settled


def test_a_write_refused_ahead_of_a_slow_listen_is_sent_again_with_the_next_credential() -> None:
    dialogue = signed_in(expires_s=145.0)
    listener = dialogue.listen("/a")
    dialogue.set("/b", 1)
    dialogue.advance(37.0)

    dialogue.answer(dialogue.last("p"), "permission_denied")
    dialogue.unlisten("/a", listener)
    sign_in_again(dialogue)

    assert len(dialogue.sent("p")) == 2


def test_a_confirmed_write_is_dropped_though_the_cache_has_yet_to_change_hands() -> None:
    disk = DiskModel()
    dialogue = signed_in(disk=disk)
    dialogue.change_user("bob")
    present(dialogue, "token-of-bob")
    dialogue.set("/a", 1)
    switch = next(job for job in dialogue.disk_jobs if isinstance(job, SwitchOwner))
    dialogue.disk_jobs.remove(switch)
    while not dialogue.sent("p"):
        dialogue.run_disk_job(0)

    dialogue.answer(dialogue.last("p"))
    dialogue.disk_jobs.insert(0, switch)
    dialogue.run_disk()

    assert disk.queue == {}
    assert disk.acknowledged == set()


def test_the_long_queue_of_another_user_does_not_hold_up_this_ones() -> None:
    disk = DiskModel()
    earlier = Dialogue(has_auth=True, disk=disk)
    earlier.open_disk("ada")
    for number in range(600):
        earlier.set("/a", number)
    earlier.change_user("bob")
    earlier.set("/b", "from bob")
    earlier.run_disk()
    dialogue = signed_in(disk=disk.copy())
    dialogue.run_disk()
    assert len(dialogue.sent("p")) > 500

    dialogue.change_user("bob")
    present(dialogue, "token-of-bob")
    dialogue.run_disk()

    assert dialogue.last("p")["b"]["d"] == "from bob"


def test_what_was_begun_while_nobody_was_signed_in_is_the_first_users() -> None:
    dialogue = Dialogue(has_auth=True)
    dialogue.go_online()
    transaction = dialogue.transaction("/n", lambda value: (value or 0) + 1)
    farewell = dialogue.on_disconnect("set", "/gone", True)

    dialogue.change_user("ada")
    present(dialogue, "token-1")
    for request in (*dialogue.sent("q"), *dialogue.sent("p"), *dialogue.sent("o")):
        dialogue.answer(request, data={})
    dialogue.answer(dialogue.last("p"))

    ended = dialogue.ended(transaction)
    assert ended is not None
    assert ended.error is None
    assert farewell.state == "confirmed"


@pytest.mark.parametrize(("uid", "reason"), [(None, "signed out"), ("bob", "another user")])
def test_what_cannot_wait_for_its_user_says_why_it_ends(uid: str | None, reason: str) -> None:
    dialogue = signed_in()
    handle = dialogue.transaction("/n", lambda value: 1)

    dialogue.change_user(uid)

    ended = dialogue.ended(handle)
    assert ended is not None
    assert reason in str(ended.error)


def test_whoever_signs_out_offline_is_signed_out() -> None:
    dialogue = signed_in()
    dialogue.go_offline()

    dialogue.change_user(None)

    assert dialogue.engine.overview.status(0).auth == "signed_out"


def test_the_handle_of_a_write_that_waits_for_its_user_ends_with_the_program() -> None:
    dialogue = signed_in()
    write = dialogue.set("/a", 1)
    dialogue.change_user("bob")

    _, effects = dialogue.engine.close()
    dialogue.perform(effects)

    assert isinstance(write.error, DatabaseClosed)


def test_a_write_that_waits_for_its_user_can_be_cancelled() -> None:
    disk = DiskModel()
    dialogue = Dialogue(has_auth=True, disk=disk)
    dialogue.open_disk("ada")
    write = dialogue.set("/a", 1)
    dialogue.run_disk()
    dialogue.change_user("bob")

    assert dialogue.cancel(write)
    dialogue.run_disk()

    assert disk.queue == {}
    assert write.state == "cancelled"


@pytest.mark.parametrize("uid", [None, "bob"])
def test_what_one_user_saw_is_not_stored_as_anothers(uid: str | None) -> None:
    disk = DiskModel()
    dialogue = signed_in(disk=disk)
    dialogue.keep_synced("/a", True)
    dialogue.listen("/a")
    dialogue.listen("/a/b")
    dialogue.run_disk()
    dialogue.server(push("/a", {"b": 1}), answer(dialogue.last("q"), data={}))
    dialogue.run_disk()
    assert disk.load(Path.from_wire("/a"), QueryParams.DEFAULT).is_complete

    dialogue.change_user(uid, clear=True)
    dialogue.listen("/a/c")
    dialogue.run_disk()

    for path in ("/a", "/a/b", "/a/c"):
        cached = disk.load(Path.from_wire(path), QueryParams.DEFAULT)
        assert not cached.is_complete
        assert export(cached.node) is None
    assert not disk.knows("ada")


def test_what_the_server_confirms_for_the_next_user_is_stored_as_that_ones() -> None:
    disk = DiskModel()
    dialogue = signed_in(disk=disk)
    dialogue.listen("/a")
    dialogue.run_disk()
    dialogue.server(push("/a", {"b": 1}), answer(dialogue.last("q"), data={}))
    dialogue.change_user("bob")
    dialogue.run_disk()

    present(dialogue, "token-of-bob")
    assert export(disk.load(Path.from_wire("/a"), QueryParams.DEFAULT).node) is None
    dialogue.answer(dialogue.last("q"), data={})
    dialogue.run_disk()

    cached = disk.load(Path.from_wire("/a"), QueryParams.DEFAULT)
    assert cached.is_complete
    assert export(cached.node) == {"b": 1}


def test_what_the_server_confirms_before_the_disk_has_changed_hands_is_stored() -> None:
    disk = DiskModel()
    dialogue = signed_in(disk=disk)
    dialogue.listen("/a")
    dialogue.run_disk()
    dialogue.server(push("/a", 1), answer(dialogue.last("q"), data={}))
    dialogue.change_user("bob")
    present(dialogue, "token-of-bob")
    dialogue.answer(dialogue.last("q"), data={})

    dialogue.run_disk()

    assert disk.uid == "bob"
    assert disk.load(Path.from_wire("/a"), QueryParams.DEFAULT).is_complete


def test_what_is_heard_below_a_refused_listen_stays_in_the_cache() -> None:
    disk = DiskModel()
    dialogue = signed_in(disk=disk)
    dialogue.listen("/a/b")
    dialogue.run_disk()
    dialogue.server(push("/a/b", 1), answer(dialogue.last("q"), data={}))
    dialogue.listen("/a")
    dialogue.run_disk()

    dialogue.answer(dialogue.last("q"), "permission_denied")
    dialogue.run_disk()
    dialogue.answer(dialogue.last("q"), data={})
    dialogue.run_disk()

    assert not disk.load(Path.from_wire("/a"), QueryParams.DEFAULT).is_complete
    cached = disk.load(Path.from_wire("/a/b"), QueryParams.DEFAULT)
    assert cached.is_complete
    assert export(cached.node) == 1
