"""JSON text, against the module of the standard library as the oracle."""

import json
import struct
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.snap.strategies import EXPORTS, JSON_VALUES

from firekeep_core.errors import ProtocolError
from firekeep_core.snap.json import dump, parse
from firekeep_core.snap.node import from_scalar
from firekeep_core.snap.value import export, from_export, to_python


def loads(text: bytes | str) -> Any:
    """Read as the oracle does, only that -0 stays what it says."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    def integer(digits: str) -> int | float:
        return -0.0 if digits == "-0" else int(digits)

    if isinstance(text, bytes):
        text = text.decode()
    return json.loads(text, parse_constant=refuse, parse_int=integer)


def identical(a: Any, b: Any) -> bool:
    """Compare as `==` does, and types and signs of zero, too."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(
            identical(a[key], b[key]) for key in cast("dict[str, Any]", a)
        )
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    return bool(a == b)


@given(JSON_VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_text_is_read_as_the_standard_library_reads_it(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    # The oracle does not join two raw surrogates that make a character; escaped, it does.
    expected = export(from_export(json.loads(json.dumps(value))))

    assert identical(export(parse(text)), expected)


@given(EXPORTS)
def test_what_is_written_is_read_back_and_valid(value: Any) -> None:
    node = from_export(value)
    text = dump(node)

    assert identical(export(parse(text)), export(node))
    assert identical(loads(text), export(node))
    assert loads(dump(node, export=False)) == to_python(node)
    assert text.decode() == dump(parse(text)).decode()


@given(
    JSON_VALUES,
    st.lists(
        st.tuples(
            st.integers(0, 400),
            st.sampled_from(["insert", "replace", "delete"]),
            st.one_of(st.sampled_from(list(b'{}[]",:\\0eE-.tnu\xed\xa0')), st.integers(0, 255)),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_damaged_text_is_refused_exactly_when_it_is_no_json(
    value: Any, damage: list[tuple[int, str, int]]
) -> None:
    text = bytearray(json.dumps(value).encode())
    for at, what, byte in damage:
        at %= len(text) + 1
        text[at : at + (what != "insert")] = b"" if what == "delete" else bytes([byte])

    try:
        expected = loads(bytes(text))
        json.dumps(expected, allow_nan=False)
    except ValueError:
        with pytest.raises(ProtocolError, match="invalid JSON"):
            parse(bytes(text))
    else:
        assert parse(bytes(text)) == from_export(expected)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse(data)
    except ProtocolError:
        pass


def surely_finite(text: str) -> bool:
    return abs(float(text)) < float("inf")


@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
)
@example("9007199254740993")
@example("9007199254740993.0")
@example("0.1")
@example("2.2250738585072011e-308")
@example("4.9e-324")
@example("1.7976931348623157e308")
@example("1.7976931348623159e308")
@example("9223372036854775807")
@example("9223372036854775808")
@example("-9223372036854775808")
@example("-9223372036854775809")
@example("0." + "0" * 40 + "1")
@example("1" * 400)
def test_numbers_are_read_to_the_last_bit(text: str) -> None:
    if not surely_finite(text):
        with pytest.raises(ProtocolError, match="too large"):
            parse(text)
        return
    expected = loads(text)
    if isinstance(expected, int) and not -(2**63) <= expected < 2**63:
        expected = float(expected)

    assert identical(parse(text).value, expected)


@given(st.integers(2**52, 2**53 - 1), st.integers(0, 9))
def test_numbers_between_two_doubles_are_rounded_to_even(mantissa: int, places: int) -> None:
    text = f"{2 * mantissa + 1}e-{places}"

    assert parse(text).value == float(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e15)
@example(0.001)
@example(123456.789)
@example(5e-324)
def test_doubles_are_written_as_python_writes_them(number: float) -> None:
    assert dump(from_scalar(number)).decode() == repr(number)


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_written_in_full(number: int) -> None:
    assert dump(from_scalar(number)).decode() == str(number)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "nul", "truefalse", "NaN", "Infinity", "-Infinity", "1e400", "-1e999"),
        *("01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "1_0", "--1"),
        *('"', '"a', '"\\', '"\\x"', '"\\u12"', '"\\u123g"', '"a\nb"', '"\x00"', "'a'"),
        *("{", "}", '{"a"}', '{"a":}', '{"a":1,}', '{"a":1', "{a:1}", '{"a" 1}', "{1:2}", "{,}"),
        *("[", "]", "[1,]", "[1 2]", "[,1]", "1 2", "{} {}", '{"a":1}}', "[1}"),
        *("\ufeff1", "\x0b1", "\u00a01"),
    ],
)
def test_text_that_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="invalid JSON"):
        parse(text)
    with pytest.raises(ProtocolError, match="invalid JSON"):
        parse(b" [" + text.encode() + b"[")


@pytest.mark.parametrize(
    "data",
    [
        *(b"\xff", b"\xc0\xaf", b"\xc1\xbf", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf0\x80\x80\x80"),
        *(b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80", b"\xc3", b"\xf0\x9f\x92"),
    ],
)
def test_text_that_is_no_utf8_is_refused(data: bytes) -> None:
    for text in (b'"' + data + b'"', b'"long enough to be scanned in one step ' + data + b'"'):
        with pytest.raises(ProtocolError, match="invalid UTF-8"):
            parse(text)
        with pytest.raises(ProtocolError):
            parse(b'{"key' + text[1:] + b":1}")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud83d\ude00"', "😀"),
        (r'"\ud83d"', "\ud83d"),
        (r'"\ude00\ud83d"', "\ude00\ud83d"),
        (r'"\ud83d\ud83d\ude00"', "\ud83d😀"),
        (r'"\ud83dx"', "\ud83dx"),
        (r'"\/\b\f\n\r\t\"\\"', '/\b\f\n\r\t"\\'),
        (r'"\u0000"', "\0"),
    ],
)
def test_escapes_stand_for_their_characters(text: str, value: str) -> None:
    assert parse(text).value == value
    assert parse(dump(parse(text))).value == value
    assert export(parse(f"{{{text}: 1}}")) == {value: 1}


def test_a_str_with_raw_surrogates_is_read() -> None:
    assert parse('"\ud83d\ude00 and \ud83d"').value == "😀 and \ud83d"


def test_lone_surrogates_are_written_as_escapes() -> None:
    assert dump(from_scalar("a\ud83d")) == b'"a\\ud83d"'
    assert dump(from_export({"\udfff": "é"})) == '{"\\udfff":"é"}'.encode()


def test_of_equal_keys_the_last_counts() -> None:
    assert export(parse('{"a":1,"b":2,"a":3}')) == {"a": 3, "b": 2}
    assert export(parse('{"a":1,"b":2,"a":null}')) == {"b": 2}
    assert export(parse('{"a":1,"\\u0061":{"x":1}}')) == {"a": {"x": 1}}


@pytest.mark.parametrize(
    ("text", "exported"),
    [
        ('{".priority":"p","a":1}', {"a": 1, ".priority": "p"}),
        ('{"a":1,".priority":2,".priority":3}', {"a": 1, ".priority": 3}),
        ('{"a":1,".priority":false}', {"a": 1}),
        ('{"a":1,".priority":{".sv":"timestamp"}}', {"a": 1, ".priority": {".sv": "timestamp"}}),
        ('{".value":1,"a":{"b":2},".priority":3}', {".value": 1, ".priority": 3}),
        ('{".value":null,"a":1}', {"a": 1}),
        ('{".value":{"a":1,".priority":1},".priority":2}', {"a": 1, ".priority": 2}),
        ('{".value":{".value":1,".priority":1}}', 1),
        ('{".priority":1}', None),
        ('{".x":[{".y":1}],"a":1}', {"a": 1}),
        ('{".sv":"timestamp"}', {".sv": "timestamp"}),
        ('{".sv":{"increment":-1}}', {".sv": {"increment": -1}}),
        ('{".sv":{"increment":"1"}}', {".sv": {"increment": "1"}}),
        ('{".value":{".sv":"timestamp"},".priority":1}', None),
        ('["x",null,[],{},"z"]', {"0": "x", "4": "z"}),
        ('{"a":{"b":[]},"c":{"d":{}}}', None),
        ("[[[1]]]", {"0": {"0": {"0": 1}}}),
    ],
)
def test_special_keys_take_effect_as_in_an_export(text: str, exported: Any) -> None:
    if exported is None and ".sv" in text:
        exported = {".value": {".sv": "timestamp"}, ".priority": 1}

    assert export(parse(text)) == exported
    assert export(from_export(json.loads(text))) == exported


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"b":', '{".value":', '{".priority":'])
def test_nesting_is_bounded(opening: str) -> None:
    with pytest.raises(ProtocolError, match="nested too deep"):
        parse(opening * 100_000)


def test_250_levels_are_read() -> None:
    assert parse("[" * 250 + "1" + "]" * 250).leaf_count == 1


def test_records_with_equal_and_changing_shapes_are_read() -> None:
    records = [
        {"name": "x" * i, "a rather long key": i, **({"extra": 1} if i % 3 else {}), f"key{i}": i}
        for i in range(200)
    ]
    value = {f"record number {i}": record for i, record in enumerate(records)}

    assert export(parse(json.dumps(value))) == value


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_of_bytes_is_read(kind: type) -> None:
    assert parse(kind(b'{"a":1}')).child("a").value == 1


def test_an_error_says_what_where_and_near_what() -> None:
    with pytest.raises(ProtocolError, match="at byte 6, near") as raised:
        parse('{"a": tru}' + " " * 10_000)

    assert "a value was expected" in str(raised.value)
    assert len(str(raised.value)) < 150
