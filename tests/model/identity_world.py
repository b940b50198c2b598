"""A client with a user, and a server that knows who speaks to it, for random histories of both."""

import json
from typing import NamedTuple

from tests.api.engine.dialogue import (
    SERVER_AHEAD_MS,
    Dialogue,
    Listener,
    Message,
    answer,
)
from tests.model.disk_model import DiskModel
from tests.model.simulated_server import SimulatedServer
from tests.model.stored_disk import StoredDisk

from firekeep.engine.effects import Connect, Disconnect, FetchToken, Load, Send
from firekeep.engine.requests import PendingWrite
from firekeep.exceptions import NetworkUnavailable
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export

Query = tuple[str, QueryParams]

LIFETIME_S = 60.0
REFRESH_S = 40.0
REVOKED: Message = {
    "t": "d",
    "d": {"a": "ac", "b": {"s": "expired_token", "d": "the token has expired"}},
}


class Made(NamedTuple):
    """A write, by whom it was made, and what it puts where."""

    id: int
    uid: str | None
    parts: list[tuple[Path, Node]]


class Token(NamedTuple):
    """Whose it is, when it expires, and whether the server takes it."""

    uid: str
    expires_s: float
    is_good: bool


class Connection:
    """The server's end of one connection."""

    def __init__(self) -> None:
        self.is_greeted = False
        self.uid: str | None = None
        """As whom the client is authenticated."""
        self.expires_s = float("inf")
        self.is_lapsed = False
        """Whether the credential was good once, and is not any more."""
        self.presented_until_s = float("inf")
        """When the last credential ends that the client has presented."""
        self.last_id = 0
        """Of the writes that have come over it."""


class IdentityWorld:
    """Two users and nobody take turns at one client with a disk; its server knows who speaks."""

    def __init__(self) -> None:
        super().__init__()
        self.server = SimulatedServer()
        self.disk = self.make_disk()
        self.user: str | None = None
        self.made: dict[int, Made] = {}
        """Every write there was, by id."""
        self.waiting: dict[int, Made] = {}
        """Those whose outcome the client has not been told."""
        self.confirmed: set[int] = set()
        """Those of which it knows that the server has them: not to be sent again."""
        self.losses: dict[int, int] = {}
        """How often the connection broke while a write was the first in line."""
        self.listeners: dict[Query, Listener] = {}
        self.held: dict[Query, Node] = {}
        """What the client was last told by the server, where a listen has been confirmed."""
        self.tokens: dict[str, Token] = {}
        self.looks = 0
        self.disturbed_at = 0
        self.dialogue = self.start(self.disk)

    def make_disk(self) -> DiskModel | StoredDisk:
        return DiskModel()

    def start(self, disk: DiskModel | StoredDisk) -> Dialogue:
        self.connection: Connection | None = None
        self.inbox: list[Message] = []
        self.ids: dict[int, int] = {}
        """Of which write a request is."""
        self.fetch: FetchToken | None = None
        self.performed = 0
        self.lost_requests = 0
        """How many requests the server carries out whose answers do not arrive."""
        dialogue = Dialogue(has_auth=True, disk=disk)
        dialogue.engine.begin_as(self.user)
        dialogue.open_disk(self.user)
        return dialogue

    def note_made(self, write_id: int, parts: list[tuple[Path, Node]]) -> None:
        assert write_id not in self.waiting
        assert write_id not in self.confirmed, "no id is given again that anybody has seen"
        self.made[write_id] = self.waiting[write_id] = Made(write_id, self.user, parts)
        self.look()

    def hand_over(self, outcome: str) -> None:
        assert self.fetch is not None
        attempt, self.fetch = self.fetch.attempt, None
        engine, now_s = self.dialogue.engine, self.dialogue.now_s
        if self.user is None:
            effects = engine.token("auth", attempt, None, None, now_s)
        elif outcome == "none":
            error = NetworkUnavailable("nobody answers")
            effects = engine.token("auth", attempt, None, error, now_s)
        else:
            token = f"token-{len(self.tokens)}"
            expires_s = now_s + LIFETIME_S
            self.tokens[token] = Token(self.user, expires_s, outcome == "good")
            # Before the first handshake the client takes its clock for the server's.
            unknown_s = SERVER_AHEAD_MS / 1000 if engine.overview.offset_ms is None else 0.0
            effects = engine.token(
                "auth",
                attempt,
                token,
                None,
                now_s,
                refresh_s=now_s + REFRESH_S + unknown_s,
                expires_s=expires_s + unknown_s,
            )
        self.dialogue.perform(effects)
        self.look()

    def expect_lapsed(self, connection: Connection | None) -> None:
        assert self.connection is not connection, "it does not stay without a credential"
        status = self.dialogue.engine.overview.status(0)
        assert status.auth == "expired"
        assert status.connection != "online"
        assert self.dialogue.wake_at_s is not None

    def is_calm(self) -> bool:
        """Return whether something has gone on for a while, and may be disturbed."""
        return self.looks > self.disturbed_at + 5

    def disturb(self) -> None:
        """Note that all that was going on has come to an end."""
        self.disturbed_at = self.looks

    def is_authenticated(self) -> bool:
        connection = self.connection
        return connection is not None and connection.uid is not None and not connection.is_lapsed

    def authenticate(self, connection: Connection, request: Message) -> Message:
        uid, expires_s, is_good = self.tokens[request["b"]["cred"]]
        assert uid == self.user
        if not is_good or expires_s <= self.dialogue.now_s:
            return answer(request, "expired_token", "")
        connection.uid = uid
        connection.expires_s = expires_s
        connection.is_lapsed = False
        return answer(request, data={})

    def refuse(self, request: Message) -> Message:
        """Refuse for good what the user may not have."""
        body = request["b"]
        stopped = [(r["b"]["p"], r["b"].get("t")) for r in self.inbox if r["a"] == "n"]
        if request["a"] == "q" and (body["p"], body.get("t")) in stopped:
            pass  # The client has done without it meanwhile.
        elif request["a"] == "q":
            self.deny(
                Path.from_wire(body["p"]),
                QueryParams.from_wire(body["q"]) if "q" in body else None,
            )
        else:
            del self.waiting[self.ids[request["r"]]]
        return answer(request, "permission_denied", "refused")

    def deny(self, path: Path, params: QueryParams | None) -> None:
        """Note that a query, or all there is at a path, has come to its end."""
        self.server.queries = [
            listen
            for listen in self.server.queries
            if listen.path != path or (params is not None and listen.params != params)
        ]
        for place, query in list(self.listeners):
            if Path.from_wire(place) == path and params in (None, query):
                del self.listeners[place, query]
                self.held.pop((place, query), None)

    def carry_out(self, request: Message, *, is_answered: bool = True) -> list[Message]:
        if request["a"] in ("p", "m"):
            write_id = self.ids[request["r"]]
            if is_answered:
                del self.waiting[write_id]
                self.confirmed.add(write_id)
        if request["a"] == "n" and not self.is_listened_to(request):
            return [answer(request)]
        return self.server.handle(request)[0]

    def is_listened_to(self, request: Message) -> bool:
        """Return whether the server has not refused what a request is about."""
        place = (Path.from_wire(request["b"]["p"]), request["b"].get("t"))
        return place in [(listen.path, listen.tag) for listen in self.server.queries]

    def state(self) -> str:
        return self.dialogue.engine.overview.status(0).connection

    def end_connection(self) -> None:
        connection = self.connection
        if connection is not None and not connection.is_lapsed:
            for request in self.inbox[: self.lost_requests]:
                if request["a"] not in ("auth", "gauth"):
                    self.carry_out(request, is_answered=False)
        self.inbox.clear()
        self.server.connection_lost()
        self.connection = None

    def queue(self) -> list[int]:
        requests = self.dialogue.engine._requests  # pyright: ignore[reportPrivateUsage]
        return sorted(requests.all_writes)

    def look(self) -> None:
        """Take note of what was done, and see that all is as it must be."""
        self.looks += 1
        effects = self.dialogue.effects[self.performed :]
        self.performed += len(effects)
        for effect in effects:
            if isinstance(effect, Connect):
                assert self.connection is None
                self.connection = Connection()
            elif isinstance(effect, Disconnect):
                self.end_connection()
            elif isinstance(effect, FetchToken):
                self.fetch = effect
            elif isinstance(effect, Send) and effect.text != "0":
                message = json.loads(effect.text)
                if message["t"] == "d":
                    self.take(message["d"])
        self.lost_requests = 0
        connection = self.connection
        if connection is not None:
            assert self.dialogue.now_s < connection.presented_until_s, "what has lapsed is left"
            connection.is_lapsed |= self.dialogue.now_s >= connection.expires_s
        assert self.dialogue.engine.uid == self.user
        self.check_listeners()

    def take(self, request: Message) -> None:
        """Take a request, and see that nobody but its owner sends it."""
        connection = self.connection
        assert connection is not None
        self.inbox.append(request)
        if request["a"] in ("auth", "gauth"):
            connection.presented_until_s = self.tokens[request["b"]["cred"]].expires_s
        if request["a"] not in ("q", "n", "p", "m"):
            return
        assert connection.uid == self.user, "a known user is not nobody (I-97)"
        assert self.dialogue.now_s < connection.presented_until_s
        if request["a"] not in ("p", "m"):
            return
        write = self.dialogue.engine._requests.outstanding[request["r"]]  # pyright: ignore[reportPrivateUsage]
        assert isinstance(write, PendingWrite)
        made = self.made[write.id]
        assert made.uid in (None, connection.uid), "nobody sends what is another's (I-99)"
        assert made.id in self.waiting
        assert made.id in self.disk.queue, "what is sent is stored (W-41)"
        assert made.id not in self.disk.ever_acknowledged
        assert made.id not in self.confirmed, "what is over is not sent again (I-58)"
        assert made.id > connection.last_id, "the order of making is the order on the wire"
        connection.last_id = made.id
        self.ids[request["r"]] = made.id

    def check_listeners(self) -> None:
        engine = self.dialogue.engine
        # While a wider listen waits for the disk, a narrower one speaks for it.
        is_settled = not any(isinstance(job, Load) for job in self.dialogue.disk_jobs)
        for (path, params), listener in self.listeners.items():
            assert "cancel" not in listener.kinds
            place = Path.from_wire(path)
            if is_settled and engine.overview.is_confirmed(place, params):
                self.held[path, params] = self.server.root.get(place)
            elif self.state() == "online":
                # Other listens may bring some of it.
                self.held.pop((path, params), None)
        if engine._exchange._deferred:  # pyright: ignore[reportPrivateUsage]
            return
        visible = [made for made in self.waiting.values() if made.uid in (None, self.user)]
        assert list(engine.writes) == [made.id for made in visible]
        if not all(write.is_loaded for write in engine.writes.values()):
            return
        for (path, params), held in self.held.items():
            if params.loads_all_data or not visible:
                shown = overlaid(held, Path.from_wire(path), visible)
                assert self.listeners[path, params].value == export(params.filter(shown))


class Unnoticed:
    """Of what is done meanwhile no listener is told."""

    def __init__(self, machine: IdentityWorld, *, is_certain: bool = True) -> None:
        self.machine = machine
        self.is_certain = is_certain

    def __enter__(self) -> None:
        self.before = self.counts()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self.is_certain:
            assert self.counts() == self.before

    def counts(self) -> list[int]:
        return [len(listener.events) for listener in self.machine.listeners.values()]


def overlaid(held: Node, path: Path, writes: list[Made]) -> Node:
    """Return what is at a path, with writes over it in their order."""
    root = EMPTY.update(path, held)
    for made in writes:
        for place, node in made.parts:
            root = root.update(place, node)
    return root.get(path)
