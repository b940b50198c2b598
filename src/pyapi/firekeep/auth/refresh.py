"""When a token is replaced, and when to try again if that failed. No clock, no chance: arguments."""

__all__ = ["offset_ms_of", "refresh_at_ms", "retry_at_ms"]

EARLY_MS = 5 * 60 * 1000
EARLY_SHARE = 0.1
JITTER_SHARE = 0.5
"""Clients that signed in together are not to come back together."""

FIRST_RETRY_MS = 30_000
LAST_RETRY_MS = 16 * 60 * 1000
RETRY_JITTER = 0.3
MIN_RETRY_MS = 1000


def refresh_at_ms(issued_ms: int, expires_ms: int, chance: float) -> int:
    """Return when to replace a token: 5 minutes or a tenth of its life early, and a little more.

    `chance` is from 0 to 1 and adds up to half of that. All times are by the same clock.

    Source: sync-engine §9.
    """
    early_ms = min(EARLY_MS, EARLY_SHARE * max(0, expires_ms - issued_ms))
    return expires_ms - round(early_ms * (1 + JITTER_SHARE * chance))


def retry_at_ms(failures: int, now_ms: int, expires_ms: int | None, chance: float) -> int:
    """Return when to try again after that many failures in a row.

    30 s doubling to 16 min, less up to a third by chance; but while the token is good, not after
    half of what is left of it.

    Source: sync-engine §9.
    """
    longest_ms = min(LAST_RETRY_MS, FIRST_RETRY_MS << min(failures - 1, 10))
    delay_ms = longest_ms * (1 - RETRY_JITTER * chance)
    if expires_ms is not None and expires_ms > now_ms:
        delay_ms = min(delay_ms, max(MIN_RETRY_MS, (expires_ms - now_ms) / 2))
    return now_ms + round(delay_ms)


def offset_ms_of(issued_s: int, received_ms: int) -> int:
    """Return the server's clock minus the local one, from a token that has just been received.

    Tokens tell whole seconds, of which half is the best guess; the way here is neglected.
    """
    return issued_s * 1000 + 500 - received_ms
