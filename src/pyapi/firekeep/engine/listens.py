"""Listens: which the tree wants, which the server has been told of, and what it said."""

from typing import Any

from firekeep.engine.effects import Effect, Load
from firekeep.engine.journal import Journal
from firekeep.engine.requests import Requests
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.json import dump
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.sync.listen_change import ListenChange
from firekeep_core.sync.sync_tree import SyncTree
from firekeep_core.wire.compound_hash import compound_hash

__all__ = ["DEFAULT", "Listen", "Listens"]

DEFAULT = QueryParams.DEFAULT
"""The query that loads a whole location in priority order."""

# Below this estimate a compound hash costs more than it can save (wire §4.5).
_COMPOUND_HASH_FROM_BYTES = 1024


class Listen:
    """One query that the server is, or is to be, listened at."""

    __slots__ = ("is_confirmed", "is_held", "number", "params", "path", "tag")

    def __init__(self, path: Path, params: QueryParams, tag: int | None) -> None:
        self.path = path
        self.params = params
        self.tag = tag
        self.number = 0
        """Of the request that told the server; 0 while it has not been told."""
        self.is_held = False
        """Whether the disk has yet to say what is cached: the server is told of that (§8.7)."""
        self.is_confirmed = False
        """Whether the server answered, on this connection, that all it had has been sent."""


class Listens:
    """The listens of one session; each is sent again on each connection."""

    def __init__(self, tree: SyncTree, requests: Requests, journal: Journal | None) -> None:
        self._tree = tree
        self._requests = requests
        self._journal = journal
        self._listens: dict[tuple[Path, QueryParams], Listen] = {}
        self.unanswered: dict[int, Listen] = {}
        """Sent and without an answer, by request number and in its order."""

    def __len__(self) -> int:
        return len(self._listens)

    def change(self, changes: list[ListenChange], out: list[Effect]) -> None:
        """Start and stop what the tree asks for, in its order."""
        for change in changes:
            key = (change.path, change.params)
            if change.start:
                listen = Listen(change.path, change.params, change.tag)
                self._listens[key] = listen
                if self._journal is not None and self._tree.needs_load(*key):
                    listen.is_held = True
                    ids = self._journal.overlapping(change.path)
                    out.append(Load(change.path, change.params, ids, listen))
                elif self._requests.can_send:
                    self._send(listen, out)
            else:
                # Absent if the server itself has ended it: then there is nothing to take back.
                stopped = self._listens.pop(key, None)
                if stopped is not None and stopped.number:
                    self.unanswered.pop(stopped.number, None)
                    if self._requests.can_send:
                        out.append(self._requests.request("n", _body(stopped), None))

    def loaded(self, listen: Listen, out: list[Effect]) -> None:
        """Tell the server of a listen, now that it is known what is cached."""
        listen.is_held = False
        if self._requests.can_send and self._listens.get((listen.path, listen.params)) is listen:
            self._send(listen, out)

    def is_loading(self, path: Path) -> bool:
        """Return whether the disk has yet to say what it knows of the whole of a path."""
        place: Path | None = path
        while place is not None:
            listen = self._listens.get((place, DEFAULT))
            if listen is not None:
                return listen.is_held
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
        for listen in self._listens.values():
            listen.number = 0
            listen.is_confirmed = False

    def confirm(self, listen: Listen) -> bool:
        """Note that the server accepted a listen; return whether it is still wanted."""
        self.unanswered.pop(listen.number, None)
        listen.is_confirmed = self._listens.get((listen.path, listen.params)) is listen
        return listen.is_confirmed

    def refuse(self, listen: Listen) -> bool:
        """Forget a listen that the server refused; return whether it was still wanted."""
        self.unanswered.pop(listen.number, None)
        key = (listen.path, listen.params)
        if self._listens.get(key) is not listen:
            return False
        del self._listens[key]
        return True

    def revoke(self, path: Path, params: QueryParams | None) -> bool:
        """Forget what the server has ended: one query, or all at a path; return if any was there."""
        ended = [
            listen
            for listen in self._listens.values()
            if listen.path == path and (params is None or listen.params == params)
        ]
        for listen in ended:
            self.refuse(listen)
        return bool(ended)

    def is_blocked(self, number: int) -> bool:
        """Return whether a listen sent before this request has no answer yet (§3.8)."""
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
        if held.size_bytes > _COMPOUND_HASH_FROM_BYTES and not _has_priority(held):
            hashes, paths = compound_hash(held)
            body["ch"] = {"hs": hashes, "ps": paths}
        out.append(self._requests.request("q", body, listen))
        listen.number = self._requests.last_number
        self.unanswered[listen.number] = listen


def _body(listen: Listen) -> dict[str, Any]:
    body: dict[str, Any] = {"p": str(listen.path)}
    if listen.tag is not None:
        body["q"] = listen.params.wire()
        body["t"] = listen.tag
    return body


def _has_priority(node: Node) -> bool:
    # Range merges over priorities can end in something else than the server has (wire §4.6). In
    # JSON text a quote inside a string has a backslash before it, so this is found in keys only.
    return b'".priority":' in dump(node)
