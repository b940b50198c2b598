"""Listens: which the tree wants, which the server has been told of, and what it said."""

from collections import OrderedDict
from typing import Any

from firekeep.engine.effects import Effect, Load
from firekeep.engine.journal import Journal
from firekeep.engine.requests import Requests
from firekeep.engine.unlistens import Unlisten, Unlistens
from firekeep_core.operation.operation import Operation, Overwrite, RangeMerge
from firekeep_core.operation.range_merge import apply_range_merge
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.sync.event import Event
from firekeep_core.sync.listen_change import ListenChange
from firekeep_core.sync.sync_tree import SyncTree
from firekeep_core.wire.compound_hash import compound_hash, has_priorities

__all__ = ["DEFAULT", "Listen", "Listens"]

DEFAULT = QueryParams.DEFAULT
"""The query that loads a whole location in priority order."""

# Below this estimate a compound hash costs more than it can save (wire §4.5).
_COMPOUND_HASH_FROM_BYTES = 1024


class Listen:
    """One query that the server is, or is to be, listened at."""

    __slots__ = (
        "hashed",
        "is_confirmed",
        "is_held",
        "is_stopping",
        "number",
        "params",
        "path",
        "shows_cached",
        "stops",
        "tag",
    )

    def __init__(self, path: Path, params: QueryParams, tag: int | None) -> None:
        self.path = path
        self.params = params
        self.tag = tag
        self.number = 0
        """Of the request that told the server; 0 while it has not been told."""
        self.is_held = False
        """Whether the disk has yet to say what is cached: the server is told of that (§8.7)."""
        self.stops: list[Listen] = []
        """While it is held: those that it is to replace, so that data flow without a gap."""
        self.is_stopping = False
        """Whether one that is held is to replace it."""
        self.is_confirmed = False
        """Whether the server answered, on this connection, that all it had has been sent."""
        self.shows_cached = False
        """Whether all that is shown is what the disk had: the server has never answered."""
        self.hashed: Node = EMPTY
        """While it is doubted: what the server was told is held."""


class Listens:
    """The listens of one session; each is sent again on each connection."""

    def __init__(self, tree: SyncTree, requests: Requests, journal: Journal | None) -> None:
        self._tree = tree
        self._requests = requests
        self._journal = journal
        self._listens: dict[tuple[Path, QueryParams], Listen] = {}
        self._at: dict[Path, dict[QueryParams, Listen]] = {}
        """The same, by place."""
        self._loading: set[tuple[Path, QueryParams]] = set()
        """The queries, a whole location without its order, that the disk is being asked for."""
        self.unanswered: OrderedDict[int, Listen] = OrderedDict()
        """Sent and without an answer, by request number and in its order."""
        self._cached: OrderedDict[int, Listen] = OrderedDict()
        """Those of them that show what the disk had."""
        self._unlistens: Unlistens[Listen] = Unlistens()
        self._doubted: dict[tuple[Path, int | None], Listen] = {}
        """Those of them whose data others may have changed after the server was told of them.

        Data come with no word on which listen they belong to. After an unlisten they still come
        for a while, and meet the next listen; if the server then says that nothing has changed, it
        speaks of what that one's hash was taken of.
        """

    def __len__(self) -> int:
        return len(self._listens)

    def attach(
        self,
        path: Path,
        params: QueryParams,
        registration: object,
        kinds: int,
        out: list[Effect],
    ) -> list[Event]:
        """Add a registration to the tree, with all that follows; return what it is told."""
        events, changes = self._tree.add_registration(path, params, registration, kinds)
        self.change(changes, out)
        if self._journal is not None:
            query = DEFAULT if params.loads_all_data else params
            if self._tree.wants_load(path, query):
                # A whole view above listens for it, and may know less on disk.
                self._load(path, query, None, out)
        return events

    def change(self, changes: list[ListenChange], out: list[Effect]) -> None:
        """Start and stop what the tree asks for, in its order."""
        held: Listen | None = None
        for change in changes:
            # Absent if the server itself has ended it: then there is nothing to take back.
            present = self._listens.get((change.path, change.params))
            if not change.start:
                if present is None:
                    continue
                if held is None:
                    self._stop(present, out)
                else:
                    present.is_stopping = True
                    held.stops.append(present)
            elif present is not None and present.tag == change.tag:
                present.is_stopping = False
            else:
                if present is not None:
                    self._stop(present, out)
                listen = self._start(change, out)
                held = listen if listen.is_held else held

    def _start(self, change: ListenChange, out: list[Effect]) -> Listen:
        listen = Listen(change.path, change.params, change.tag)
        self._listens[change.path, change.params] = listen
        self._at.setdefault(change.path, {})[change.params] = listen
        if self._journal is not None and self._tree.wants_load(change.path, change.params):
            listen.is_held = True
            self._load(change.path, change.params, listen, out)
        elif self._requests.can_send:
            self._send(listen, out)
        return listen

    def _load(
        self, path: Path, params: QueryParams, listen: Listen | None, out: list[Effect]
    ) -> None:
        assert self._journal is not None
        self._loading.add((path, params))
        out.append(Load(path, params, self._journal.overlapping(path), listen))

    def _stop(self, listen: Listen, out: list[Effect]) -> None:
        self._forget(listen)
        if listen.number:
            self._answered(listen)
            if self._requests.can_send:
                unlisten = self._unlistens.add(listen.path) if listen.tag is None else None
                out.append(self._requests.request("n", _body(listen), unlisten))
        self._stop_replaced(listen, out)

    def _stop_replaced(self, listen: Listen, out: list[Effect]) -> None:
        stops, listen.stops = listen.stops, []
        for replaced in stops:
            present = self._listens.get((replaced.path, replaced.params))
            if replaced.is_stopping and present is replaced:
                self._stop(replaced, out)

    def loaded(self, load: Load, is_complete: bool, out: list[Effect]) -> None:
        """Tell the server of a listen that has waited to know what is cached."""
        self._loading.discard((load.path, load.params))
        listen = load.reader
        if not isinstance(listen, Listen):
            return
        listen.is_held = False
        listen.shows_cached = is_complete
        if self._listens.get((listen.path, listen.params)) is not listen:
            return
        if self._requests.can_send:
            self._send(listen, out)
        self._stop_replaced(listen, out)

    def is_loading(self, path: Path) -> bool:
        """Return whether the disk has yet to say what it knows of the whole of a path."""
        place: Path | None = path
        while place is not None and self._loading:
            if (place, DEFAULT) in self._loading:
                return True
            place = place.parent
        return False

    def send_all(self, out: list[Effect]) -> None:
        """Tell a new connection of every listen."""
        for listen in self._listens.values():
            if not listen.is_held:
                self._send(listen, out)

    def lost(self) -> None:
        """Forget what the server was told: the connection is gone."""
        self.unanswered.clear()
        self._cached.clear()
        self._unlistens.clear()
        self._doubted.clear()
        for listen in self._listens.values():
            listen.number = 0
            listen.is_confirmed = False

    def unlistened(self, unlisten: Unlisten[Listen]) -> None:
        """Note that no more data come for a listen that has ended."""
        self._unlistens.answered(unlisten)
        for listen in unlisten.successors:
            other = self._unlistens.overlapping(listen.path)
            if other is not None:
                other.successors.append(listen)
            elif self.unanswered.get(listen.number) is listen:
                self._doubted[listen.path, listen.tag] = listen

    def beyond_doubt(self, operations: list[Operation]) -> list[Operation]:
        """Return the messages, with ranges laid into what they are meant for."""
        if not self._doubted:
            return operations
        result: list[Operation] = []
        for operation in operations:
            if isinstance(operation, Overwrite | RangeMerge):
                listen = self._doubted.pop((operation.path, operation.tag), None)
                if listen is not None and isinstance(operation, RangeMerge):
                    node = apply_range_merge(listen.hashed, operation.ranges)
                    operation = Overwrite(listen.path, node, listen.tag)
            result.append(operation)
        return result

    def is_doubted(self, listen: Listen) -> bool:
        """Return whether what is held may not be what the server was told is held."""
        return self._doubted.get((listen.path, listen.tag)) is listen

    def confirm(self, listen: Listen) -> bool:
        """Note that the server accepted a listen; return whether it is still wanted."""
        self._answered(listen)
        listen.shows_cached = False
        listen.is_confirmed = self._listens.get((listen.path, listen.params)) is listen
        return listen.is_confirmed

    def refuse(self, listen: Listen) -> bool:
        """Forget a listen that the server refused; return whether it was still wanted."""
        self._answered(listen)
        if self._listens.get((listen.path, listen.params)) is not listen:
            return False
        self._forget(listen)
        return True

    def suspend(self, listen: Listen) -> None:
        """Note that the server refused a listen that the next connection is told of again (§9)."""
        self._answered(listen)
        listen.number = 0

    def revoke(self, path: Path, params: QueryParams | None) -> bool:
        """Forget what the server has ended: one query, or all at a path; return if any was there."""
        ended = [
            listen
            for listen in self._at.get(path, {}).values()
            if params is None or listen.params == params
        ]
        for listen in ended:
            self.refuse(listen)
        return bool(ended)

    def blocking_before(self, number: int) -> int:
        """Return the number before which listens have to be answered ahead of this answer (§3.8).

        That is all sent before the request, and all up to the last that shows what the disk had:
        the effect of a write is in the answer to come, and would be seen to vanish until then.
        """
        last = next(reversed(self._cached), 0)
        return max(number, last + 1)

    def is_blocked(self, number: int) -> bool:
        """Return whether a listen of a lower number has no answer yet."""
        first = next(iter(self.unanswered), None)
        return first is not None and first < number

    def is_confirmed(self, path: Path, params: QueryParams) -> bool:
        """Return whether the server has confirmed, on this connection, all that a query shows."""
        if not self._listens:
            return False
        if not params.loads_all_data:
            listen = self._listens.get((path, params))
            if listen is not None and listen.is_confirmed:
                return True
        place: Path | None = path
        while place is not None:
            listen = self._listens.get((place, DEFAULT))
            if listen is not None and listen.is_confirmed:
                return True
            place = place.parent
        return False

    def overlapping_writes(self) -> set[int]:
        """Return the writes that act where somebody listens and whose payload is on disk only."""
        if self._journal is None:
            return set()
        return {id for path, _ in self._listens for id in self._journal.overlapping(path)}

    def size_bytes(self) -> int:
        """Return the estimated size of what is held for all listens. Cost: their number."""
        return sum(
            self._tree.server_node(listen.path, listen.params).size_bytes
            for listen in self._listens.values()
        )

    def _send(self, listen: Listen, out: list[Effect]) -> None:
        held = self._tree.server_node(listen.path, listen.params)
        body = _body(listen)
        body["h"] = hash_v1(held)
        if held.size_bytes > _COMPOUND_HASH_FROM_BYTES and not has_priorities(held):
            hashes, paths = compound_hash(held)
            body["ch"] = {"hs": hashes, "ps": paths}
        out.append(self._requests.request("q", body, listen))
        listen.number = self._requests.last_number
        self.unanswered[listen.number] = listen
        if listen.shows_cached:
            self._cached[listen.number] = listen
        unlisten = self._unlistens.overlapping(listen.path)
        if unlisten is not None:
            listen.hashed = held
            unlisten.successors.append(listen)

    def _forget(self, listen: Listen) -> None:
        del self._listens[listen.path, listen.params]
        here = self._at[listen.path]
        del here[listen.params]
        if not here:
            del self._at[listen.path]

    def _answered(self, listen: Listen) -> None:
        self.unanswered.pop(listen.number, None)
        self._cached.pop(listen.number, None)
        if self.is_doubted(listen):
            del self._doubted[listen.path, listen.tag]
        listen.hashed = EMPTY


def _body(listen: Listen) -> dict[str, Any]:
    body: dict[str, Any] = {"p": str(listen.path)}
    if listen.tag is not None:
        body["q"] = listen.params.wire()
        body["t"] = listen.tag
    return body
