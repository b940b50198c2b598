"""The server: listens, tells HTTP from WebSocket, and knows its databases."""

import ipaddress
import json
import logging
import os
import re
import secrets
import string
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskGroup, TaskStatus

from firekeep.emulator import auth_service
from firekeep.emulator.accounts import LIFETIME_S, Accounts
from firekeep.emulator.archive import read_archive, write_archive
from firekeep.emulator.byte_limit import LimitedStream
from firekeep.emulator.clock import Clock
from firekeep.emulator.connection import Connection
from firekeep.emulator.controls import Controls
from firekeep.emulator.http import HttpConnection, HttpRequest, HttpResponse
from firekeep.emulator.identity import Verifier
from firekeep.emulator.keeper import Keeper
from firekeep.emulator.messages import redirect
from firekeep.emulator.permissions import Permissions, Permit
from firekeep.emulator.rest import respond
from firekeep.emulator.session import Session
from firekeep.emulator.state import State
from firekeep.exceptions import Disconnected, ProtocolError, UsageError
from firekeep.net.byte_stream import close_at_once
from firekeep.net.websocket import WebSocket
from firekeep_core.snap.node import EMPTY
from firekeep_core.snap.path import ROOT
from firekeep_core.wire.chunk import Joiner

__all__ = ["Emulator", "serve"]

DEFAULT_PORT = 9000
MAX_BUFFER_BYTES = 64 * 1024 * 1024
SILENCE_S = 120.0
"""Clients send something every 45 s (wire §2.3)."""

SOCKET_PATH = "/.ws"
DATABASES_PATH = "/.inspect/databases.json"
SESSION_ID_LENGTH = 32

_STREAM_ERRORS = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)

_logger = logging.getLogger("firekeep.emulator")


class Emulator(Controls):
    """A local Realtime Database server, alive from ``async with`` on to its end.

    `port` 0 takes a free one; `data` is the value of the default database to begin with, in
    export form. A client that leaves more than `max_buffer_bytes` unread is dropped, and so is
    one that is silent for `silence_s`. With `record`, `received` tells what clients have sent.

    On the same port it is an auth service, whose users are `accounts`: FIREBASE_AUTH_EMULATOR_HOST
    takes the same address. `token_lifetime_s` is how long the tokens it makes are good, by `clock`;
    `secret` is a credential for administrators besides ``owner``; `permit` says what everybody else
    may read and write, without it everything.

    With a `directory` all databases and accounts are kept there, and are there again for the next
    emulator; `data` is for the first one. Nobody hears of what is not on disk.

    Raises:
        InvalidArgument: no database can hold `data`.
        OSError: on entering, if the port cannot be listened on.
        PersistenceInUse: on entering, if another emulator uses the directory.
        StorageError: on entering, if the directory is damaged or cannot be used.

    Source: wire §7.2.

    Example::

        async with Emulator(data={"greeting": "hello"}) as server:
            async with firekeep.open(server.url) as database:
                ...
            assert server.value("/greeting") == "hello"
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        namespace: str = "default",
        data: object = None,
        record: bool = False,
        max_buffer_bytes: int = MAX_BUFFER_BYTES,
        silence_s: float = SILENCE_S,
        token_lifetime_s: int = LIFETIME_S,
        secret: str | None = None,
        permit: Permit | None = None,
        project: str = "demo-firekeep",
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        clock = Clock()
        verifier = Verifier(clock, secret)
        accounts = Accounts(clock, verifier, project)
        accounts.lifetime_s = token_lifetime_s
        keeper = Keeper(directory, self._state)
        permissions = Permissions(verifier, permit)
        super().__init__(namespace, clock, record, accounts, permissions, keeper.note_change)
        self._keeper = keeper
        self._imported: set[str] = set()
        self._is_restored = False
        self._exported_accounts: dict[str, str] | None = None
        clock.watch(self.check_identities)
        self.host = host
        self.port = port
        """The port asked for; from entering on, the one that is listened on."""
        self._max_buffer_bytes = max_buffer_bytes
        self._silence_s = silence_s
        self._tasks: TaskGroup | None = None
        self._next_client = 1
        self.set("/", data)

    @property
    def token_lifetime_s(self) -> int:
        """How long tokens that are made from now on are good."""
        return self.accounts.lifetime_s

    @token_lifetime_s.setter
    def token_lifetime_s(self, seconds: int) -> None:
        self.accounts.lifetime_s = seconds

    @property
    def address(self) -> str:
        """Host and port, as FIREBASE_DATABASE_EMULATOR_HOST takes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address of the default database."""
        return f"http://{self.address}?ns={self.namespace}"

    async def __aenter__(self) -> Self:
        """Listen; from here on clients can connect."""
        if self._tasks is not None:
            raise UsageError("the emulator is running already")
        await self._restore()
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._tasks = tasks
        try:
            tasks.start_soon(self._keeper.run)
            await tasks.start(self._listen)
        except BaseException:
            await self._stop(tasks)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening and end all connections; the data stay."""
        if self._tasks is not None:
            await self._stop(self._tasks)

    async def import_file(
        self, path: str | os.PathLike[str], *, namespace: str | None = None
    ) -> None:
        """Replace a database by what a JSON file holds, in export form.

        Before entering, it replaces what the emulator's directory has of it too.

        Raises:
            InvalidArgument: the file holds no JSON that a database could hold.
            OSError: it cannot be read.
        """
        node = await read_archive(path, self.clock.now_ms())
        database = self.database(namespace)
        self._imported.add(database.name)
        database.commit(ROOT, [(ROOT, node)])
        self._wake()

    async def export_file(
        self, path: str | os.PathLike[str], *, namespace: str | None = None
    ) -> None:
        """Write a database to a JSON file, in export form.

        Raises:
            OSError: it cannot be written; what was there before is still there.
        """
        await write_archive(path, self.database(namespace).root)

    async def _stop(self, tasks: TaskGroup) -> None:
        self._tasks = None
        tasks.cancel_scope.cancel()
        # Without the error of the body, which is to leave as it is, not in a group.
        await tasks.__aexit__(None, None, None)
        self._exported_accounts = None
        await self._keeper.aclose()

    async def _restore(self) -> None:
        """Take what the directory holds, unless it has been taken before."""
        stored = await self._keeper.open()
        was_restored, self._is_restored = self._is_restored, True
        if stored is None or was_restored:
            return
        self.accounts.restore(stored.accounts)
        for name in {self.namespace, *stored.databases} - self._imported:
            self.database(name).root = stored.databases.get(name, EMPTY)

    def _state(self) -> State:
        if self._exported_accounts is None:
            self._exported_accounts = self.accounts.export()
        databases = {name: database.root for name, database in self._namespaces.items()}
        return State(databases, self._exported_accounts)

    async def _listen(self, *, task_status: TaskStatus[None]) -> None:
        listener = await anyio.create_tcp_listener(local_host=self.host, local_port=self.port)
        async with listener:
            self.port = listener.extra(SocketAttribute.local_port)
            task_status.started()
            await listener.serve(self._serve)

    async def _serve(self, socket: SocketStream) -> None:
        """Serve one connection to its end; nothing that happens on it reaches another."""
        stream = LimitedStream(socket)
        try:
            if not self._is_refusing:
                await self._serve_http(stream)
        except _STREAM_ERRORS as error:
            _logger.debug("a connection ended: %r", error)
        except ProtocolError as error:
            _logger.warning("a connection was closed: %s", error)
        except Exception:
            _logger.exception("a connection was closed: the emulator failed")
        finally:
            await close_at_once(stream)

    async def _serve_http(self, stream: LimitedStream) -> None:
        http = HttpConnection(stream)
        while True:
            request = await http.receive()
            if request is None:
                return
            if request.path == SOCKET_PATH and request.is_upgrade:
                received = await http.upgrade(request)
                if received is not None:
                    await self._serve_client(stream, request, received)
                return
            response = self._respond(request)
            await self._keeper.kept()
            if not await http.send(response):
                return

    def _respond_to_sign_in(self, request: HttpRequest) -> HttpResponse:
        self.auth_requests[re.split("[:/]", request.path)[-1]] += 1
        self._wake()
        if self._auth_failure is not None:
            return HttpResponse(self._auth_failure)
        self._exported_accounts = None
        self._note_change()
        return auth_service.respond(self.accounts, request)

    def _respond(self, request: HttpRequest) -> HttpResponse:
        if auth_service.is_auth_request(request.path):
            return self._respond_to_sign_in(request)
        if request.path == DATABASES_PATH:
            names = [{"name": name} for name in self._namespaces]
            return HttpResponse(200, json.dumps(names).encode())
        database = self.database(self._namespace_of(request))
        response = respond(database, request, self.permissions)
        self._wake()
        return response

    async def _serve_client(
        self, stream: LimitedStream, request: HttpRequest, received: bytes
    ) -> None:
        websocket = WebSocket(stream, is_client=False, received=received)
        connection = Connection(
            stream,
            websocket,
            name=f"client {self._next_client}",
            session_id=_new_session_id(),
            headers=request.headers,
            max_buffer_bytes=self._max_buffer_bytes,
            kept=self._keeper.kept,
        )
        self._next_client += 1
        self._take_over(request.parameters.get("ls"))
        session = Session(
            connection,
            self.database(self._namespace_of(request)),
            self.refusal,
            self.permissions,
        )
        self._admit(connection, session)
        if self._redirect is None:
            session.begin(request.headers.get("host", self.address))
        else:
            connection.push(redirect(self._redirect))
        try:
            async with anyio.create_task_group() as tasks:
                connection.run(tasks.cancel_scope.cancel)
                tasks.start_soon(connection.send_all)
                tasks.start_soon(self._watch_identity, session)
                await self._read(websocket, connection, session)
                tasks.cancel_scope.cancel()
            if connection.is_open:
                await websocket.aclose()
        finally:
            connection.is_open = False
            self._dismiss(connection)

    async def _read(self, websocket: WebSocket, connection: Connection, session: Session) -> None:
        """Do what a client asks until it leaves or breaks the protocol."""
        joiner = Joiner()
        try:
            while True:
                with anyio.fail_after(self._silence_s):
                    frames = await websocket.receive()
                for message in joiner.join(frames):
                    self._note(connection, message)
                    session.receive(message)
                    await connection.wait_for_reader()
                self._wake()
        except TimeoutError:
            _logger.info("%s: silent for %g s", connection.name, self._silence_s)
        except Disconnected as error:
            _logger.debug("%s: %s", connection.name, error)
        except ProtocolError as error:
            _logger.warning("%s: closed: %s", connection.name, error)

    async def _watch_identity(self, session: Session) -> None:
        """Tell a client that its credential has expired when it does, by the server's clock."""
        while True:
            changed = session.identity_changed
            with anyio.move_on_after(self._seconds_until(session.identity.expires_s)):
                await changed.wait()
            session.check_identity()

    def _seconds_until(self, at_s: int | None) -> float | None:
        if at_s is None or self.clock.is_frozen:
            return None
        return max(0.0, at_s - self.clock.now_ms() / 1000)

    def _take_over(self, session_id: str | None) -> None:
        """End the session that a client says it comes from (wire §5.1)."""
        for client in self.clients:
            if client.session_id == session_id:
                client.drop()
                self._dismiss(client)

    def _namespace_of(self, request: HttpRequest) -> str:
        named = request.parameters.get("ns")
        return named or _host_namespace(request.headers) or self.namespace


def _host_namespace(headers: Mapping[str, str]) -> str | None:
    """Return the namespace that the Host header stands for; None for a local name.

    Source: wire §1.1.
    """
    host = headers.get("host", "").lower().rpartition("]")[2].partition(":")[0]
    labels = host.split(".")
    if len(labels) < 3 and labels[1:] != ["localhost"]:
        return None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return labels[0]
    return None


def _new_session_id() -> str:
    alphabet = string.ascii_letters + string.digits
    return "".join([secrets.choice(alphabet) for _ in range(SESSION_ID_LENGTH)])


async def serve(
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    namespace: str = "default",
    import_path: str | os.PathLike[str] | None = None,
    export_path: str | os.PathLike[str] | None = None,
    directory: str | os.PathLike[str] | None = None,
    task_status: TaskStatus[Emulator] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Run an emulator until cancelled; it is given to whoever started this with ``start``.

    `import_path` is read into the default database before the first client is heard;
    `export_path` is written at the end. What there is in `directory` was there before, and stays.

    Raises:
        InvalidArgument: the file to import holds no JSON that a database could hold.
        OSError: a file or the port cannot be used.
        PersistenceInUse: another emulator uses the directory.
        StorageError: the directory is damaged or cannot be used.

    Example::

        async with anyio.create_task_group() as tasks:
            server = await tasks.start(functools.partial(serve, port=9000))
            print("listening on", server.url)
    """
    server = Emulator(port, host=host, namespace=namespace, directory=directory)
    if import_path is not None:
        await server.import_file(import_path)
    try:
        async with server:
            task_status.started(server)
            await anyio.sleep_forever()
    finally:
        if export_path is not None:
            with anyio.CancelScope(shield=True):
                await server.export_file(export_path)
