"""Messages: what each kind becomes, in any order of its fields, and what is refused."""

import itertools
import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.snap.strategies import EXPORTS

from firekeep_core.errors import ProtocolError
from firekeep_core.operation.operation import Merge, Overwrite, RangeMerge
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export
from firekeep_core.wire.control import (
    AppCheckRevoked,
    AuthRevoked,
    Handshake,
    ListenRevoked,
    Ping,
    Pong,
    Redirect,
    SecurityDebug,
    ServerError,
    Shutdown,
    Unknown,
)
from firekeep_core.wire.message import Request, Response, decode, encode_request

QUERY = {"l": 2, "vf": "r", "i": "score"}


def data(action: str, body: Any) -> dict[str, Any]:
    return {"t": "d", "d": {"a": action, "b": body}}


def control(kind: str, payload: Any) -> dict[str, Any]:
    return {"t": "c", "d": {"t": kind, "d": payload}}


MESSAGES: dict[str, tuple[dict[str, Any], Any]] = {
    "greeting": (
        control("h", {"ts": 1700000000000, "v": "5", "h": "host:9000", "s": "id"}),
        Handshake(1700000000000, "5", "host:9000", "id"),
    ),
    "redirect": (control("r", "other"), Redirect("other")),
    "shutdown": (control("s", "go"), Shutdown("go")),
    "error": (control("e", "text"), ServerError("text")),
    "ping": (control("p", {}), Ping()),
    "pong": (control("o", None), Pong()),
    "revoked listen": (data("c", {"p": "rooms/r1"}), ListenRevoked(Path.parse("rooms/r1"))),
    "revoked query": (
        data("c", {"p": "/list", "q": [QUERY]}),
        ListenRevoked(Path.parse("list"), [QueryParams.from_wire(QUERY)]),
    ),
    "revoked token": (
        data("ac", {"s": "expired_token", "d": "Expired."}),
        AuthRevoked("expired_token", "Expired."),
    ),
    "revoked check": (data("apc", {"s": "invalid_token"}), AppCheckRevoked("invalid_token")),
    "debug": (data("sd", {"msg": "a\nb"}), SecurityDebug("a\nb")),
    "data error": ({"t": "d", "d": {"error": "no"}}, ServerError("no")),
}


def orders(value: Any) -> Iterator[Any]:
    """Give the value with the fields of its outer objects in every order."""
    if not isinstance(value, dict):
        yield value
        return
    fields = cast("dict[str, Any]", value)
    for names in itertools.permutations(fields):
        for children in itertools.product(*[list(orders(fields[name])) for name in names]):
            yield dict(zip(names, children, strict=True))


def one(message: Any) -> Any:
    decoded = decode([json.dumps(message).encode()])
    assert len(decoded) == 1
    return decoded[0]


@pytest.mark.parametrize("name", MESSAGES)
def test_each_kind_becomes_its_value_in_any_order(name: str) -> None:
    message, expected = MESSAGES[name]

    for ordered in orders(message):
        assert one(ordered) == expected


@given(EXPORTS, st.sampled_from([None, 0, 1, 2**31 - 1]))
def test_an_overwrite_holds_path_node_and_tag(value: Any, tag: int | None) -> None:
    body = {"p": "rooms/r1", "d": value} | ({} if tag is None else {"t": tag})

    for ordered in itertools.islice(orders({"t": "d", "d": {"a": "d", "b": "B"}}), 4):
        text = json.dumps(ordered).replace('"B"', json.dumps(body))
        (operation,) = decode([text])

        assert type(operation) is Overwrite
        assert operation.path == Path.parse("rooms/r1")
        assert operation.node == from_export(value)
        assert operation.tag == (tag or None)


def test_a_push_of_nothing_at_the_root_is_a_deletion_of_all() -> None:
    operation = one(data("d", {"p": "", "d": None, "t": None}))

    assert operation.path == Path.parse("")
    assert operation.node.is_empty
    assert operation.tag is None


@pytest.mark.parametrize("children", [{"a": 2, "/b/x": None, "c/.priority": 1}, {"a": [1, 2]}])
def test_a_merge_holds_relative_paths_in_their_order(children: dict[str, Any]) -> None:
    for ordered in orders(data("m", {"p": "/r", "d": "D", "t": 3})):
        (merge,) = decode([json.dumps(ordered).replace('"D"', json.dumps(children))])

        assert type(merge) is Merge
        assert merge.tag == 3
        assert [(path, export(node)) for path, node in merge.children] == [
            (Path.from_wire(key), export(from_export(value))) for key, value in children.items()
        ]


@pytest.mark.parametrize("empty", [{}, None, []])
def test_a_merge_of_nothing_is_left_out(empty: Any) -> None:
    assert decode([json.dumps(data("m", {"p": "a", "d": empty}))]) == []
    assert decode([json.dumps(data("rm", {"p": "a", "d": []}))]) == []


def test_a_range_merge_holds_its_ranges() -> None:
    ranges = [
        {"s": "b/x", "e": "c", "m": {"b": {"y": False}}},
        {"e": "/", "m": "leaf"},
        {"s": None, "e": None, "m": None},
        {"s": "z"},
    ]

    for ordered in orders(data("rm", {"p": "rooms", "t": 7, "d": "D"})):
        (merge,) = decode([json.dumps(ordered).replace('"D"', json.dumps(ranges))])

        assert type(merge) is RangeMerge
        assert merge.path == Path.parse("rooms")
        assert merge.tag == 7
        assert [(start, end, export(node)) for start, end, node in merge.ranges] == [
            (Path.parse("b/x"), Path.parse("c"), {"b": {"y": False}}),
            (None, Path.parse(""), "leaf"),
            (None, None, None),
            (Path.parse("z"), None, None),
        ]


@pytest.mark.parametrize("number", [0, 1, 2**31 - 1])
@pytest.mark.parametrize("payload", ["", "text", {"w": ["no_index"]}, None, 5])
def test_a_response_holds_number_status_and_data(number: int, payload: Any) -> None:
    for ordered in orders({"t": "d", "d": {"r": number, "b": {"s": "ok", "d": payload}}}):
        response = one(ordered)

        assert type(response) is Response
        assert (response.number, response.status, response.payload) == (number, "ok", payload)


def test_a_response_may_have_no_data() -> None:
    response = one({"t": "d", "d": {"r": 3, "b": {"s": "failure"}}})

    assert response.data.is_empty
    assert repr(response) == "Response(3, 'failure', <Node None>)"


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("q", {"p": "/list", "q": QUERY, "t": 1, "h": "", "ch": {"hs": [""], "ps": []}}),
    ("g", {"p": "/a.b", "q": {}}),
    ("p", {"p": "/a", "d": {"x": [None, 1]}, "h": "abc"}),
    ("o", {"p": "/a", "d": {".sv": "timestamp"}}),
    ("oc", {"p": "/a", "d": None}),
    ("m", {"p": "/rooms", "d": {"r1/a": 2, "r3": None}}),
    ("auth", {"cred": "x", "authvar": {"uid": "u", "email.com": {}, ".odd": [1.5, True]}}),
    ("s", {"c": {"sdk.js.11-0-0": 1}}),
]


@pytest.mark.parametrize(("action", "body"), REQUESTS)
def test_a_server_gets_requests_in_any_order(action: str, body: dict[str, Any]) -> None:
    for ordered in orders({"t": "d", "d": {"r": 7, "a": action, "b": "B"}}):
        (request,) = decode([json.dumps(ordered).replace('"B"', json.dumps(body))])

        assert type(request) is Request
        assert (request.number, request.action) == (7, action)
        held = dict(request.body)
        if isinstance(held.get("d"), Node):
            held["d"] = export(held["d"])
            body = {**body, "d": export(from_export(body["d"]))}
        elif action == "m":
            held["d"] = {str(path)[1:]: export(node) for path, node in held["d"]}
        assert held == body


@pytest.mark.parametrize(
    "message",
    [{"t": "x", "d": {}}, control("n", {}), data("unheard", {"p": "a"}), {"t": "", "d": 1}],
)
def test_the_unknown_is_named_and_shortened(message: dict[str, Any]) -> None:
    unknown = one({**message, "more": "x" * 1000})

    assert type(unknown) is Unknown
    assert len(unknown.text) <= 80


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "[]",
        "null",
        '"d"',
        "{",
        "{}",
        '{"t":"d"}',
        '{"d":{}}',
        '{"t":1,"d":{}}',
        '{"t":"d","d":[]}',
        '{"t":"d","d":{}}',
        '{"t":"d","d":{"a":"d"}}',
        '{"t":"d","d":null}',
        '{"t":"d","d":{"a":"d","b":{}}}',
        '{"t":"d","d":{"a":"d","b":{"p":"a"}}}',
        '{"t":"d","d":{"a":"d","b":{"d":1}}}',
        '{"t":"d","d":{"a":"d","b":{"p":1,"d":1}}}',
        '{"t":"d","d":{"a":"d","b":{"p":"a","d":1,"t":"1"}}}',
        '{"t":"d","d":{"a":"d","b":{"p":"a","d":1,"t":-1}}}',
        '{"t":"d","d":{"a":"d","b":{"p":"a","d":1,"t":1.5}}}',
        '{"t":"d","d":{"a":"d","b":{"p":"a","d":1,"t":4294967296}}}',
        '{"t":"d","d":{"a":"d","b":{"p":"a","d":1}}}}',
        '{"t":"d","d":{"a":"d","b":{"p":"a","d":1}}} 1',
        '{"t":"d","d":{"a":"m","b":{"p":"a","d":1}}}',
        '{"t":"d","d":{"a":"m","b":{"p":"a"}}}',
        '{"t":"d","d":{"a":"m","b":{"p":"a","d":{"":1}}}}',
        '{"t":"d","d":{"a":"m","b":{"p":"a","d":{"/":1}}}}',
        '{"t":"d","d":{"a":"rm","b":{"p":"a","d":{}}}}',
        '{"t":"d","d":{"a":"rm","b":{"p":"a","d":[1]}}}',
        '{"t":"d","d":{"a":"rm","b":{"p":"a","d":[{"s":1}]}}}',
        '{"t":"d","d":{"a":"c","b":{}}}',
        '{"t":"d","d":{"a":"c","b":{"p":"a","q":[1]}}}',
        '{"t":"d","d":{"a":"c","b":{"p":"a","q":[{"l":"x"}]}}}',
        '{"t":"d","d":{"r":1}}',
        '{"t":"d","d":{"r":1,"b":{}}}',
        '{"t":"d","d":{"r":1,"b":{"s":1}}}',
        '{"t":"d","d":{"r":-1,"b":{"s":"ok"}}}',
        '{"t":"d","d":{"r":"1","b":{"s":"ok"}}}',
        '{"t":"d","d":{"r":2147483648,"b":{"s":"ok"}}}',
        '{"t":"d","d":{"b":{"s":"ok"}}}',
        '{"t":"c","d":{}}',
        '{"t":"c","d":{"t":1}}',
        '{"t":"c","d":{"t":"r","d":{}}}',
        '{"t":"c","d":{"t":"s"}}',
        '{"t":"c","d":{"t":"h"}}',
        '{"t":"c","d":{"t":"h","d":{"h":"x"}}}',
        '{"t":"c","d":{"t":"h","d":{"ts":1,"h":""}}}',
        '{"t":"c","d":{"t":"h","d":{"ts":true,"h":"x"}}}',
        '{"d":{"a":"d","b":{"p":"a","d":tru}},"t":"d"}',
        '{"d":{"a":"d","b":{"p":"a","d":1}}x,"t":"d"}',
        '{"d":{"b":{"p":"a","d":1}{},"a":"d"},"t":"d"}',
        "{'t':'d'}",
    ],
)
def test_what_breaks_the_protocol_is_refused(text: str) -> None:
    good = json.dumps(data("d", {"p": "a", "d": 1}))
    with pytest.raises(ProtocolError):
        decode([good, text, good])
    with pytest.raises(ProtocolError):
        decode([text.encode()])


@pytest.mark.parametrize(
    "text",
    [
        '{"t":"d","d":{"a":"d","b":{"p":"' + "a/" * 600 + '","d":1}}}',
        '{"t":"d","d":{"a":"m","b":{"p":"","d":{"' + "a/" * 600 + '":1}}}}',
        '{"t":"d","d":{"a":"d","b":{"p":"a","d":' + "[" * 100_000,
        '{"t":' * 100_000,
        '{"t":"c","d":' + '{"a":' * 100_000,
        '{"t":"c","d":' + "[" * 100_000,
        '{"d":' * 100_000,
        '{"t":"d","d":{"b":' + "[" * 100_000 + "]" * 100_000 + ',"a":"d"}}',
        '{"t":"d","d":{"a":"c","b":{"p":"a","q":[' + '{"a":' * 100_000,
    ],
)
def test_no_nesting_is_too_deep_to_be_refused(text: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        decode([text])

    assert len(str(raised.value)) < 300


@given(
    st.sampled_from(
        [json.dumps(message) for message, _ in MESSAGES.values()]
        + [json.dumps(data("rm", {"p": "a", "d": [{"s": "a", "e": "b/c", "m": {"x": 1}}]}))]
        + [json.dumps({"t": "d", "d": {"r": 7, "a": a, "b": b}}) for a, b in REQUESTS]
    ),
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.integers(0, 12),
            st.one_of(
                st.sampled_from([*map(bytes, zip(b'{}[]",:\\0en\xed'))]), st.binary(max_size=3)
            ),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_damaged_messages_are_read_or_refused(
    text: str, damage: list[tuple[int, int, bytes]]
) -> None:
    message = bytearray(text.encode())
    for at, length, replacement in damage:
        at %= len(message) + 1
        message[at : at + length] = replacement

    try:
        decode([bytes(message)])
    except ProtocolError as error:
        assert len(str(error)) < 400


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ProtocolError, match="half a character"):
        decode(['{"t":"c","d":{"t":"r","d":"\ud800"}}'])
    with pytest.raises(TypeError):
        decode([3])  # type: ignore[list-item]  # pyright: ignore


def test_many_messages_are_decoded_in_their_order() -> None:
    messages = [
        json.dumps(data("d", {"p": f"k{i}", "d": {"same key": i}})).encode() for i in range(500)
    ]

    operations: list[Any] = decode(messages)

    assert [str(operation.path) for operation in operations] == [f"/k{i}" for i in range(500)]
    assert [operation.node.child("same key").value for operation in operations] == [*range(500)]


@given(EXPORTS)
def test_a_request_is_encoded_with_its_nodes(value: Any) -> None:
    body = {"p": "/a \ud800", "d": {"x/y": from_export(value)}, "q": {"l": [1, 2.5, None, True]}}

    text = encode_request(7, "m", body)

    assert text.isascii() or "\\ud800" in text
    assert json.loads(text) == {
        "t": "d",
        "d": {"r": 7, "a": "m", "b": {**body, "d": {"x/y": export(from_export(value))}}},
    }
