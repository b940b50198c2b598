"""The texts that the server sends, and the envelope of those it receives."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from firekeep_core.errors import ProtocolError
from firekeep_core.snap.json import dump
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path

__all__ = [
    "Request",
    "answer",
    "auth_revoked",
    "decode",
    "handshake",
    "listen_revoked",
    "merge",
    "overwrite",
    "pong",
    "range_merge",
    "redirect",
    "shutdown",
    "wire_path",
]

PROTOCOL_VERSION = "5"
MAX_REQUEST_NUMBER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a client: data as plain Python values, null and arrays included."""

    number: int
    action: str
    body: dict[str, Any]


def decode(message: bytes | bytearray) -> Request | str:
    """Read one whole message of a client: a request, or the type of a control message.

    Raises:
        ProtocolError: no JSON, or none that has the form of wire §2.4 and §3.1.
    """
    try:
        envelope: object = json.loads(message, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"unreadable message {_shown(message)}: {error}") from error
    whole = _read_object(envelope, message)
    kind, data = _read_text(whole, "t", message), _read_object(whole.get("d"), message)
    if kind == "c":
        return _read_text(data, "t", message)
    if kind != "d":
        raise ProtocolError(f"message of unknown type {kind!r:.40}")
    number = data.get("r")
    if (
        not isinstance(number, int)
        or isinstance(number, bool)
        or not 0 <= number <= MAX_REQUEST_NUMBER
    ):
        raise ProtocolError(f"request number {number!r:.40}: not within 32 bits")
    action, body = _read_text(data, "a", message), _read_object(data.get("b"), message)
    return Request(number, action, body)


def handshake(now_ms: int, host: str, session_id: str) -> str:
    """Return the first message of a session."""
    details = {"ts": now_ms, "v": PROTOCOL_VERSION, "h": host, "s": session_id}
    return _control("h", details)


def redirect(host: str) -> str:
    """Return the order to connect to another host."""
    return _control("r", host)


def shutdown(reason: str) -> str:
    """Return the order to stay away."""
    return _control("s", reason)


def pong() -> str:
    """Return the answer to a ping."""
    return _control("o", None)


def answer(number: int, status: str, data: Node | str | Mapping[str, object] = "") -> str:
    """Return the response to the request of that number."""
    text = _node_text(data) if isinstance(data, Node) else _text(data)
    return f'{{"t":"d","d":{{"r":{number},"b":{{"s":{_text(status)},"d":{text}}}}}}}'


def overwrite(path: Path, node: Node, tag: int | None = None) -> str:
    """Return the push that makes `node` the value at `path`."""
    return _push("d", path, _node_text(node), tag)


def merge(path: Path, children: Sequence[tuple[Path, Node]], tag: int | None = None) -> str:
    """Return the push that replaces what is at each of the relative paths."""
    parts = [f"{_text(wire_path(below))}:{_node_text(node)}" for below, node in children]
    return _push("m", path, f"{{{','.join(parts)}}}", tag)


def range_merge(
    path: Path, ranges: Sequence[tuple[Path | None, Path | None, Node]], tag: int | None = None
) -> str:
    """Return the push that replaces the leaves of each range: after start, up to end."""
    return _push("rm", path, f"[{','.join([_range_text(*one) for one in ranges])}]", tag)


def listen_revoked(path: Path, query: Mapping[str, object] | None) -> str:
    """Return the push that ends one listen."""
    queries = "" if query is None else f',"q":[{_text(query)}]'
    return f'{{"t":"d","d":{{"a":"c","b":{{"p":{_text(wire_path(path))}{queries}}}}}}}'


def auth_revoked(status: str, text: str) -> str:
    """Return the push that takes away the client's identity."""
    return _text({"t": "d", "d": {"a": "ac", "b": {"s": status, "d": text}}})


def wire_path(path: Path) -> str:
    """Return the path as production writes it: without a leading slash, the root empty."""
    return "/".join(path.keys)


def _push(action: str, path: Path, data: str, tag: int | None) -> str:
    tagged = "" if tag is None else f',"t":{tag}'
    place = _text(wire_path(path))
    return f'{{"t":"d","d":{{"a":"{action}","b":{{"p":{place},"d":{data}{tagged}}}}}}}'


def _range_text(start: Path | None, end: Path | None, node: Node) -> str:
    # A range that ends at the value itself ends at "/" (wire §4.5).
    bounds = [
        f'"{name}":{_text(wire_path(bound) or "/")},'
        for name, bound in (("s", start), ("e", end))
        if bound is not None
    ]
    return f'{{{"".join(bounds)}"m":{_node_text(node)}}}'


def _control(kind: str, data: object) -> str:
    return _text({"t": "c", "d": {"t": kind, "d": data}})


def _node_text(node: Node) -> str:
    return dump(node).decode()


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _read_object(value: object, message: bytes | bytearray) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProtocolError(f"no object where one has to be: {_shown(message)}")
    return cast("dict[str, Any]", value)


def _read_text(holder: Mapping[str, object], name: str, message: bytes | bytearray) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise ProtocolError(f"{name!r} is {value!r:.40}, which is no text: {_shown(message)}")
    return value


def _shown(message: bytes | bytearray) -> str:
    """Return the beginning of a message, if that cannot be a part of a credential."""
    return "(a login)" if b"auth" in message or b"cred" in message else repr(message[:80])


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
