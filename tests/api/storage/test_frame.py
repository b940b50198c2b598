"""Frames: found wherever they are whole, never where they are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firekeep.exceptions import CorruptRecord
from firekeep.storage.frame import FRAME_BYTES, Frame, find_frames, pack_frame, unpack_frame

FRAMES = st.builds(Frame, st.integers(0, 255), st.binary(max_size=10), st.binary(max_size=40))
#: Bytes that look like a frame here and there.
NOISE = st.lists(
    st.one_of(
        st.binary(max_size=8), st.sampled_from([b"\xff", b"\xffFK\xfe", b"\xffFK\xfe\1\1\0"])
    ),
    max_size=6,
).map(b"".join)


@given(FRAMES)
def test_a_frame_is_read_back(frame: Frame) -> None:
    data = pack_frame(*frame)

    assert unpack_frame(data, frame.kind) == frame
    assert len(data) == FRAME_BYTES + len(frame.key) + len(frame.body)


@given(FRAMES)
def test_no_cut_and_no_flipped_bit_is_taken_for_a_frame(frame: Frame) -> None:
    data = pack_frame(*frame)
    damaged = [data[:length] for length in range(len(data))]
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))

    for each in (*damaged, data + b"\0"):
        with pytest.raises(CorruptRecord):
            unpack_frame(each, frame.kind)
    assert not any(list(find_frames(each)) for each in damaged)


def test_a_frame_of_another_kind_is_refused() -> None:
    with pytest.raises(CorruptRecord, match="kind 2 was expected"):
        unpack_frame(pack_frame(1, b"key", b"body"), 2)


def test_a_frame_of_a_later_version_says_so() -> None:
    data = bytearray(pack_frame(1, b"key", b"body"))
    data[4] = 2

    with pytest.raises(CorruptRecord, match="form 2 of a newer firekeep"):
        unpack_frame(bytes(data), 1)


@given(st.lists(st.tuples(NOISE, FRAMES), max_size=5), NOISE)
def test_frames_are_found_among_any_other_bytes(
    parts: list[tuple[bytes, Frame]], rest: bytes
) -> None:
    data = b"".join(noise + pack_frame(*frame) for noise, frame in parts) + rest

    assert list(find_frames(data)) == [frame for _, frame in parts]


@given(st.binary(max_size=60))
def test_any_bytes_have_frames_or_not(data: bytes) -> None:
    list(find_frames(b"\xffFK\xfe\1\1\0" + data))


def test_a_frame_within_a_frame_belongs_to_it() -> None:
    inner = pack_frame(1, b"inner", b"body")

    assert list(find_frames(pack_frame(1, b"outer", inner))) == [Frame(1, b"outer", inner)]
