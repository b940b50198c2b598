"""Random histories of listeners, writes and server messages, on the model and its pupils.

`LegalHistories` plays a real connection: the listeners' values are compared with what the
server is known to have said, too. `AnyMessages` plays any message at all: whatever a server
sends, the engines agree and their events make sense.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.model import histories as some
from tests.model.engine_model import ListenChange
from tests.model.lock_step import LockStep
from tests.model.native_engine import NativeEngine, Range
from tests.model.operation_model import Record, starts_with
from tests.model.query_model import DEFAULT, Query
from tests.model.tree_model import (
    PRIORITY,
    SERVER_VALUE,
    Keys,
    Tree,
    children_of,
    get,
    increments_in,
    same,
)
from tests.model.view_model import ALL_KINDS, Event, View
from tests.model.world_model import Choices, Message, Request, World

HISTORIES = int(os.environ.get("FIREKEEP_HISTORIES", "1000"))  # of each kind
STEPS = int(os.environ.get("FIREKEEP_STEPS", "50"))
RANDOM = settings(
    max_examples=HISTORIES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
MORE = settings(RANDOM, max_examples=20 * HISTORIES)


class LegalHistories(RuleBasedStateMachine):
    """A client on a connection that comes and goes, and a server that keeps to the protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.both = LockStep(NativeEngine())
        self.world = World()
        self.connected = True
        self.next_write = 0
        self.next_listen = 0
        self.sent: set[int] = set()
        self.asked: dict[tuple[Keys, Query], int] = {}  # the id of the request
        self.answered: set[tuple[Keys, Query]] = set()
        self.held: dict[tuple[Keys, Query], tuple[Tree]] = {}  # as said in a listen

    # The user.

    @rule(path=some.paths, query=some.queries, kinds=some.kinds)
    def listen(self, path: Keys, query: Query, kinds: int) -> None:
        self._ask(self.both.listen(path, query, kinds))

    @precondition(lambda self: self.both.listeners)
    @rule(index=some.indexes)
    def unlisten(self, index: int) -> None:
        listeners = self.both.listeners
        self._ask(self.both.unlisten(listeners[index % len(listeners)]))

    @rule(path=some.paths, value=some.trees)
    def set(self, path: Keys, value: Tree) -> None:
        self._write([(path, value)])

    @rule(path=some.paths, value=some.trees)
    def set_hidden(self, path: Keys, value: Tree) -> None:
        self._write([(path, value)], visible=False)

    @rule(path=some.paths, entries=some.entries)
    def update(self, path: Keys, entries: list[tuple[Keys, Tree]]) -> None:
        self._write([((*path, *rest), value) for rest, value in entries], path)

    @rule(path=some.paths, priority=some.priorities)
    def set_priority(self, path: Keys, priority: Tree) -> None:
        self._write([((*path, PRIORITY), priority)])

    @rule(path=some.paths, delta=some.deltas)
    def increment(self, path: Keys, delta: float) -> None:
        self._write([(path, {SERVER_VALUE: {"increment": delta}})])

    @precondition(lambda self: self._unsent())
    @rule(index=some.indexes)
    def abort(self, index: int) -> None:
        unsent = self._unsent()
        self.both.operate("revert", unsent[index % len(unsent)].write_id)

    def _unsent(self) -> list[Record]:
        return [record for record in self.both.model.log if record.write_id not in self.sent]

    def _write(
        self, entries: list[tuple[Keys, Tree]], path: Keys | None = None, *, visible: bool = True
    ) -> None:
        write_id = self.next_write
        self.next_write += 1
        if path is None:
            [(path, value)] = entries
            self.both.operate("write", write_id, path, value, visible=visible)
        else:
            children = [(entry[len(path) :], value) for entry, value in entries]
            self.both.operate("write_merge", write_id, path, children)
        if self.connected:
            self._send(self.both.model.log[-1])

    # The client's side of the connection.

    def _send(self, record: Record) -> None:
        self.sent.add(record.write_id)
        self.both.operate_silently("mark_sent", record.write_id)
        self.world.to_server.append(Request("put", record=record))

    def _ask(self, changes: list[ListenChange]) -> None:
        for change in changes:
            key = (change.path, change.query)
            if change.start:
                self.next_listen += 1
                self.asked[key] = self.next_listen
            else:
                del self.asked[key]
            self.answered.discard(key)
            if self.connected:
                # What is under way may belong to an earlier listen of the same place.
                quiet = not self.world.to_server and not self.world.to_client
                self._request(change, with_hash=quiet)

    def _request(self, change: ListenChange, *, with_hash: bool) -> None:
        path, query = change.path, change.query
        kind = "listen" if change.start else "unlisten"
        self.held.pop((path, query), None)
        held = None
        if change.start and with_hash:
            held = (self.both.model.server_node(path, query),)
            self.held[path, query] = held
        listen_id = self.asked.get((path, query), 0)
        request = Request(kind, path, query, change.tag, listen_id, held)
        self.world.to_server.append(request)

    @precondition(lambda self: self.connected)
    @rule()
    def disconnect(self) -> None:
        self.connected = False
        self.world.drop_connection()
        self.answered.clear()
        self.held.clear()
        self.sent.clear()
        self.both.operate("connection_lost")

    @precondition(lambda self: not self.connected)
    @rule()
    def reconnect(self) -> None:
        self.connected = True
        for change in self.both.active.values():
            self._request(change, with_hash=True)
        for record in self.both.model.log:
            self._send(record)

    @precondition(lambda self: self.world.to_client)
    @rule(count=some.indexes)
    def receive(self, count: int) -> None:
        for _ in range(min(1 + count % 8, len(self.world.to_client))):
            self._receive(self.world.to_client.popleft())

    def _receive(self, message: Message) -> None:
        key = (message.path, message.query)
        current = self.asked.get(key) == message.listen_id
        match message.kind:
            case "data":
                for path, query in list(self.held):
                    if path == message.path and query.loads_all == (message.tag is None):
                        del self.held[path, query]
                self.both.operate("overwrite", message.path, message.value, message.tag)
            case "merge":
                children = list(message.children)
                self.both.operate("merge", message.path, children, message.tag)
            case "ok" if current:
                self.answered.add(key)
                self._restore(message)
                self.both.operate("listen_complete", message.path, message.tag)
            case "refused" if current:
                del self.asked[key]
                self._ask(self.both.cancel(*key, "refused"))
            case "ack" | "reject":
                name = "acknowledge" if message.kind == "ack" else "revert"
                self.both.operate(name, message.write_id)
            case _:
                pass
        if message.truth is not None:
            self._compare_with_truth(message.truth[0])

    def _restore(self, message: Message) -> None:
        """Go back to what was held when a listen was sent, if the server answers "the same".

        Data for other listens may have changed a window in the meantime.
        """
        held = self.held.pop((message.path, message.query), None)
        if held is not None:
            self.both.operate("overwrite", message.path, held[0], message.tag)

    def _compare_with_truth(self, truth: Tree) -> None:
        """Compare each view with the replay over what the server last said (I-20, I-33, I-54)."""
        model = self.both.model
        for path, query in self.answered:
            assert same(model.server_node(path, query), query.filter(get(truth, path)))
        for view in model.all_views():
            place = get(truth, view.path)
            if self._is_incremented(view):
                continue
            if self._is_served(view):
                assert view.shown.complete
                shown = view.query.filter(model.replay(place, view.path))
                assert same(view.shown.value, shown), f"{view.shown.value} instead of {shown}"
            elif (view.path, view.query) in self.answered and not view.knowledge.vacant:
                self._compare_window(view, view.query.filter(place))

    def _compare_window(self, view: View, window: Tree) -> None:
        """Compare with the server's window and the writes over it: no half a child (I-55)."""
        assert view.shown.complete
        model, at = self.both.model, view.path
        shown = view.query.filter(
            {
                key: child
                for key, child in children_of(model.replay(window, at)).items()
                if key in children_of(window) or model.is_written((*at, key))
            }
            or None
        )
        assert same(view.shown.value, shown), f"{view.shown.value} instead of {shown}"

    def _is_served(self, view: View) -> bool:
        """Say whether an answered listen keeps all of the view's location up to date."""
        return any(
            (view.path[:depth], DEFAULT) in self.answered for depth in range(len(view.path) + 1)
        )

    def _is_incremented(self, view: View) -> bool:
        """Say whether an increment is under way there: it may be in the data already."""
        return any(
            starts_with(view.path, entry) or starts_with(entry, view.path)
            for record in self.both.model.log
            for entry, value in record.entries
            if any(increments_in(value))
        )

    # The server, and somebody else.

    @precondition(lambda self: self.world.to_server)
    @rule(count=some.indexes, accept=some.mostly, use_hash=some.mostly, as_merge=some.mostly)
    def serve(self, count: int, accept: bool, use_hash: bool, as_merge: bool) -> None:
        choices = Choices(accept, use_hash, as_merge)
        for _ in range(min(1 + count % 8, len(self.world.to_server))):
            self.world.serve(choices)

    @rule(path=some.paths, value=some.trees, as_merge=some.mostly)
    def somebody_sets(self, path: Keys, value: Tree, as_merge: bool) -> None:
        self.world.change(Record(-1, [(path, value)], True), Choices(as_merge=as_merge))

    @rule(path=some.paths, entries=some.entries, as_merge=some.mostly)
    def somebody_updates(
        self, path: Keys, entries: list[tuple[Keys, Tree]], as_merge: bool
    ) -> None:
        merged = [((*path, *rest), value) for rest, value in entries]
        self.world.change(Record(-1, merged, True), Choices(as_merge=as_merge))

    @rule()
    def settle(self) -> None:
        """Let everything that is under way arrive: then all show the truth."""
        if not self.connected:
            self.reconnect()
        while self.world.to_server or self.world.to_client:
            while self.world.to_server:
                self.world.serve(Choices())
            while self.world.to_client:
                self._receive(self.world.to_client.popleft())
        assert not self.both.model.log
        assert self.answered == self.both.active.keys()
        for view in self.both.model.all_views():
            assert view.shown.complete
            truth = view.query.filter(get(self.world.truth, view.path))
            assert same(view.shown.value, truth), f"{view.shown.value} is not the truth {truth}"

    def teardown(self) -> None:
        self.settle()


class Alone(RuleBasedStateMachine):
    """Nobody else writes and the server accepts everything: it says nothing new (I-27, I-41)."""

    def __init__(self) -> None:
        super().__init__()
        self.client = LegalHistories()
        self.client.listen(path=(), query=DEFAULT, kinds=ALL_KINDS)
        self.client.settle()

    @rule(path=some.paths, query=some.queries)
    def listen(self, path: Keys, query: Query) -> None:
        self.client.listen(path=path, query=query, kinds=ALL_KINDS)

    @rule(path=some.paths, value=some.trees)
    def set(self, path: Keys, value: Tree) -> None:
        self.client.set(path=path, value=value)

    @rule(path=some.paths, entries=some.entries)
    def update(self, path: Keys, entries: list[tuple[Keys, Tree]]) -> None:
        self.client.update(path=path, entries=entries)

    @rule(path=some.paths, priority=some.priorities)
    def set_priority(self, path: Keys, priority: Tree) -> None:
        self.client.set_priority(path=path, priority=priority)

    @rule(path=some.paths, delta=some.deltas)
    def increment(self, path: Keys, delta: float) -> None:
        self.client.increment(path=path, delta=delta)

    @precondition(lambda self: self.client.world.to_server)
    @rule(count=some.indexes, as_merge=some.mostly)
    def serve(self, count: int, as_merge: bool) -> None:
        self.client.serve(count=count, accept=True, use_hash=False, as_merge=as_merge)

    @precondition(lambda self: self.client.world.to_client)
    @rule(count=some.indexes)
    def receive(self, count: int) -> None:
        raised = self.client.both.raised
        self.client.receive(count=count)
        assert self.client.both.raised == raised, "the server said nothing new"

    def teardown(self) -> None:
        raised = self.client.both.raised
        self.client.settle()
        assert self.client.both.raised == raised, "the server said nothing new"


class AnyMessages(RuleBasedStateMachine):
    """A server that says anything at any time, and answers in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.both = LockStep(NativeEngine())
        self.next_write = 0

    @rule(path=some.paths, query=some.queries, kinds=some.kinds)
    def listen(self, path: Keys, query: Query, kinds: int) -> None:
        self.both.listen(path, query, kinds)

    @precondition(lambda self: self.both.listeners)
    @rule(index=some.indexes)
    def unlisten(self, index: int) -> None:
        self.both.unlisten(self.both.listeners[index % len(self.both.listeners)])

    @precondition(lambda self: self.both.active)
    @rule(index=some.indexes)
    def refuse(self, index: int) -> None:
        active = list(self.both.active)
        self.both.cancel(*active[index % len(active)], "refused")

    def _next(self) -> int:
        self.next_write += 1
        return self.next_write - 1

    @rule(path=some.paths, value=some.trees, visible=some.mostly)
    def set(self, path: Keys, value: Tree, visible: bool) -> None:
        self.both.operate("write", self._next(), path, value, visible=visible)

    @rule(path=some.paths, entries=some.entries)
    def update(self, path: Keys, entries: list[tuple[Keys, Tree]]) -> None:
        self.both.operate("write_merge", self._next(), path, entries)

    @rule(path=some.paths, priority=some.priorities)
    def set_priority(self, path: Keys, priority: Tree) -> None:
        self.both.operate("write", self._next(), (*path, PRIORITY), priority)

    @rule(path=some.paths, delta=some.deltas, sent=some.mostly)
    def increment(self, path: Keys, delta: float, sent: bool) -> None:
        write_id = self._next()
        value: Tree = {SERVER_VALUE: {"increment": delta}}
        self.both.operate("write", write_id, path, value)
        if sent:
            self.both.operate_silently("mark_sent", write_id)

    @precondition(lambda self: self.both.model.log)
    @rule(index=some.indexes, accept=some.mostly)
    def answer(self, index: int, accept: bool) -> None:
        log = self.both.model.log
        write_id = log[index % len(log)].write_id
        self.both.operate("acknowledge" if accept else "revert", write_id)

    @rule(path=some.paths, value=some.trees)
    def server_sets(self, path: Keys, value: Tree) -> None:
        self.both.operate("overwrite", path, value)

    @rule(path=some.paths, entries=some.entries)
    def server_merges(self, path: Keys, entries: list[tuple[Keys, Tree]]) -> None:
        self.both.operate("merge", path, entries)

    @rule(index=some.indexes, path=some.paths, value=some.trees)
    def server_sets_tagged(self, index: int, path: Keys, value: Tree) -> None:
        base, tag = self._tagged(index)
        self.both.operate("overwrite", (*base, *path), value, tag)

    @rule(index=some.indexes, path=some.paths, entries=some.entries)
    def server_merges_tagged(
        self, index: int, path: Keys, entries: list[tuple[Keys, Tree]]
    ) -> None:
        base, tag = self._tagged(index)
        self.both.operate("merge", (*base, *path), entries, tag)

    @precondition(lambda self: self.both.active)
    @rule(index=some.indexes, ranges=some.ranges)
    def server_merges_ranges(self, index: int, ranges: list[Range]) -> None:
        listens = list(self.both.active.values())
        listen = listens[index % len(listens)]
        self.both.merge_ranges(listen.path, listen.query, ranges, listen.tag)

    def _tagged(self, index: int) -> tuple[Keys, int]:
        """Give the location of a tagged listen, or a tag that nobody has (I-106)."""
        tagged = [listen for listen in self.both.active.values() if listen.tag is not None]
        if not tagged:
            return (), 1000
        chosen = tagged[index % len(tagged)]
        assert chosen.tag is not None
        return chosen.path, chosen.tag

    @precondition(lambda self: self.both.active)
    @rule(index=some.indexes)
    def complete(self, index: int) -> None:
        listens = list(self.both.active.values())
        listen = listens[index % len(listens)]
        self.both.operate("listen_complete", listen.path, listen.tag)

    @rule()
    def lose_connection(self) -> None:
        self.both.operate("connection_lost")

    @precondition(lambda self: self.both.model.log)
    @rule()
    def purge(self) -> None:
        events: list[Event] = self.both.operate("revert_all")
        assert all(event.origin == "revert" for event in events)


def test_engine_and_model_agree_on_legal_histories() -> None:
    run_state_machine_as_test(LegalHistories, settings=RANDOM)


def test_a_server_that_accepts_everything_says_nothing_new() -> None:
    run_state_machine_as_test(Alone, settings=settings(RANDOM, max_examples=HISTORIES // 2))


def test_engine_and_model_agree_on_any_messages() -> None:
    run_state_machine_as_test(AnyMessages, settings=RANDOM)


@pytest.mark.slow
def test_engine_and_model_agree_on_many_legal_histories() -> None:
    run_state_machine_as_test(LegalHistories, settings=MORE)


@pytest.mark.slow
def test_engine_and_model_agree_on_many_messages() -> None:
    run_state_machine_as_test(AnyMessages, settings=MORE)
