"""Unlistens without an answer: until it comes, what was listened to may still be pushed."""

from typing import Generic, TypeVar

from firekeep_core.snap.path import Path

__all__ = ["Unlisten", "Unlistens"]

Successor = TypeVar("Successor")


class Unlisten(Generic[Successor]):
    """The end of one listen, of which the server has been told."""

    __slots__ = ("path", "successors")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.successors: list[Successor] = []
        """The listens that the server was told of meanwhile, and that its data may reach."""


class Unlistens(Generic[Successor]):
    """Those of one connection, by place; the server answers them in the order it was told.

    Only those without a tag: data with the tag of a query that has ended reach nobody.
    """

    def __init__(self) -> None:
        self._at: dict[Path, Unlisten[Successor]] = {}
        """The latest at each place."""
        self._below: dict[Path, Unlisten[Successor]] = {}
        """The latest at a place or anywhere below it."""

    def add(self, path: Path) -> Unlisten[Successor]:
        """Note that the server has been told. Cost: O(depth)."""
        unlisten = Unlisten[Successor](path)
        self._at[path] = unlisten
        place: Path | None = path
        while place is not None:
            self._below[place] = unlisten
            place = place.parent
        return unlisten

    def overlapping(self, path: Path) -> Unlisten[Successor] | None:
        """Return one whose data may reach ``path`` or what is below it. Cost: O(depth)."""
        if not self._at:
            return None
        found = self._below.get(path)
        place = path.parent
        while found is None and place is not None:
            found = self._at.get(place)
            place = place.parent
        return found

    def answered(self, unlisten: Unlisten[Successor]) -> None:
        """Note that nothing more is pushed for it. Cost: O(depth)."""
        if self._at.get(unlisten.path) is unlisten:
            del self._at[unlisten.path]
        place: Path | None = unlisten.path
        while place is not None:
            if self._below.get(place) is unlisten:
                del self._below[place]
            place = place.parent

    def clear(self) -> None:
        """Forget all: the connection is gone, and what was to be pushed with it."""
        self._at.clear()
        self._below.clear()
