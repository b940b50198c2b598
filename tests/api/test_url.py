"""Every form of address that users write is understood, and nothing else."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from firekeep.exceptions import InvalidUrl
from firekeep.url import DatabaseUrl, parse_url, read_address, socket_url
from firekeep_core.snap.path import Path

labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
keys = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=".#$/[]"),
    min_size=1,
    max_size=8,
)
urls = st.builds(
    DatabaseUrl,
    host=st.tuples(labels, labels, st.sampled_from(["firebaseio.com", "firebasedatabase.app"])).map(
        ".".join
    )
    | st.sampled_from(["localhost", "127.0.0.1", "::1"]),
    port=st.none() | st.integers(1, 65535),
    secure=st.booleans(),
    namespace=labels,
    path=st.lists(keys, max_size=4).map(Path.from_keys),
)


@pytest.mark.parametrize(
    ("text", "address", "secure", "namespace", "path"),
    [
        ("https://my-db.firebaseio.com", "my-db.firebaseio.com", True, "my-db", "/"),
        ("https://My-Db.FirebaseIO.com/", "my-db.firebaseio.com", True, "my-db", "/"),
        (
            "https://my-db.europe-west1.firebasedatabase.app/a/b",
            "my-db.europe-west1.firebasedatabase.app",
            True,
            "my-db",
            "/a/b",
        ),
        (
            "https://my-app-default-rtdb.firebaseio.com/",
            "my-app-default-rtdb.firebaseio.com",
            True,
            "my-app-default-rtdb",
            "/",
        ),
        ("http://my-db.firebaseio.com", "my-db.firebaseio.com", True, "my-db", "/"),
        ("ws://my-db.firebaseio.com", "my-db.firebaseio.com", True, "my-db", "/"),
        ("my-db.firebaseio.com/a", "my-db.firebaseio.com", True, "my-db", "/a"),
        ("wss://my-db.firebaseio.com", "my-db.firebaseio.com", True, "my-db", "/"),
        ("https://my-db.firebaseio.com:443", "my-db.firebaseio.com:443", True, "my-db", "/"),
        ("http://my-db.firebaseio.com:80", "my-db.firebaseio.com:80", False, "my-db", "/"),
        ("http://localhost:9000?ns=My-Db", "localhost:9000", False, "My-Db", "/"),
        ("http://localhost:9000/a?ns=x", "localhost:9000", False, "x", "/a"),
        ("ws://localhost:9000?ns=x", "localhost:9000", False, "x", "/"),
        ("https://localhost:9000?ns=x", "localhost:9000", True, "x", "/"),
        ("localhost:9000/?ns=x", "localhost:9000", True, "x", "/"),
        ("http://localhost?ns=x", "localhost", True, "x", "/"),
        ("http://127.0.0.1:9000/?ns=x", "127.0.0.1:9000", False, "x", "/"),
        ("http://[::1]:9000/?ns=x", "[::1]:9000", False, "x", "/"),
        (
            "https://s-usc1c-nss-1.firebaseio.com?ns=x",
            "s-usc1c-nss-1.firebaseio.com",
            True,
            "x",
            "/",
        ),
        ("https://x.firebaseio.com/?ns=a&ns=b&auth=1", "x.firebaseio.com", True, "b", "/"),
        ("https://x.firebaseio.com//a//b/", "x.firebaseio.com", True, "x", "/a/b"),
        ("https://x.firebaseio.com/a%20b/c+d", "x.firebaseio.com", True, "x", "/a b/c d"),
        ("https://x.firebaseio.com/%C3%A9/é", "x.firebaseio.com", True, "x", "/é/é"),
        ("https://x.firebaseio.com/a/b.json", "x.firebaseio.com", True, "x", "/a/b"),
        ("https://x.firebaseio.com/.json", "x.firebaseio.com", True, "x", "/"),
        ("https://x.firebaseio.com/.info/a", "x.firebaseio.com", True, "x", "/.info/a"),
    ],
)
def test_an_address_is_understood(
    text: str, address: str, secure: bool, namespace: str, path: str
) -> None:
    url = parse_url(text)

    assert (url.address, url.secure, url.namespace) == (address, secure, namespace)
    assert str(url.path) == path


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no host"),
        ("https://", "no host"),
        ("https:///a", "no host"),
        ("ftp://x.firebaseio.com", "ftp:// is not"),
        ("https:/x.firebaseio.com", "expected host"),
        ("http://localhost:9000", "no namespace; add ?ns=NAME"),
        ("http://127.0.0.1:9000", "no namespace"),
        ("https://firebaseio.com", "no namespace"),
        ("https://localhost", "no namespace"),
        ("http://localhost:9000?ns=", "'' is not a namespace"),
        ("http://localhost:9000?ns=a/b", "'a/b' is not a namespace"),
        ("http://localhost:0?ns=x", "port 0"),
        ("http://localhost:65536?ns=x", "port 65536"),
        ("http://localhost:nine?ns=x", "expected host"),
        ("http://[::zz]:1?ns=x", "expected host"),
        ("http://[1.2]:1?ns=x", "is not an IPv6 address"),
        ("https://x..firebaseio.com", "is not a host name"),
        ("https://-x.firebaseio.com", "is not a host name"),
        (f"https://{'x' * 64}.firebaseio.com", "is not a host name"),
        ("https://é.firebaseio.com", "expected host"),
        ("https://x.firebaseio.com/a b", "blanks"),
        ("https://x.firebaseio.com/a\nb", "blanks"),
        (" https://x.firebaseio.com", "blanks"),
        ("https://x.firebaseio.com/a#b", "'#' is not allowed"),
        ("https://x.firebaseio.com/a.b", "'.' is not allowed"),
        ("https://x.firebaseio.com/a%2Fb", "holds a '/'"),
        ("https://x.firebaseio.com/a/.info", "not allowed"),
        ("https://x.firebaseio.com/%FF", "percent-encoded UTF-8"),
        ("https://x.firebaseio.com/%00", "not allowed"),
    ],
)
def test_anything_else_is_refused_at_once(text: str, what: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        parse_url(text)

    assert what in str(caught.value)


def test_no_secret_is_shown_in_an_error() -> None:
    with pytest.raises(InvalidUrl) as with_password:
        parse_url("https://me:secret@x.firebaseio.com/")
    with pytest.raises(InvalidUrl) as with_parameter:
        parse_url("https://x.firebaseio.com/a.b?auth=secret")

    assert "secret" not in str(with_password.value)
    assert "secret" not in str(with_parameter.value)


def test_the_variable_replaces_the_server_and_keeps_namespace_and_path() -> None:
    url = parse_url("https://my-db.firebaseio.com/a", "127.0.0.1:9000")

    assert (url.address, url.secure, url.emulator) == ("127.0.0.1:9000", False, True)
    assert (url.namespace, str(url.path)) == ("my-db", "/a")
    assert str(url) == "http://127.0.0.1:9000/a?ns=my-db"


def test_an_empty_variable_is_none() -> None:
    assert parse_url("https://x.firebaseio.com", "") == parse_url("https://x.firebaseio.com")


@pytest.mark.parametrize("variable", ["http://localhost:9000", "localhost", "localhost:x", ":1"])
def test_a_variable_that_is_not_host_and_port_is_refused_by_its_name(variable: str) -> None:
    with pytest.raises(InvalidUrl, match="FIREBASE_DATABASE_EMULATOR_HOST"):
        parse_url("https://x.firebaseio.com", variable)


@given(url=urls)
def test_the_normal_form_reads_as_the_same_address(url: DatabaseUrl) -> None:
    assume(url.port is not None or url.secure)

    assert parse_url(str(url)) == url


@given(st.text(max_size=60) | st.text("htps:/.?#[]@%=&n0x ", max_size=30))
def test_any_text_is_an_address_or_an_error_of_ours(text: str) -> None:
    try:
        url = parse_url(text)
    except InvalidUrl:
        return

    assert url.secure or url.port is not None
    assert parse_url(str(url)) == url


def test_the_url_of_another_location_keeps_the_database() -> None:
    url = parse_url("http://localhost:9000/a?ns=x")

    assert url.text(Path.parse("rooms/a b/ü")) == "http://localhost:9000/rooms/a%20b/%C3%BC?ns=x"
    assert parse_url("https://x.firebaseio.com").text(Path.parse("a")) == (
        "https://x.firebaseio.com/a"
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s-usc1c-nss-114.firebaseio.com", "s-usc1c-nss-114.firebaseio.com"),
        ("LOCALHOST:9000", "localhost:9000"),
        ("[::1]:80", "[::1]:80"),
    ],
)
def test_a_server_may_name_a_host_and_a_port(text: str, address: str) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "ws://host", "http://host:1", "host/path", "me@host", "host:1?x", "a b", "host:", "h\n"],
)
def test_a_server_may_name_nothing_else(text: str) -> None:
    with pytest.raises(InvalidUrl):
        read_address(text)


def test_the_socket_is_asked_for_with_version_namespace_and_last_session() -> None:
    assert socket_url("x.firebaseio.com", "x", secure=True) == "wss://x.firebaseio.com/.ws?v=5&ns=x"
    assert socket_url("localhost:9000", "x", secure=False, last_session="a&b/c") == (
        "ws://localhost:9000/.ws?v=5&ns=x&ls=a%26b%2Fc"
    )
