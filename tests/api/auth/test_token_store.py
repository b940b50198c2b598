"""Where the credential is kept, and that nobody else can read it."""

import errno
import os
import stat
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firekeep.auth import FileTokenStore, KeyringTokenStore, MemoryTokenStore, TokenStore
from firekeep.exceptions import StorageError, StorageFull, UsageError

posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are a matter of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "auth" / "user.json"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=["memory", "file", "keyring"])
def store(request: pytest.FixtureRequest, path: Path) -> TokenStore:
    if request.param == "memory":
        return MemoryTokenStore()
    if request.param == "file":
        return FileTokenStore(path)
    request.getfixturevalue("keyring")
    return KeyringTokenStore("test")


def test_what_was_saved_last_is_loaded(store: TokenStore) -> None:
    assert store.load() is None
    store.save("first")
    store.save("second ✔" * 1000)

    assert store.load() == "second ✔" * 1000


def test_what_was_cleared_is_gone(store: TokenStore) -> None:
    store.save("text")

    store.clear()
    store.clear()

    assert store.load() is None


@posix
def test_a_file_and_its_folder_are_their_owners_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        FileTokenStore(path).save("text")
    finally:
        os.umask(old)

    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700


@posix
def test_a_folder_that_was_open_to_others_is_closed(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o755)
    store = FileTokenStore(path)

    store.save("text")
    path.parent.chmod(0o777)
    store.save("text")

    assert mode(path.parent) == 0o700


@posix
def test_a_folder_with_other_things_stays_as_it_is(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o755)
    (path.parent / "settings.json").touch()

    FileTokenStore(path).save("text")

    assert mode(path.parent) == 0o755


@posix
def test_a_folder_that_is_there_to_be_shared_will_not_do(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o1777)

    with pytest.raises(StorageError, match="others may write"):
        FileTokenStore(path).save("text")

    assert mode(path.parent) == 0o1777


@posix
@pytest.mark.parametrize("bits", [0o775, 0o1777])
def test_a_folder_with_other_things_where_others_may_write_will_not_do(
    path: Path, bits: int
) -> None:
    path.parent.mkdir(parents=True)
    path.parent.chmod(bits)
    (path.parent / "settings.json").touch()

    with pytest.raises(StorageError, match=f"others may write to .*mode {bits:o}"):
        FileTokenStore(path).save("text")

    assert not path.exists()


@pytest.mark.parametrize("action", ["save", "clear"])
def test_what_a_crash_has_left_is_removed_and_nothing_else(path: Path, action: str) -> None:
    store = FileTokenStore(path)
    store.save("old")
    left, other = path.with_name("user.json.0123456789abcdef"), path.with_name("user.json.bak")
    left.write_text("secret")
    other.touch()

    if action == "save":
        store.save("new")
    else:
        store.clear()

    assert not left.exists()
    assert other.exists()


def test_of_two_programs_that_save_at_once_one_is_the_last(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def interfere(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)
        FileTokenStore(path).save("theirs")

    monkeypatch.setattr(os, "fsync", interfere)
    FileTokenStore(path).save("ours")

    assert FileTokenStore(path).load() == "theirs"
    assert list(path.parent.iterdir()) == [path]


@posix
def test_a_file_that_others_could_read_is_so_no_more(path: Path) -> None:
    store = FileTokenStore(path)
    store.save("text")
    path.chmod(0o644)

    assert store.load() == "text"
    assert mode(path) == 0o600


@posix
def test_no_file_of_the_name_is_ever_readable_or_half_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileTokenStore(path)
    store.save("old")
    seen: list[tuple[str, int]] = []
    sync = os.fsync

    def look(descriptor: int) -> None:
        seen.extend((each.read_text(), mode(each)) for each in path.parent.iterdir())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    store.save("new")

    assert path.read_text() == "new"
    assert {text for text, _ in seen} == {"old", "new"}
    assert {bits for _, bits in seen} == {0o600}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, StorageFull), (errno.EIO, StorageError)]
)
def test_a_save_that_fails_leaves_what_was_there(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StorageError]
) -> None:
    store = FileTokenStore(path)
    store.save("old")

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError) as caught:
        store.save("new secret")

    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)
    assert store.load() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_read_says_so(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot read"):
        FileTokenStore(path).load()


def test_a_file_that_is_no_text_says_so_and_not_what_it_is(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"secret \xff")

    with pytest.raises(StorageError, match="no text") as caught:
        FileTokenStore(path).load()

    assert caught.value.__cause__ is None
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_home_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    assert FileTokenStore("~/user.json").path == tmp_path / "user.json"


@pytest.fixture
def keyring() -> Iterator[Any]:
    """Give a keyring that is as narrow as that of Windows."""
    library = pytest.importorskip("keyring", reason="needs the extra keyring")
    backend = pytest.importorskip("keyring.backend")
    errors = pytest.importorskip("keyring.errors")

    class Narrow(backend.KeyringBackend):  # type: ignore[misc,name-defined]
        priority = 1

        def __init__(self) -> None:
            self.secrets: dict[tuple[str, str], str] = {}

        def get_password(self, service: str, username: str) -> str | None:
            return self.secrets.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            assert len(password.encode("utf-16-le")) <= 2560
            self.secrets[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            if (service, username) not in self.secrets:
                raise errors.PasswordDeleteError(username)
            del self.secrets[service, username]

    before = library.get_keyring()
    narrow = Narrow()
    library.set_keyring(narrow)
    yield narrow
    library.set_keyring(before)


def test_a_keyring_holds_nothing_but_the_present_text(keyring: Any) -> None:
    store = KeyringTokenStore("test")

    store.save("first" * 1000)
    store.save("second" * 1000)

    assert store.load() == "second" * 1000
    assert not any("first" in text for text in keyring.secrets.values())
    store.clear()
    assert keyring.secrets == {}


@pytest.mark.usefixtures("keyring")
def test_apps_share_a_keyring_by_name() -> None:
    one, other = KeyringTokenStore("one"), KeyringTokenStore("other")

    one.save("text of one")
    other.save("text of other")
    other.clear()

    assert one.load() == "text of one"
    assert other.load() is None


@pytest.mark.usefixtures("keyring")
def test_a_machine_without_a_keyring_says_so() -> None:
    fail = pytest.importorskip("keyring.backends.fail")
    library = pytest.importorskip("keyring")
    library.set_keyring(fail.Keyring())
    store = KeyringTokenStore("test")

    for call in (store.load, store.clear, lambda: store.save("secret")):
        with pytest.raises(StorageError, match="NoKeyringError") as caught:
            call()
        assert "secret" not in str(caught.value)


def test_what_a_keyring_says_is_not_repeated(keyring: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    errors = pytest.importorskip("keyring.errors")

    def fail(service: str, username: str, password: str) -> None:
        raise errors.PasswordSetError(f"cannot keep {password}")

    monkeypatch.setattr(keyring, "set_password", fail)
    secret = "token-of-ada"
    with pytest.raises(StorageError, match="PasswordSetError") as caught:
        KeyringTokenStore("test").save(secret)

    assert secret not in "".join(traceback.format_exception(caught.value))


def test_the_extra_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firekeep.auth.token_store.find_spec", lambda name: None)

    with pytest.raises(UsageError, match=r"firekeep\[keyring\]"):
        KeyringTokenStore()
