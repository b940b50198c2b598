"""Who is signed in, and always with a good token."""

import logging
from dataclasses import replace

import anyio
import pytest
from tests.api.auth.scene import HOUR_MS, MINUTE_MS, START_MS, HeldStore, Scene, credential

from firekeep.auth.grant import Tokens
from firekeep.auth.source import Credential, CredentialChange
from firekeep.auth.user import User
from firekeep.exceptions import (
    AuthError,
    CredentialRejected,
    NetworkUnavailable,
    StorageFull,
    TooManyAttempts,
    UsageError,
    auth_error,
)

pytestmark = pytest.mark.anyio

EXPIRES_MS = START_MS - 500 + HOUR_MS
REFRESH_MS = EXPIRES_MS - 5 * MINUTE_MS


# Tokens.


async def test_nobody_has_no_credential() -> None:
    scene = Scene()

    assert await scene.keeper.token() is None
    assert scene.keeper.uid is None
    assert scene.asked == []


async def test_a_good_token_is_given_without_asking_anybody() -> None:
    scene = Scene()
    await scene.sign_in(role="admin")

    first = await credential(scene)
    scene.now_ms = REFRESH_MS - 1
    second = await credential(scene)

    assert first == second
    assert (first.uid, first.expires_ms, first.refresh_ms) == ("ada", EXPIRES_MS, REFRESH_MS)
    assert first.claims["role"] == "admin"
    assert scene.asked == []


async def test_a_token_is_replaced_in_time() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.now_ms = REFRESH_MS

    fresh = await credential(scene)

    assert scene.asked == ["refresh-ada-1"]
    assert fresh.expires_ms == REFRESH_MS + HOUR_MS
    assert scene.changes[-1] == CredentialChange("refreshed", "ada", "ada")
    assert scene.users == [scene.keeper.user]


async def test_time_is_the_servers_as_its_tokens_tell_it() -> None:
    scene = Scene(server_ahead_ms=-10 * HOUR_MS)
    await scene.sign_in()

    scene.now_ms = REFRESH_MS - MINUTE_MS
    await credential(scene)
    assert scene.asked == []
    scene.now_ms = REFRESH_MS + MINUTE_MS
    await credential(scene)
    assert len(scene.asked) == 1


async def test_time_is_the_servers_as_the_caller_knows_it() -> None:
    scene = Scene()
    await scene.sign_in()

    await scene.keeper.token(offset_ms=54 * MINUTE_MS)
    assert scene.asked == []
    await scene.keeper.token(offset_ms=55 * MINUTE_MS)
    assert len(scene.asked) == 1


async def test_a_token_that_is_stale_when_it_comes_is_given_all_the_same() -> None:
    scene = Scene()
    await scene.sign_in()

    found = await scene.keeper.token(offset_ms=10 * HOUR_MS)

    assert found is not None
    assert len(scene.asked) == 1


async def test_tokens_that_are_stale_when_they_come_are_asked_for_ever_less_often() -> None:
    scene = Scene()
    await scene.sign_in()
    offset_ms = 55 * MINUTE_MS
    delays_s: list[float] = []

    for _ in range(3):
        for _ in range(3):
            found = await scene.keeper.token(offset_ms=offset_ms)
        assert found is not None
        assert found.refresh_ms is not None
        delay_ms = found.refresh_ms - offset_ms - scene.now_ms
        delays_s.append(delay_ms / 1000)
        scene.now_ms += delay_ms

    assert delays_s == [30, 60, 120]
    assert len(scene.asked) == 3


async def test_a_token_that_was_refused_is_replaced_however_good_it_seems() -> None:
    scene = Scene()
    await scene.sign_in()
    first = await credential(scene)

    assert (await credential(scene, force=True)).token != first.token


async def test_many_who_ask_at_once_are_one_request() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.is_held = True
    found: list[Credential] = []

    async def ask() -> None:
        found.append(await credential(scene, force=True))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
        await scene.arrived.wait()
        await anyio.wait_all_tasks_blocked()
        scene.released.set()

    assert len(scene.asked) == 1
    assert len(found) == 20
    assert len({each.token for each in found}) == 1


async def test_many_who_ask_at_once_learn_of_one_failure() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.is_held = True
    scene.fail_with(NetworkUnavailable("no network"))
    failed = 0

    async def ask() -> None:
        nonlocal failed
        with pytest.raises(NetworkUnavailable):
            await scene.keeper.token(force=True)
        failed += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask)
        await scene.arrived.wait()
        await anyio.wait_all_tasks_blocked()
        scene.released.set()

    assert (failed, len(scene.asked)) == (5, 1)


async def test_whoever_asked_may_go_away_and_the_others_are_served() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.is_held = True
    found: list[Credential] = []
    scope = anyio.CancelScope()

    async def leave() -> None:
        with scope:
            await scene.keeper.token(force=True)

    async def stay() -> None:
        found.append(await credential(scene, force=True))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave)
        await scene.arrived.wait()
        tasks.start_soon(stay)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()
        scene.released.set()

    assert len(scene.asked) == 2
    assert [each.uid for each in found] == ["ada"]


async def test_a_call_that_is_cancelled_changes_nothing() -> None:
    scene = Scene()
    await scene.sign_in()
    before = await credential(scene)
    scene.is_held = True

    with anyio.move_on_after(0.01):
        await scene.keeper.token(force=True)

    assert await credential(scene) == before
    assert len(scene.changes) == 1


async def test_a_sign_in_that_is_cancelled_while_it_stores_is_stored() -> None:
    store = HeldStore()
    store.hold()
    scene = Scene(store)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scene.sign_in)
        await store.has_begun()
        tasks.cancel_scope.cancel()
    store.let()
    await store.has_ended()

    stored = scene.stored()
    assert stored is not None
    assert stored.user == scene.keeper.user


async def test_tokens_of_another_user_are_not_taken() -> None:
    scene = Scene()
    await scene.sign_in()
    before = await credential(scene)

    async def confuse(refresh_token: str) -> Tokens:
        return scene.tokens("bob")

    scene.answer = confuse
    with pytest.raises(AuthError) as caught:
        await scene.keeper.token(force=True)

    assert caught.value.code == "UNEXPECTED_ANSWER"
    assert (await credential(scene)).token == before.token


# While the service does not answer.


async def test_a_good_token_is_given_on_although_no_other_can_be_had() -> None:
    scene = Scene()
    await scene.sign_in()
    before = await credential(scene)
    scene.fail_with(NetworkUnavailable("no network"))
    scene.now_ms = REFRESH_MS

    held = await credential(scene)
    again = await credential(scene)

    assert (held.token, held.expires_ms) == (before.token, before.expires_ms)
    assert held.refresh_ms == REFRESH_MS + 30_000
    assert again == held
    assert len(scene.asked) == 1


async def test_attempts_become_rarer_and_end_before_the_token_does() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.fail_with(TooManyAttempts("QUOTA_EXCEEDED"))
    scene.now_ms = REFRESH_MS
    delays_s: list[float] = []

    while scene.now_ms < EXPIRES_MS - 2000:
        at_ms = (await credential(scene)).refresh_ms
        assert at_ms is not None
        delays_s.append((at_ms - scene.now_ms) / 1000)
        scene.now_ms = at_ms

    assert delays_s[:4] == [30, 60, 105, 52.5]
    assert scene.now_ms < EXPIRES_MS


async def test_an_expired_token_is_not_given_and_the_user_stays_known() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.fail_with(NetworkUnavailable("no network"))
    scene.now_ms = EXPIRES_MS

    for _ in range(3):
        with pytest.raises(NetworkUnavailable):
            await scene.keeper.token()

    assert scene.keeper.uid == "ada"
    assert len(scene.asked) == 3
    scene.answer = scene.renew
    assert (await credential(scene)).uid == "ada"


# While the user has to sign in again.


async def test_a_rejected_user_stays_known_and_is_told_once() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.fail_with(auth_error("INVALID_REFRESH_TOKEN"))
    scene.now_ms = EXPIRES_MS

    for _ in range(3):
        with pytest.raises(CredentialRejected) as caught:
            await scene.keeper.token()
        assert caught.value.code == "INVALID_REFRESH_TOKEN"

    assert scene.keeper.uid == "ada"
    assert scene.changes[1:] == [CredentialChange("rejected", "ada", "ada")]


async def test_the_service_is_asked_about_a_rejected_user_ever_less_often() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.fail_with(auth_error("USER_DISABLED"))
    scene.now_ms = EXPIRES_MS
    asked_at_s: list[int] = []

    for second in range(400):
        scene.now_ms = EXPIRES_MS + second * 1000
        before = len(scene.asked)
        with pytest.raises(CredentialRejected):
            await scene.keeper.token(force=True)
        if len(scene.asked) > before:
            asked_at_s.append(second)

    assert asked_at_s == [0, 30, 90, 210]


async def test_a_user_who_is_let_in_again_needs_not_sign_in() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.fail_with(auth_error("USER_DISABLED"))
    scene.now_ms = EXPIRES_MS
    with pytest.raises(CredentialRejected):
        await scene.keeper.token()

    scene.answer = scene.renew
    scene.now_ms += 30_000

    assert (await credential(scene)).uid == "ada"


async def test_a_rejected_user_who_signs_in_again_is_served_at_once() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.fail_with(auth_error("TOKEN_EXPIRED"))
    scene.now_ms = EXPIRES_MS
    with pytest.raises(CredentialRejected):
        await scene.keeper.token()

    await scene.sign_in()

    assert (await credential(scene)).uid == "ada"
    assert scene.changes[-1] == CredentialChange("signed_in", "ada", "ada")


async def test_errors_keep_no_frames_alive() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.fail_with(auth_error("USER_DISABLED"))
    scene.now_ms = EXPIRES_MS
    lengths: set[int] = set()

    for _ in range(5):
        with pytest.raises(CredentialRejected) as caught:
            await scene.keeper.token()
        lengths.add(len(caught.traceback))

    assert len(lengths) <= 2


# Signing in and out.


async def test_whoever_signs_in_is_told_of_with_whoever_was_there() -> None:
    scene = Scene()

    ada = await scene.sign_in("ada")
    bob = await scene.sign_in("bob")
    await scene.keeper.drop(clear=True)

    assert scene.changes == [
        CredentialChange("signed_in", "ada", None),
        CredentialChange("signed_in", "bob", "ada"),
        CredentialChange("signed_out", None, "bob", clear=True),
    ]
    assert scene.users == [ada, bob, None]


async def test_whoever_signs_in_once_more_is_told_of_once_more() -> None:
    scene = Scene()
    ada = await scene.sign_in()
    scene.fail_with(auth_error("USER_DISABLED"))
    with pytest.raises(CredentialRejected):
        await scene.keeper.token(force=True)

    await scene.sign_in()
    await scene.sign_in()

    assert scene.users == [ada, ada, ada]


async def test_a_disk_that_hangs_keeps_nobody_from_hearing_of_the_user() -> None:
    scene = Scene()
    is_cleared = anyio.Event()
    heard: list[User | None] = []

    async def hear(user: User | None) -> None:
        heard.append(user)

    scene.keeper.on_user(hear)
    await scene.sign_in()
    scene.keeper.on_change(lambda change: is_cleared.wait())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scene.keeper.drop)
        await anyio.wait_all_tasks_blocked()

        assert heard == scene.users == [User("ada"), None]
        is_cleared.set()


async def test_signing_out_twice_is_signing_out_once() -> None:
    scene = Scene()
    await scene.sign_in()

    await scene.keeper.drop()
    await scene.keeper.drop()

    assert len(scene.changes) == 2


async def test_what_a_callback_wants_done_at_sign_out_has_been_done_when_it_returns() -> None:
    scene = Scene()
    await scene.sign_in()
    cleared: list[str | None] = []

    async def clear(change: CredentialChange) -> None:
        await anyio.lowlevel.checkpoint()
        cleared.append(change.previous_uid)

    scene.keeper.on_change(clear)
    await scene.keeper.drop(clear=True)

    assert cleared == ["ada"]


async def test_a_disk_that_does_not_remove_what_is_to_be_removed_is_told_of() -> None:
    scene = Scene()
    await scene.sign_in()

    async def clear(change: CredentialChange) -> None:
        await anyio.lowlevel.checkpoint()
        raise StorageFull("no space is left")

    scene.keeper.on_change(clear)
    with pytest.raises(StorageFull):
        await scene.keeper.drop(clear=True)

    assert scene.keeper.user is None
    assert scene.users[-1] is None


async def test_what_no_open_database_can_remove_is_refused_and_nothing_changes() -> None:
    scene = Scene()
    ada = await scene.sign_in()
    keeper = scene.new_keeper()
    await keeper.restore()

    with pytest.raises(UsageError):
        await keeper.drop(clear=True)

    assert keeper.user == ada
    await keeper.drop()
    assert keeper.user is None


async def test_a_user_is_described_anew_until_the_next_token_does() -> None:
    scene = Scene()
    user = await scene.sign_in(name="Ada")

    await scene.keeper.amend(replace(user, display_name="Lady Ada"))
    await scene.keeper.amend(replace(user, display_name="Lady Ada"))
    await scene.keeper.amend(User("bob", display_name="Bob"))
    described = scene.keeper.user
    await credential(scene, force=True)

    assert described == replace(user, display_name="Lady Ada")
    assert [each and each.display_name for each in scene.users] == ["Ada", "Lady Ada", None]


async def test_uid_is_right_when_a_callback_is_called() -> None:
    scene = Scene()
    seen: list[str | None] = []
    scene.keeper.on_change(lambda change: seen.append(scene.keeper.uid))

    await scene.sign_in()
    await scene.keeper.drop()

    assert seen == ["ada", None]


async def test_a_callback_may_use_what_it_was_called_by() -> None:
    scene = Scene()
    await scene.sign_in()
    later = scene.new_keeper()
    found: list[str | None] = []

    async def use(user: User | None) -> None:
        await later.restore()
        now = await later.token(force=user is not None)
        found.append(None if now is None else now.uid)

    later.on_user(use)
    await later.restore()
    await later.drop()

    assert found == ["ada", None]


async def test_a_callback_that_fails_or_goes_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    heard: list[str] = []

    def fail(change: CredentialChange) -> None:
        remove()
        raise RuntimeError("of the user")

    async def fail_later(user: User | None) -> None:
        raise RuntimeError("of the user")

    scene.keeper.on_change(fail)
    remove = scene.keeper.on_change(lambda change: heard.append("removed"))
    scene.keeper.on_change(lambda change: heard.append("last"))
    scene.keeper.on_user(fail_later)
    with caplog.at_level(logging.ERROR):
        await scene.sign_in()

    assert heard == ["last"]
    assert [record.message for record in caplog.records] == ["a callback failed"] * 2


async def test_tokens_that_come_after_the_user_has_gone_are_for_nobody() -> None:
    scene = Scene()
    await scene.sign_in()
    scene.is_held = True
    found: list[Credential | None] = []

    async def ask() -> None:
        found.append(await scene.keeper.token(force=True))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await scene.arrived.wait()
        await scene.keeper.drop()
        scene.released.set()

    assert found == [None]
    assert scene.keeper.user is None
    assert scene.stored() is None


async def test_whoever_has_signed_in_meanwhile_is_whose_token_is_given() -> None:
    scene = Scene()
    await scene.sign_in("ada")
    scene.is_held = True
    found: list[Credential] = []

    async def ask() -> None:
        found.append(await credential(scene, force=True))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await scene.arrived.wait()
        await scene.sign_in("bob")
        scene.released.set()

    assert [each.uid for each in found] == ["bob"]
    assert scene.keeper.uid == "bob"
