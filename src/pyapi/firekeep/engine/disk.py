"""What the disk says to the engine, and what it is to be told next."""

from collections.abc import Callable, Sequence

from firekeep.engine.effects import Complete, Deliver, Effect, Load, StatusChanged, StoreCache
from firekeep.engine.exchange import Exchange
from firekeep.engine.gets import Get, Gets
from firekeep.engine.journal import Journal, JournalBatch
from firekeep.engine.kept import KeptQueries, pinned_as
from firekeep.engine.listens import DEFAULT, Listens
from firekeep.engine.requests import PendingWrite, Requests
from firekeep.engine.transactions import Transactions
from firekeep.exceptions import CorruptRecord
from firekeep_core.operation.cache_change import (
    CacheChange,
    CachedQuery,
    Concluded,
    Hold,
    Pin,
    Replace,
    Track,
)
from firekeep_core.operation.cache_change import (
    Complete as CompleteQuery,
)
from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.sync.event import KINDS
from firekeep_core.sync.sync_tree import SyncTree

__all__ = ["Disk"]

_OF_WHAT_IS_LIVE = (Replace, Hold, CompleteQuery, Track)


class Disk:
    """The turns of an engine that begin at the disk. As for the engine: one caller at a time.

    `listen` adds a registration and `end_turn` brings a turn to its end; both are the engine's.
    """

    def __init__(
        self,
        journal: Journal,
        tree: SyncTree,
        requests: Requests,
        listens: Listens,
        gets: Gets,
        kept: KeptQueries,
        transactions: Transactions,
        exchange: Exchange,
        write_type: type[PendingWrite],
        listen: Callable[[Path, QueryParams, object, int], list[Effect]],
        end_turn: Callable[[float, int, list[Effect]], None],
    ) -> None:
        self._journal = journal
        self._tree = tree
        self._requests = requests
        self._listens = listens
        self._gets = gets
        self._kept = kept
        self._transactions = transactions
        self._exchange = exchange
        self._write_type = write_type
        self._listen = listen
        self._end_turn = end_turn
        self._is_cache_asked = False

    def restore(
        self,
        envelopes: Sequence[WriteEnvelope],
        next_write_id: int,
        pinned: Sequence[tuple[Path, QueryParams]],
        now_s: float,
        wall_ms: int,
        *,
        uid: str | None = None,
    ) -> list[Effect]:
        """Take over what an earlier process left: its queue, in order, and its kept queries.

        `uid` is who is signed in; of everybody else the writes are held.
        """
        out: list[Effect] = []
        self._requests.continue_from(next_write_id)
        writes: list[PendingWrite] = []
        for envelope in envelopes:
            write = self._write_type(
                envelope.id,
                envelope.path,
                envelope.kind,
                None,
                envelope.size_bytes,
                envelope.created_ms,
                envelope.has_increment,
            )
            write.children = envelope.children
            write.server_ms = envelope.server_ms
            write.uid = envelope.owner
            write.resent = envelope.maybe_sent
            write.is_loaded = False
            write.is_stored = True
            self._requests.add(write)
            writes.append(write)
        self._journal.restore(writes)
        self._requests.change_user(uid)
        self._keep(pinned, out)
        self._end_turn(now_s, wall_ms, out)
        return out

    def owner_switched(
        self, pinned: Sequence[tuple[Path, QueryParams]], now_s: float, wall_ms: int
    ) -> list[Effect]:
        """Note that the cache on disk is another user's now, with what that one keeps synced.

        It is told what is live as soon as the server has told that one. What the program keeps
        synced it keeps for whoever is signed in.
        """
        out = self.cache_lost(())
        self._keep(pinned, out)
        self._end_turn(now_s, wall_ms, out)
        return out

    def _keep(self, pinned: Sequence[tuple[Path, QueryParams]], out: list[Effect]) -> None:
        for path, params in pinned:
            kept = self._kept.add(path, params, is_restored=True)
            if kept is not None:
                out += self._listen(path, params, kept, KINDS["cancel"])

    def take_journal_batch(self) -> JournalBatch:
        """Return what the queue on disk is to do next."""
        requests = self._requests
        return self._journal.take(requests.last_write_id if requests.can_send else 0)

    def journal_stored(
        self, batch: JournalBatch, concluded: Sequence[int], now_s: float, wall_ms: int
    ) -> list[Effect]:
        """Note that a batch is on disk; of what it removed, `concluded` the cache has marked."""
        out: list[Effect] = []
        self._journal.stored(batch)
        for write_id in concluded:
            self._tree.note(Concluded(write_id))
        self._end_turn(now_s, wall_ms, out)
        return out

    def journal_failed(
        self, batch: JournalBatch, failure: Exception, now_s: float, wall_ms: int
    ) -> list[Effect]:
        """Note that the disk did not take a batch; writes are sent without it for now."""
        out: list[Effect] = []
        self._journal.failed(batch, failure)
        self._exchange.last_error = failure
        out.append(StatusChanged())
        self._end_turn(now_s, wall_ms, out)
        return out

    def take_cache_changes(self) -> list[CacheChange]:
        """Return what the cache on disk is to be told next, as one unit."""
        self._is_cache_asked = False
        return self._tree.take_unstored()

    def cache_stored(self, acknowledged: Sequence[int]) -> list[Effect]:
        """Note that the cache has the effects of acknowledged writes: the queue may let go."""
        out: list[Effect] = []
        self._journal.remove_stored(acknowledged, out)
        return out

    def cache_lost(self, lost: Sequence[CacheChange]) -> list[Effect]:
        """Note that the cache on disk is empty, or takes nothing: it is to be told all again.

        `lost` is what it has not taken. Of what is live it is told anew. Of the rest nobody says
        again what has been confirmed, denied and given up.
        """
        out: list[Effect] = []
        for change in [*lost, *self._tree.drop_unstored()]:
            is_over = isinstance(change, Track) and not change.is_active
            if is_over or not isinstance(change, _OF_WHAT_IS_LIVE):
                self._tree.note(change)
        # After the denials: others may have begun to listen to the same since.
        self._tree.forget_stored()
        for path, params in self._kept.queries():
            self._tree.note(Pin(path, pinned_as(params), True))
        self.ask_cache(out)
        return out

    def loaded(
        self,
        load: Load,
        cached: CachedQuery | None,
        writes: Sequence[QueuedWrite],
        unreadable: Sequence[int],
        now_s: float,
        wall_ms: int,
    ) -> list[Effect]:
        """Take in what the disk knows of a query, and the writes that were read with it."""
        out: list[Effect] = []
        self._give_up(unreadable, out)
        parts = self._journal.loaded(writes, self._requests.writes)
        reader = load.reader
        known = None if isinstance(reader, Get) else cached
        events = self._tree.load(load.path, load.params, known, parts)
        if events:
            out.append(Deliver(events))
        if isinstance(reader, Get):
            self._gets.loaded(reader, cached, out)
        else:
            self._listens.loaded(load, cached is not None and cached.is_complete, out)
        self._transactions.touch(load.path)
        self._end_turn(now_s, wall_ms, out)
        return out

    def writes_loaded(
        self,
        writes: Sequence[QueuedWrite],
        unreadable: Sequence[int],
        now_s: float,
        wall_ms: int,
    ) -> list[Effect]:
        """Take in payloads of queued writes; those that are damaged have come to their end."""
        out: list[Effect] = []
        self._give_up(unreadable, out)
        parts = self._journal.loaded(writes, self._requests.writes)
        events = self._tree.load(ROOT, DEFAULT, None, parts)
        if events:
            out.append(Deliver(events))
        self._end_turn(now_s, wall_ms, out)
        return out

    def _give_up(self, write_ids: Sequence[int], out: list[Effect]) -> None:
        """End writes whose payload the disk has lost."""
        for write_id in write_ids:
            write = self._requests.writes.get(write_id)
            if write is not None and not write.is_loaded:
                self._exchange.drop_write(write, out)
                error = CorruptRecord(f"the stored data of the write at {write.path} are damaged")
                out.append(Complete(write, None, error))

    def ask_cache(self, out: list[Effect]) -> None:
        """Have the cache on disk told what has changed, unless that has been asked for."""
        if not self._is_cache_asked and self._tree.has_unstored:
            self._is_cache_asked = True
            out.append(StoreCache())
