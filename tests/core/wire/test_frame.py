"""Frames in, messages out; the sans-I/O core of `websockets` is the oracle."""

import random
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from firekeep_core.errors import InvalidValue, ProtocolError
from firekeep_core.wire.frame import (
    CLOSE,
    PING,
    PONG,
    FrameReader,
    encode_control,
    encode_text,
    encode_texts,
)

LIMIT = 100_000

# Complete messages, control frames and the close code of a violation (None: none).
Outcome = tuple[list[bytes], list[tuple[int, bytes]], int | None]


def frame(opcode: int, payload: bytes, *, final: bool = True, mask: bytes | None = None) -> bytes:
    head = bytes([opcode | (0x80 if final else 0)])
    bit = 0 if mask is None else 0x80
    size = len(payload)
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += struct.pack("!BH", bit | 126, size)
    else:
        head += struct.pack("!BQ", bit | 127, size)
    if mask is None:
        return head + payload
    key = (mask * (size // 4 + 1))[:size]
    hidden = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + hidden.to_bytes(size, "big")


def read(pieces: list[bytes], *, masked: bool = False, limit: int = LIMIT) -> Outcome:
    reader = FrameReader(limit, masked=masked)
    messages: list[bytes] = []
    controls: list[tuple[int, bytes]] = []
    for piece in pieces:
        try:
            messages += reader.feed(piece)
        except ProtocolError:
            break
        finally:
            controls += reader.take_controls()
    return messages, controls, reader.error_code if reader.error is not None else None


def ask_oracle(pieces: list[bytes], *, masked: bool = False, limit: int = LIMIT) -> Outcome:
    peer: ClientProtocol | ServerProtocol
    if masked:
        peer = ServerProtocol(state=State.OPEN, max_size=limit)
    else:
        peer = ClientProtocol(parse_uri("ws://host/"), state=State.OPEN, max_size=limit)
    for piece in pieces:
        peer.receive_data(piece)
    messages: list[bytes] = []
    controls: list[tuple[int, bytes]] = []
    parts = b""
    for event in peer.events_received():
        assert isinstance(event, Frame)
        if event.opcode is Opcode.BINARY:
            return messages, controls, 1003
        if event.opcode in (Opcode.TEXT, Opcode.CONT):
            parts += bytes(event.data)
            if event.fin:
                try:
                    parts.decode()
                except UnicodeDecodeError:
                    return messages, controls, 1007
                messages.append(parts)
                parts = b""
        else:
            controls.append((int(event.opcode), bytes(event.data)))
    if peer.parser_exc is None:
        return messages, controls, None
    assert peer.close_sent is not None
    return messages, controls, int(peer.close_sent.code)


def cut(data: bytes, seed: int) -> list[bytes]:
    """Cut the stream the way a network might: anywhere, often into single bytes."""
    chance = random.Random(seed)
    pieces: list[bytes] = []
    start = 0
    while start < len(data):
        end = start + chance.choice([1, 1, 2, 3, 7, 100, len(data)])
        pieces.append(data[start:end])
        start = end
    return pieces


def masks(masked: bool) -> st.SearchStrategy[bytes | None]:
    return st.binary(min_size=4, max_size=4) if masked else st.none()


# Around the sizes where the length field changes its form.
sizes = st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536])
texts = st.text(max_size=20).map(str.encode) | sizes.map(lambda size: b"x" * size)
control_payloads = st.binary(max_size=8) | st.sampled_from([b"p" * 124, b"p" * 125])


@st.composite
def fragmented_message(draw: st.DrawFn, masked: bool) -> bytes:
    payload = draw(texts)
    ends = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    stream = b""
    start = 0
    for index, end in enumerate([*ends, len(payload)]):
        final = index == len(ends)
        part = payload[start:end]
        stream += frame(0 if index else 1, part, final=final, mask=draw(masks(masked)))
        start = end
        if not final and draw(st.booleans()):
            stream += frame(PING, draw(control_payloads), mask=draw(masks(masked)))
    return stream


@st.composite
def control(draw: st.DrawFn, masked: bool) -> bytes:
    opcode = draw(st.sampled_from([PING, PONG]))
    return frame(opcode, draw(control_payloads), mask=draw(masks(masked)))


@st.composite
def hostile_frame(draw: st.DrawFn) -> bytes:
    """One frame with any head; the length field does not lie."""
    payload = draw(control_payloads | texts)
    mask = draw(st.none() | st.binary(min_size=4, max_size=4))
    opcode = draw(st.sampled_from([0, 1, 2, 8, 9, 10]) | st.integers(0, 0x7F))
    return frame(opcode, payload, final=draw(st.booleans()), mask=mask)


@st.composite
def close_frame(draw: st.DrawFn) -> bytes:
    code = draw(st.sampled_from([999, 1000, 1004, 1005, 1006, 1014, 1015, 3000, 4999, 5000]))
    return frame(CLOSE, struct.pack("!H", code) + draw(st.binary(max_size=5)))


@pytest.mark.parametrize("masked", [False, True])
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_random_fragments_give_what_the_library_gives(
    masked: bool, data: st.DataObject, seed: int
) -> None:
    parts = data.draw(st.lists(fragmented_message(masked) | control(masked), max_size=4))
    stream = b"".join(parts)

    outcome = read(cut(stream, seed), masked=masked)

    assert outcome == ask_oracle([stream], masked=masked)
    assert outcome[2] is None


@given(
    frames=st.lists(fragmented_message(False) | hostile_frame() | close_frame(), max_size=4),
    seed=st.integers(0, 2**32),
)
def test_hostile_frames_end_as_in_the_library(frames: list[bytes], seed: int) -> None:
    stream = b"".join(frames)

    assert read(cut(stream, seed)) == ask_oracle([stream])


@given(stream=st.binary(max_size=400), seed=st.integers(0, 2**32))
@example(stream=b"\x81\xff" + b"\xff" * 12, seed=0)
@example(stream=b"\x01\x01a\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff", seed=0)
def test_random_bytes_end_as_in_the_library(stream: bytes, seed: int) -> None:
    # The library judges a frame when it is complete: zeros complete it.
    stream += bytes(600)

    assert read(cut(stream, seed), limit=500)[:2] == ask_oracle([stream], limit=500)[:2]


@given(text=st.text(), seed=st.integers(0, 2**32), mask=st.integers(0, 2**32 - 1))
def test_a_sent_text_arrives(text: str, seed: int, mask: int) -> None:
    bare = encode_text(text)
    masked = encode_text(text, mask)

    assert read(cut(bare, seed))[0] == [text.encode()]
    assert read(cut(masked, seed), masked=True)[0] == [text.encode()]
    assert masked == frame(1, text.encode(), mask=mask.to_bytes(4, "big"))


@given(payloads=st.lists(st.text() | st.binary().map(bytes.hex).map(str.encode)), data=st.data())
def test_a_run_of_messages_is_the_frames_one_after_the_other(
    payloads: list[str | bytes], data: st.DataObject
) -> None:
    keys = data.draw(st.binary(min_size=4 * len(payloads), max_size=4 * len(payloads)))

    bare = encode_texts(payloads)
    masked = encode_texts(payloads, keys)

    assert bare == b"".join(encode_text(payload) for payload in payloads)
    assert masked == b"".join(
        encode_text(payload, int.from_bytes(keys[4 * i : 4 * i + 4], "big"))
        for i, payload in enumerate(payloads)
    )


@given(st.binary(max_size=40))
def test_text_is_accepted_exactly_where_python_decodes_it(payload: bytes) -> None:
    try:
        payload.decode()
        accepted = True
    except UnicodeDecodeError:
        accepted = False

    assert (read([frame(1, payload)])[2] is None) == accepted


@pytest.mark.parametrize(
    "payload",
    [
        b"\xc0\x80",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"\xff",
        b"\x80",
        b"a" * 33 + b"\xe2\x82",
        b"a" * 33 + b"\xf0\x9f\x98",
        b"\xe2\x28\xa1",
    ],
)
def test_broken_utf8_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="not UTF-8"):
        FrameReader(LIMIT).feed(frame(1, payload))


@pytest.mark.parametrize("character", ["\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000"])
@pytest.mark.parametrize("lead", range(18))
def test_text_on_the_edges_of_utf8_is_accepted_at_every_offset(character: str, lead: int) -> None:
    text = ("a" * lead + character + "\U0010ffff" + "b" * 20).encode()

    assert FrameReader(LIMIT).feed(frame(1, text)) == [text]


def test_a_character_may_be_cut_by_a_fragment() -> None:
    reader = FrameReader(LIMIT)

    assert reader.feed(frame(1, b"\xe2\x82", final=False)) == []
    assert reader.feed(frame(0, b"\xac")) == ["€".encode()]


@pytest.mark.parametrize(
    ("data", "code", "what"),
    [
        (b"\xc1\x00", 1002, "reserved bits set in 0xc1"),
        (b"\x83\x00", 1002, "unknown opcode 0x3"),
        (b"\x81\x80", 1002, "masked by a server"),
        (b"\x80\x00", 1002, "continuation of no message"),
        (b"\x82\x00", 1003, "binary"),
        (b"\x09\x00", 1002, "fragmented control frame"),
        (b"\x89\x7e\x00\x7e", 1002, "control frame of 126 bytes"),
        (b"\x88\x01\x03", 1002, "close frame of one byte"),
        (b"\x88\x02\x03\xed", 1002, "close code 1005"),
        (b"\x01\x00\x81\x00", 1002, "new message inside a fragmented one"),
        (b"\x01\x00\x88\x00", 1002, "close frame inside a fragmented message"),
        (b"\x81\x7e\x00\x65", 1009, "at least 101 bytes, allowed are 100"),
        (b"\x81\x7f" + b"\xff" * 8, 1009, "allowed are 100"),
    ],
)
def test_a_violation_is_known_from_the_head(data: bytes, code: int, what: str) -> None:
    reader = FrameReader(100)

    if data[1] & 0x80:
        data += bytes(4)
    with pytest.raises(ProtocolError, match=what):
        reader.feed(data)

    assert reader.error_code == code


def test_a_bare_frame_from_a_client_is_refused() -> None:
    with pytest.raises(ProtocolError, match="not masked by a client"):
        FrameReader(LIMIT, masked=True).feed(encode_text("a"))


def test_messages_before_a_violation_are_returned_and_the_violation_raises_then() -> None:
    reader = FrameReader(LIMIT)

    assert reader.feed(encode_text("a") + b"\xff\x00" + encode_text("b")) == [b"a"]
    assert reader.error is not None
    for _ in range(2):
        with pytest.raises(ProtocolError, match="at byte 3 of the stream"):
            reader.feed(encode_text("c"))


def test_fragments_together_keep_the_limit() -> None:
    reader = FrameReader(10)

    assert reader.feed(frame(1, b"123456", final=False)) == []
    with pytest.raises(ProtocolError, match="at least 11 bytes, allowed are 10"):
        reader.feed(frame(0, b"12345")[:2])


def test_the_limit_is_for_each_message_anew() -> None:
    reader = FrameReader(10)

    for _ in range(3):
        assert reader.feed(frame(1, b"12345", final=False) + frame(0, b"67890")) == [b"1234567890"]


def test_control_frames_do_not_count_against_the_limit() -> None:
    reader = FrameReader(3)

    assert reader.feed(frame(PING, b"12345") + encode_text("abc")) == [b"abc"]
    assert reader.take_controls() == [(PING, b"12345")]
    assert reader.take_controls() == []


def test_nothing_is_read_after_a_close_frame() -> None:
    reader = FrameReader(LIMIT)
    close = encode_control(CLOSE, struct.pack("!H", 1001) + b"bye")

    assert reader.feed(encode_text("a") + close + b"\xff\xff") == [b"a"]
    assert reader.feed(encode_text("b")) == []
    assert (reader.closed, reader.close_code, reader.close_reason) == (True, 1001, "bye")


def test_a_close_frame_without_a_code_is_code_1005() -> None:
    reader = FrameReader(LIMIT)

    reader.feed(encode_control(CLOSE, b""))

    assert (reader.closed, reader.close_code, reader.close_reason) == (True, 1005, "")


def test_a_large_message_in_small_pieces_is_put_together() -> None:
    payload = bytes(random.Random(1).choices(range(32, 127), k=1_000_000))
    stream = frame(1, payload)
    reader = FrameReader(LIMIT * 10)

    messages: list[bytes] = []
    for start in range(0, len(stream), 1000):
        messages += reader.feed(stream[start : start + 1000])

    assert messages == [payload]


def test_half_a_surrogate_pair_cannot_be_sent() -> None:
    with pytest.raises(InvalidValue, match="half a surrogate pair at 3"):
        encode_text("abc\ud83d", 1)
    with pytest.raises(InvalidValue, match="half a surrogate pair at 0"):
        encode_texts(["fine", "\ude00"])


def test_masks_and_messages_have_to_match() -> None:
    with pytest.raises(ValueError, match="4 bytes of masks for 2 messages"):
        encode_texts(["a", "b"], b"1234")


def test_a_long_control_frame_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="126 bytes"):
        encode_control(PONG, bytes(126))
    with pytest.raises(ValueError, match="opcode 1"):
        encode_control(1, b"")


def test_a_message_is_text_or_bytes() -> None:
    with pytest.raises(TypeError, match="not int"):
        encode_text(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
