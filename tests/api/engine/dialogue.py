"""An engine with its clock, its listeners and the server's end of its connection in one hand."""

import json
from collections.abc import Callable
from typing import Any

from tests.api.engine.disk import Disk

from firekeep.config import Config
from firekeep.engine.effects import (
    Complete,
    Connect,
    Deliver,
    Disconnect,
    Effect,
    FetchToken,
    Load,
    LoadWrites,
    Report,
    Send,
    StatusChanged,
    StoreCache,
    StoreWrites,
    SwitchOwner,
    Wake,
)
from firekeep.engine.engine import DisconnectKind, Engine
from firekeep.engine.gets import GetResult, GetSource
from firekeep.engine.journal import queued_write
from firekeep.engine.transactions import Outcome
from firekeep.exceptions import Disconnected
from firekeep.pending import Pending
from firekeep.url import parse_url
from firekeep.write import Write
from firekeep_core.operation.cache_change import Acknowledged, CacheChange
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_python
from firekeep_core.sync.event import KINDS, Event

ALL_KINDS = sum(KINDS.values())
DEFAULT = QueryParams.DEFAULT
HOST = "db.example.com"
SERVER_AHEAD_MS = 5_000

Message = dict[str, Any]


def node(value: object) -> Node:
    """Make a node of Python data, in export form."""
    return from_python(value)


class Listener:
    """Remembers what it was told, as short tuples."""

    def __init__(self, log: list[object]) -> None:
        self.log = log
        self.events: list[Event] = []

    @property
    def values(self) -> list[Any]:
        """What its value events showed, in order."""
        return [export(event.node) for event in self.events if event.kind == "value"]

    @property
    def value(self) -> Any:
        """What it shows."""
        return self.values[-1]

    @property
    def kinds(self) -> list[str]:
        """The kinds of its events, in order."""
        return [event.kind for event in self.events]


class Dialogue:
    """Performs effects by writing them down; time stands still until it is moved.

    `log` holds what a user would notice and what went over the wire, in the order of the effects:
    events as ``(listener, kind, key, value)``, outcomes as ``(handle, error)``, requests as
    dictionaries.
    """

    def __init__(
        self,
        url: str = f"https://{HOST}?ns=test",
        *,
        config: Config | None = None,
        has_auth: bool = False,
        has_app_check: bool = False,
        chance: Callable[[], float] = lambda: 0.0,
        disk: Disk | None = None,
    ) -> None:
        self.engine: Engine[Write] = Engine(
            parse_url(url),
            Config() if config is None else config,
            Write,
            chance,
            has_auth=has_auth,
            has_app_check=has_app_check,
            has_disk=disk is not None,
        )
        self.disk = disk
        self.disk_jobs: list[Effect] = []
        """What the disk has been asked to do, oldest first."""
        self.now_s = 100.0
        self.wall_ms = 1_700_000_000_000
        self.log: list[Any] = []
        self.effects: list[Effect] = []
        self.requests: list[Message] = []
        """Every request that was sent, oldest first: ``{"r": …, "a": …, "b": …}``."""
        self.wake_at_s: float | None = None

    # ---- the user ---------------------------------------------------------------

    def set(self, path: str, value: object, priority: object = None) -> Write:
        """Set a value."""
        data = node(value)
        if priority is not None:
            data = data.with_priority(priority)
        write, effects = self.engine.set(Path.from_wire(path), data, self.now_s, self.wall_ms)
        self.perform(effects)
        return write

    def update(self, path: str, values: dict[str, object]) -> Write:
        """Update several places."""
        children = [(Path.from_wire(child), node(value)) for child, value in values.items()]
        write, effects = self.engine.update(
            Path.from_wire(path), children, self.now_s, self.wall_ms
        )
        self.perform(effects)
        return write

    def listen(
        self, path: str, params: QueryParams = DEFAULT, kinds: int = KINDS["value"]
    ) -> Listener:
        """Add a listener."""
        listener = Listener(self.log)
        self.perform(
            self.engine.add_listener(
                Path.from_wire(path), params, listener, kinds | KINDS["cancel"]
            )
        )
        return listener

    def unlisten(self, path: str, listener: Listener, params: QueryParams = DEFAULT) -> None:
        """Remove a listener."""
        self.perform(
            self.engine.remove_listener(
                Path.from_wire(path), params, listener, self.now_s, self.wall_ms
            )
        )

    def transaction(
        self,
        path: str,
        function: Callable[[Any], object],
        *,
        apply_locally: bool = True,
        require_server: bool = False,
    ) -> Pending[Outcome]:
        """Start a transaction."""
        handle: Pending[Outcome] = Pending()
        self.perform(
            self.engine.transaction(
                Path.from_wire(path),
                function,
                handle,
                apply_locally=apply_locally,
                require_server=require_server,
                now_s=self.now_s,
                wall_ms=self.wall_ms,
            )
        )
        return handle

    def on_disconnect(
        self, kind: DisconnectKind, path: str, value: object = None, *, persistent: bool = False
    ) -> Write:
        """Register an onDisconnect operation."""
        payload: Any = node(value)
        if kind == "update":
            payload = [(Path.from_wire(key), child) for key, child in payload.items()]
        write, effects = self.engine.on_disconnect(
            kind, Path.from_wire(path), payload, persistent=persistent, wall_ms=self.wall_ms
        )
        self.perform(effects)
        return write

    def get(
        self,
        path: str,
        params: QueryParams = DEFAULT,
        source: GetSource = "default",
        timeout_s: float = 10.0,
    ) -> Pending[GetResult]:
        """Read once."""
        handle: Pending[GetResult] = Pending()
        self.perform(
            self.engine.get(Path.from_wire(path), params, source, handle, self.now_s + timeout_s)
        )
        return handle

    def cancel(self, write: Write) -> bool:
        """Cancel a write."""
        cancelled, effects = self.engine.cancel_write(write, self.now_s, self.wall_ms)
        self.perform(effects)
        return cancelled

    def purge(self) -> None:
        """Purge all writes."""
        self.perform(self.engine.purge(self.now_s, self.wall_ms))

    def keep_synced(self, path: str, flag: bool, params: QueryParams = DEFAULT) -> None:
        """Keep a query synced or stop it."""
        self.perform(
            self.engine.keep_synced(Path.from_wire(path), params, flag, self.now_s, self.wall_ms)
        )

    def change_user(self, uid: str | None, *, clear: bool = False) -> None:
        """Have somebody else sign in, or sign out."""
        self.perform(self.engine.change_user(uid, self.now_s, self.wall_ms, clear=clear))

    def go_offline(self) -> None:
        """Go offline."""
        self.perform(self.engine.go_offline(self.now_s, self.wall_ms))

    def go_online(self) -> None:
        """Go online."""
        self.perform(self.engine.go_online(self.now_s))

    # ---- the network and the server ---------------------------------------------

    def connect(self) -> None:
        """Go online if need be, and have the server greet the client."""
        if self.engine.overview.status(self.wall_ms).connection == "offline":
            self.go_online()
        self.greet()

    def greet(self, host: str = HOST) -> None:
        """Send the server's first message."""
        self.server(
            {
                "t": "c",
                "d": {
                    "t": "h",
                    "d": {"ts": self.wall_ms + SERVER_AHEAD_MS, "v": "5", "h": host, "s": "s1"},
                },
            }
        )

    def server(self, *messages: Message | str) -> None:
        """Have the server's messages arrive together."""
        raw = [
            (message if isinstance(message, str) else json.dumps(message)).encode()
            for message in messages
        ]
        self.perform(self.engine.receive(raw, self.now_s, self.wall_ms))

    def push(self, path: str, data: object, tag: int | None = None) -> None:
        """Have a value arrive."""
        self.server(push(path, data, tag))

    def answer(self, request: Message, status: str = "ok", data: object = "") -> None:
        """Have the answer to a request arrive."""
        self.server(answer(request, status, data))

    def lose(self, error: Exception | None = None) -> None:
        """Break the connection."""
        self.perform(
            self.engine.closed(
                error or Disconnected("the connection broke"), self.now_s, self.wall_ms
            )
        )

    def reconnect(self) -> None:
        """Break the connection, wait for the next attempt and have it succeed."""
        self.lose()
        self.advance_to_wake()
        self.greet()

    def token(self, token: str | None, kind: Any = "auth") -> None:
        """Hand over the credential that was asked for last."""
        attempt = [e for e in self.effects if isinstance(e, FetchToken)][-1].attempt
        self.perform(self.engine.token(kind, attempt, token, None, self.now_s))

    def advance(self, seconds: float) -> None:
        """Let time pass, waking the engine whenever it asked for it."""
        end_s = self.now_s + seconds
        while self.wake_at_s is not None and self.wake_at_s <= end_s:
            self._move_to(max(self.wake_at_s, self.now_s))
            self.wake_at_s = None
            self.perform(self.engine.wake(self.now_s, self.wall_ms))
        self._move_to(end_s)

    def advance_to_wake(self) -> None:
        """Let time pass until the engine wants to be woken, and wake it."""
        assert self.wake_at_s is not None
        self.advance(max(0.0, self.wake_at_s - self.now_s))

    # ---- what came of it ----------------------------------------------------------

    def perform(self, effects: list[Effect]) -> None:
        """Write effects down."""
        for effect in effects:
            self.effects.append(effect)
            if isinstance(effect, Send):
                self._sent(effect.text)
            elif isinstance(effect, Deliver):
                for event in effect.events:
                    listener = event.registration
                    assert isinstance(listener, Listener), listener
                    listener.events.append(event)
                    value = None if event.kind == "cancel" else export(event.node)
                    self.log.append((listener, event.kind, event.key, value))
            elif isinstance(effect, Complete):
                effect.handle.settle(effect.result, effect.error)
                self.log.append((effect.handle, effect.error))
            elif isinstance(effect, Wake):
                self.wake_at_s = effect.at_s
            elif isinstance(effect, StoreWrites | StoreCache | Load | LoadWrites | SwitchOwner):
                assert self.disk is not None
                self.disk_jobs.append(effect)
            else:
                assert isinstance(
                    effect, Connect | Disconnect | FetchToken | StatusChanged | Report
                )

    # ---- the disk -----------------------------------------------------------------

    def open_disk(self, uid: str | None = None) -> None:
        """Take over what is on the disk, for whoever is signed in; before anything else."""
        assert self.disk is not None
        envelopes, next_write_id, pinned = self.disk.open(uid)
        self.perform(
            self.engine.restore(envelopes, next_write_id, pinned, self.now_s, self.wall_ms, uid=uid)
        )

    def run_disk(self) -> None:
        """Have the disk do all it was asked for, and all that follows from it."""
        while self.disk_jobs:
            self.run_disk_job(0)

    def run_disk_job(self, position: int) -> None:
        """Have the disk do one thing; a read of the cache comes after what it was told before."""
        assert self.disk is not None
        if isinstance(self.disk_jobs[position], Load | SwitchOwner):
            # Whose cache is read, is that user's who was signed in when that was asked for.
            position = self._next_use_of_the_cache(position)
        job = self.disk_jobs.pop(position)
        if isinstance(job, StoreWrites):
            self.store_writes()
        elif isinstance(job, StoreCache):
            if self._next_switch() is not None:
                self.disk_jobs.append(job)
            self.store_cache()
        elif isinstance(job, LoadWrites):
            writes = self.disk.load_writes(job.write_ids)
            self.perform(self.engine.writes_loaded(writes, (), self.now_s, self.wall_ms))
        elif isinstance(job, Load):
            self.store_cache()
            cached = self.disk.load(job.path, job.params)
            writes = self.disk.load_writes(job.write_ids)
            self.perform(self.engine.loaded(job, cached, writes, (), self.now_s, self.wall_ms))
        elif isinstance(job, SwitchOwner):
            pinned = self.disk.switch_owner(job.changes, job.uid, job.cleared_uid)
            self._cache_told(job.changes)
            self.perform(self.engine.owner_switched(pinned, self.now_s, self.wall_ms))

    def _next_switch(self) -> SwitchOwner | None:
        return next((job for job in self.disk_jobs if isinstance(job, SwitchOwner)), None)

    def _next_use_of_the_cache(self, position: int) -> int:
        if self._next_switch() is None:
            return position
        return next(
            at for at, job in enumerate(self.disk_jobs) if isinstance(job, Load | SwitchOwner)
        )

    def store_writes(self) -> None:
        """Have the queue on disk brought up to date."""
        assert self.disk is not None
        batch = self.engine.take_journal_batch()
        concluded = self.disk.store_writes(
            [queued_write(write) for write in batch.added], batch.removed, batch.sent_through
        )
        self.perform(self.engine.journal_stored(batch, concluded, self.now_s, self.wall_ms))

    def store_cache(self) -> None:
        """Have the cache on disk brought up to date."""
        assert self.disk is not None
        switch = self._next_switch()
        if switch is None:
            changes = self.engine.take_cache_changes()
        else:
            # What has changed since is the next user's.
            changes = list(switch.changes)
            switch.changes.clear()
        if changes:
            self.disk.apply(changes)
            self._cache_told(changes)

    def _cache_told(self, changes: list[CacheChange]) -> None:
        acknowledged = [c.write_id for c in changes if isinstance(c, Acknowledged)]
        self.perform(self.engine.cache_stored(acknowledged))

    def sent(self, action: str) -> list[Message]:
        """Return every request of one kind."""
        return [request for request in self.requests if request["a"] == action]

    def last(self, action: str) -> Message:
        """Return the latest request of one kind."""
        return self.sent(action)[-1]

    def take_requests(self) -> list[Message]:
        """Return the requests since the last call."""
        requests, self.requests = self.requests, []
        return requests

    def ended(self, handle: object) -> Complete | None:
        """Return the outcome of something, which is told once."""
        outcomes = [
            effect
            for effect in self.effects
            if isinstance(effect, Complete) and effect.handle is handle
        ]
        assert len(outcomes) < 2
        return outcomes[0] if outcomes else None

    def of(self, kind: type[Any]) -> list[Any]:
        """Return every effect of one type."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    @property
    def told(self) -> list[object]:
        """Who was told something, listeners and handles, in order."""
        return [entry[0] for entry in self.log if type(entry) is tuple]

    @property
    def reports(self) -> list[str]:
        """What was logged."""
        return [report.text for report in self.of(Report)]

    def _sent(self, text: str) -> None:
        self.engine.sent(self.now_s)
        message: Any = 0 if text == "0" else json.loads(text)
        if message == 0 or message["t"] == "c":
            self.log.append(text)
        else:
            self.requests.append(message["d"])
            self.log.append(message["d"])

    def _move_to(self, now_s: float) -> None:
        self.wall_ms += round((now_s - self.now_s) * 1000)
        self.now_s = now_s


def push(path: str, data: object, tag: int | None = None) -> Message:
    """Return the message that replaces a value."""
    body: Message = {"p": path.strip("/"), "d": data}
    if tag is not None:
        body["t"] = tag
    return {"t": "d", "d": {"a": "d", "b": body}}


def merge(path: str, data: dict[str, object], tag: int | None = None) -> Message:
    """Return the message that replaces several values."""
    message = push(path, data, tag)
    message["d"]["a"] = "m"
    return message


def answer(request: Message, status: str = "ok", data: object = "") -> Message:
    """Return the message that answers a request."""
    return {"t": "d", "d": {"r": request["r"], "b": {"s": status, "d": data}}}


def control(kind: str, data: object) -> Message:
    """Return a control message."""
    return {"t": "c", "d": {"t": kind, "d": data}}
