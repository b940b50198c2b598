"""What a test may do to a server and to everyone who is connected to it."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping

import anyio

from firekeep.emulator import messages
from firekeep.emulator.accounts import Accounts
from firekeep.emulator.clock import Clock
from firekeep.emulator.connection import WRITES, Connection
from firekeep.emulator.messages import Request
from firekeep.emulator.namespace import Namespace, read_path, read_piece, read_update
from firekeep.emulator.permissions import Permissions, Permit
from firekeep.emulator.session import Session
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import to_python

__all__ = ["Controls"]

LOGINS = frozenset({"auth", "gauth"})


class Controls:
    """The test controls of an emulator.

    What holds for all clients holds for those that connect later too. A single client has the
    same controls: see `clients`.
    """

    def __init__(
        self,
        namespace: str,
        clock: Clock,
        record: bool,
        accounts: Accounts,
        permissions: Permissions,
        note_change: Callable[[], None],
    ) -> None:
        self.namespace = namespace
        """The database that is meant where none is named."""
        self.clock = clock
        """What handshakes, timestamps and tokens are taken from; tests may move it."""
        self.accounts = accounts
        """The users who can sign in; tests may add, change and disable them."""
        self.permissions = permissions
        self._note_change = note_change
        self.auth_requests: Counter[str] = Counter()
        """How often each part of the auth service was asked, by the last word of its path."""
        self._auth_failure: int | None = None
        self.received: list[tuple[Connection, str]] = []
        """What clients have sent, whole messages in order, if `record` was asked for."""
        self._record = record
        self._namespaces: dict[str, Namespace] = {}
        self._sessions: dict[Connection, Session] = {}
        self._is_refusing = False
        self._is_holding = False
        self._held_actions: frozenset[str] = frozenset()
        self._delay_s = 0.0
        self._redirect: str | None = None
        self._refusals: dict[str, deque[tuple[str, str]]] = {}
        self._login_refusal: tuple[str, str] | None = None
        self._changed = anyio.Event()

    # The data.

    def value(self, path: str = "/", *, namespace: str | None = None) -> object:
        """Return the value at a location as plain Python data; None if there is none."""
        return to_python(self.node(path, namespace=namespace))

    def node(self, path: str = "/", *, namespace: str | None = None) -> Node:
        """Return the value at a location with its priorities."""
        return self.database(namespace).root.get(Path.parse(path))

    def set(self, path: str, value: object, *, namespace: str | None = None) -> None:
        """Write as an administrator does: whoever listens is told.

        The path may end in ``.priority``, and the value may hold server values.

        Raises:
            InvalidArgument: a path or a value that no database can hold.
        """
        place = read_path(path)
        self.database(namespace).commit(place, [read_piece(place, value)])
        self._wake()

    def update(
        self, path: str, values: Mapping[str, object], *, namespace: str | None = None
    ) -> None:
        """Write several values at once as an administrator does; keys are relative paths.

        Raises:
            InvalidArgument: a path or a value that no database can hold.
        """
        place = Path.parse(path)
        self.database(namespace).commit(place, read_update(place, dict(values)))
        self._wake()

    def database(self, namespace: str | None = None) -> Namespace:
        """Return the database of that name, which comes into being when it is first named."""
        name = self.namespace if namespace is None else namespace
        if name not in self._namespaces:
            self._namespaces[name] = Namespace(name, self.clock, note_change=self._note_change)
        return self._namespaces[name]

    # The clients.

    @property
    def clients(self) -> list[Connection]:
        """The clients that are connected, the longest first."""
        return list(self._sessions)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until something is so, looking again after each thing that happens here.

        Example::

            await server.until(lambda: server.value("/counter") == 3)
        """
        while not predicate():
            await self._changed.wait()

    def drop_connections(self) -> None:
        """End every connection without a goodbye; clients may connect again at once."""
        for client in self.clients:
            client.drop()

    def refuse_connections(self, refuse: bool = True) -> None:
        """End each new connection before a byte is read, until told otherwise."""
        self._is_refusing = refuse

    def hold(self) -> None:
        """Keep everything that is to be sent from now on, handshakes included."""
        self._is_holding = True
        for client in self.clients:
            client.hold()

    def release(self, count: int | None = None) -> None:
        """Send the first `count` messages held for each client; None: all, and hold no more."""
        if count is None:
            self._is_holding = False
        for client in self.clients:
            client.release(count)

    def hold_answers(self, actions: Iterable[str] = WRITES) -> None:
        """Keep the answers to requests of these actions; pushes overtake them."""
        self._held_actions = frozenset(actions)
        for client in self.clients:
            client.hold_answers(self._held_actions)

    def release_answers(self, count: int | None = None) -> None:
        """Send the first `count` answers held for each client; None: all, and hold no more."""
        if count is None:
            self._held_actions = frozenset()
        for client in self.clients:
            client.release_answers(count)

    def delay(self, seconds: float) -> None:
        """Send everything that much later from now on."""
        self._delay_s = seconds
        for client in self.clients:
            client.delay(seconds)

    def cut_after(self, count: int, *, incoming: bool = False) -> None:
        """End each connection there is after `count` more bytes to the client, or from it."""
        for client in self.clients:
            client.cut_after(count, incoming=incoming)

    def send_raw(self, message: str | bytes) -> None:
        """Send every client one WebSocket message as it is, valid or not."""
        for client in self.clients:
            client.send_raw(message)

    def shutdown_clients(self, reason: str) -> None:
        """Tell every client to go and not to come back."""
        for client in self.clients:
            client.push(messages.shutdown(reason))

    def redirect(self, host: str, *, new_connections: bool = False) -> None:
        """Send every client to another host; with `new_connections`, later ones too."""
        self._redirect = host if new_connections else None
        for client in self.clients:
            client.push(messages.redirect(host))

    def welcome(self) -> None:
        """Send nobody to another host any more."""
        self._redirect = None

    def revoke(
        self,
        path: str,
        query: Mapping[str, object] | None = None,
        *,
        namespace: str | None = None,
    ) -> int:
        """End the listens at a location as if forbidden; return how many there were.

        `query` is the wire form of the query (wire §3.4); None means the plain listen.
        """
        place, database = Path.parse(path), self.database(namespace)
        sessions = [one for one in self._sessions.values() if one.namespace is database]
        return sum([session.revoke(place, query) for session in sessions])

    # Who they are.

    def revoke_login(
        self, status: str = "expired_token", text: str = "", *, uid: str | None = None
    ) -> None:
        """Tell every client, or those of one user, that its credential is no longer valid.

        From there on such a client is nobody; the same credential may be presented again.
        """
        for session in list(self._sessions.values()):
            if uid is None or session.identity.uid == uid:
                session.lose_identity(status, text or "Auth token is expired.")

    def expire_tokens(self) -> None:
        """Let every token that there is be expired, and tell the clients; new ones are good."""
        self.permissions.verifier.expire_all()
        self.check_identities()

    def revoke_user(self, uid: str) -> None:
        """Let no token of a user count any more, nor get them another, and tell the clients.

        Signing in again helps; a user who is not to be let in either is `accounts.disable` for.
        """
        self.permissions.verifier.revoke(uid)
        self.accounts.forget_refresh_tokens(uid)
        self.check_identities()

    def permit(self, permit: Permit | None) -> None:
        """Let `permit` say what clients may read and write; None: everything.

        Listens that are not allowed any more end at once. Administrators may do everything.

        Example::

            server.permit(lambda access: access.uid == access.path.front)
        """
        self.permissions.permit = permit
        for session in list(self._sessions.values()):
            session.review()

    def fail_auth(self, status: int | None = 503) -> None:
        """Answer whatever the auth service is asked with this status; None: as it should be."""
        self._auth_failure = status

    def check_identities(self) -> None:
        """Tell the clients whose credential counts no more; a clock that is moved does that too."""
        for session in list(self._sessions.values()):
            session.check_identity()
            session.wake()

    # What is refused.

    def deny(
        self, path: str, *, read: bool = True, write: bool = True, namespace: str | None = None
    ) -> None:
        """Refuse new reads or writes at a location and below, until allowed again."""
        self.database(namespace).deny(Path.parse(path), read=read, write=write)

    def allow(self, path: str, *, namespace: str | None = None) -> None:
        """Take back what was denied at exactly this location."""
        self.database(namespace).deny(Path.parse(path), read=False, write=False)

    def refuse_next(self, action: str, status: str, text: str = "", count: int = 1) -> None:
        """Answer the next `count` requests of an action with this status, doing nothing."""
        self._refusals.setdefault(action, deque()).extend([(status, text)] * count)

    def refuse_logins(self, status: str | None = "invalid_token", text: str = "") -> None:
        """Refuse every credential with this status; None: accept every credential again."""
        self._login_refusal = None if status is None else (status, text)

    # For the server itself.

    def refusal(self, request: Request) -> tuple[str, str] | None:
        """Return what a request is to be refused with, if it is."""
        waiting = self._refusals.get(request.action)
        if waiting:
            return waiting.popleft()
        return self._login_refusal if request.action in LOGINS else None

    def _admit(self, client: Connection, session: Session) -> None:
        """Let what holds for all hold for a new client."""
        self._sessions[client] = session
        if self._is_holding:
            client.hold()
        if self._held_actions:
            client.hold_answers(self._held_actions)
        client.delay(self._delay_s)
        self._wake()

    def _dismiss(self, client: Connection) -> None:
        session = self._sessions.pop(client, None)
        if session is not None:
            session.end()
            self._wake()

    def _note(self, client: Connection, message: bytes | bytearray) -> None:
        if self._record:
            self.received.append((client, message.decode()))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
