"""How a database behaves: limits, times, the network, and what is kept on disk."""

import ssl
from dataclasses import KW_ONLY, dataclass, field
from math import isfinite
from os import PathLike, fspath
from typing import Literal, cast

from firekeep.exceptions import InvalidArgument, InvalidUrl

__all__ = ["Config", "Persistence"]

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one database, none of which can change once it is open.

    Times are in seconds, sizes in bytes.

    Raises:
        InvalidArgument: a number is out of its range, or `ssl_context` is none, at once.
        InvalidUrl: `proxy` is no HTTP proxy, at once.

    Example::

        db = firekeep.open(url, config=firekeep.Config(connect_timeout_s=10))
    """

    max_pending_writes: int = 1_000_000
    """Writes that may wait for the server; one more raises `QueueFull`."""
    max_pending_bytes: int = 256 * MIB
    """Estimated size of all writes that may wait; beyond it a write raises `QueueFull`."""
    max_message_bytes: int = 256 * MIB
    """One complete message from the server; a longer one ends the connection."""

    connect_timeout_s: float = 30.0
    """From the first attempt to reach the host to the server's first message (wire §5.3)."""
    keep_alive_s: float = 45.0
    """Silence in both directions after which a keep-alive is sent (wire §2.3)."""
    ping_after_s: float = 45.0
    """Time without a frame from the server after which it is asked whether it is there."""
    pong_timeout_s: float = 15.0
    """How long the answer to that may take before the connection counts as lost."""
    get_timeout_s: float = 10.0
    """How long a read waits for the server unless the call says otherwise."""
    linger_s: float = 0.0
    """How long a server listen outlives its last listener (W-32); 0 as in the official SDKs."""

    backoff_min_s: float = 1.0
    """First delay between attempts to connect (wire §5.3)."""
    backoff_max_s: float = 30.0
    """Longest delay between attempts to connect."""
    backoff_factor: float = 1.3
    """Growth of the delay with each attempt that failed."""
    backoff_jitter: float = 0.7
    """The random share of each delay, 0 to 1."""
    stable_after_s: float = 30.0
    """A connection that lasted this long makes the next delay the first one again."""

    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    """Replaces the default context, which verifies the server by the system's authorities."""
    proxy: str | None = field(default="environment", repr=False)
    """An http:// or https:// URL; None for none; "environment" reads HTTPS_PROXY and NO_PROXY."""

    def __post_init__(self) -> None:
        """Check every number, and what is to be used of the network."""
        for name in ("max_pending_writes", "max_pending_bytes", "max_message_bytes"):
            _check_whole(name, getattr(self, name), minimum=1)
        for name in (
            "connect_timeout_s",
            "keep_alive_s",
            "ping_after_s",
            "pong_timeout_s",
            "get_timeout_s",
            "backoff_min_s",
            "backoff_max_s",
        ):
            _check_number(name, getattr(self, name), above=0.0)
        for name in ("linger_s", "stable_after_s", "backoff_jitter"):
            _check_number(name, getattr(self, name), minimum=0.0)
        _check_number("backoff_factor", self.backoff_factor, minimum=1.0)
        if self.backoff_jitter > 1.0:
            raise InvalidArgument(f"backoff_jitter is a share of 1, not {self.backoff_jitter!r}")
        if self.backoff_max_s < self.backoff_min_s:
            raise InvalidArgument(
                f"backoff_max_s {self.backoff_max_s!r} is less than"
                f" backoff_min_s {self.backoff_min_s!r}"
            )
        if not (self.ssl_context is None or isinstance(self.ssl_context, ssl.SSLContext)):
            raise InvalidArgument(
                f"ssl_context is an ssl.SSLContext, not {type(self.ssl_context).__name__}"
            )
        _check_proxy(self.proxy)


@dataclass(frozen=True, slots=True)
class Persistence:
    """Where and how a database is kept on disk.

    `path` None is the platform's state directory for applications, below it the host, the
    namespace and `name`. `durability` says when a write counts as stored: ``batch``, one sync for
    each group of writes; ``write``, one for each; ``none``, left to the operating system.

    Raises:
        InvalidArgument: a budget below 1 MiB, or a name that is not a plain file name, at once.

    Example::

        db = firekeep.open(url, persistence=firekeep.Persistence(budget_bytes=50 * 1024 * 1024))
    """

    path: str | PathLike[str] | None = None
    """The directory that holds the data; it is made if need be. ``~`` is the home directory."""
    _: KW_ONLY
    name: str = "default"
    """Tells several databases of one address apart; used only where `path` is None."""
    budget_bytes: int = 10 * MIB
    """What the cache may hold before it forgets the least recently used; pins do not count."""
    durability: Literal["batch", "write", "none"] = "batch"

    def __post_init__(self) -> None:
        """Check the path, the name, the budget and the durability."""
        if not isinstance(self.name, str):
            raise InvalidArgument(f"persistence name is text, not {self.name!r:.60}")
        if not self.name or self.name in (".", "..") or not _PLAIN.issuperset(self.name):
            raise InvalidArgument(
                f"persistence name {self.name!r}: letters, digits, '-', '_' and '.' are allowed"
            )
        _check_path(self.path)
        _check_whole("budget_bytes", self.budget_bytes, minimum=MIB)
        if self.durability not in ("batch", "write", "none"):
            raise InvalidArgument(
                f"durability is 'batch', 'write' or 'none', not {self.durability!r}"
            )


_PLAIN = frozenset("-_.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def _check_proxy(proxy: object) -> None:
    if proxy is None:
        return
    if not isinstance(proxy, str):
        raise InvalidUrl(f"proxy is an http:// or https:// URL, not {type(proxy).__name__}")
    scheme = proxy.partition("://")[0].lower() if "://" in proxy else "http"
    if not proxy or scheme not in ("http", "https"):
        # What stands before an '@' is a password.
        shown = repr(proxy.rpartition("@")[2])
        raise InvalidUrl(f"proxy {shown:.100} is neither an http:// nor an https:// URL")


def _check_path(path: object) -> None:
    if path is None:
        return
    text = fspath(cast("PathLike[str]", path)) if isinstance(path, PathLike) else path
    if not isinstance(text, str):
        raise InvalidArgument(f"persistence path is text or a path, not {path!r:.60}")
    if not text:
        raise InvalidArgument("persistence path '' is empty")
    if "\0" in text:
        raise InvalidArgument(f"persistence path {text!r:.120} holds a null character")


def _check_whole(name: str, value: object, *, minimum: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgument(f"{name} is a whole number, not {value!r}")
    if value < minimum:
        raise InvalidArgument(f"{name} is at least {minimum}, not {value!r}")


def _check_number(
    name: str, value: object, *, minimum: float = 0.0, above: float | None = None
) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        raise InvalidArgument(f"{name} is a finite number, not {value!r}")
    if above is not None and value <= above:
        raise InvalidArgument(f"{name} is more than {above:g}, not {value!r}")
    if value < minimum:
        raise InvalidArgument(f"{name} is at least {minimum:g}, not {value!r}")
