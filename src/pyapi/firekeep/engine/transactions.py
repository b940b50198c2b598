"""Transactions: optimistic, guarded by a hash, re-run when their input changes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from firekeep.engine.effects import Complete, Deliver, Effect, Handle
from firekeep.engine.listens import DEFAULT, Listens
from firekeep.engine.requests import Requests, check_size, text_of
from firekeep.exceptions import (
    MaybeApplied,
    TooManyRetries,
    TransactionAborted,
    server_error,
)
from firekeep.types import JSON
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.server_value import contains_server_value, resolve
from firekeep_core.snap.value import from_python, to_python
from firekeep_core.sync.event import KINDS
from firekeep_core.sync.sync_tree import SyncTree
from firekeep_core.wire.message import Response

__all__ = ["ABORT", "Abort", "Batch", "Outcome", "Transaction", "Transactions"]

MAX_SENDS = 25


class Abort:
    """The type of `ABORT`."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the public name."""
        return "firekeep.ABORT"


ABORT: Final = Abort()
"""Returned by a transaction's function to leave the value as it is."""

Function: TypeAlias = Callable[[JSON], object]

# ``waiting``: for a value that the server confirmed; ``run``: has an output, not sent.
# ``overridden``: sent, and another write has since taken its place.
State = Literal["waiting", "run", "sent", "overridden", "failed", "done"]


class Outcome(NamedTuple):
    """How a transaction ended where it did not fail."""

    committed: bool
    node: Node
    """What it wrote, or, if it aborted itself, what it saw."""


class Transaction:
    """One transaction; it also stands for itself in the tree, which keeps its location synced."""

    __slots__ = (
        "apply_locally",
        "error",
        "function",
        "handle",
        "input",
        "order",
        "output",
        "path",
        "require_server",
        "resolved",
        "sends",
        "state",
        "write_id",
    )

    def __init__(
        self,
        path: Path,
        function: Function,
        handle: Handle,
        *,
        apply_locally: bool,
        require_server: bool,
        order: int,
    ) -> None:
        self.path = path
        self.function = function
        self.handle = handle
        self.apply_locally = apply_locally
        self.require_server = require_server
        self.order = order
        self.state: State = "waiting"
        self.sends = 0
        self.write_id = 0
        """Of its output in the tree; 0 while there is none."""
        self.input: Node = EMPTY
        self.output: Node = EMPTY
        """Raw, as it is sent."""
        self.resolved: Node = EMPTY
        self.error: Exception | None = None


class Batch:
    """Transactions at and below one path that one conditional put carries."""

    __slots__ = ("path", "transactions")

    def __init__(self, path: Path, transactions: list[Transaction]) -> None:
        self.path = path
        self.transactions = transactions

    @property
    def live(self) -> list[Transaction]:
        """Those that no purge has ended while the put was in flight."""
        return [transaction for transaction in self.transactions if transaction.state != "done"]

    @property
    def first_order(self) -> int:
        """The creation number of its oldest transaction."""
        return self.transactions[0].order


class _Place:
    """A location of the queue tree."""

    __slots__ = ("children", "queue")

    def __init__(self) -> None:
        self.children: dict[str, _Place] = {}
        self.queue: dict[Transaction, None] = {}

    def everything(self) -> Iterator[Transaction]:
        yield from self.queue
        for child in self.children.values():
            yield from child.everything()


class Transactions:
    """The queue tree of all transactions that have no outcome yet.

    Nothing here is final before `settle`: the other calls note what has changed, `settle` brings
    the turn to its end. Source: sync-engine §6.
    """

    def __init__(self, tree: SyncTree, requests: Requests, listens: Listens) -> None:
        self._tree = tree
        self._requests = requests
        self._listens = listens
        self._root = _Place()
        self._finished: list[tuple[Transaction, Outcome | None, Exception | None]] = []
        self._changed: dict[Path, bool] = {}
        """Where inputs may have changed; True: re-run even if they have not."""
        self._ready: dict[Path, None] = {}
        """Where something may be there to be sent."""
        self.count = 0
        """Transactions without an outcome, and those whose outcome `settle` has yet to tell."""
        self.is_running = False
        """Whether a user's function is being run: the engine is in the middle of a turn."""

    def start(self, transaction: Transaction, now_ms: int, out: list[Effect]) -> None:
        """Queue a transaction and run it, or have it wait for its first value."""
        path = transaction.path
        self.count += 1
        # Silent: what the keeper is for is the data. It hears only that there will be none.
        self._listens.attach(path, DEFAULT, transaction, KINDS["cancel"], out)
        self._place(path).queue[transaction] = None
        if self._must_wait(transaction):
            return
        self._run(transaction, self._tree.latest_state(path), now_ms, out)

    def touch(self, path: Path) -> None:
        """Note that what lies at, above or below a path may have changed."""
        if self.count:
            self._changed.setdefault(path, False)

    def abort(self, path: Path, out: list[Effect]) -> None:
        """End what a write at a path overrides: everything at, above and below it (§6.6)."""
        overridden: list[Transaction] = []
        place = self._root
        for key in path.keys:
            overridden += place.queue
            child = place.children.get(key)
            if child is None:
                break
            place = child
        else:
            overridden += place.everything()
        for transaction in overridden:
            self._override(transaction, path, out)
        if overridden:
            self._ready[path] = None

    def answered(self, batch: Batch, response: Response, out: list[Effect]) -> None:
        """Take the answer to a conditional put (§6.4)."""
        if response.status == "ok":
            for transaction in batch.live:
                events = self._tree.acknowledge(transaction.write_id)
                if events:
                    out.append(Deliver(events))
                transaction.write_id = 0
                self._finish(transaction, Outcome(True, transaction.resolved), None)
            self._ready[batch.path] = None
            self.touch(batch.path)
            return
        stale = response.status == "datastale"
        for transaction in batch.live:
            if not stale:
                transaction.state = "failed"
                transaction.error = server_error(
                    response.status, text_of(response), str(transaction.path)
                )
            elif transaction.state == "overridden":
                transaction.state = "failed"
            else:
                transaction.state = "run"
        self._changed[batch.path] = True

    def postponed(self, batch: Batch) -> None:
        """Note that a put was refused only for now: it is sent again."""
        for transaction in batch.live:
            transaction.state = "failed" if transaction.state == "overridden" else "run"
            transaction.sends -= 1
        self._ready[batch.path] = None
        self.touch(batch.path)

    def cancelled(self, transaction: Transaction, error: Exception) -> None:
        """Note that the server gives no data: one that must have them cannot begin."""
        if transaction.state == "waiting":
            transaction.state = "failed"
            transaction.error = error
            self.touch(transaction.path)

    def lost(self, batch: Batch) -> None:
        """Fail what was in flight when the connection broke; it may have been applied (I-88)."""
        for transaction in batch.live:
            transaction.state = "failed"
            transaction.error = MaybeApplied(
                f"disconnect: transaction at {transaction.path} was sent and not answered"
            )
        self.touch(batch.path)

    def ready_all(self) -> None:
        """Note that a new connection can take everything."""
        self._ready = {ROOT: None}

    def take_ready(self) -> list[Batch]:
        """Return what can be sent, in order of creation; what is not sent is to be deferred."""
        ready, self._ready = self._ready, {}
        batches = {batch.path: batch for path in ready for batch in self._batches_at(path)}
        return sorted(batches.values(), key=_first_order)

    def defer(self, batch: Batch) -> None:
        """Look at a batch again at the end of the next turn: an older write goes first."""
        self._ready[batch.path] = None

    def end_all(self, error: Callable[[Path], Exception]) -> None:
        """End all with an error; the tree no longer holds their outputs (§6.7)."""
        for transaction in sorted(self._root.everything(), key=_order):
            transaction.write_id = 0
            self._finish(transaction, None, error(transaction.path))

    def settle(self, now_ms: int, out: list[Effect]) -> list[Transaction]:
        """End the turn: re-run, send, tell outcomes.

        Return those that have ended: their registrations are to be taken out of the tree, and not
        before everything else is done, since the data may go with them.
        """
        while self._changed:
            path, force = self._changed.popitem()
            self._rerun(path, force, now_ms, out)
        if self._requests.can_send and self._ready:
            ready, self._ready = self._ready, {}
            for path in ready:
                for batch in self._batches_at(path):
                    if self._requests.is_behind(batch.first_order):
                        self.defer(batch)
                    else:
                        self.send(batch, out)
        finished, self._finished = self._finished, []
        self.count -= len(finished)
        out += [
            Complete(transaction.handle, outcome, error) for transaction, outcome, error in finished
        ]
        return [transaction for transaction, _, _ in finished]

    def _run(self, transaction: Transaction, state: Node, now_ms: int, out: list[Effect]) -> bool:
        """Run the function on a state and put its output in place of its last one.

        Return whether the tree holds a new output.
        """
        transaction.input = state
        self.is_running = True
        try:
            result = transaction.function(to_python(state))
        # Whatever the user's function raises is the outcome of the transaction (I-86).
        except Exception as error:  # noqa: BLE001
            self._revert(transaction, out)
            self._finish(transaction, None, error)
            return False
        finally:
            self.is_running = False
        if isinstance(result, Abort):
            self._revert(transaction, out)
            self._finish(transaction, Outcome(False, state), None)
            return False
        try:
            output = from_python(result, path=transaction.path)
            check_size(transaction.path, [output], output.size_bytes)
            if not (isinstance(result, Mapping) and ".priority" in result):
                output = output.with_priority(state.priority)
            resolved = resolve(output, state, now_ms) if contains_server_value(output) else output
        except ValueError as error:
            self._revert(transaction, out)
            self._finish(transaction, None, error)
            return False
        transaction.state = "run"
        transaction.output = output
        self._ready[transaction.path] = None
        if transaction.write_id and resolved == transaction.resolved:
            return False
        transaction.resolved = resolved
        previous_id = transaction.write_id
        transaction.write_id = self._requests.next_write_id()
        # The new output comes before the old one goes: views never show the state between (I-84).
        events = self._tree.write(
            transaction.write_id, transaction.path, resolved, transaction.apply_locally
        )
        if previous_id:
            events += self._tree.revert(previous_id)
        if events:
            out.append(Deliver(events))
        return True

    def _rerun(self, path: Path, force: bool, now_ms: int, out: list[Effect]) -> None:
        top = self._top(path)
        if top is None:
            return
        queue = sorted(top.everything(), key=_order)
        pending = {t.write_id for t in queue if t.state == "run" and t.write_id}
        unchanged: set[Path] = set()
        displaced: list[Path] = []
        for transaction in queue:
            place = transaction.path
            if transaction.state == "failed":
                self._revert(transaction, out)
                self._finish(transaction, None, transaction.error)
                self._ready[place] = None
            elif transaction.state == "waiting":
                if not self._must_wait(transaction):
                    state = self._tree.latest_state(place, frozenset(pending))
                    if self._run(transaction, state, now_ms, out):
                        displaced.append(place)
            elif transaction.state in ("sent", "overridden"):
                unchanged.add(place)
            elif transaction.sends >= MAX_SENDS and force:
                self._revert(transaction, out)
                self._finish(
                    transaction,
                    None,
                    TooManyRetries(
                        f"maxretry: the data at {place} changed"
                        f" each of the {MAX_SENDS} times that the transaction was sent"
                    ),
                )
                pending.discard(transaction.write_id)
            else:
                overlaps = any(p.contains(place) or place.contains(p) for p in displaced)
                # What an unchanged output covers cannot have changed either.
                if not (force or overlaps) and _is_covered(place, unchanged):
                    pending.discard(transaction.write_id)
                    continue
                state = self._tree.latest_state(place, frozenset(pending))
                pending.discard(transaction.write_id)
                if not (force or overlaps) and state == transaction.input:
                    unchanged.add(place)
                elif self._run(transaction, state, now_ms, out):
                    displaced.append(place)
                elif transaction.state == "run" and overlaps:
                    # The same output, but it has to lie on top of the one before it.
                    self._restack(transaction, out)
                    displaced.append(place)

    def _must_wait(self, transaction: Transaction) -> bool:
        """Return whether what it is to run on first is still to come, from server or disk."""
        if transaction.require_server:
            return not self._is_confirmed(transaction.path)
        return self._listens.is_loading(transaction.path)

    def _restack(self, transaction: Transaction, out: list[Effect]) -> None:
        previous_id = transaction.write_id
        transaction.write_id = self._requests.next_write_id()
        events = self._tree.write(
            transaction.write_id, transaction.path, transaction.resolved, transaction.apply_locally
        )
        events += self._tree.revert(previous_id)
        if events:
            out.append(Deliver(events))

    def _batches_at(self, path: Path) -> list[Batch]:
        """Return what is ready at, above or below a path: everything under one place at once."""
        place = self._root
        keys = path.keys
        depth = 0
        while not place.queue and depth < len(keys):
            child = place.children.get(keys[depth])
            if child is None:
                return []
            place = child
            depth += 1
        batches: list[Batch] = []
        _collect(Path.from_keys(keys[:depth]), place, batches)
        return batches

    def send(self, batch: Batch, out: list[Effect]) -> None:
        """Send a batch: one put over the state that all others have left, guarded by its hash."""
        path = batch.path
        own = frozenset(transaction.write_id for transaction in batch.transactions)
        state = self._tree.latest_state(path, own)
        value = state
        for transaction in batch.transactions:
            value = value.update(transaction.path.relative_to(path), transaction.output)
            transaction.state = "sent"
            transaction.sends += 1
        body = {"p": str(path), "d": value, "h": hash_v1(state)}
        out.append(self._requests.request("p", body, batch))

    def _override(self, transaction: Transaction, path: Path, out: list[Effect]) -> None:
        if transaction.state in ("overridden", "failed"):
            return
        error = TransactionAborted(
            f"overridden by set: a write at {path} took the place"
            f" of the transaction at {transaction.path}"
        )
        if transaction.state == "sent":
            transaction.state = "overridden"
            transaction.error = error
            return
        self._revert(transaction, out)
        self._finish(transaction, None, error)

    def _revert(self, transaction: Transaction, out: list[Effect]) -> None:
        if transaction.write_id:
            events = self._tree.revert(transaction.write_id)
            transaction.write_id = 0
            if events:
                out.append(Deliver(events))

    def _finish(
        self, transaction: Transaction, outcome: Outcome | None, error: Exception | None
    ) -> None:
        transaction.state = "done"
        self._finished.append((transaction, outcome, error))
        # Others at, above or below may have waited for this one.
        self._ready[transaction.path] = None
        spine = [self._root]
        for key in transaction.path.keys:
            child = spine[-1].children.get(key)
            if child is None:
                return
            spine.append(child)
        spine[-1].queue.pop(transaction, None)
        for depth in range(len(spine) - 1, 0, -1):
            place = spine[depth]
            if place.queue or place.children:
                break
            del spine[depth - 1].children[transaction.path.keys[depth - 1]]

    def _place(self, path: Path) -> _Place:
        place = self._root
        for key in path.keys:
            place = place.children.setdefault(key, _Place())
        return place

    def _top(self, path: Path) -> _Place | None:
        """Return the root-most place with transactions on the way to a path, or what is at it."""
        place = self._root
        for key in path.keys:
            if place.queue:
                break
            child = place.children.get(key)
            if child is None:
                return None
            place = child
        return place

    def _is_confirmed(self, path: Path) -> bool:
        return self._listens.is_confirmed(path, DEFAULT)


def _order(transaction: Transaction) -> int:
    return transaction.order


def _first_order(batch: Batch) -> int:
    return batch.first_order


def _collect(path: Path, place: _Place, batches: list[Batch]) -> None:
    if place.queue:
        # What lies below one in flight was computed on its output, and waits for its outcome.
        if all(transaction.state == "run" for transaction in place.everything()):
            batches.append(Batch(path, sorted(place.everything(), key=_order)))
        return
    for key, child in place.children.items():
        _collect(path.child(key), child, batches)


def _is_covered(path: Path, places: set[Path]) -> bool:
    place: Path | None = path
    while place is not None:
        if place in places:
            return True
        place = place.parent
    return False
