"""Records: nodes as CBOR against cbor2 as the oracle, seals, fields, and hostile bytes."""

import math
import struct
from collections.abc import Mapping
from typing import Any, cast
from zlib import crc32

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.core.snap.strategies import EXPORTS, JSON_VALUES, PLAIN

from firekeep_core.errors import CorruptRecord, InvalidValue, ProtocolError
from firekeep_core.snap.json import dump, parse
from firekeep_core.snap.node import EMPTY, Node, from_scalar
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export
from firekeep_core.snap.word import collect, statistics
from firekeep_core.store.record import (
    FORM_PIECES,
    SEAL_BYTES,
    decode_fields,
    decode_node,
    encode_fields,
    encode_node,
    seal,
    unseal,
    weight,
)
from firekeep_core.wire.message import decode

PRIORITY, SERVER_VALUE = 18000, 18003

#: With unresolved server values of known and unknown forms, as values and as priorities.
DEFERRED: st.SearchStrategy[Any] = st.one_of(
    st.just("timestamp"),
    st.builds(lambda by: {"increment": by}, st.integers(-(2**63), 2**63 - 1) | st.floats(-9, 9)),
    st.none(),
    st.sampled_from(["later", {"increment": "1"}, {"multiply": 2}, {".sv": "timestamp"}, True]),
).map(lambda operand: {".sv": operand})
RAW: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        EXPORTS,
        DEFERRED,
        st.builds(lambda v, p: {".value": v, ".priority": p}, DEFERRED, st.integers() | DEFERRED),
    ),
    lambda children: st.builds(
        lambda map, priority: {**map, ".priority": priority},
        st.dictionaries(st.sampled_from("abcde"), children, min_size=1, max_size=4),
        st.none() | DEFERRED,
    ),
    max_leaves=6,
)


def bits(value: Any) -> Any:
    """Show what a value is to the last bit: 1, 1.0 and True, 0.0 and -0.0 apart."""
    if isinstance(value, dict):
        return [(key, bits(child)) for key, child in cast("dict[str, Any]", value).items()]
    if isinstance(value, float):
        return struct.pack("<d", value)
    return type(value), value


def decoded(value: Any) -> Any:
    """Make an export of what cbor2 has read."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogatepass")
    if isinstance(value, Mapping):
        children = cast("Mapping[Any, Any]", value)
        return {decoded(key): decoded(child) for key, child in children.items()}
    if not isinstance(value, cbor2.CBORTag):
        return value
    if value.tag == SERVER_VALUE:
        return {".sv": decoded(value.value)}
    assert value.tag == PRIORITY
    node, priority = (decoded(part) for part in value.value)
    node = {**node} if isinstance(node, dict) and ".sv" not in node else {".value": node}
    return {**node, ".priority": priority}


@given(EXPORTS)
def test_a_node_is_read_back_to_the_last_bit(value: Any) -> None:
    node = from_export(value)

    assert bits(export(decode_node(encode_node(node)))) == bits(export(node))


@given(JSON_VALUES)
def test_what_a_peer_sent_is_read_back(value: Any) -> None:
    node = from_export(value)
    back = decode_node(encode_node(node))

    assert bits(export(back)) == bits(export(node))
    assert encode_node(back) == encode_node(node)


@given(RAW)
@example({".sv": None})
@example({".sv": {".sv": {"increment": 1.0}}})
@example({".value": {".sv": {"x": {".value": 1, ".priority": 2}}}, ".priority": {".sv": "later"}})
def test_unresolved_server_values_are_read_back(value: Any) -> None:
    node = from_export(value)
    back = decode_node(encode_node(node))

    assert back == node
    assert dump(back) == dump(node)


@given(PLAIN)
def test_another_reader_of_cbor_understands_plain_values(value: Any) -> None:
    node = from_export(value)
    expected = export(node)

    assert bits(decoded(cbor2.loads(encode_node(node)))) == bits(expected)
    try:
        text = cbor2.dumps(expected)
    except UnicodeEncodeError:
        return
    assert bits(export(decode_node(text))) == bits(expected)


@given(EXPORTS)
def test_another_reader_of_cbor_understands_priorities(value: Any) -> None:
    node = from_export(value)

    assert from_export(decoded(cbor2.loads(encode_node(node)))) == node


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (None, "f6"),
        (True, "f5"),
        (False, "f4"),
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (-1, "20"),
        (-256, "38ff"),
        (2**63 - 1, "1b7fffffffffffffff"),
        (-(2**63), "3b7fffffffffffffff"),
        (1.0, "f93c00"),
        (-0.0, "f98000"),
        (0.0, "f90000"),
        (65504.0, "f97bff"),
        (65536.0, "fa47800000"),
        (2.0**-14, "f90400"),
        (2.0**-15, "fa38000000"),
        (0.1, "fb3fb999999999999a"),
        (3.4028234663852886e38, "fa7f7fffff"),
        (3.4028234663852889e38, "fb47efffffe0000001"),
        (5e-324, "fb0000000000000001"),
        ("a", "6161"),
        ("\ud800", "43eda080"),
        ({"a": 1}, "a1616101"),
        ({"9": 1, "10": 2}, "a261390162313002"),
        ({"\udfff": 1}, "a143edbfbf01"),
        ({".value": 1, ".priority": "p"}, "d94650820" + "16170"),
        ({"a": 1, ".priority": 2}, "d9465082a161610102"),
        ({".sv": "timestamp"}, "d946536974696d657374616d70"),
        ({".sv": {"increment": 1}}, "d94653a169696e6372656d656e7401"),
        ({".sv": {"max": 3}}, "d94653a1636d617803"),
    ],
)
def test_the_form_stays_what_it_is(value: Any, encoded: str) -> None:
    assert encode_node(from_export(value)).hex() == encoded
    assert bits(export(decode_node(bytes.fromhex(encoded)))) == bits(value)


@given(st.floats(width=16, allow_nan=False, allow_infinity=False))
def test_halves_are_read_as_another_reader_reads_them(number: float) -> None:
    data = b"\xf9" + struct.pack(">e", number)

    assert bits(decode_node(data).value) == bits(cbor2.loads(data)) == bits(number)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.floats(width=32).filter(math.isfinite))
def test_a_double_stays_a_double(number: float) -> None:
    data = encode_node(from_scalar(number))

    assert bits(decode_node(data).value) == bits(cbor2.loads(data)) == bits(number)


@given(JSON_VALUES, st.data())
def test_a_node_that_is_cut_off_or_has_more_after_it_is_refused(
    value: Any, data: st.DataObject
) -> None:
    encoded = encode_node(from_export(value))
    length = data.draw(st.integers(0, len(encoded) - 1))

    for damaged in (encoded[:length], encoded + b"\0", encoded + encoded):
        with pytest.raises(CorruptRecord):
            decode_node(damaged)


@given(st.binary(max_size=60))
@example(b"\xd9\x46\x50\x82\x01")
def test_any_bytes_are_a_node_or_refused(data: bytes) -> None:
    try:
        node = decode_node(data)
    except CorruptRecord:
        return
    assert decode_node(encode_node(node)) == node


@given(RAW, st.data())
def test_a_damaged_node_is_another_node_or_refused(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode_node(from_export(value)))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))

    try:
        node = decode_node(bytes(encoded))
    except CorruptRecord:
        return
    assert decode_node(encode_node(node)) == node
    assert parse(dump(node)).leaf_count >= 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "an end"),
        ("1b8000000000000000", "more than 64 bits"),
        ("3b8000000000000000", "more than 64 bits"),
        ("f97c00", "not finite"),
        ("f97e00", "not finite"),
        ("faff800000", "not finite"),
        ("fb7ff8000000000000", "not finite"),
        ("fb7ff0000000000000", "not finite"),
        ("fbfff8000000000001", "not finite"),
        ("f7", "a value was expected"),
        ("e0", "a value was expected"),
        ("80", "a value was expected"),
        ("820102", "a value was expected"),
        ("c100", "a value was expected"),
        ("d9d9f700", "a value was expected"),
        ("1c", "no length"),
        ("9f01ff", "indefinite"),
        ("bf616101ff", "indefinite"),
        ("7f6161ff", "indefinite"),
        ("62ffff", "UTF-8"),
        ("63eda080", "UTF-8"),
        ("42ffff", "UTF-8"),
        ("62c080", "UTF-8"),
        ("6261", "longer than what is left"),
        ("7bffffffffffffffff61", "longer than what is left"),
        ("bbffffffffffffffff616101", "longer than what is left"),
        ("ba40000000616101", "longer than what is left"),
        ("a0", "an empty map"),
        ("a16161a0", "an empty map"),
        ("a16161f6", "a value was expected"),
        ("a10102", "a key was expected"),
        ("a1f601", "a key was expected"),
        ("a2616101616102", "twice"),
        ("a261610141" + "6102", "twice"),
        ("a3616201616101616202", "twice"),
        ("a1616101a1", "more than one"),
        ("0000", "more than one"),
        ("d94650820102" + "00", "more than one"),
        ("d9465001", "a pair"),
        ("d946508101", "a pair"),
        ("d94650830102" + "03", "a pair"),
        ("d946508201f5", "priority"),
        ("d946508201f6", "a value was expected"),
        ("d946508201a1616101", "priority"),
        ("d9465082f601", "a value was expected"),
        ("d9465082d9465082010203", "a value was expected"),
        ("d946508201d9465082" + "0102", "a value was expected"),
    ],
)
def test_what_is_no_node_is_refused(data: str, reason: str) -> None:
    before = statistics()

    with pytest.raises(CorruptRecord, match=reason):
        decode_node(bytes.fromhex(data))

    collect()
    assert statistics()["objects"] <= before["objects"]


@pytest.mark.parametrize(
    ("opening", "end"),
    [
        ("a16161", "01"),
        ("d94653", "01"),
        ("d94650" + "82", "0101"),
        ("d9465082a16161", "01"),
        ("d9465001", ""),
        ("81", "01"),
        ("c6", "01"),
    ],
)
def test_nesting_is_bounded(opening: str, end: str) -> None:
    with pytest.raises(CorruptRecord):
        decode_node(bytes.fromhex(opening * 100_000 + end))


def nested(levels: int) -> Node:
    return EMPTY.update(Path.from_keys(["a"] * levels), from_scalar(1))


def is_received(path_keys: int, value_levels: int) -> bool:
    """Tell whether a message may name so long a path and hold so deep a value."""
    value = '{"a":' * value_levels + "1" + "}" * value_levels
    path = "/a" * path_keys
    try:
        decode([f'{{"t":"d","d":{{"a":"d","b":{{"p":"{path}","d":{value}}}}}}}'.encode()])
    except ProtocolError:
        return False
    return True


def test_whatever_messages_can_nest_is_stored() -> None:
    longest = max(keys for keys in range(1, 1000) if is_received(keys, 0))
    deepest = max(levels for levels in range(1, 1000) if is_received(longest, levels))
    node = nested(longest + deepest)
    assert decode_node(encode_node(node)) == node


def test_512_levels_are_stored_and_more_are_refused() -> None:
    assert decode_node(encode_node(nested(512))) == nested(512)
    with pytest.raises(InvalidValue, match="deeper than 512"):
        encode_node(nested(513))
    with pytest.raises(CorruptRecord, match="too deep"):
        decode_node(b"\xa1\x61a" * 513 + b"\x01")


def test_the_deepest_json_is_stored_with_its_priorities_and_server_values() -> None:
    text = '{".priority":{".sv":"timestamp"},"a":' * 250 + '{".sv":{"b":1}}' + "}" * 250

    assert decode_node(encode_node(parse(text))) == parse(text)


def test_children_in_any_order_become_a_map_in_key_order() -> None:
    data = cbor2.dumps({str(i): i for i in range(300, 0, -1)})

    assert list(decode_node(data)) == [str(i) for i in range(1, 301)]


def test_a_node_of_ten_megabytes_is_read_back() -> None:
    node = from_export({f"key {i}": "x" * 1000 for i in range(10_000)})

    assert decode_node(encode_node(node)) == node


def test_the_weights_of_records_do_not_cancel_each_other_out() -> None:
    """As sums of the checksums would, where the same bits have changed in two records."""

    def total(old: bytes, new: bytes) -> int:
        keys = [b"row %d" % number for number in range(50)]
        return sum(weight(seal(key, new)) - weight(seal(key, old)) for key in keys) % 2**64

    changes = [total(b"old", b"new"), total(b"new", b"old"), total(b"old", b"one")]
    assert 0 not in changes
    assert sum(changes[:2]) % 2**64 == 0
    assert len(set(changes)) == 3
    assert total(b"old", b"old") == 0
    assert all(0 <= weight(seal(b"key", body)) < 2**64 for body in (b"", b"1"))
    with pytest.raises(CorruptRecord, match="cut off"):
        weight(b"1234")


@given(st.binary(max_size=20), st.binary(max_size=60))
def test_a_sealed_body_is_read_at_its_own_key(key: bytes, body: bytes) -> None:
    record = seal(key, body)

    assert unseal(key, record) == body
    assert len(record) == len(body) + SEAL_BYTES


@settings(max_examples=40)
@given(EXPORTS)
def test_no_cut_and_no_flipped_bit_is_ever_taken_for_a_record(value: Any) -> None:
    record = seal(b"key", encode_node(from_export(value)))

    for length in range(len(record)):
        with pytest.raises(CorruptRecord, match="b'key'"):
            unseal(b"key", record[:length])
    for bit in range(len(record) * 8):
        damaged = bytearray(record)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptRecord, match="b'key'"):
            unseal(b"key", bytes(damaged))


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_a_record_of_another_row_is_refused(key: bytes, other: bytes) -> None:
    if key != other:
        with pytest.raises(CorruptRecord, match="damaged"):
            unseal(other, seal(key, b"body"))


def test_a_record_of_a_later_version_says_so() -> None:
    record = b"\x03" + crc32(b"body", crc32(b"key", 3)).to_bytes(4, "big") + b"body"

    with pytest.raises(CorruptRecord, match="form 3 of a newer firekeep"):
        unseal(b"key", record)


def test_a_record_of_a_form_that_belongs_elsewhere_is_refused() -> None:
    record = seal(b"key", b"body", FORM_PIECES)

    assert unseal(b"key", record, FORM_PIECES) == b"body"
    with pytest.raises(CorruptRecord, match="form 2, where form 1 is read"):
        unseal(b"key", record)


FIELDS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64 - 1),
        st.floats(allow_nan=False),
        st.text(st.characters(codec=None), max_size=8),
        st.binary(max_size=8),
    ),
    lambda fields: st.lists(fields, max_size=4),
    max_leaves=10,
)


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, cast("list[Any]", a), b))
    return bool(a == b)


@given(st.lists(FIELDS, max_size=5))
def test_fields_are_read_back_with_their_types(fields: list[Any]) -> None:
    assert same(decode_fields(encode_fields(fields)), fields)


@pytest.mark.parametrize("field", [2**64, -(2**64) - 1, {}, (), object(), {1}, bytearray(b"a")])
def test_a_field_of_another_type_is_refused(field: Any) -> None:
    with pytest.raises(InvalidValue):
        encode_fields([field])
    with pytest.raises(InvalidValue):
        encode_fields([1, [field]])


def test_fields_that_lie_too_deep_are_refused() -> None:
    fields: list[Any] = []
    for _ in range(64):
        fields = [fields]

    with pytest.raises(InvalidValue, match="deeper"):
        encode_fields(fields)
    with pytest.raises(CorruptRecord):
        decode_fields(b"\x81" * 5000 + b"\x01")
    assert decode_fields(encode_fields(fields[0])) == fields[0]


@pytest.mark.parametrize(
    "data",
    [
        *("", "00", "a0", "6161", "8101ff", "8100" + "00", "9f01ff", "81", "8162ffff"),
        *("81c100", "81d82" + "36161", "d81c81d81d00", "81a0", "81a2616101616102", "81f7", "81e0"),
        *("81c249" + "01" * 9, "81d9010281" + "01", "819b7fffffffffffffff", "817f6161ff"),
        *("81d9465401", "81d9465441ff", "81d946506161"),
    ],
)
def test_what_are_no_fields_is_refused(data: str) -> None:
    with pytest.raises(CorruptRecord):
        decode_fields(bytes.fromhex(data))


@given(st.binary(max_size=30))
def test_any_bytes_are_fields_or_refused(data: bytes) -> None:
    try:
        fields = decode_fields(data)
    except CorruptRecord:
        return
    encode_fields(fields)
