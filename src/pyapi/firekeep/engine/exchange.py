"""What is said between client and server: pushes, answers, restoring a session, losing it."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from firekeep.engine.disconnect_ops import DisconnectOperations, Rearmed
from firekeep.engine.effects import Complete, Deliver, Effect, Report, StatusChanged
from firekeep.engine.gets import Get, Gets
from firekeep.engine.info import Info
from firekeep.engine.journal import Journal
from firekeep.engine.kept import KeptQueries, KeptQuery, pinned_as
from firekeep.engine.listens import DEFAULT, Listen, Listens
from firekeep.engine.requests import PendingWrite, Requests, text_of
from firekeep.engine.session import CredentialRequest, Session
from firekeep.engine.transactions import Batch, Transaction, Transactions
from firekeep.engine.unlistens import Unlisten
from firekeep.exceptions import (
    Disconnected,
    FirekeepError,
    MaybeApplied,
    ProtocolError,
    WriteFailed,
    server_error,
)
from firekeep_core.operation.cache_change import Acknowledged, Assume, Forget, Pin
from firekeep_core.operation.operation import (
    ListenComplete,
    Merge,
    Operation,
    Overwrite,
    RangeMerge,
)
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.sync.event import Event
from firekeep_core.sync.sync_tree import SyncTree
from firekeep_core.wire.message import (
    AppCheckRevoked,
    AuthRevoked,
    Handshake,
    ListenRevoked,
    Ping,
    Pong,
    Redirect,
    Response,
    SecurityDebug,
    ServerError,
    Shutdown,
    Unknown,
    decode,
)

__all__ = ["Exchange"]

_PUSHES = frozenset({Overwrite, Merge, RangeMerge})
_PROTOCOL_VERSION = "5"
_LOSSES_OF_A_POISONED_WRITE = 3
_REFUSALS = frozenset({"permission_denied", "expired_token", "invalid_token"})
_REPORTED_KINDS = 100
_NOBODY = object()


class Exchange:
    """The server's side of the engine: its messages in, the engine's parts kept in step.

    One call of `receive` is one turn. Source: sync-engine §3.8, §5.5, §5.8, §7; wire §5.
    """

    def __init__(
        self,
        tree: SyncTree,
        requests: Requests,
        listens: Listens,
        transactions: Transactions,
        disconnects: DisconnectOperations,
        gets: Gets,
        info: Info,
        kept: KeptQueries,
        session: Session,
        journal: Journal | None,
    ) -> None:
        self._tree = tree
        self._requests = requests
        self._listens = listens
        self._transactions = transactions
        self._disconnects = disconnects
        self._gets = gets
        self._info = info
        self._kept = kept
        self._session = session
        self._journal = journal
        self._deferred: deque[tuple[int, PendingWrite | Batch | Get, Response]] = deque()
        """Answers to writes, and the number before which listens have to be answered first."""
        self._suspect_id = 0
        self._suspect_losses = 0
        self._reported: set[str] = set()
        self._is_lapsing = False
        """Whether what the server refuses in this turn, it refuses for want of a credential."""
        self._has_refused = False
        """Whether it has refused something for that reason."""
        self.last_error: Exception | None = None
        self.last_synced_ms: int | None = None
        self._controls: dict[type, Callable[[Any, float, int, list[Effect]], None]] = {
            Handshake: self._handshake,
            Redirect: self._redirect,
            Shutdown: self._shutdown,
            ServerError: self._server_error,
            ListenRevoked: self._listen_revoked,
            AuthRevoked: self._auth_revoked,
            AppCheckRevoked: self._app_check_revoked,
            SecurityDebug: self._security_debug,
            Unknown: self._unknown,
            Ping: _ignore,
            Pong: _ignore,
        }

    def receive(
        self, raw: Sequence[bytes | bytearray], now_s: float, wall_ms: int, out: list[Effect]
    ) -> None:
        """Take all messages that have arrived, in order, as one turn."""
        self._session.last_received_s = now_s
        self.last_synced_ms = wall_ms
        try:
            try:
                messages = decode(raw)
            except ProtocolError:
                self._take_one_by_one(raw, now_s, wall_ms, out)
            else:
                self._take(messages, now_s, wall_ms, out)
        except FirekeepError as error:
            self.give_up(error, now_s, wall_ms, out)
        # A fault of ours must not end the client: everything is listened to and sent again (I-107).
        except Exception as error:  # noqa: BLE001
            out.append(Report("error", f"internal error on a message, reconnecting: {error!r}"))
            self.give_up(error, now_s, wall_ms, out)
        finally:
            self._is_lapsing = False

    def queue_write(self, write: PendingWrite, out: list[Effect]) -> None:
        """Queue a new set or update, and send it if nothing has to come first."""
        requests = self._requests
        requests.add(write)
        if self._journal is not None:
            self._journal.append(write, out)
        elif requests.can_send and not requests.unsent:
            self.send_write(write, out)
            return
        if requests.can_send:
            requests.unsent.append(write)

    def send_write(self, write: PendingWrite, out: list[Effect]) -> None:
        """Send a set, an update or an onDisconnect."""
        out.append(self._requests.send_write(write))
        if write.has_increment:
            self._tree.mark_sent(write.id)

    def send_unsent(self, out: list[Effect]) -> None:
        """Send the writes that wait as far as they are stored and loaded.

        Transactions take their turn among them, in the order in which all were made.
        """
        journal, requests = self._journal, self._requests
        unsent = requests.unsent
        batches = self._transactions.take_ready() if self._transactions.count else []
        batches.reverse()
        while (write := requests.first_unsent()) is not None:
            while batches and batches[-1].first_order < write.id:
                self._transactions.send(batches.pop(), out)
            if journal is not None:
                if not journal.can_send(write, out):
                    break
                if not write.is_loaded:
                    journal.ask_for((one for one in unsent if one.id in requests.writes), out)
                    break
            unsent.popleft()
            self.send_write(write, out)
        for batch in reversed(batches):
            if unsent:
                self._transactions.defer(batch)
            else:
                self._transactions.send(batch, out)

    def drop_write(self, write: PendingWrite, out: list[Effect]) -> None:
        """Forget a set or update that has an outcome other than the server's consent."""
        self._requests.remove(write)
        if self._journal is not None:
            self._journal.remove(write, out)

    def closed(self, error: Exception, now_s: float, wall_ms: int, out: list[Effect]) -> None:
        """Note that the connection has ended, or could not be opened."""
        was_ready = self._session.phase == "ready"
        self.lost(wall_ms, out)
        # What the peer says that makes no sense is no fault of what was sent to it.
        if was_ready and not isinstance(error, ProtocolError):
            self._suspect_first_write(out)
        self._session.reason = str(error)
        self._session.failed(now_s)
        self.last_error = error
        out.append(Report("info" if isinstance(error, Disconnected) else "warning", str(error)))
        out.append(StatusChanged())

    def give_up(self, error: Exception, now_s: float, wall_ms: int, out: list[Effect]) -> None:
        """Close the connection because of an error, and plan the next one."""
        self.lost(wall_ms, out)
        reason = f"{type(error).__name__}: {error}"
        self._session.reason = reason
        self._session.restart(reason, now_s, out)
        self.last_error = error
        out.append(Report("warning", f"connection given up: {reason}"))
        out.append(StatusChanged())

    def lost(self, wall_ms: int, out: list[Effect]) -> None:
        """Put every part into the state without a connection; no harm if it is in it."""
        self.conclude_deferred(out)
        for owner in self._requests.lost():
            if isinstance(owner, Batch):
                self._transactions.lost(owner)
            elif isinstance(owner, PendingWrite) and owner.id not in self._requests.all_writes:
                error = MaybeApplied(
                    f"disconnect: onDisconnect at {owner.path} was sent and not answered"
                )
                out.append(Complete(owner, None, error))
        self._listens.lost()
        self._deliver(self._tree.connection_lost(), out)
        self._deliver(self._info.set("connected", False), out)
        effects = self._disconnects.take_effects(self.server_time_ms(wall_ms))
        if effects:
            self._apply(effects, out)
            for operation in effects:
                self._transactions.abort(operation.path, out)

    def server_time_ms(self, wall_ms: int) -> int:
        """Return the estimated time of the server."""
        return wall_ms + (self._session.offset_ms or 0)

    def restore_if_ready(self, out: list[Effect]) -> None:
        """Tell a connection that has just become ready all there is (wire §5.1, "Ours")."""
        requests = self._requests
        if requests.can_send or self._session.phase != "ready":
            return
        requests.can_send = True
        self._listens.send_all(out)
        requests.unsent.extend(requests.writes.values())
        self._transactions.ready_all()
        self.send_unsent(out)
        for operation in self._disconnects.to_send():
            self.send_write(operation, out)
        self._gets.send_all(out)
        self._deliver(self._info.set("connected", True), out)
        out.append(StatusChanged())

    def release_deferred(self, out: list[Effect]) -> None:
        """Act on the answers that no listen keeps back any more."""
        while self._deferred and not self._listens.is_blocked(self._deferred[0][0]):
            _, owner, response = self._deferred.popleft()
            self._conclude(owner, response, out)

    def conclude_deferred(self, out: list[Effect]) -> None:
        """Act on all answers that were kept back."""
        while self._deferred:
            _, owner, response = self._deferred.popleft()
            self._conclude(owner, response, out)

    def _take_one_by_one(
        self, raw: Sequence[bytes | bytearray], now_s: float, wall_ms: int, out: list[Effect]
    ) -> None:
        """Act on the messages before the broken one, then raise its error."""
        for message in raw:
            self._take(decode([message]), now_s, wall_ms, out)

    def _take(self, messages: list[object], now_s: float, wall_ms: int, out: list[Effect]) -> None:
        session = self._session
        if session.is_open and _PUSHES.issuperset(map(type, messages)):
            self._apply(cast("list[Operation]", messages), out)
            return
        connection = session.connection
        pushes: list[Operation] = []
        self._is_lapsing = (
            session.has_lapsed(now_s)
            or AuthRevoked in map(type, messages)
            or session.is_refused_in(messages)
        )
        self._has_refused = False
        for message in messages:
            kind = type(message)
            if kind in _PUSHES:
                # Before the greeting there is nothing that data could belong to.
                if session.is_open:
                    pushes.append(cast(Operation, message))
                continue
            if kind is Response:
                self._answered(cast(Response, message), pushes, now_s, out)
            else:
                self._flush(pushes, out)
                self._controls.get(kind, self._unexpected)(message, now_s, wall_ms, out)
            if session.connection != connection:
                # What came after this came over a connection that is no more.
                return
        self._flush(pushes, out)
        if self._has_refused:
            session.refused("auth", "expired_token", "the credential has expired", out)
            raise server_error("expired_token", "the credential has expired")

    def _apply(self, operations: list[Operation], out: list[Effect]) -> None:
        operations = self._listens.beyond_doubt(operations)
        self._deliver(self._tree.apply(operations), out)
        if self._transactions.count:
            for operation in operations:
                self._transactions.touch(operation.path)
        for tag in self._tree.take_unknown_tags():
            self._report_once("debug", f"ignored: data for the unknown tag {tag}", out)

    def _flush(self, pushes: list[Operation], out: list[Effect]) -> None:
        if pushes:
            self._apply(list(pushes), out)
            pushes.clear()

    def _deliver(self, events: list[Event], out: list[Effect]) -> None:
        if events:
            out.append(Deliver(events))

    def _answered(
        self, response: Response, pushes: list[Operation], now_s: float, out: list[Effect]
    ) -> None:
        """Act on an answer, after what was pushed before it."""
        owner = self._requests.outstanding.pop(response.number, _NOBODY)
        if isinstance(owner, PendingWrite | Batch):
            # What is only postponed waits for no listen.
            is_refused = self._is_for_want_of_a_credential(response.status)
            before = self._listens.blocking_before(response.number)
            if not is_refused and (self._deferred or self._listens.is_blocked(before)):
                self._deferred.append((before, owner, response))
            else:
                self._flush(pushes, out)
                self._conclude(owner, response, out)
        elif isinstance(owner, Listen):
            self._listen_answered(owner, response, pushes, out)
        elif isinstance(owner, Unlisten):
            self._flush(pushes, out)
            self._listens.unlistened(cast("Unlisten[Listen]", owner))
        elif isinstance(owner, Get):
            self._flush(pushes, out)
            if self._is_for_want_of_a_credential(response.status):
                return
            if self._deferred:
                # It has the effect of the writes whose answers are kept back.
                self._deferred.append((0, owner, response))
            else:
                self._gets.answered(owner, response, out)
        elif isinstance(owner, CredentialRequest):
            self._flush(pushes, out)
            self._credential_answered(owner, response, now_s, out)

    def _conclude(
        self, owner: PendingWrite | Batch | Get, response: Response, out: list[Effect]
    ) -> None:
        """Act on the answer to a write: the events it implies, then its completion (I-45)."""
        if isinstance(owner, Get):
            self._gets.answered(owner, response, out)
            return
        if self._is_for_want_of_a_credential(response.status):
            if isinstance(owner, Batch):
                self._transactions.postponed(owner)
            elif owner.id not in self._requests.all_writes:
                error = server_error(response.status, text_of(response), str(owner.path))
                out.append(Complete(owner, None, error))
            return
        if isinstance(owner, Batch):
            self._transactions.answered(owner, response, out)
            return
        refusal: Exception | None = None
        if response.status != "ok":
            refusal = server_error(response.status, text_of(response), str(owner.path))
        if owner.id in self._requests.writes:
            tree = self._tree
            if refusal is None:
                self._acknowledge(owner, out)
            else:
                self.drop_write(owner, out)
                self._deliver(tree.revert(owner.id), out)
            if self._transactions.count:
                self._transactions.touch(owner.path)
        elif owner.id in self._requests.held:
            self._conclude_held(owner, refusal, out)
        elif refusal is None:
            self._disconnects.confirmed(owner)
        elif isinstance(owner, Rearmed):
            out.append(Report("warning", f"onDisconnect was not registered again: {refusal}"))
        out.append(Complete(owner, None, refusal))

    def _conclude_held(
        self, write: PendingWrite, error: Exception | None, out: list[Effect]
    ) -> None:
        """End a write of another user that was sent while that one was signed in."""
        del self._requests.held[write.id]
        if self._journal is None:
            return
        if error is None and write.is_stored:
            self._tree.note(Acknowledged(write.id))
            self._journal.land(write.id)
        else:
            self._journal.remove(write, out)

    def _is_for_want_of_a_credential(self, status: str) -> bool:
        """Return whether a refusal means only that the user has to be authenticated again.

        What was refused then stays as it is, to be sent once more.
        """
        if not self._is_lapsing or status not in _REFUSALS:
            return False
        self._has_refused = True
        return True

    def _acknowledge(self, write: PendingWrite, out: list[Effect]) -> None:
        """Note that the server has taken a write: first in the cache, then in the queue (§8.10)."""
        tree = self._tree
        if self._journal is not None:
            if write.is_stored:
                for path, node in tree.assumed(write.id):
                    tree.note(Assume(path, node))
                tree.note(Acknowledged(write.id))
                self._journal.land(write.id)
            else:
                self._journal.remove(write, out)
        self._requests.remove(write)
        self._deliver(tree.acknowledge(write.id), out)

    def _listen_answered(
        self, listen: Listen, response: Response, pushes: list[Operation], out: list[Effect]
    ) -> None:
        if response.status == "ok":
            if self._listens.is_doubted(listen):
                self._flush(pushes, out)
            if self._listens.is_doubted(listen):
                # There is nothing else to say: it is as it was when the server was asked.
                pushes.append(Overwrite(listen.path, listen.hashed, listen.tag))
            if self._listens.confirm(listen):
                pushes.append(ListenComplete(listen.path, listen.tag))
            warnings = response.data.child("w")
            for key in warnings:
                text = f"listen at {listen.path}: {warnings.child(key).value}"
                self._report_once("warning", text, out)
        elif self._is_for_want_of_a_credential(response.status):
            self._listens.suspend(listen)
        else:
            self._flush(pushes, out)
            if self._listens.refuse(listen):
                if listen.tag is None:
                    # With the whole location, every query there has come to its end.
                    self._listens.revoke(listen.path, None)
                error = server_error(response.status, text_of(response), str(listen.path))
                self._cancel(listen.path, listen.params, error, out)
        if self._deferred:
            self._flush(pushes, out)
            self.release_deferred(out)

    def _cancel(
        self, path: Path, params: QueryParams | None, error: Exception, out: list[Effect]
    ) -> None:
        """Tell everybody that what the server ended will not go on."""
        events, changes = self._tree.cancel(path, params, error)
        self._tree.note(Forget(path, DEFAULT if params is None else params))
        told: list[Event] = []
        for event in events:
            registration: object = event.registration
            if isinstance(registration, KeptQuery):
                self._kept.ended(registration)
                self._tree.note(Pin(path, pinned_as(registration.params), False))
                out.append(Report("warning", f"{path} is no longer kept synced: {error}"))
            elif isinstance(registration, Transaction):
                self._transactions.cancelled(registration, error)
            else:
                told.append(event)
        self._deliver(told, out)
        self._listens.change(changes, out)
        self._transactions.touch(path)

    def _credential_answered(
        self, request: CredentialRequest, response: Response, now_s: float, out: list[Effect]
    ) -> None:
        refusal = self._session.answered(request, response, out)
        if refusal is not None:
            raise refusal
        self.restore_if_ready(out)
        out.append(StatusChanged())

    def _suspect_first_write(self, out: list[Effect]) -> None:
        """Give up a write that stood first in line whenever the connection broke (W-11)."""
        first = self._requests.first_sent()
        if first is None:
            self._suspect_id = 0
            return
        if first.id != self._suspect_id:
            self._suspect_id = first.id
            self._suspect_losses = 0
        self._suspect_losses += 1
        if self._suspect_losses < _LOSSES_OF_A_POISONED_WRITE:
            return
        self.drop_write(first, out)
        self._deliver(self._tree.revert(first.id), out)
        self._transactions.touch(first.path)
        error = WriteFailed(
            f"write at {first.path} given up: the connection ended"
            f" {self._suspect_losses} times in a row while it was the first without an answer"
        )
        out.append(Complete(first, None, error))

    def _handshake(self, message: Handshake, now_s: float, wall_ms: int, out: list[Effect]) -> None:
        session = self._session
        if session.phase != "connecting":
            self._report_once("warning", "a second handshake was ignored", out)
            return
        session.handshake(message, now_s, wall_ms, out)
        if message.version != _PROTOCOL_VERSION:
            self._report_once("warning", f"the server speaks version {message.version!r:.20}", out)
        if session.offset_ms is not None:
            self._deliver(self._info.set("serverTimeOffset", session.offset_ms), out)
        out.append(StatusChanged())
        self.restore_if_ready(out)

    def _redirect(self, message: Redirect, now_s: float, wall_ms: int, out: list[Effect]) -> None:
        self.lost(wall_ms, out)
        self._session.redirect(message.host, now_s, out)
        out.append(StatusChanged())

    def _shutdown(self, message: Shutdown, now_s: float, wall_ms: int, out: list[Effect]) -> None:
        self.lost(wall_ms, out)
        self._session.interrupt("server_kill", message.reason, out)
        self._gets.fail_all(out, f"the server ended the session: {message.reason}")
        self.last_error = Disconnected(f"the server ended the session: {message.reason}")
        out.append(Report("error", f"{self.last_error}; go_online() tries again"))
        out.append(StatusChanged())

    def _server_error(
        self, message: ServerError, now_s: float, wall_ms: int, out: list[Effect]
    ) -> None:
        out.append(Report("error", f"the server reports: {message.text}"))

    def _listen_revoked(
        self, message: ListenRevoked, now_s: float, wall_ms: int, out: list[Effect]
    ) -> None:
        if self._is_for_want_of_a_credential("permission_denied"):
            return
        error = server_error("permission_denied", "the listen was revoked", str(message.path))
        for params in (None,) if message.queries is None else message.queries:
            if self._listens.revoke(message.path, params):
                self._cancel(message.path, params, error, out)
        self.release_deferred(out)

    def _auth_revoked(
        self, message: AuthRevoked, now_s: float, wall_ms: int, out: list[Effect]
    ) -> None:
        self._session.refused("auth", message.status, message.text, out)
        raise server_error(message.status, message.text)

    def _app_check_revoked(
        self, message: AppCheckRevoked, now_s: float, wall_ms: int, out: list[Effect]
    ) -> None:
        self._session.refused("app_check", message.status, message.text, out)
        self._session.refresh(out, "app_check", force=True)

    def _security_debug(
        self, message: SecurityDebug, now_s: float, wall_ms: int, out: list[Effect]
    ) -> None:
        out.append(Report("info", f"security debug: {message.text}"))

    def _unknown(self, message: Unknown, now_s: float, wall_ms: int, out: list[Effect]) -> None:
        self._report_once("info", f"ignored: {message.text}", out)

    def _unexpected(self, message: object, now_s: float, wall_ms: int, out: list[Effect]) -> None:
        self._report_once("info", f"ignored: {type(message).__name__} from a server", out)

    def _report_once(self, level: Any, text: str, out: list[Effect]) -> None:
        """Log what a server may repeat without end once, and forget what it varies without end."""
        if text not in self._reported and len(self._reported) < _REPORTED_KINDS:
            self._reported.add(text)
            out.append(Report(level, text))


def _ignore(message: object, now_s: float, wall_ms: int, out: list[Effect]) -> None:
    """Take a message whose arrival was all there was to it."""
