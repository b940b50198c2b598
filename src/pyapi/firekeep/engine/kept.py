"""Queries that are kept synced without a listener."""

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path

__all__ = ["KeptQueries", "KeptQuery", "pinned_as"]


class KeptQuery:
    """The registration of one of them: it is told only that the server ended it."""

    __slots__ = ("params", "path")

    def __init__(self, path: Path, params: QueryParams) -> None:
        self.path = path
        self.params = params


def pinned_as(params: QueryParams) -> QueryParams:
    """Return the query as the disk keeps it: a whole location has no order there."""
    return QueryParams.DEFAULT if params.loads_all_data else params


class KeptQueries:
    """An exact set: each query is kept by itself, however often that was asked for (I-72)."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Path, QueryParams], KeptQuery] = {}

    def add(self, path: Path, params: QueryParams) -> KeptQuery | None:
        """Return a registration to be added, or None if the query is kept already."""
        key = (path, params)
        if key in self._kept:
            return None
        kept = self._kept[key] = KeptQuery(path, params)
        return kept

    def remove(self, path: Path, params: QueryParams) -> KeptQuery | None:
        """Return the registration to be removed, or None if the query was not kept."""
        return self._kept.pop((path, params), None)

    def ended(self, kept: KeptQuery) -> None:
        """Forget one that the server has ended: it can be asked for again."""
        self._kept.pop((kept.path, kept.params), None)

    def is_pinned(self, path: Path, params: QueryParams) -> bool:
        """Return whether one of them has the same data as this query."""
        pinned = pinned_as(params)
        return any(place == path and pinned_as(kept) == pinned for place, kept in self._kept)

    def queries(self) -> list[tuple[Path, QueryParams]]:
        """Return all, in the order in which they were asked for."""
        return list(self._kept)
