"""Single reads that ask the server, and never touch what is being listened to."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Literal, NamedTuple, TypeAlias

from firekeep.engine.effects import Complete, Effect, Handle, Load
from firekeep.engine.journal import Journal
from firekeep.engine.listens import Listens
from firekeep.engine.requests import Requests, text_of
from firekeep.engine.session import Session
from firekeep.exceptions import FirekeepError, NotCached, Offline, TimedOut, server_error
from firekeep_core.operation.cache_change import CachedQuery
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.sync.sync_tree import SyncTree
from firekeep_core.wire.message import Response

# So many that are over may be remembered until their deadline.
_ENDED_GETS = 64
_GONE_OFFLINE = "go_offline() was called"

__all__ = ["Get", "GetResult", "GetSource", "Gets"]

GetSource: TypeAlias = Literal["default", "server", "cache"]


class GetResult(NamedTuple):
    """What one read gave."""

    node: Node
    from_cache: bool
    """Whether the server has not confirmed it on the present connection."""
    has_pending_writes: bool


class Get:
    """One read that awaits its answer."""

    __slots__ = ("deadline_s", "failure", "handle", "params", "path", "source")

    def __init__(
        self,
        path: Path,
        params: QueryParams,
        source: GetSource,
        handle: Handle,
        deadline_s: float,
    ) -> None:
        self.path = path
        self.params = params
        self.source = source
        self.handle = handle
        self.deadline_s = deadline_s
        self.failure: FirekeepError | None = None
        """Why the server did not answer, while the disk is asked instead."""


class Gets:
    """All reads that await the server; each is asked again on each connection.

    Source: sync-engine §3.12.
    """

    def __init__(
        self,
        tree: SyncTree,
        requests: Requests,
        listens: Listens,
        session: Session,
        journal: Journal | None,
    ) -> None:
        self._tree = tree
        self._requests = requests
        self._listens = listens
        self._session = session
        self._journal = journal
        self._waiting: dict[Handle, Get] = {}
        self._deadlines: list[tuple[float, int, Get]] = []
        """A heap of when they have waited for too long; those that are over are still in it."""
        self._started = 0
        self._loading: dict[Handle, Get] = {}
        """Those for which the disk is being asked."""

    def start(
        self,
        path: Path,
        params: QueryParams,
        source: GetSource,
        handle: Handle,
        deadline_s: float,
        out: list[Effect],
    ) -> None:
        """Answer from a live view, or ask the server, at once or with the next connection.

        What queued writes alone make known is the answer where the server cannot be asked.
        """
        get = Get(path, params, source, handle, deadline_s)
        node = None if source == "server" else self._tree.complete_value(path, params)
        if node is not None:
            result = GetResult(
                node,
                from_cache=not self._listens.is_confirmed(path, params),
                has_pending_writes=self._tree.has_writes(path),
            )
            out.append(Complete(handle, result, None))
        elif source == "cache":
            self._fail(get, NotCached(f"nothing that is cached holds all of {path}"), out)
        elif self._session.is_interrupted:
            reason = self._session.reason or _GONE_OFFLINE
            self._fail(get, Offline(f"{reason}: {path} cannot be read"), out)
        else:
            self._waiting[handle] = get
            self._watch(get)
            if self._requests.can_send:
                self._send(get, out)

    def send_all(self, out: list[Effect]) -> None:
        """Ask a new connection for all."""
        for get in self._waiting.values():
            self._send(get, out)

    def answered(self, get: Get, response: Response, out: list[Effect]) -> None:
        """Take an answer: the result is what the server holds, under what we have written.

        Nothing of it enters the tree (I-102): a live listen is told of the same data by itself. The
        cache on disk has it as if it had been listened to and left.
        """
        if self._waiting.pop(get.handle, None) is None:
            return
        if response.status != "ok":
            error = server_error(response.status, text_of(response), str(get.path))
            out.append(Complete(get.handle, None, error))
            return
        self._tree.note_answer(get.path, get.params, response.data)
        node = get.params.filter(self._tree.overlay(get.path, response.data))
        result = GetResult(
            node, from_cache=False, has_pending_writes=self._tree.has_writes(get.path)
        )
        out.append(Complete(get.handle, result, None))

    def loaded(self, get: Get, cached: CachedQuery | None, out: list[Effect]) -> None:
        """Take what the disk knows, which was asked since the server could not be."""
        if self._loading.pop(get.handle, None) is None:
            return
        if cached is None or not cached.is_complete:
            out.append(Complete(get.handle, None, get.failure))
            return
        node = get.params.filter(self._tree.overlay(get.path, cached.node))
        has_writes = self._tree.has_writes(get.path)
        result = GetResult(node, from_cache=True, has_pending_writes=has_writes)
        out.append(Complete(get.handle, result, None))

    def expire(self, now_s: float, is_connected: bool, out: list[Effect]) -> None:
        """End what has waited for too long (I-103)."""
        while self.next_deadline_s() <= now_s:
            _, _, get = heappop(self._deadlines)
            self._fail(
                get,
                TimedOut(f"no answer in time to a read of {get.path}")
                if is_connected
                else Offline(f"no connection in time for a read of {get.path}"),
                out,
            )

    def abandon(self, handle: Handle) -> None:
        """Forget a read that nobody waits for any more."""
        self._waiting.pop(handle, None)
        self._loading.pop(handle, None)

    def end_all(self, error: Callable[[Path], FirekeepError], out: list[Effect]) -> None:
        """End all with an error."""
        for gets in (self._waiting, self._loading):
            out += [Complete(get.handle, None, error(get.path)) for get in gets.values()]
            gets.clear()

    def fail_all(self, out: list[Effect], reason: str = _GONE_OFFLINE) -> None:
        """Answer all without the server: there will be no connection for now."""
        for get in list(self._waiting.values()):
            self._fail(get, Offline(f"{reason}: {get.path} cannot be read"), out)

    def next_deadline_s(self) -> float:
        """Return when the first of them has waited for too long; infinity for never."""
        deadlines = self._deadlines
        while deadlines:
            deadline_s, _, get = deadlines[0]
            if self._is_waiting(get):
                return deadline_s
            heappop(deadlines)
        return float("inf")

    def _watch(self, get: Get) -> None:
        self._started += 1
        heappush(self._deadlines, (get.deadline_s, self._started, get))
        if len(self._deadlines) > 2 * len(self._waiting) + _ENDED_GETS:
            self._deadlines = [one for one in self._deadlines if self._is_waiting(one[2])]
            heapify(self._deadlines)

    def _is_waiting(self, get: Get) -> bool:
        return self._waiting.get(get.handle) is get

    def _fail(self, get: Get, error: FirekeepError, out: list[Effect]) -> None:
        self._waiting.pop(get.handle, None)
        node = None
        if get.source != "server":
            node = self._tree.written_value(get.path, get.params)
        if node is None and self._journal is not None and get.source != "server":
            get.failure = error
            self._loading[get.handle] = get
            ids = self._journal.overlapping(get.path)
            out.append(Load(get.path, get.params, ids, get))
        elif node is None:
            out.append(Complete(get.handle, None, error))
        else:
            result = GetResult(node, from_cache=True, has_pending_writes=True)
            out.append(Complete(get.handle, result, None))

    def _send(self, get: Get, out: list[Effect]) -> None:
        body = {"p": str(get.path), "q": get.params.wire()}
        out.append(self._requests.request("g", body, get))
