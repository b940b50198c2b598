"""Keys made without a server that sort by the time they were made."""

from firekeep.exceptions import InvalidArgument

__all__ = ["RANDOM_BITS", "PushIdGenerator"]

# In ASCII order, so that keys compare as the numbers they stand for.
ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
RANDOM_BITS = 72
"""Random bits that one call of `next_id` needs."""
_TIME_CHARACTERS = 8
_RANDOM_CHARACTERS = 12
_RANDOM_END = 1 << RANDOM_BITS
_TIME_END = 1 << 6 * _TIME_CHARACTERS


class PushIdGenerator:
    """Makes push ids that strictly increase in key order, whatever the clock does (I-12).

    Source: sync-engine §1.12, wire §6.4.

    Example::

        generator = PushIdGenerator()
        generator.next_id(1_402_007_035_588, secrets.randbits(RANDOM_BITS))
    """

    __slots__ = ("_random", "_time_ms")

    def __init__(self) -> None:
        self._time_ms = -1
        self._random = 0

    def next_id(self, now_ms: int, random_bits: int) -> str:
        """Return the next id: 8 characters of time, 12 of chance.

        `now_ms` is the server's time in ms since 1970, `random_bits` a random number of 72 bits.
        A second id in one millisecond, or after the clock went back, is the last one plus one;
        `random_bits` is not used then.

        Raises:
            InvalidArgument: a time outside 0 … 2⁴⁸-1, or more than 72 bits.
        """
        if not 0 <= now_ms < _TIME_END:
            raise InvalidArgument(f"push id for {now_ms!r} ms: outside 0 … 2^48-1")
        if not 0 <= random_bits < _RANDOM_END:
            raise InvalidArgument(f"push id from {random_bits!r}: not {RANDOM_BITS} random bits")
        if now_ms > self._time_ms:
            time_ms, chance = now_ms, random_bits
        else:
            time_ms, chance = self._time_ms, self._random + 1
            if chance == _RANDOM_END:
                # All twelve characters are used up: borrow the next millisecond to stay sorted.
                time_ms, chance = time_ms + 1, 0
        if time_ms == _TIME_END:
            raise InvalidArgument("push id: no millisecond is left below 2^48")
        self._time_ms, self._random = time_ms, chance
        return _digits(time_ms, _TIME_CHARACTERS) + _digits(chance, _RANDOM_CHARACTERS)


def _digits(number: int, count: int) -> str:
    return "".join([ALPHABET[number >> 6 * place & 63] for place in range(count - 1, -1, -1)])
