"""How long to wait before the next attempt to connect."""

__all__ = ["Backoff"]


class Backoff:
    """Delays that grow with each failure; the first attempt after a success is immediate.

    Source: wire §5.3, the [I][A] column.
    """

    __slots__ = ("_delay_s", "_factor", "_jitter", "_maximum_s", "_minimum_s", "_succeeded")

    def __init__(self, *, minimum_s: float, maximum_s: float, factor: float, jitter: float) -> None:
        self._minimum_s = minimum_s
        self._maximum_s = maximum_s
        self._factor = factor
        self._jitter = jitter
        self._delay_s = 0.0
        self._succeeded = True

    def reset(self) -> None:
        """Make the next attempt immediate, and the one after it the first that waits."""
        self._succeeded = True
        self._delay_s = 0.0

    def raise_to_maximum(self) -> None:
        """Wait as long as it gets from here on: what failed will hardly mend itself soon."""
        self._succeeded = False
        self._delay_s = self._maximum_s

    def next_delay_s(self, random: float) -> float:
        """Return the delay before the next attempt; `random` is in [0, 1)."""
        if self._succeeded:
            self._succeeded = False
            return 0.0
        if self._delay_s == 0.0:
            self._delay_s = self._minimum_s
        else:
            self._delay_s = min(self._delay_s * self._factor, self._maximum_s)
        return self._delay_s * (1.0 - self._jitter + self._jitter * random)
