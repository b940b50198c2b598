"""Where data lie unless the user says otherwise."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firekeep.exceptions import InvalidArgument, StorageError
from firekeep.storage.place import default_path, given_path, safe_component
from firekeep.url import parse_url

URL = parse_url("https://my-app.firebaseio.com")


def placed(platform: str, **environment: str) -> Path:
    return default_path(URL, "default", platform=platform, environment=environment)


def test_on_linux_it_is_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/me")
    below = Path("firekeep", "my-app.firebaseio.com", "my-app", "default")

    assert placed("linux", XDG_STATE_HOME="/state") == Path("/state") / below
    assert placed("linux") == Path("/users/me/.local/state") / below
    assert placed("linux", XDG_STATE_HOME="relative") == Path("/users/me/.local/state") / below


def test_on_macos_it_is_application_support(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/me")

    assert placed("darwin", XDG_STATE_HOME="/state").is_relative_to(
        "/users/me/Library/Application Support/firekeep"
    )


def test_on_windows_it_is_the_local_application_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/me")

    assert str(placed("win32", LOCALAPPDATA=r"C:\Users\me\AppData\Local")).startswith(
        r"C:\Users\me\AppData\Local"
    )
    assert placed("win32").is_relative_to("/users/me/AppData/Local/firekeep")


def test_without_a_home_the_user_has_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)

    with pytest.raises(StorageError, match="home"):
        placed("linux")


def test_servers_namespaces_and_names_do_not_share() -> None:
    urls = [
        "https://my-app.firebaseio.com",
        "https://other.firebaseio.com?ns=my-app",
        "http://localhost:9000?ns=my-app",
        "http://localhost:9001?ns=my-app",
        "http://localhost:9001?ns=My-App",
    ]
    paths = {
        default_path(parse_url(url), name, platform="linux", environment={"XDG_STATE_HOME": "/s"})
        for url in urls
        for name in ("default", "second")
    }

    assert len(paths) == 2 * len(urls)


@pytest.mark.parametrize(
    ("text", "component"),
    [
        ("my-app.firebaseio.com", "my-app.firebaseio.com"),
        ("localhost:9000", "localhost%3a9000"),
        ("[::1]:9000", "%5b%3a%3a1%5d%3a9000"),
        ("..", "%2e%2e"),
        (".hidden", "%2ehidden"),
        ("dot.", "dot%2e"),
        ("a/b\\c", "a%2fb%5cc"),
        ("Upper", "%55pper"),
        ("con", "%63on"),
        ("nul.txt", "%6eul.txt"),
        ("", "%"),
    ],
)
def test_a_component_is_a_plain_file_name(text: str, component: str) -> None:
    assert safe_component(text) == component


@given(st.text(max_size=200), st.text(max_size=200))
def test_different_texts_are_different_file_names_on_every_system(one: str, other: str) -> None:
    first, second = safe_component(one), safe_component(other)

    assert (first == second) == (one == other)
    assert first == first.lower()
    assert 0 < len(first) <= 120
    assert first[0] != "." != first[-1]
    assert set(first).isdisjoint('/\\:*?"<>| \0')


def test_a_tilde_is_the_home_directory_as_in_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/me")

    assert given_path("~/data") == Path("/users/me/data")
    assert given_path("data/~") == Path("data/~")


def test_a_path_with_a_nul_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="holds a NUL"):
        given_path("my\0data")


def test_a_home_that_nobody_has_is_refused() -> None:
    with pytest.raises(StorageError, match="home"):
        given_path("~nobody-of-that-name/data")
