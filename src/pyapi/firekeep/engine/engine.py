"""The engine: user calls and messages in, effects out; it performs nothing itself."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Literal, TypeAlias, TypeVar, cast

from firekeep.config import Config
from firekeep.engine.disconnect_ops import DisconnectOperations
from firekeep.engine.disk import Disk
from firekeep.engine.effects import (
    Complete,
    Deliver,
    Effect,
    Handle,
    LoadWrites,
    StatusChanged,
    SwitchOwner,
    TokenKind,
    Wake,
)
from firekeep.engine.exchange import Exchange
from firekeep.engine.gets import GetResult, Gets, GetSource
from firekeep.engine.info import Info
from firekeep.engine.journal import Journal, shown_parts
from firekeep.engine.kept import KeptQueries, pinned_as
from firekeep.engine.lingering import Lingering
from firekeep.engine.listens import DEFAULT, Listens
from firekeep.engine.overview import Overview
from firekeep.engine.requests import (
    PendingWrite,
    Requests,
    Updates,
    WriteKind,
    check_size,
)
from firekeep.engine.session import LAPSE_MARGIN_S, Session
from firekeep.engine.transactions import Function, Transaction, Transactions
from firekeep.exceptions import (
    DatabaseClosed,
    Disconnected,
    InvalidPath,
    QueueFull,
    TransactionAborted,
    WriteCancelled,
)
from firekeep.url import DatabaseUrl
from firekeep_core.operation.cache_change import Clear, Pin
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.server_value import contains_server_value, resolve_timestamps
from firekeep_core.sync.event import KINDS, Event
from firekeep_core.sync.sync_tree import SyncTree

__all__ = ["DisconnectKind", "Engine"]

DisconnectKind: TypeAlias = Literal["set", "update", "cancel"]

WriteT = TypeVar("WriteT", bound=PendingWrite)

_DISCONNECT_KINDS: dict[DisconnectKind, WriteKind] = {
    "set": "on_disconnect_set",
    "update": "on_disconnect_update",
    "cancel": "on_disconnect_cancel",
}
_NEVER = float("inf")


class Engine(Generic[WriteT]):
    """One database: its tree, its queue of writes, its session.

    One caller at a time. Each call is one turn and returns its effects, which are to be performed
    in order before the next call's. `now_s` is a monotonic clock in seconds, `wall_ms` the local
    time in ms since 1970.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        config: Config,
        write_type: type[WriteT],
        random: Callable[[], float],
        *,
        has_auth: bool = False,
        has_app_check: bool = False,
        has_disk: bool = False,
    ) -> None:
        self._write_type = write_type
        self._tree = SyncTree()
        self._journal = Journal() if has_disk else None
        if has_disk:
            self._tree.keep()
        self._uid: str | None = None
        self._info = Info()
        self._requests = Requests(
            max_writes=config.max_pending_writes, max_bytes=config.max_pending_bytes
        )
        self._listens = Listens(self._tree, self._requests, self._journal)
        self._lingering = Lingering(self._tree, self._listens, config.linger_s)
        self._transactions = Transactions(self._tree, self._requests, self._listens)
        self._disconnects = DisconnectOperations(self._tree)
        self._session = Session(
            url, config, self._requests, random, has_auth=has_auth, has_app_check=has_app_check
        )
        self._gets = Gets(self._tree, self._requests, self._listens, self._session, self._journal)
        self._kept = KeptQueries()
        self._exchange = Exchange(
            self._tree,
            self._requests,
            self._listens,
            self._transactions,
            self._disconnects,
            self._gets,
            self._info,
            self._kept,
            self._session,
            self._journal,
        )
        self.overview = Overview(
            self._tree,
            self._requests,
            self._listens,
            self._kept,
            self._session,
            self._exchange,
            self._journal,
        )
        self.disk = (
            None
            if self._journal is None
            else Disk(
                self._journal,
                self._tree,
                self._requests,
                self._listens,
                self._gets,
                self._kept,
                self._transactions,
                self._exchange,
                write_type,
                self.add_listener,
                self._end_turn,
            )
        )
        """What begins at the disk; None without one."""
        self._max_transactions = config.max_pending_writes
        self._wake_at_s = _NEVER

    # The hot path: one call into the core, nothing that grows with what is pending.
    def set(
        self, path: Path, node: Node, now_s: float, wall_ms: int
    ) -> tuple[WriteT, list[Effect]]:
        """Replace what is at a path; the local views show it with the effects.

        Raises:
            InvalidPath: it is below ``/.info``.
            InvalidValue: the value is too large, or holds an unknown server value.
            QueueFull: too much waits for the server.
        """
        size_bytes = node.size_bytes
        check_size(path, [node], size_bytes)
        self._check_writable(path)
        requests = self._requests
        requests.check_room(size_bytes)
        shown = node
        has_increment = False
        server_ms = self._exchange.server_time_ms(wall_ms)
        if contains_server_value(node):
            shown = resolve_timestamps(node, server_ms)
            has_increment = contains_server_value(shown)
        write = self._write_type(
            requests.next_write_id(), path, "set", node, size_bytes, wall_ms, has_increment
        )
        write.server_ms = server_ms
        write.uid = self._uid
        events = self._tree.write(write.id, path, shown)
        out: list[Effect] = []
        self._exchange.queue_write(write, out)
        if events:
            out.append(Deliver(events))
        if self._transactions.count:
            self._transactions.abort(path, out)
            self._end_turn(now_s, wall_ms, out)
        return write, out

    def update(
        self, path: Path, children: Updates, now_s: float, wall_ms: int
    ) -> tuple[WriteT, list[Effect]]:
        """Replace several places below a path as one; none is success without a write (I-46).

        Raises: as `set`.
        """
        nodes = [node for _, node in children]
        size_bytes = sum(node.size_bytes for node in nodes)
        check_size(path, nodes, size_bytes)
        self._check_writable(path)
        requests = self._requests
        out: list[Effect] = []
        if not children:
            write = self._write_type(
                requests.next_write_id(), path, "update", children, 0, wall_ms, False
            )
            out.append(Complete(write, None, None))
            return write, out
        requests.check_room(size_bytes)
        shown = children
        has_increment = False
        server_ms = self._exchange.server_time_ms(wall_ms)
        if any(contains_server_value(node) for node in nodes):
            shown = [(child, resolve_timestamps(node, server_ms)) for child, node in children]
            has_increment = any(contains_server_value(node) for _, node in shown)
        write = self._write_type(
            requests.next_write_id(), path, "update", children, size_bytes, wall_ms, has_increment
        )
        write.server_ms = server_ms
        write.uid = self._uid
        events = self._tree.write_merge(write.id, path, shown)
        self._exchange.queue_write(write, out)
        if events:
            out.append(Deliver(events))
        if self._transactions.count:
            for child, _ in children:
                self._transactions.abort(path.child(child), out)
            self._end_turn(now_s, wall_ms, out)
        return write, out

    def cancel_write(
        self, write: PendingWrite, now_s: float, wall_ms: int
    ) -> tuple[bool, list[Effect]]:
        """Take a write out of the queue and revert it, unless it has been sent."""
        out: list[Effect] = []
        if write.state != "queued" or self._requests.all_writes.get(write.id) is not write:
            return False, out
        is_shown = write.is_loaded and write.id in self._requests.writes
        self._exchange.drop_write(write, out)
        if is_shown:
            events = self._tree.revert(write.id)
            if events:
                out.append(Deliver(events))
        self._transactions.touch(write.path)
        out.append(Complete(write, None, WriteCancelled(f"write at {write.path} was cancelled")))
        self._end_turn(now_s, wall_ms, out)
        return True, out

    def purge(self, now_s: float, wall_ms: int) -> list[Effect]:
        """Drop every write, transaction and unsent onDisconnect: events, then outcomes (I-47)."""
        out: list[Effect] = []
        self._exchange.conclude_deferred(out)
        events = self._tree.revert_all()
        if events:
            out.append(Deliver(events))
        writes = self._requests.purge()
        if self._journal is not None:
            for write in writes:
                self._journal.remove(write, out)
        for write in [*writes, *self._disconnects.purge()]:
            error = WriteCancelled(f"write_canceled: write at {write.path} was purged")
            out.append(Complete(write, None, error))
        self._transactions.end_all(
            lambda path: WriteCancelled(f"write_canceled: transaction at {path} was purged")
        )
        self._end_turn(now_s, wall_ms, out)
        return out

    def transaction(
        self,
        path: Path,
        function: Function,
        handle: Handle,
        *,
        apply_locally: bool,
        require_server: bool,
        now_s: float,
        wall_ms: int,
    ) -> list[Effect]:
        """Run a function on what is at a path until the server takes the result (§6).

        Raises:
            InvalidPath: it is below ``/.info``.
            QueueFull: too many are pending.
        """
        self._check_writable(path)
        if self._transactions.count >= self._max_transactions:
            raise QueueFull(f"{self._transactions.count} transactions are pending")
        out: list[Effect] = []
        transaction = Transaction(
            path,
            function,
            handle,
            apply_locally=apply_locally,
            require_server=require_server,
            order=self._requests.next_write_id(),
        )
        self._transactions.start(transaction, self._exchange.server_time_ms(wall_ms), out)
        self._end_turn(now_s, wall_ms, out)
        return out

    def on_disconnect(
        self,
        kind: DisconnectKind,
        path: Path,
        payload: Node | Updates | None,
        *,
        persistent: bool,
        wall_ms: int,
    ) -> tuple[WriteT, list[Effect]]:
        """Register what the server is to do when the connection ends (§7.1).

        Raises:
            InvalidPath: it is below ``/.info``.
        """
        self._check_writable(path)
        if payload is None:
            payload = EMPTY
        nodes = [node for _, node in payload] if isinstance(payload, list) else [payload]
        size_bytes = sum(node.size_bytes for node in nodes)
        check_size(path, nodes, size_bytes)
        write = self._write_type(
            self._requests.next_write_id(),
            path,
            _DISCONNECT_KINDS[kind],
            payload,
            size_bytes,
            wall_ms,
            False,
        )
        out: list[Effect] = []
        if kind == "update" and not payload:
            out.append(Complete(write, None, None))
        elif self._requests.can_send:
            self._disconnects.sent(write, persistent=persistent)
            self._exchange.send_write(write, out)
        else:
            self._disconnects.queue(write, persistent=persistent)
        return write, out

    def add_listener(
        self, path: Path, params: QueryParams, registration: object, kinds: int
    ) -> list[Effect]:
        """Register for events of a query; the effects deliver what is already known."""
        out: list[Effect] = []
        if path.front == ".info":
            events = self._info.add_registration(path, params, registration, kinds)
        else:
            events = self._listens.attach(path, params, registration, kinds, out)
            if self.disk is not None:
                self.disk.ask_cache(out)
        if events:
            out.append(Deliver(events))
        return out

    def remove_listener(
        self,
        path: Path,
        params: QueryParams,
        registration: object,
        now_s: float,
        wall_ms: int,
    ) -> list[Effect]:
        """Remove one registration of a query; one that is not there is no matter."""
        out: list[Effect] = []
        if path.front == ".info":
            self._info.remove_registration(path, params, registration)
        else:
            self._lingering.remove(path, params, registration, now_s, out)
            self._end_turn(now_s, wall_ms, out)
            self._arm(out)
        return out

    def keep_synced(
        self, path: Path, params: QueryParams, flag: bool, now_s: float, wall_ms: int
    ) -> list[Effect]:
        """Listen to a query without a listener, or stop it; each query is kept by itself (I-72).

        Raises:
            InvalidPath: it is below ``/.info``.
        """
        self._check_writable(path)
        if flag:
            kept = self._kept.add(path, params)
            if kept is None:
                return []
            self._tree.note(Pin(path, pinned_as(params), True))
            return self.add_listener(path, params, kept, KINDS["cancel"])
        kept = self._kept.remove(path, params)
        if kept is None:
            return []
        if not self._kept.is_pinned(path, params):
            self._tree.note(Pin(path, pinned_as(params), False))
        return self.remove_listener(path, kept.params, kept, now_s, wall_ms)

    def get(
        self,
        path: Path,
        params: QueryParams,
        source: GetSource,
        handle: Handle,
        deadline_s: float,
    ) -> list[Effect]:
        """Read once (§3.12): a live view that is complete, or the server, by the deadline."""
        out: list[Effect] = []
        if path.front == ".info":
            node = params.filter(self._info.value(path))
            result = GetResult(node, from_cache=False, has_pending_writes=False)
            out.append(Complete(handle, result, None))
        else:
            self._gets.start(path, params, source, handle, deadline_s, out)
            self._arm(out)
        return out

    def abandon_get(self, handle: Handle) -> None:
        """Forget a read that nobody waits for any more."""
        self._gets.abandon(handle)

    def close(self) -> tuple[int, list[Effect]]:
        """End for good: everybody who waits is told; return how many writes nobody confirmed."""
        out: list[Effect] = []

        def error(path: Path) -> DatabaseClosed:
            return DatabaseClosed(f"the database was left before {path} was answered")

        writes = [*self._requests.purge(), *self._requests.held.values()]
        for write in writes:
            write.note_stored(error(write.path))
        waiting = [*writes, *self._disconnects.purge(), *self._requests.lost()]
        out += [
            Complete(write, None, error(write.path))
            for write in waiting
            if isinstance(write, PendingWrite)
        ]
        self._transactions.end_all(error)
        unfinished = self._transactions.count
        if self._journal is None:
            unfinished += len(writes)
        self._transactions.settle(0, out)
        self._gets.end_all(error, out)
        return unfinished, out

    def go_online(self, now_s: float) -> list[Effect]:
        """Connect at once and stay connected, whatever kept the client away."""
        out: list[Effect] = []
        self._session.resume(now_s, out)
        out.append(StatusChanged())
        self._arm(out)
        return out

    def go_offline(self, now_s: float, wall_ms: int) -> list[Effect]:
        """End the connection and stay without one; local work goes on (§7.3)."""
        out: list[Effect] = []
        self._exchange.lost(wall_ms, out)
        self._session.interrupt("go_offline", None, out)
        self._gets.fail_all(out)
        out.append(StatusChanged())
        self._end_turn(now_s, wall_ms, out)
        return out

    def set_token(self, kind: TokenKind, token: str | None, now_s: float) -> list[Effect]:
        """Change a credential; nothing is listened to or sent again (§7.7)."""
        out: list[Effect] = []
        self._session.set_token(kind, token, now_s, out)
        out.append(StatusChanged())
        self._arm(out)
        return out

    def token(
        self,
        kind: TokenKind,
        attempt: int,
        token: str | None,
        error: Exception | None,
        now_s: float,
        *,
        refresh_s: float = _NEVER,
        expires_s: float = _NEVER,
        margin_s: float = LAPSE_MARGIN_S,
    ) -> list[Effect]:
        """Take the credential that a `FetchToken` asked for, or why there is none.

        `refresh_s` is when to ask for the next one, `expires_s` when the server takes it no more,
        both by the monotonic clock; `margin_s` before that a refusal may be for want of it.
        """
        out: list[Effect] = []
        self._session.token(
            kind,
            attempt,
            token,
            error,
            now_s,
            out,
            refresh_s=refresh_s,
            expires_s=expires_s,
            margin_s=margin_s,
        )
        if error is not None:
            self._exchange.last_error = error
        out.append(StatusChanged())
        self._arm(out)
        return out

    @property
    def uid(self) -> str | None:
        """Who is signed in, with a valid credential or without."""
        return self._uid

    def begin_as(self, uid: str | None) -> None:
        """Say who is signed in; before anything else."""
        self._uid = uid

    def refresh_token(self, now_s: float) -> list[Effect]:
        """Present another credential of the same user: at once, or when a connection is made."""
        out: list[Effect] = []
        self._session.refresh(out)
        if self._session.connection_state == "waiting":
            self._session.resume(now_s, out)
        self._arm(out)
        return out

    def change_user(
        self, uid: str | None, now_s: float, wall_ms: int, *, clear: bool = False
    ) -> list[Effect]:
        """Go on as somebody else, or as nobody (§7.7, I-99).

        The writes of others are neither shown nor sent until they return; those without an owner
        are the new user's, and so is what else was begun while nobody was signed in. `clear` drops
        the writes of the user of before for good.
        """
        out: list[Effect] = []
        previous, self._uid = self._uid, uid
        if uid == previous and not clear:
            return self.refresh_token(now_s)
        if self.disk is not None:
            changes = self.disk.take_cache_changes()
            out.append(SwitchOwner(changes, uid, previous if clear else None))
            self._tree.disown()
        self._exchange.lost(wall_ms, out)
        reason = "its user signed out" if uid is None else "another user signed in"
        if previous is not None:
            self._end_what_was_begun(reason, out)
        self._hold_and_show(uid, out)
        if clear:
            self._drop_held(previous, out)
        self._session.reconnect(reason, now_s, out, is_nobody=uid is None)
        out.append(StatusChanged())
        self._end_turn(now_s, wall_ms, out)
        self._arm(out)
        return out

    def _end_what_was_begun(self, reason: str, out: list[Effect]) -> None:
        """End what cannot wait for its user to return."""
        self._transactions.end_all(
            lambda path: TransactionAborted(f"{reason}: transaction at {path}")
        )
        for operation in self._disconnects.purge():
            error = WriteCancelled(f"{reason}: onDisconnect at {operation.path}")
            out.append(Complete(operation, None, error))

    def _hold_and_show(self, uid: str | None, out: list[Effect]) -> None:
        hidden, shown = self._requests.change_user(uid)
        events: list[Event] = []
        for write in hidden:
            if self._journal is not None:
                self._journal.hold(write.id)
            if write.is_loaded:
                events += self._tree.revert(write.id)
        parts = [(write.id, shown_parts(write)) for write in shown if write.is_loaded]
        events += self._tree.load(ROOT, DEFAULT, None, parts)
        if events:
            out.append(Deliver(events))
        missing = {write.id for write in shown if not write.is_loaded}
        if missing and self._journal is not None:
            needed = missing & self._listens.overlapping_writes()
            if needed:
                out.append(LoadWrites(sorted(needed)))

    def _drop_held(self, uid: str | None, out: list[Effect]) -> None:
        for write in [w for w in self._requests.held.values() if w.uid == uid]:
            del self._requests.held[write.id]
            if self._journal is not None:
                self._journal.remove(write, out)
            error = WriteCancelled(f"write at {write.path} was dropped as its user signed out")
            out.append(Complete(write, None, error))

    def receive(
        self, messages: Sequence[bytes | bytearray], now_s: float, wall_ms: int
    ) -> list[Effect]:
        """Take every complete message that has arrived, as one turn."""
        out: list[Effect] = []
        phase = self._session.phase
        self._exchange.receive(messages, now_s, wall_ms, out)
        self._end_turn(now_s, wall_ms, out)
        if self._session.phase != phase:
            self._arm(out)
        return out

    def closed(self, error: Exception, now_s: float, wall_ms: int) -> list[Effect]:
        """Note that the connection has ended or could not be made."""
        out: list[Effect] = []
        self._exchange.closed(error, now_s, wall_ms, out)
        self._end_turn(now_s, wall_ms, out)
        self._arm(out)
        return out

    def sent(self, now_s: float) -> None:
        """Note that something has just been given to the connection."""
        self._session.last_sent_s = now_s

    def pause(self, flag: bool) -> None:
        """Note that nobody reads from the connection on purpose, or that it is read again."""
        self._session.is_paused = flag

    def wake(self, now_s: float, wall_ms: int) -> list[Effect]:
        """Do what is due at this time."""
        out: list[Effect] = []
        self._wake_at_s = _NEVER
        phase = self._session.phase
        reason = self._session.wake(now_s, out)
        if reason is not None:
            self._exchange.give_up(Disconnected(reason), now_s, wall_ms, out)
        elif self._session.phase != phase:
            out.append(StatusChanged())
        self._gets.expire(now_s, self._session.phase == "ready", out)
        self._lingering.expire(now_s, out)
        self._end_turn(now_s, wall_ms, out)
        self._arm(out)
        return out

    def note_error(self, error: Exception) -> list[Effect]:
        """Show a failure of a callback or of the network in the status."""
        self._exchange.last_error = error
        return [StatusChanged()]

    @property
    def writes(self) -> Mapping[int, WriteT]:
        """The sets and updates without an answer, by id, oldest first."""
        return cast("Mapping[int, WriteT]", self._requests.writes)

    @property
    def held_writes(self) -> Mapping[int, WriteT]:
        """Those of users who are not signed in, likewise."""
        return cast("Mapping[int, WriteT]", self._requests.held)

    def clear_cache(self, now_s: float, wall_ms: int) -> list[Effect]:
        """Drop what no listener, keep-synced query or write needs: the listens that linger."""
        out: list[Effect] = []
        self._lingering.expire(_NEVER, out)
        self._tree.note(Clear())
        self._end_turn(now_s, wall_ms, out)
        return out

    @property
    def is_running_function(self) -> bool:
        """Whether a transaction's function is being run: the engine is inside a turn."""
        return self._transactions.is_running

    def _check_writable(self, path: Path) -> None:
        if path.front == ".info":
            raise InvalidPath(f"invalid path {path}: what is below /.info can only be listened to")

    def _end_turn(self, now_s: float, wall_ms: int, out: list[Effect]) -> None:
        """Bring what a turn has changed to its end."""
        self._exchange.release_deferred(out)
        if self._requests.unsent:
            self._exchange.send_unsent(out)
        if self._transactions.count:
            server_ms = self._exchange.server_time_ms(wall_ms)
            for ended in self._transactions.settle(server_ms, out):
                self._lingering.remove(ended.path, DEFAULT, ended, now_s, out)
        if self.disk is not None:
            self.disk.ask_cache(out)

    def _arm(self, out: list[Effect]) -> None:
        """Ask to be woken for what is due next, unless that has been asked for."""
        at_s = min(
            self._session.next_wake_s(),
            self._gets.next_deadline_s(),
            self._lingering.next_deadline_s(),
        )
        if at_s < self._wake_at_s:
            self._wake_at_s = at_s
            out.append(Wake(at_s))
