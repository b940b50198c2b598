"""Random histories of signing in and out, of credentials that lapse, and of the process's end.

Whose writes are sent and shown, and what a lapse may not do (I-97 to I-100), on a connection whose
server knows who speaks to it.
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.api.engine.dialogue import ALL_KINDS, Listener, Message, answer
from tests.model.disk_model import DiskModel
from tests.model.identity_world import REVOKED, IdentityWorld, Query, Unnoticed
from tests.model.stored_disk import StoredDisk

from firekeep.engine.effects import LoadWrites, StoreWrites
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export

DEFAULT = QueryParams.DEFAULT
USERS = ["ada", "bob"]
PATHS = ["/", "/a", "/a/b", "/a/b/c", "/d"]
QUERIES = [DEFAULT, DEFAULT, DEFAULT.order_by_key(), DEFAULT.order_by_value().limit_to_last(2)]
VALUES: list[Any] = [None, 1, "x", {"b": 1, "c": 3}, {"b": {"c": 5}, "e": True}, {".value": 4}]

# The server's clock may be ahead of what the client makes of it.
EARLY_S = 5.0
# So close to its end a credential counts as lapsed.
MARGIN_S = 10.0


class IdentityMachine(IdentityWorld, RuleBasedStateMachine):
    """What may happen to them, while somebody else writes, too."""

    @initialize(uid=st.sampled_from([None, *USERS]), is_online=st.booleans())
    def begin(self, uid: str | None, is_online: bool) -> None:
        if uid is not None:
            self.sign_in(uid, 0)
        if is_online:
            self.connect()

    # ---- the program ----------------------------------------------------------------

    @rule(path=st.sampled_from(PATHS), params=st.sampled_from(QUERIES))
    def listen(self, path: str, params: QueryParams) -> None:
        if (path, params) not in self.listeners:
            self.listeners[path, params] = self.dialogue.listen(path, params, ALL_KINDS)
            self.look()

    @precondition(lambda self: self.listeners)
    @rule(position=st.integers(0, 20))
    def unlisten(self, position: int) -> None:
        query = list(self.listeners)[position % len(self.listeners)]
        self.dialogue.unlisten(query[0], self.listeners.pop(query), query[1])
        self.held.pop(query, None)
        self.look()

    @rule(path=st.sampled_from(PATHS[1:]), value=st.sampled_from(VALUES))
    def set(self, path: str, value: Any) -> None:
        write = self.dialogue.set(path, value)
        self.note_made(write.id, [(Path.from_wire(path), from_export(value))])

    @rule(
        path=st.sampled_from(PATHS),
        children=st.dictionaries(
            st.sampled_from(["b", "c", "e"]), st.sampled_from(VALUES), min_size=1
        ),
    )
    def update(self, path: str, children: dict[str, Any]) -> None:
        write = self.dialogue.update(path, dict(children))
        place = Path.from_wire(path)
        self.note_made(
            write.id,
            [(place.child(Path.from_wire(k)), from_export(v)) for k, v in children.items()],
        )

    # ---- who is signed in -------------------------------------------------------------

    @precondition(lambda self: self.user is None or self.is_calm())
    @rule(uid=st.sampled_from(USERS), lost_requests=st.integers(0, 3))
    def sign_in(self, uid: str, lost_requests: int) -> None:
        self.lost_requests = lost_requests
        self.user = uid
        self.dialogue.change_user(uid)
        self.look()
        self.disturb()

    @precondition(lambda self: self.user is not None and self.is_calm())
    @rule(clear=st.booleans(), is_awaited=st.booleans(), lost_requests=st.integers(0, 3))
    def sign_out(self, clear: bool, is_awaited: bool, lost_requests: int) -> None:
        self.lost_requests = lost_requests
        previous, self.user = self.user, None
        if clear:
            self.waiting = {id: made for id, made in self.waiting.items() if made.uid != previous}
        self.dialogue.change_user(None, clear=clear)
        self.look()
        self.disturb()
        if is_awaited:
            self.run_disk()
            if clear:
                assert not self.disk.knows(previous)
                owners = [write.envelope.owner for write in self.disk.queue.values()]
                assert previous not in owners

    @precondition(lambda self: self.user is not None)
    @rule(outcome=st.sampled_from(["good", "good", "bad", "none", "late"]))
    def refresh(self, outcome: str) -> None:
        """Have another token of the same user: nobody notices (I-98)."""
        connection = self.connection
        with Unnoticed(self):
            self.dialogue.perform(self.dialogue.engine.refresh_token(self.dialogue.now_s))
            self.look()
            if self.fetch is not None and outcome != "late":
                self.hand_over(outcome)
        assert self.connection is connection or connection is None

    @precondition(lambda self: self.fetch is not None)
    @rule(outcome=st.sampled_from(["good", "good", "bad", "none"]))
    def fetch_ends(self, outcome: str) -> None:
        """Have the source give a token, or one that the server does not take, or fail."""
        with Unnoticed(self):
            self.hand_over(outcome)

    @precondition(lambda self: self.is_authenticated())
    @rule(refused=st.integers(0, 3), revoked=st.integers(0, 2))
    def credential_revoked(self, refused: int, revoked: int) -> None:
        """Have the server take the credential no more, and say so."""
        connection = self.connection
        messages: list[Message] = []
        for request in self.inbox[:refused]:
            if request["a"] not in ("q", "p", "m"):
                break
            messages.append(answer(request, "permission_denied"))
        for listen in self.server.queries[:revoked]:
            body: Message = {"p": str(listen.path)}
            if listen.tag is not None:
                body["q"] = [listen.params.wire()]
            messages.append({"t": "d", "d": {"a": "c", "b": body}})
        with Unnoticed(self):
            self.dialogue.server(*messages, REVOKED)
            self.look()
        self.expect_lapsed(connection)

    @precondition(lambda self: self.is_authenticated())
    @rule(
        is_known=st.booleans(),
        outcome=st.sampled_from(["good", "bad", "late"]),
        queries=st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(QUERIES)), max_size=2),
        values=st.lists(st.sampled_from(VALUES), max_size=2),
        is_slow=st.booleans(),
    )
    def credential_lapses(
        self,
        is_known: bool,
        outcome: str,
        queries: list[Query],
        values: list[Any],
        is_slow: bool,
    ) -> None:
        """Have the server take the credential no more, and say so when it is asked for something."""
        connection = self.connection
        assert connection is not None
        if is_known:
            self.advance(connection.expires_s - EARLY_S - self.dialogue.now_s)
        if self.connection is not connection:
            return
        connection.is_lapsed = True
        for path, params in queries:
            self.listen(path, params)
        for value in values:
            self.set("/a", value)
        self.run_disk()
        if is_slow and self.inbox:
            self.serve(1, 0, is_slow)
        if self.connection is connection:
            self.refresh(outcome)

    @precondition(lambda self: self.is_authenticated())
    @rule()
    def credential_runs_out(self) -> None:
        """Have no token when the last one ends."""
        connection = self.connection
        assert connection is not None
        with Unnoticed(self):
            self.advance(connection.presented_until_s - self.dialogue.now_s)
        assert self.connection is not connection

    # ---- the disk -----------------------------------------------------------------------

    @precondition(lambda self: self.dialogue.disk_jobs)
    @rule(position=st.integers(0, 5))
    def run_disk_job(self, position: int) -> None:
        self.dialogue.run_disk_job(position % len(self.dialogue.disk_jobs))
        self.look()

    @rule()
    def run_disk(self) -> None:
        self.dialogue.run_disk()
        self.look()
        for write in self.dialogue.engine.writes.values():
            for path, _ in self.listeners:
                place = Path.from_wire(path)
                is_seen = any(p.contains(place) or place.contains(p) for p in write.places())
                assert write.is_loaded or not is_seen, "whoever listens there sees it"

    @precondition(lambda self: self.dialogue.disk_jobs)
    @rule()
    def run_queue(self) -> None:
        """Have the queue do all that it can without the cache."""
        while True:
            jobs = self.dialogue.disk_jobs
            mine = [at for at, job in enumerate(jobs) if isinstance(job, StoreWrites | LoadWrites)]
            if not mine:
                break
            self.dialogue.run_disk_job(mine[0])
        self.look()

    # ---- the server, and everybody else -------------------------------------------------

    @rule(path=st.sampled_from(PATHS[1:]), value=st.sampled_from(VALUES))
    def compete(self, path: str, value: Any) -> None:
        messages = self.server.write(Path.from_wire(path), from_export(value))
        if messages:
            self.dialogue.server(*messages)
            self.look()

    @precondition(lambda self: self.inbox)
    @rule(count=st.integers(1, 4), refused=st.integers(0, 9), is_slow=st.booleans())
    def serve(self, count: int, refused: int, is_slow: bool) -> None:
        """Answer some requests; a listen may take longer than the write after it."""
        connection = self.connection
        assert connection is not None
        if is_slow:
            actions = [request["a"] for request in self.inbox[:2]]
            if actions in (["q", "p"], ["q", "m"]):
                self.inbox[:2] = reversed(self.inbox[:2])
        listeners = dict(self.listeners)
        messages: list[Message] = []
        is_lapse = False
        is_near_end = self.dialogue.now_s >= connection.expires_s - MARGIN_S
        for position in range(min(count, len(self.inbox))):
            is_credential = self.inbox[0]["a"] in ("auth", "gauth")
            if is_credential and messages and not is_lapse:
                break
            request = self.inbox.pop(0)
            if is_credential:
                messages.append(self.authenticate(connection, request))
                break
            if connection.is_lapsed and request["a"] in ("q", "p", "m"):
                is_lapse = True
                messages.append(answer(request, "permission_denied"))
            elif refused == position + 6 and request["a"] in "qpm" and not is_near_end:
                messages.append(self.refuse(request))
            else:
                messages += self.carry_out(request)
        is_refused = messages[-1]["d"]["b"].get("s") == "expired_token"
        if is_lapse and not is_refused and not is_near_end:
            messages.append(REVOKED)
        with Unnoticed(self, is_certain=is_lapse and len(messages) == 1):
            self.dialogue.server(*messages)
            self.look()
        self.expect_cancelled(listeners)
        is_newest = all(request["a"] not in ("auth", "gauth") for request in self.inbox)
        if is_refused and is_newest:
            self.expect_lapsed(connection)

    @precondition(lambda self: self.is_authenticated() and self.server.queries)
    @rule(position=st.integers(0, 9))
    def deny_listen(self, position: int) -> None:
        """Have the server end a listen, though the credential is good."""
        connection = self.connection
        assert connection is not None
        listen = self.server.queries[position % len(self.server.queries)]
        is_near_end = self.dialogue.now_s >= connection.expires_s - MARGIN_S
        if is_near_end or any(request["a"] in ("n", "q") for request in self.inbox):
            return
        listeners = dict(self.listeners)
        body: Message = {"p": str(listen.path)}
        if listen.tag is not None:
            body["q"] = [listen.params.wire()]
        self.deny(listen.path, None if listen.tag is None else listen.params)
        self.dialogue.server({"t": "d", "d": {"a": "c", "b": body}})
        self.look()
        self.expect_cancelled(listeners)

    def expect_cancelled(self, listeners: dict[Query, Listener]) -> None:
        """See that those were told who are no more, and that nothing of theirs is left."""
        for query in listeners.keys() - self.listeners.keys():
            assert listeners[query].kinds[-1] == "cancel"
            if query == ("/", DEFAULT):
                self.run_disk()
                cached = self.disk.load(Path.from_wire("/"), DEFAULT)
                assert not cached.is_complete, "what is denied is not served from the cache"

    # ---- the connection -------------------------------------------------------------------

    @precondition(lambda self: self.state() != "online")
    @rule()
    def come_closer(self) -> None:
        """Take one step towards a connection."""
        match self.state():
            case "offline":
                self.dialogue.go_online()
            case "waiting":
                self.dialogue.advance_to_wake()
            case "connecting" if self.connection is not None:
                self.connection.is_greeted = True
                self.dialogue.greet()
            case "connecting":
                self.hand_over("good")
            case "authenticating":
                self.serve(1, 0, False)
            case state:
                raise AssertionError(state)
        self.look()

    @precondition(lambda self: self.state() != "online")
    @rule()
    def connect(self) -> None:
        """Do all that it takes."""
        for _ in range(30):
            if self.state() == "online":
                return
            self.come_closer()
        raise AssertionError("it does not come to a connection")

    @precondition(lambda self: self.is_calm() and self.user is not None)
    @rule(queries=st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(QUERIES)), max_size=2))
    def listen_and_settle(self, queries: list[Query]) -> None:
        """Come to rest, with some listeners more."""
        for path, params in queries:
            self.listen(path, params)
        self.settle()
        self.disturb()

    @precondition(lambda self: self.connection is not None and self.is_calm())
    @rule(lost_requests=st.integers(0, 3))
    def lose(self, lost_requests: int) -> None:
        self.lost_requests = lost_requests
        self.end_connection()
        first = next(iter(self.dialogue.engine.writes), 0)
        self.losses[first] = self.losses.get(first, 0) + 1
        self.dialogue.lose()
        if self.losses[first] >= 3 and first not in self.dialogue.engine.writes:
            # It stood first in line whenever the connection broke (W-11).
            self.waiting.pop(first, None)
        self.look()

    @precondition(lambda self: self.is_calm())
    @rule(lost_requests=st.integers(0, 3))
    def go_offline(self, lost_requests: int) -> None:
        self.lost_requests = lost_requests
        self.dialogue.go_offline()
        self.look()
        self.disturb()

    @precondition(lambda self: self.is_calm())
    @rule(seconds=st.sampled_from([1.0, 15.0, 40.0]))
    def advance(self, seconds: float) -> None:
        """Let time pass: a token is renewed, or runs out."""
        self.disturb()
        with Unnoticed(self):
            self.dialogue.advance(max(0.0, seconds))
            self.look()

    # ---- the end of the process --------------------------------------------------------------

    @precondition(lambda self: self.is_calm())
    @rule()
    def stop_and_start(self) -> None:
        """End in order: nothing changes but the connection (I-57)."""
        if self.connection is not None:
            self.lose(0)
        self.run_disk()
        self.restart()
        assert self.queue() == sorted(self.waiting)
        self.look()

    @precondition(lambda self: self.is_calm())
    @rule(jobs=st.integers(0, 3))
    def crash_and_start(self, jobs: int) -> None:
        """End suddenly: the queue is what the disk was told."""
        for _ in range(min(jobs, len(self.dialogue.disk_jobs))):
            self.run_disk_job(0)
        self.server.connection_lost()
        stored = sorted(id for id in self.disk.queue if id not in self.disk.acknowledged)
        self.made = {id: made for id, made in self.made.items() if id in stored}
        self.waiting = dict(self.made)
        self.confirmed.difference_update(stored)
        self.restart()
        assert self.queue() == stored
        self.look()

    def restart(self) -> None:
        self.listeners.clear()
        self.held.clear()
        self.disk = self.disk.copy()
        self.dialogue = self.start(self.disk)
        self.disturb()

    # ---- the end of all ----------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything come to its end for whoever is signed in."""
        self.connect_if_not()
        for _ in range(500):
            self.run_disk()
            if not self.inbox:
                break
            self.serve(2, 0, True)
            self.connect_if_not()
        assert self.dialogue.engine.writes == {}

    def connect_if_not(self) -> None:
        if self.state() != "online":
            self.connect()

    def teardown(self) -> None:
        """Let each user return in turn: then nothing is left, and all agree."""
        for uid in (*USERS, None):
            if uid is None:
                self.sign_out(False, False, 0)
            else:
                self.sign_in(uid, 0)
            self.settle()
            for (path, params), listener in self.listeners.items():
                node = params.filter(self.server.root.get(Path.from_wire(path)))
                assert listener.value == export(node)
                cached = self.disk.load(Path.from_wire(path), params)
                assert cached.is_complete
                assert params.filter(cached.node) == node
        assert self.waiting == {}
        assert self.queue() == []
        assert self.disk.queue == {}
        assert self.disk.acknowledged == set()


class StoredIdentityMachine(IdentityMachine):
    """The same with the real queue and cache."""

    def make_disk(self) -> DiskModel | StoredDisk:
        return StoredDisk()


@pytest.mark.parametrize("make", [IdentityMachine, StoredIdentityMachine])
def test_what_is_denied_before_it_is_stored_does_not_reach_the_disk(
    make: type[IdentityMachine],
) -> None:
    history = make()
    history.begin("ada", True)
    history.listen("/", DEFAULT)
    history.run_disk()
    history.serve(1, 0, False)

    history.deny_listen(0)
    history.teardown()


TestIdentities = IdentityMachine.TestCase
TestIdentities.settings = settings(max_examples=500, stateful_step_count=50, deadline=None)
TestStoredIdentities = StoredIdentityMachine.TestCase
TestStoredIdentities.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


@pytest.mark.slow
class TestManyIdentities(StoredIdentityMachine.TestCase):
    """The same, for longer."""

    settings = settings(max_examples=10_000, stateful_step_count=50, deadline=None)
