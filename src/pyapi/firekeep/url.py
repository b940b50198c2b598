"""The address of a database: what users write, and what is connected to."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote_plus

from firekeep.exceptions import InvalidPath, InvalidUrl
from firekeep_core.snap.path import Path

__all__ = ["EMULATOR_VARIABLE", "DatabaseUrl", "parse_url", "read_address", "socket_url"]

EMULATOR_VARIABLE = "FIREBASE_DATABASE_EMULATOR_HOST"
"""Names the environment variable whose value `parse_url` takes as `emulator_host`."""

PROTOCOL_VERSION = 5

_URL = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?"
    r"(?P<address>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?P<fragment>#.*)?",
    re.DOTALL,
)
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NAMESPACE = re.compile(r"[A-Za-z0-9_.~-]{1,255}")
# What a browser leaves readable in a path.
_READABLE = "!~*'()"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """One database and a location in it.

    Example::

        url = parse_url("https://my-app.firebaseio.com/rooms")
        assert (url.address, url.namespace, str(url.path)) == (
            "my-app.firebaseio.com", "my-app", "/rooms"
        )
    """

    host: str
    """A name in lower case, or an IP address without brackets."""
    port: int | None
    """None if the address names none: then it is 443."""
    secure: bool
    """Whether TLS is used; False only for an address written with http:// and a port."""
    namespace: str
    path: Path

    @property
    def emulator(self) -> bool:
        """Whether this is a local server, which is the only kind spoken to without TLS."""
        return not self.secure

    @property
    def address(self) -> str:
        """The host, with its port where one is given, as in a URL."""
        return _join_address(self.host, self.port)

    def text(self, path: Path | None = None) -> str:
        """Return the URL of a location in this database; the one parsed if none is given."""
        keys = (self.path if path is None else path).keys
        # A key may hold half of a surrogate pair, which is no text that UTF-8 has bytes for.
        place = "/".join([quote(key, safe=_READABLE, errors="surrogatepass") for key in keys])
        named = _namespace_of(self.host) == self.namespace
        query = "" if named else f"?ns={quote(self.namespace, safe='')}"
        return f"{'https' if self.secure else 'http'}://{self.address}/{place}{query}"

    def __str__(self) -> str:
        """Return the URL in its normal form."""
        return self.text()


def parse_url(text: str, emulator_host: str | None = None) -> DatabaseUrl:
    """Read the URL of a database, or of a location in one.

    The schemes are https, http, wss and ws, or none; without a port it is TLS whatever the scheme
    says. The namespace is the parameter ``ns``, else the first label of a host of at least three.
    A trailing ``.json`` does not count. `emulator_host`, ``host:port`` without a scheme, replaces
    the server and keeps namespace and path.

    Raises:
        InvalidUrl: no such address can be, or it names no namespace.

    Source: wire §1.1.
    """
    parts = _URL.fullmatch(text)
    if parts is None or not text.isprintable() or " " in text:
        raise _invalid(text, "blanks and control characters are not allowed")
    scheme = (parts["scheme"] or "https").lower()
    if scheme not in ("https", "http", "wss", "ws"):
        raise _invalid(text, f"{scheme}:// is not https://, http://, wss:// or ws://")
    if "@" in parts["address"]:
        raise _invalid(text, "credentials have no place here; use auth=")
    if parts["fragment"]:
        raise _invalid(text, "'#' is not allowed")
    host, port = _read_address(parts["address"], lambda what: _invalid(text, what))
    namespace = _read_namespace(text, parts["query"] or "", host)
    path = _read_path(text, parts["path"])
    secure = port is None or scheme in ("https", "wss")
    if emulator_host:
        host, port = _read_address(
            emulator_host, lambda what: InvalidUrl(f"{EMULATOR_VARIABLE}={emulator_host!r}: {what}")
        )
        if port is None:
            raise InvalidUrl(f"{EMULATOR_VARIABLE}={emulator_host!r}: expected host:port")
        secure = False
    return DatabaseUrl(host, port, secure, namespace, path)


def read_address(text: str) -> str:
    """Return a server's ``host`` or ``host:port`` in its normal form.

    For the addresses that a server sends (wire §2.5), which can then name neither another scheme
    nor a path nor credentials.

    Raises:
        InvalidUrl: it is anything else.
    """
    return _join_address(
        *_read_address(text, lambda what: InvalidUrl(f"host {text!r:.100}: {what}"))
    )


def socket_url(
    address: str, namespace: str, *, secure: bool, last_session: str | None = None
) -> str:
    """Return the URL of the WebSocket at an address that `read_address` could give.

    `last_session` is the id that the server gave the session before, on a reconnect only.

    Source: wire §1.2.
    """
    query = f"v={PROTOCOL_VERSION}&ns={quote(namespace, safe='')}"
    if last_session is not None:
        query += f"&ls={quote(last_session, safe='')}"
    return f"{'wss' if secure else 'ws'}://{address}/.ws?{query}"


def _invalid(text: str, what: str) -> InvalidUrl:
    # Passwords stand before an '@', old secrets in the query.
    shown = text.partition("?")[0].rpartition("@")[2]
    return InvalidUrl(f"invalid database URL {shown!r:.120}: {what}")


def _join_address(host: str, port: int | None) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _read_address(text: str, error: Callable[[str], InvalidUrl]) -> tuple[str, int | None]:
    parts = _ADDRESS.fullmatch(text)
    if parts is None:
        raise error("expected host or host:port" if text else "no host")
    host = parts["host"].lower()
    if host.startswith("["):
        host = host[1:-1]
        if not _is_ip(host):
            raise error(f"[{host}] is not an IPv6 address")
    elif len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise error(f"{host!r:.80} is not a host name")
    port = None if parts["port"] is None else int(parts["port"])
    if port is not None and not 0 < port < 65536:
        raise error(f"port {port} is not 1 … 65535")
    return host, port


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _namespace_of(host: str) -> str | None:
    """Return the namespace that a host name stands for: its first label, of at least three."""
    labels = host.split(".")
    return None if len(labels) < 3 or _is_ip(host) else labels[0]


def _read_namespace(text: str, query: str, host: str) -> str:
    given = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "ns"]
    namespace = given[-1] if given else _namespace_of(host)
    if namespace is None:
        raise _invalid(text, "no namespace; add ?ns=NAME")
    if not _NAMESPACE.fullmatch(namespace):
        raise _invalid(text, f"{namespace!r:.80} is not a namespace")
    return namespace


def _read_path(text: str, encoded: str) -> Path:
    segments = [segment for segment in encoded.removesuffix(".json").split("/") if segment]
    try:
        keys = [unquote_plus(segment, errors="strict") for segment in segments]
    except UnicodeDecodeError as error:
        raise _invalid(text, "the path is not percent-encoded UTF-8") from error
    for key in keys:
        if "/" in key:
            raise _invalid(text, f"key {key!r:.80} holds a '/'")
    try:
        return Path.parse("/".join(keys))
    except InvalidPath as error:
        raise _invalid(text, str(error)) from error
