"""Clients that write at random over a line that breaks at random end equal to the server.

Every listener's child events are replayed into an ordered list on the way: after each event
batch the list must be exactly the children that the listener's value shows (I-24), through
local writes, cuts in mid-message, reconnects and the other clients' writes.
"""

import random
from collections.abc import Callable

import anyio
import pytest

import firekeep
from firekeep.emulator import Emulator
from firekeep.query import Query
from firekeep.snapshot import Snapshot
from firekeep.types import Writable

KEYS = ["a", "b", "10", "9", "ключ", "a longer key"]
STEPS, HISTORIES = 60, 15


class Mirror:
    """What one listener has been told, put together from child events alone."""

    def __init__(self, query: Query, failures: list[BaseException]) -> None:
        self.query = query
        self.failures = failures  # the database survives a callback that raises; a test does not
        self.children: list[tuple[str, Snapshot]] = []
        self.value: Snapshot | None = None
        self.listeners = [
            query.on_child_added(self.watched(self.added)),
            query.on_child_removed(self.watched(self.removed)),
            query.on_child_moved(self.watched(self.moved)),
            query.on_child_changed(self.watched(self.changed)),
            query.on_value(self.watched(self.on_value)),
        ]

    def watched(self, callback: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            try:
                callback(*arguments)
            except BaseException as error:
                self.failures.append(error)
                raise

        return call

    def place(self, key: str | None, child: Snapshot, previous: str | None) -> None:
        keys = [each for each, _ in self.children]
        at = 0 if previous is None else keys.index(previous) + 1
        self.children.insert(at, (str(key), child))

    def take(self, key: str | None) -> Snapshot:
        (at,) = (i for i, (each, _) in enumerate(self.children) if each == key)
        return self.children.pop(at)[1]

    def added(self, snapshot: Snapshot, previous: str | None) -> None:
        assert snapshot.key not in dict(self.children)
        self.place(snapshot.key, snapshot, previous)

    def removed(self, snapshot: Snapshot, previous: str | None) -> None:
        self.take(snapshot.key)

    def moved(self, snapshot: Snapshot, previous: str | None) -> None:
        self.take(snapshot.key)
        self.place(snapshot.key, snapshot, previous)

    def changed(self, snapshot: Snapshot, previous: str | None) -> None:
        self.take(snapshot.key)
        self.place(snapshot.key, snapshot, previous)

    def on_value(self, snapshot: Snapshot) -> None:
        assert self.value != snapshot  # I-21
        self.value = snapshot
        assert [(child.key, child) for child in snapshot] == self.children


def random_value(choose: random.Random, depth: int = 0) -> Writable:
    kind = choose.randrange(8 if depth < 3 else 5)
    if kind < 4:
        return choose.choice([True, 1, 2.5, "text", "字", 7, -3])
    if kind == 4:
        return {".value": choose.randrange(5), ".priority": choose.choice([1, "p"])}
    return {
        choose.choice(KEYS): random_value(choose, depth + 1) for _ in range(choose.randrange(1, 4))
    }


def random_path(choose: random.Random, longest: int = 3) -> str:
    return "/".join(choose.choice(KEYS) for _ in range(choose.randrange(1, longest + 1)))


def queries(root: firekeep.Reference) -> list[Query]:
    return [
        root,
        root.child("a"),
        root.order_by_value().limit_to_last(2),
        root.order_by_child("b").limit_to_first(3),
        root.child("b").order_by_key().start_at("9"),
    ]


class Run:
    """One history: two clients, one server, and a line that breaks."""

    def __init__(self, seed: int, server: Emulator, clients: list[firekeep.Database]) -> None:
        self.choose = random.Random(seed)
        self.server = server
        self.clients = clients
        self.mirrors: list[Mirror] = []
        self.failures: list[BaseException] = []

    def mirror(self, query: Query) -> None:
        self.mirrors.append(Mirror(query, self.failures))

    def write(self) -> None:
        root = self.choose.choice(self.clients).reference("data")
        place = root.child(random_path(self.choose))
        kind = self.choose.randrange(6)
        if kind < 2:
            place.set(random_value(self.choose))
        elif kind == 2:
            place.remove()
        elif kind == 3:
            keys = self.choose.sample(KEYS, 2)
            place.update({key: random_value(self.choose) for key in keys})
        elif kind == 4:
            place.set_priority(self.choose.choice([None, 3, "x"]))
        else:
            place.push(random_value(self.choose))

    def listen(self) -> None:
        client = self.choose.choice(self.clients)
        self.mirror(self.choose.choice(queries(client.reference("data"))))

    def unlisten(self) -> None:
        if self.mirrors:
            mirror = self.mirrors.pop(self.choose.randrange(len(self.mirrors)))
            for listener in mirror.listeners:
                listener.close()

    def somebody_else(self) -> None:
        self.server.set(f"data/{random_path(self.choose)}", random_value(self.choose))

    def break_line(self) -> None:
        self.server.drop_connections()

    def cut_soon(self) -> None:
        self.server.cut_after(self.choose.randrange(2000))

    def toggle(self) -> None:
        client = self.choose.choice(self.clients)
        if self.choose.random() < 0.5:
            client.go_offline()
        else:
            client.go_online()

    def step(self) -> None:
        steps: list[tuple[int, Callable[[], None]]] = [
            (10, self.write),
            (3, self.listen),
            (1, self.unlisten),
            (3, self.somebody_else),
            (1, self.break_line),
            (1, self.cut_soon),
            (1, self.toggle),
        ]
        weights, actions = zip(*steps, strict=True)
        self.choose.choices(actions, weights)[0]()

    async def settle(self) -> None:
        """Bring everybody online and wait until nobody has anything to say."""
        self.server.cut_after(1 << 40)
        for client in self.clients:
            client.go_online()
        for client in self.clients:
            await client.wait_for_pending_writes(timeout=20)
        for number, client in enumerate(self.clients):
            # a write of one's own is answered after everything before it was delivered
            await client.reference(f"fence/{number}").set(self.choose.random())


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_clients_end_equal_to_the_server_after_a_random_history(seed: int) -> None:
    config = firekeep.Config(backoff_min_s=0.01, backoff_max_s=0.02)
    async with (
        Emulator() as server,
        firekeep.open(server.url, config=config) as ada,
        firekeep.open(server.url, config=config) as bob,
    ):
        run = Run(seed, server, [ada, bob])
        run.mirror(ada.reference("data"))
        run.mirror(bob.reference("data"))
        for _ in range(STEPS):
            run.step()
            for _ in range(run.choose.randrange(4)):
                await anyio.lowlevel.checkpoint()

        await run.settle()

        assert run.failures == []
        for mirror in run.mirrors:
            fresh = await mirror.query.get(source="server", timeout=10)
            assert mirror.value is not None
            assert mirror.value == fresh
            assert [key for key, _ in mirror.children] == [child.key for child in fresh]
