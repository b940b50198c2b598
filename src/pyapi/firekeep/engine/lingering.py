"""Listens that outlive their last listener for a while, in case there is a next one (W-32)."""

from collections import OrderedDict

from firekeep.engine.effects import Effect
from firekeep.engine.listens import Listens
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.sync.sync_tree import SyncTree

__all__ = ["Lingering"]


class Lingering:
    """Takes registrations out of the tree, leaving a silent one in their place for `linger_s`."""

    def __init__(self, tree: SyncTree, listens: Listens, linger_s: float) -> None:
        self._tree = tree
        self._listens = listens
        self._linger_s = linger_s
        self._until: OrderedDict[tuple[Path, QueryParams], float] = OrderedDict()
        """In the order of the times, which all lie equally far ahead."""

    def remove(
        self,
        path: Path,
        params: QueryParams,
        registration: object,
        now_s: float,
        out: list[Effect],
    ) -> None:
        """Remove one registration of a query; it is not told of anything any more."""
        if self._linger_s > 0.0:
            key = (path, params)
            if self._until.pop(key, None) is None:
                self._listens.attach(path, params, self, 0, out)
            self._until[key] = now_s + self._linger_s
        self._listens.change(self._tree.remove_registration(path, params, registration), out)

    def expire(self, now_s: float, out: list[Effect]) -> None:
        """Remove what nobody came back for."""
        while self._until and self.next_deadline_s() <= now_s:
            (path, params), _ = self._until.popitem(last=False)
            self._listens.change(self._tree.remove_registration(path, params, self), out)

    def next_deadline_s(self) -> float:
        """Return when `expire` has something to do; infinity for never."""
        return next(iter(self._until.values()), float("inf"))
