"""Random transactions, writes, competitors and broken connections against a simulated server.

Whenever the server accepts a batch, what it accepts must be what the batch's functions make of the
server's own value at that moment; and each transaction is accepted exactly as often as it says.
"""

from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.api.engine.dialogue import Dialogue, Message
from tests.model.simulated_server import SimulatedServer

from firekeep.engine.effects import Complete
from firekeep.engine.transactions import ABORT, MAX_SENDS, Batch, Outcome
from firekeep.exceptions import MaybeApplied, TransactionAborted
from firekeep.pending import Pending
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.value import export, from_export, from_python, to_python

PATHS = ["/c", "/c/x", "/c/y", "/c/y/z", "/d"]
Function = Callable[[Any], Any]


def number(value: Any) -> int:
    """Return what counts, of anything that may lie there."""
    if isinstance(value, dict):
        children = cast("dict[str, Any]", value)
        return sum(number(child) for child in children.values())
    return int(value or 0)


def adding(delta: int) -> Function:
    """Make a function whose result depends on all of its input."""
    return lambda value: number(value) + delta


def counting(delta: int) -> Function:
    """Make a function that keeps its siblings' children and counts beside them."""

    def count(value: Any) -> Any:
        children: dict[str, Any] = {"x": number(value)}
        if isinstance(value, dict):
            children = cast("dict[str, Any]", value)
        return {**children, "n": number(children.get("n")) + delta}

    return count


def aborting(delta: int) -> Function:
    """Make a function that wants small numbers only."""
    return lambda value: ABORT if number(value) % 3 == 0 else number(value) + delta


def failing(delta: int) -> Function:
    """Make a function that cannot stand some numbers."""

    def fail(value: Any) -> Any:
        if number(value) % 4 == 1:
            raise ArithmeticError
        return number(value) + delta

    return fail


class Record:
    """What is known of one transaction from outside."""

    def __init__(self, handle: Pending[Any], path: str, visible: bool) -> None:
        self.handle = handle
        self.path = path
        self.visible = visible
        self.accepted = 0
        self.sends = 0
        self.ended: Complete | None = None


class TransactionMachine(RuleBasedStateMachine):
    """One client, its server, and somebody else who writes to it."""

    def __init__(self) -> None:
        super().__init__()
        self.dialogue = Dialogue()
        self.server = SimulatedServer()
        self.records: dict[Pending[Any], Record] = {}
        self.inbox: list[Message] = []
        self.seen_effects = 0
        self.is_connected = False
        self.listeners = {path: self.dialogue.listen(path) for path in ("/c", "/d")}

    # ---- the user -----------------------------------------------------------------

    @rule(
        path=st.sampled_from(PATHS),
        make=st.sampled_from([adding, counting, aborting, failing]),
        delta=st.integers(1, 5),
        visible=st.booleans(),
        require_server=st.booleans(),
    )
    def transact(
        self,
        path: str,
        make: Callable[[int], Function],
        delta: int,
        visible: bool,
        require_server: bool,
    ) -> None:
        handle = self.dialogue.transaction(
            path, make(delta), apply_locally=visible, require_server=require_server
        )
        self.records[handle] = Record(handle, path, visible)
        self.collect()

    @rule(path=st.sampled_from(PATHS), value=st.one_of(st.none(), st.integers(0, 9)))
    def set(self, path: str, value: int | None) -> None:
        self.dialogue.set(path, value)
        self.collect()

    @rule(child=st.sampled_from(["x", "y", "y/z"]), value=st.integers(0, 9))
    def update(self, child: str, value: int) -> None:
        self.dialogue.update("/c", {child: value})
        self.collect()

    @rule()
    def purge(self) -> None:
        self.dialogue.purge()
        self.collect()

    # ---- everybody else -------------------------------------------------------------

    @rule(path=st.sampled_from(PATHS), value=st.one_of(st.none(), st.integers(0, 9)))
    def compete(self, path: str, value: int | None) -> None:
        messages = self.server.write(Path.from_wire(path), from_export(value))
        if messages:
            self.dialogue.server(*messages)
            self.collect()

    @precondition(lambda self: self.inbox)
    @rule(count=st.integers(1, 4), refuse=st.integers(0, 9))
    def serve(self, count: int, refuse: int) -> None:
        messages: list[Message] = []
        for position in range(min(count, len(self.inbox))):
            messages += self.carry_out(self.inbox.pop(0), refuse=refuse == position + 6)
        self.dialogue.server(*messages)
        self.collect()

    @precondition(lambda self: not self.is_connected)
    @rule()
    def connect(self) -> None:
        if self.dialogue.engine.overview.status(0).connection == "offline":
            self.dialogue.go_online()
        else:
            self.dialogue.advance_to_wake()
        self.dialogue.greet()
        self.is_connected = True
        self.collect()

    @precondition(lambda self: self.is_connected)
    @rule(carried_out=st.integers(0, 3))
    def lose(self, carried_out: int) -> None:
        # Some requests reach the server whose answers never come back.
        for request in self.inbox[:carried_out]:
            self.carry_out(request)
        self.inbox.clear()
        self.server.connection_lost()
        self.dialogue.lose()
        self.is_connected = False
        self.collect()

    # ---- what must hold --------------------------------------------------------------

    def carry_out(self, request: Message, *, refuse: bool = False) -> list[Message]:
        """Have the server act on a request, and check what it accepts."""
        owner = self.dialogue.engine._requests.outstanding.get(request["r"])  # pyright: ignore[reportPrivateUsage]
        batch = owner if isinstance(owner, Batch) else None
        before = self.server.root
        messages, written = self.server.handle(request, refuse=refuse and request["a"] in "pm")
        if "h" in request["b"] and batch is not None and request["a"] == "p":
            for transaction in batch.transactions:
                record = self.records[transaction.handle]  # type: ignore[index]
                record.sends += 1
                record.accepted += written
            if written:
                expected = before
                for transaction in batch.transactions:
                    result = transaction.function(to_python(expected.get(transaction.path)))
                    expected = expected.update(
                        transaction.path, from_python(result, path=transaction.path)
                    )
                assert export(self.server.root) == export(expected)
        return messages

    def collect(self) -> None:
        """Take note of what has ended and what was sent."""
        effects = self.dialogue.effects
        for effect in effects[self.seen_effects :]:
            if isinstance(effect, Complete) and effect.handle in self.records:
                record = self.records[effect.handle]  # type: ignore[index]
                assert record.ended is None, "an outcome is told once"
                record.ended = effect
                self.check_outcome(record)
        self.seen_effects = len(effects)
        self.inbox += self.dialogue.take_requests()

    def check_outcome(self, record: Record) -> None:
        ended = record.ended
        assert ended is not None
        assert record.sends <= MAX_SENDS
        if ended.error is None:
            assert isinstance(ended.result, Outcome)
            assert record.accepted == ended.result.committed
        elif not isinstance(ended.error, MaybeApplied | TransactionAborted):
            # A purge takes back nothing that the server has accepted meanwhile.
            assert record.accepted == 0 or "write_canceled" in str(ended.error)
        assert record.accepted <= 1

    @invariant()
    def hidden_outputs_are_not_shown(self) -> None:
        visible = any(r.visible and r.ended is None for r in self.records.values())
        if visible or self.dialogue.engine.writes or not self.is_settled_with_server():
            return
        for path, listener in self.listeners.items():
            if listener.values:
                assert listener.value == self.server.value(path)

    def is_settled_with_server(self) -> bool:
        return (
            self.is_connected
            and not any(request["a"] == "q" for request in self.inbox)
            and len(self.server.listens) > 0
        )

    def teardown(self) -> None:
        """Let everything come to its end: then everybody agrees and nothing is left behind."""
        if not self.is_connected:
            self.connect()
        for _ in range(500):
            if not self.inbox:
                break
            self.serve(4, 0)
        assert all(record.ended is not None for record in self.records.values())
        for path, listener in self.listeners.items():
            assert listener.value == self.server.value(path)
        engine = self.dialogue.engine
        assert not engine.overview.has_pending_writes(ROOT)
        assert sorted(map(str, self.server.listens)) == ["/c", "/d"], "no keeper is left (I-91)"
        assert all(
            engine.overview.is_confirmed(Path.from_wire(p), QueryParams.DEFAULT)
            for p in ("/c", "/d")
        )


TestTransactions = TransactionMachine.TestCase
TestTransactions.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


@pytest.mark.slow
class TestManyTransactions(TransactionMachine.TestCase):
    """The same, for longer."""

    settings = settings(max_examples=5000, stateful_step_count=50, deadline=None)
