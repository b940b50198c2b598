"""What the cache says of itself."""

from typing import NamedTuple

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path

__all__ = ["CacheEntry", "CacheReport", "OpenedCache"]


class CacheReport(NamedTuple):
    """What the cache takes after a commit."""

    size_bytes: int
    """Keys and values of all its rows: what the budget is about."""
    budget_bytes: int
    is_over_budget: bool
    """Whether what may not be evicted alone exceeds the budget."""
    queries: int
    """Queries that have a row."""
    evicted_queries: int
    """How many this commit made go, and `freed_bytes` how much room that gave."""
    freed_bytes: int


class OpenedCache(NamedTuple):
    """What a cache says when it is opened."""

    pinned: list[tuple[Path, QueryParams]]
    """The queries that are to be kept synced."""
    acknowledged: list[int]
    """Writes that the server has confirmed, though the queue may still hold them."""
    report: CacheReport


class CacheEntry(NamedTuple):
    """One query that the cache knows of."""

    owner: str | None
    path: Path
    params: QueryParams
    is_complete: bool
    is_pinned: bool
    last_use: int
