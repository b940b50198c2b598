"""Random histories in which the process ends at any moment and begins again on the same disk.

The disk is a model, as obvious as can be, and then the real queue and cache over rows in memory.
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from tests.api.engine.dialogue import ALL_KINDS, Dialogue, Listener, Message
from tests.model.disk_model import DiskModel
from tests.model.simulated_server import SimulatedServer
from tests.model.stored_disk import StoredDisk

from firekeep.engine.requests import PendingWrite
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export

DEFAULT = QueryParams.DEFAULT
PATHS = ["/", "/a", "/a/b", "/a/b/c", "/a/c", "/d"]
QUERIES = [
    DEFAULT,
    DEFAULT,
    DEFAULT.order_by_key(),
    DEFAULT.limit_to_first(1),
    DEFAULT.order_by_value().limit_to_last(2),
    DEFAULT.order_by_key().start_at("b"),
    DEFAULT.order_by_child("c").limit_to_first(2),
]
VALUES: list[Any] = [
    None,
    1,
    "x",
    {"b": 1},
    {"b": 2, "c": 3},
    {"b": {"c": 5}, "c": 1, "e": True},
    {"b": {"c": 1}, "c": {"c": 2}, "e": {"c": 3}},
    {".value": 4, ".priority": 1},
    {"b": 1, ".priority": "p"},
]
WRITTEN: list[Any] = [*VALUES, {".sv": "timestamp"}, {".sv": {"increment": 2}}]
Query = tuple[str, QueryParams]


class RestartMachine(RuleBasedStateMachine):
    """One user with a disk, a server, and somebody else who writes to it."""

    def __init__(self) -> None:
        super().__init__()
        self.server = SimulatedServer()
        self.disk = self.make_disk()
        self.dialogue = self.start(self.disk)
        self.listeners: dict[Query, Listener] = {}
        self.kept: set[Query] = set()
        self.restored: set[Query] = set()
        """Those of them of which only the disk has said that they are kept."""
        self.inbox: list[Message] = []
        self.is_connected = False
        self.done: set[int] = set()
        """Writes of which the disk knows that they are over: not to be sent again."""
        self.cancelled: set[int] = set()
        """Writes that this process has taken back."""

    def make_disk(self) -> DiskModel | StoredDisk:
        return DiskModel()

    def start(self, disk: DiskModel | StoredDisk) -> Dialogue:
        dialogue = Dialogue(disk=disk)
        dialogue.open_disk()
        return dialogue

    # ---- the user -----------------------------------------------------------------

    @rule(path=st.sampled_from(PATHS), params=st.sampled_from(QUERIES))
    def listen(self, path: str, params: QueryParams) -> None:
        if (path, params) not in self.listeners:
            self.listeners[path, params] = self.dialogue.listen(path, params, ALL_KINDS)
            self.collect()

    @precondition(lambda self: self.listeners)
    @rule(position=st.integers(0, 20))
    def unlisten(self, position: int) -> None:
        query = list(self.listeners)[position % len(self.listeners)]
        self.dialogue.unlisten(query[0], self.listeners.pop(query), query[1])
        self.collect()

    @rule(path=st.sampled_from(PATHS), params=st.sampled_from(QUERIES), flag=st.booleans())
    def keep_synced(self, path: str, params: QueryParams, flag: bool) -> None:
        self.dialogue.keep_synced(path, flag, params)
        query = (path, params)
        whole = (path, DEFAULT)
        if flag:
            self.kept.add(query)
            self.restored.discard(query)
        elif query in self.kept or not (params.loads_all_data and whole in self.restored):
            self.kept.discard(query)
            self.restored.discard(query)
        else:
            # The disk did not say in which order it had been kept.
            self.kept.discard(whole)
            self.restored.discard(whole)
        self.collect()

    @rule(path=st.sampled_from(PATHS[1:]), value=st.sampled_from(WRITTEN))
    def set(self, path: str, value: Any) -> None:
        self.dialogue.set(path, value)
        self.collect()

    @rule(
        path=st.sampled_from(PATHS),
        children=st.dictionaries(
            st.sampled_from(["b", "c", "e"]), st.sampled_from(WRITTEN), min_size=1
        ),
    )
    def update(self, path: str, children: dict[str, Any]) -> None:
        self.dialogue.update(path, dict(children))
        self.collect()

    @precondition(lambda self: self.dialogue.engine.writes)
    @rule(position=st.integers(0, 20))
    def cancel(self, position: int) -> None:
        writes = list(self.dialogue.engine.writes.values())
        write = writes[position % len(writes)]
        if self.dialogue.cancel(write):
            self.cancelled.add(write.id)
        self.collect()

    # ---- the disk -------------------------------------------------------------------

    @precondition(lambda self: self.dialogue.disk_jobs)
    @rule(position=st.integers(0, 5))
    def run_disk_job(self, position: int) -> None:
        self.dialogue.run_disk_job(position % len(self.dialogue.disk_jobs))
        self.collect()

    @rule()
    def run_disk(self) -> None:
        self.dialogue.run_disk()
        self.collect()

    # ---- everybody else -------------------------------------------------------------

    @rule(path=st.sampled_from(PATHS[1:]), value=st.sampled_from(VALUES))
    def compete(self, path: str, value: Any) -> None:
        messages = self.server.write(Path.from_wire(path), from_export(value))
        if messages:
            self.dialogue.server(*messages)
            self.collect()

    @precondition(lambda self: self.inbox)
    @rule(count=st.integers(1, 4), refuse=st.integers(0, 9))
    def serve(self, count: int, refuse: int) -> None:
        messages: list[Message] = []
        for position in range(min(count, len(self.inbox))):
            request = self.inbox.pop(0)
            is_write = request["a"] in ("p", "m")
            messages += self.server.handle(request, refuse=is_write and refuse == position + 6)[0]
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
        for request in self.inbox[:carried_out]:
            self.server.handle(request)
        self.inbox.clear()
        self.server.connection_lost()
        self.dialogue.lose()
        self.is_connected = False
        self.collect()

    # ---- the end of the process --------------------------------------------------------

    @rule()
    def stop_and_start(self) -> None:
        """After an orderly end everything is as it was (I-57)."""
        if self.is_connected:
            self.lose(0)
        self.dialogue.run_disk()
        shown = self.shown()
        queue = self.queue()

        self.restart(self.disk.copy())
        for path, params in shown:
            self.listeners[path, params] = self.dialogue.listen(path, params, ALL_KINDS)
        self.dialogue.run_disk()

        assert self.shown() == shown
        assert self.queue() == queue
        kept = {(str(path), params) for path, params in self.dialogue.engine.overview.kept_synced()}
        assert kept == {
            (path, DEFAULT if params.loads_all_data else params) for path, params in self.kept
        }
        self.kept, self.restored = kept, set(kept)
        self.collect()

    @rule(jobs=st.integers(0, 3))
    def crash_and_start(self, jobs: int) -> None:
        """After a sudden end the queue is what the disk was told, and so is the cache."""
        for _ in range(min(jobs, len(self.dialogue.disk_jobs))):
            self.dialogue.run_disk_job(0)
        self.collect()
        self.server.connection_lost()
        self.inbox.clear()
        self.is_connected = False
        stored = sorted(id for id in self.disk.queue if id not in self.disk.acknowledged)

        self.restart(self.disk.copy())

        assert [id for id, _, _ in self.queue()] == stored
        self.kept = {
            (str(path), params) for path, params in self.dialogue.engine.overview.kept_synced()
        }
        self.restored = set(self.kept)
        self.collect()

    def restart(self, disk: DiskModel | StoredDisk) -> None:
        self.disk = disk
        self.done |= disk.ever_acknowledged
        self.listeners.clear()
        self.cancelled.clear()
        self.dialogue = self.start(disk)

    def shown(self) -> dict[Query, Any]:
        """Return what each listener that knows everything shows."""
        overview = self.dialogue.engine.overview
        return {
            query: listener.value
            for query, listener in self.listeners.items()
            if overview.is_complete(Path.from_wire(query[0]), query[1])
        }

    def queue(self) -> list[tuple[int, list[str], Any]]:
        """Return what is queued, with the payload that the disk has of it."""
        stored = self.disk.queue

        def described(write: PendingWrite) -> tuple[int, list[str], Any]:
            payload = [export(node) for node in stored[write.id].nodes]
            return write.id, [str(place) for place in write.places()], payload

        return [described(write) for write in self.dialogue.engine.writes.values()]

    # ---- what must hold --------------------------------------------------------------

    def collect(self) -> None:
        """Take note of what was sent, and that nothing is sent twice or unstored."""
        for request in self.dialogue.take_requests():
            if request["a"] in ("p", "m"):
                owner = self.dialogue.engine._requests.outstanding[request["r"]]  # pyright: ignore[reportPrivateUsage]
                assert isinstance(owner, PendingWrite)
                assert owner.id in self.disk.queue, "what is sent is stored (W-41)"
                assert owner.id not in self.done, "what is over is not sent again (I-58)"
                assert owner.id not in self.cancelled, "what was taken back is not sent"
            self.inbox.append(request)

    def teardown(self) -> None:
        """Let everything come to its end: then everybody agrees, on disk too."""
        if not self.is_connected:
            self.connect()
        for _ in range(500):
            self.dialogue.run_disk()
            self.collect()
            if not self.inbox:
                break
            self.serve(4, 0)
        assert self.dialogue.engine.writes == {}
        assert self.disk.queue == {}
        assert self.disk.acknowledged == set()
        for (path, params), listener in self.listeners.items():
            node = params.filter(self.server.root.get(Path.from_wire(path)))
            assert listener.value == export(node)
            cached = self.disk.load(Path.from_wire(path), params)
            assert cached.is_complete
            assert params.filter(cached.node) == node


class StoredRestartMachine(RestartMachine):
    """The same with the real queue and cache."""

    def make_disk(self) -> DiskModel | StoredDisk:
        return StoredDisk()


@pytest.mark.parametrize("make", [RestartMachine, StoredRestartMachine])
def test_what_is_assumed_above_a_listener_gives_way_to_what_it_heard(
    make: type[RestartMachine],
) -> None:
    history = make()
    history.set("/a", None)
    history.run_disk()
    history.listen("/a/b", DEFAULT)
    history.set("/a", None)
    history.set("/a", {"b": 1})
    history.update("/a", {"b": None})

    history.teardown()


@pytest.mark.parametrize("make", [RestartMachine, StoredRestartMachine])
def test_what_is_assumed_around_a_window_does_not_stand_in_for_it(
    make: type[RestartMachine],
) -> None:
    history = make()
    history.connect()
    history.update("/", {"b": None})
    history.run_disk()
    history.listen("/a/c", DEFAULT.limit_to_first(1))
    history.update("/", {"b": None})
    history.set("/a/c", {"b": 1})
    history.update("/a", {"c": {".sv": {"increment": 2}}})

    history.teardown()


@pytest.mark.parametrize("make", [RestartMachine, StoredRestartMachine])
def test_what_is_assumed_of_a_child_that_left_a_window_gives_way_when_it_comes_back(
    make: type[RestartMachine],
) -> None:
    history = make()
    history.compete("/d", 1)
    history.set("/a", None)
    history.set("/a", None)
    history.set("/d", None)
    history.run_disk()
    history.listen("/", DEFAULT.limit_to_first(1))
    history.set("/d", 1)

    history.teardown()


@pytest.mark.parametrize("make", [RestartMachine, StoredRestartMachine])
def test_a_confirmed_write_is_on_disk_as_far_as_it_is_shown(make: type[RestartMachine]) -> None:
    history = make()
    history.connect()
    history.lose(0)
    history.connect()
    history.set("/a", None)
    history.set("/a", {"b": 1})
    history.run_disk()
    history.listen("/a", DEFAULT.limit_to_first(1))
    history.serve(1, 0)
    history.run_disk()
    history.serve(1, 0)

    history.stop_and_start()
    history.teardown()


@pytest.mark.parametrize("make", [RestartMachine, StoredRestartMachine])
def test_a_child_that_a_window_held_is_known_after_a_restart(make: type[RestartMachine]) -> None:
    history = make()
    history.connect()
    history.compete("/a", 1)
    history.listen("/", DEFAULT)
    history.listen("/", DEFAULT.limit_to_first(1))
    history.unlisten(0)
    history.serve(2, 0)
    history.listen("/a", DEFAULT)
    history.unlisten(0)

    history.stop_and_start()
    history.teardown()


@pytest.mark.parametrize("make", [RestartMachine, StoredRestartMachine])
def test_a_window_may_show_more_after_a_restart_than_what_it_did_not_know_all_of(
    make: type[RestartMachine],
) -> None:
    history = make()
    history.connect()
    history.set("/a", None)
    history.listen("/a", DEFAULT.limit_to_first(1))
    history.run_disk()
    history.serve(2, 0)
    assert history.shown() == {}
    history.update("/a/b", {"b": 1})

    history.stop_and_start()
    history.teardown()


@pytest.mark.parametrize("make", [RestartMachine, StoredRestartMachine])
def test_what_is_pushed_for_a_listen_that_has_ended_does_not_stand_in_for_the_next(
    make: type[RestartMachine],
) -> None:
    history = make()
    history.connect()
    history.listen("/", DEFAULT)
    history.run_disk()
    history.unlisten(0)
    history.set("/a", None)
    history.run_disk()
    history.compete("/a", 1)
    history.listen("/", DEFAULT)

    history.teardown()


TestRestarts = RestartMachine.TestCase
TestRestarts.settings = settings(max_examples=500, stateful_step_count=50, deadline=None)
TestStoredRestarts = StoredRestartMachine.TestCase
TestStoredRestarts.settings = settings(max_examples=500, stateful_step_count=50, deadline=None)


@pytest.mark.slow
class TestManyRestarts(StoredRestartMachine.TestCase):
    """The same, for longer."""

    settings = settings(max_examples=10_000, stateful_step_count=50, deadline=None)
