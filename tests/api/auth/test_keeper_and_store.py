"""What the keeper of tokens stores, and what it finds stored."""

import traceback
from pathlib import Path

import anyio
import pytest
from tests.api.auth.scene import HOUR_MS, HeldStore, Scene, credential

from firekeep.auth.token_store import FileTokenStore, MemoryTokenStore
from firekeep.exceptions import NetworkUnavailable, StorageError, StorageFull

pytestmark = pytest.mark.anyio


async def test_a_restart_without_a_network_comes_up_as_the_same_user() -> None:
    scene = Scene()
    user = await scene.sign_in(email="ada@example.com")
    scene.fail_with(NetworkUnavailable("no network"))
    later = scene.new_keeper()

    await later.restore()

    assert later.user == user
    assert later.uid == "ada"
    found = await later.token()
    assert found is not None
    assert found.uid == "ada"
    assert scene.asked == []


async def test_a_restart_with_an_expired_token_comes_up_as_the_same_user() -> None:
    scene = Scene(server_ahead_ms=HOUR_MS)
    await scene.sign_in()
    scene.fail_with(NetworkUnavailable("no network"))
    scene.now_ms += 30 * 24 * HOUR_MS
    later = scene.new_keeper()

    await later.restore()
    with pytest.raises(NetworkUnavailable):
        await later.token()
    assert later.uid == "ada"

    scene.answer = scene.renew
    found = await later.token()
    assert found is not None
    assert found.uid == "ada"


async def test_a_fresh_token_is_stored_too() -> None:
    store = HeldStore()
    scene = Scene(store)
    await scene.sign_in()
    await store.has_ended()

    fresh = await credential(scene, force=True)
    await store.has_ended()

    stored = scene.stored()
    assert stored is not None
    assert stored.tokens.id_token == fresh.token


async def test_after_signing_out_nothing_is_stored() -> None:
    scene = Scene()
    await scene.sign_in()

    await scene.keeper.drop()

    assert scene.store.load() is None


async def test_a_database_gives_a_place_to_whoever_has_none(tmp_path: Path) -> None:
    scene = Scene()
    scene.store = None  # type: ignore[assignment]
    homeless, later = scene.new_keeper(), scene.new_keeper()
    await homeless.restore()
    await homeless.adopt(scene.tokens("ada"))

    await homeless.restore(tmp_path)
    await later.restore(tmp_path)

    assert later.uid == "ada"
    assert FileTokenStore(tmp_path / "auth" / "user.json").load() is not None


async def test_whoever_signed_out_before_there_was_a_place_stays_out(tmp_path: Path) -> None:
    scene = Scene(FileTokenStore(tmp_path / "auth" / "user.json"))
    await scene.sign_in()
    scene.store = None  # type: ignore[assignment]
    later = scene.new_keeper()

    await later.drop()
    await later.restore(tmp_path)

    assert later.uid is None
    assert FileTokenStore(tmp_path / "auth" / "user.json").load() is None


async def test_a_place_of_ones_own_is_kept(tmp_path: Path) -> None:
    scene = Scene()
    await scene.sign_in()

    await scene.keeper.restore(tmp_path)

    assert FileTokenStore(tmp_path / "auth" / "user.json").load() is None


async def test_what_is_stored_of_another_app_is_nobody() -> None:
    scene = Scene()
    scene.store.save((await _grant_text()).replace("this app", "other app"))

    await scene.keeper.restore()

    assert scene.keeper.uid is None


async def _grant_text() -> str:
    scene = Scene()
    await scene.sign_in()
    text = scene.store.load()
    assert text is not None
    return text


async def test_what_is_spoiled_is_nobody_and_is_said_without_quoting_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    scene.store.save("spoiled secret")

    await scene.keeper.restore()

    assert scene.keeper.uid is None
    assert "cannot be read" in caplog.text
    assert "secret" not in caplog.text


class Broken(MemoryTokenStore):
    """A store that does not work until it is mended."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None

    def load(self) -> str | None:
        self._check()
        return super().load()

    def save(self, text: str) -> None:
        self._check()
        super().save(text)

    def clear(self) -> None:
        self._check()
        super().clear()

    def _check(self) -> None:
        if self.error is not None:
            raise self.error


async def test_a_store_that_is_locked_is_tried_again() -> None:
    store = Broken()
    scene = Scene(store)
    await scene.sign_in()
    later = scene.new_keeper()

    store.error = StorageError("locked")
    with pytest.raises(StorageError):
        await later.restore()
    store.error = None
    await later.restore()

    assert later.uid == "ada"


async def test_whoever_cannot_be_stored_is_signed_in_all_the_same() -> None:
    store = Broken()
    scene = Scene(store)
    await scene.keeper.restore()
    store.error = StorageFull("full")

    with pytest.raises(StorageFull):
        await scene.sign_in()

    assert scene.keeper.uid == "ada"
    assert len(scene.changes) == len(scene.users) == 1


async def test_a_store_that_hangs_keeps_nobody_from_a_fresh_token() -> None:
    store = HeldStore()
    scene = Scene(store)
    await scene.sign_in()
    store.hold()

    tokens = {(await credential(scene, force=True)).token for _ in range(3)}

    assert len(tokens) == 3
    assert len(store.texts) == 1
    store.let()


async def test_a_slow_store_holds_the_last_of_many_tokens_in_the_end() -> None:
    store = HeldStore()
    scene = Scene(store)
    await scene.sign_in()
    store.hold()
    await credential(scene, force=True)
    for _ in range(2):
        await store.has_begun()

    await credential(scene, force=True)
    last = await credential(scene, force=True)
    store.let()
    for _ in range(3):
        await store.has_ended()

    stored = scene.stored()
    assert stored is not None
    assert stored.tokens.id_token == last.token
    assert len(store.texts) == 3


async def test_whoever_signs_out_waits_for_a_slow_store_to_forget_them() -> None:
    store = HeldStore()
    scene = Scene(store)
    await scene.sign_in()
    store.hold()
    await credential(scene, force=True)
    for _ in range(2):
        await store.has_begun()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scene.keeper.drop)
        await anyio.wait_all_tasks_blocked()
        assert scene.keeper.user is None
        assert scene.stored() is not None
        store.let()

    assert scene.stored() is None


async def test_a_fresh_token_that_cannot_be_stored_is_good_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = HeldStore()
    scene = Scene(store)
    await scene.sign_in()
    before = await credential(scene)
    store.error = StorageFull("full")

    fresh = await credential(scene, force=True)
    for _ in range(2):
        await store.has_ended()
    with pytest.raises(StorageFull):
        await scene.sign_in()

    assert fresh.token != before.token
    assert "could not be stored" in caplog.text


@pytest.mark.parametrize("action", ["restore", "sign in", "sign out"])
async def test_a_foreign_failure_is_one_of_storage_and_not_quoted(action: str) -> None:
    store = Broken()
    scene = Scene(store)
    store.error = RuntimeError("cannot keep token-of-ada")
    calls = {
        "restore": scene.keeper.restore,
        "sign in": scene.sign_in,
        "sign out": scene.keeper.drop,
    }

    with pytest.raises(StorageError, match="RuntimeError") as caught:
        await calls[action]()

    assert "token-of-ada" not in "".join(traceback.format_exception(caught.value))
