"""HTTP proxies: which one to use, and how to get through it."""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from firekeep.exceptions import Disconnected, InvalidUrl, ProtocolError
from firekeep.net.byte_stream import ByteStream, read_head

__all__ = ["ProxyAddress", "choose_proxy", "open_tunnel", "parse_proxy"]


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """Where a proxy is and who we are to it."""

    host: str
    port: int
    secure: bool = False
    """The proxy itself is spoken to over TLS."""
    username: str | None = None
    password: str = field(default="", repr=False)


def parse_proxy(text: str) -> ProxyAddress:
    """Read ``http://user:password@host:port``; ``https://`` speaks to the proxy over TLS.

    Without a scheme it is ``http://``; without a port 80 or 443.

    Raises:
        InvalidUrl: a SOCKS proxy, another scheme, no host, a port that is none, or a path.
    """
    shown = repr(text.rpartition("@")[2])  # never the password
    scheme = text.partition("://")[0].lower() if "://" in text else "http"
    if scheme.startswith("socks"):
        raise InvalidUrl(
            f"proxy {shown}: SOCKS is not supported; give an http:// or https:// proxy"
        )
    if scheme not in ("http", "https"):
        raise InvalidUrl(f"proxy {shown}: {scheme}:// is neither http:// nor https://")
    parts = _split(text if "://" in text else f"http://{text}", shown)
    if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidUrl(f"proxy {shown}: only scheme, user, host and port are expected")
    secure = scheme == "https"
    return ProxyAddress(
        host=parts.hostname,
        port=parts.port or (443 if secure else 80),
        secure=secure,
        username=None if parts.username is None else unquote(parts.username),
        password=unquote(parts.password or ""),
    )


def _split(text: str, shown: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises if it is not a port
    except ValueError as error:
        raise InvalidUrl(f"proxy {shown}: host or port cannot be read") from error
    return parts


def choose_proxy(
    setting: str | None, *, host: str, port: int, secure: bool, environ: Mapping[str, str]
) -> ProxyAddress | None:
    """Return the proxy for a connection, or None for a direct one.

    `setting` is None, a proxy's URL, or ``environment``: then for TLS ``HTTPS_PROXY``, else
    ``HTTP_PROXY``, then ``ALL_PROXY``, each also in lower case, which goes first, unless
    ``NO_PROXY`` names the host. This machine is never looked for through the environment's proxy.

    Raises:
        InvalidUrl: the setting or variable that applies cannot be used.
    """
    if setting != "environment":
        return None if setting is None else parse_proxy(setting)
    if _is_loopback(host) or _is_excluded(host, port, _variable(environ, "no_proxy")):
        return None
    # A web server puts a request's "Proxy:" header into HTTP_PROXY: under CGI it is not ours.
    for name in ("https_proxy" if secure else "http_proxy", "all_proxy"):
        if name == "http_proxy" and "REQUEST_METHOD" in environ:
            text = environ.get(name, "")
        else:
            text = _variable(environ, name)
        if text:
            return parse_proxy(text)
    return None


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_excluded(host: str, port: int, rules: str) -> bool:
    """Tell whether NO_PROXY names the host: by name, domain, address or network."""
    address = _address(host)
    for entry in rules.lower().replace(",", " ").split():
        bare_ipv6 = entry.count(":") > 1 and not entry.startswith("[")
        rule = entry if bare_ipv6 else entry.removesuffix(f":{port}")
        if rule == "*":
            return True
        if address is not None:
            if _holds(rule.strip("[]"), address):
                return True
        elif host == rule.lstrip("*.") or host.endswith("." + rule.lstrip("*.")):
            return True
    return False


def _holds(rule: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False


async def open_tunnel(stream: ByteStream, proxy: ProxyAddress, host: str, port: int) -> None:
    """Ask the proxy at the other end of `stream` for a tunnel to a host.

    Raises:
        Disconnected: the proxy refuses.
        ProtocolError: the proxy does not answer as one.
        anyio.EndOfStream: the proxy ended the stream.

    Source: RFC 9110 §9.3.6.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if proxy.username is not None:
        credentials = f"{proxy.username}:{proxy.password}".encode()
        request += f"Proxy-Authorization: Basic {base64.b64encode(credentials).decode()}\r\n"
    await stream.send(f"{request}\r\n".encode())
    place = f"proxy {proxy.host}:{proxy.port}"
    try:
        head, rest = await read_head(stream)
    except ValueError as error:
        raise ProtocolError(f"{place}: {error}") from error
    version, _, answer = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    if not version.startswith("HTTP/1.") or not answer[:3].isdigit():
        raise ProtocolError(f"{place} did not answer as one: {head[:60]!r}")
    if not answer.startswith("2"):
        raise Disconnected(f"{place} refused to connect to {target}: {answer[:200]}")
    if rest:
        raise ProtocolError(f"{place} spoke for {target} before it was asked: {rest[:60]!r}")
