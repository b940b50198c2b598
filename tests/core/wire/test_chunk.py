"""Long messages: cut between characters, put together within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firekeep_core.errors import ProtocolError
from firekeep_core.wire.chunk import SEGMENT_UNITS, Joiner, split


def _repeated(part: str, count: int) -> str:
    return part * count


TEXTS = st.builds(_repeated, st.text("aé漢🔥", min_size=1, max_size=7), st.integers(1, 9000))


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@given(TEXTS)
def test_segments_are_short_and_end_between_characters(text: str) -> None:
    messages = split(text)

    if units(text) <= SEGMENT_UNITS:
        assert messages == [text]
    else:
        assert messages[0] == str(len(messages) - 1)
        assert "".join(messages[1:]) == text
        assert max(map(units, messages)) <= SEGMENT_UNITS
        assert min(map(units, messages[1:-1]), default=SEGMENT_UNITS) >= SEGMENT_UNITS - 1


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("a" * 16384, [16384]),
        ("a" * 16385, [1, 16384, 1]),
        ("🔥" * 8192, [8192]),
        ("🔥" * 8193, [1, 8192, 1]),
        ("a" + "🔥" * 8192, [1, 8192, 1]),
    ],
)
def test_a_character_beyond_16_bits_counts_twice(text: str, lengths: list[int]) -> None:
    assert [*map(len, split(text))] == lengths


def test_no_message_has_more_segments_than_clients_read() -> None:
    messages = split("a" * (SEGMENT_UNITS * 10_500))

    assert int(messages[0]) == len(messages) - 1 <= 9999


@given(st.lists(TEXTS, max_size=5), st.booleans())
def test_what_was_split_is_joined_again(texts: list[str], as_bytes: bool) -> None:
    joiner = Joiner()
    sent = [part for text in texts for part in split("{" + text)]

    if as_bytes:
        joined = [message.decode() for message in joiner.join([part.encode() for part in sent])]
    else:
        joined = [str(whole) for part in sent if (whole := joiner.feed(part)) is not None]

    assert joined == ["{" + text for text in texts]


def test_a_message_may_span_several_wake_ups() -> None:
    joiner = Joiner()

    assert joiner.join([b"{}", b"3", b"a"]) == [b"{}"]
    assert joiner.join([]) == []
    assert joiner.join([b"0"]) == []
    assert joiner.join([b"c", b"[]"]) == [b"a0c", b"[]"]


@pytest.mark.parametrize("alive", ["0", "000000"])
def test_a_sign_of_life_is_no_message(alive: str) -> None:
    joiner = Joiner()

    assert joiner.feed(alive) is None
    assert joiner.feed("{}") == "{}"


@pytest.mark.parametrize("message", ["", "-1", "1.0", "+3", " 2", "٣", "1234567", "1e3"])
def test_what_is_no_number_of_segments_is_a_message(message: str) -> None:
    assert Joiner().feed(message) == message
    assert Joiner().feed("1") is None


def test_memory_is_bounded() -> None:
    with pytest.raises(ProtocolError, match="the limit is 100"):
        Joiner(100).feed(b"x" * 101)
    with pytest.raises(ProtocolError, match="the limit is 100"):
        Joiner(100).join([b"x" * 101])
    joiner = Joiner(100)
    with pytest.raises(ProtocolError, match="at least 120 bytes"):
        joiner.join([b"999999", b"x" * 60, b"x" * 60])
