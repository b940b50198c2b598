"""The only place where the engine, the network and the clock meet: it performs effects."""

from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.sync.event import Event

from firekeep.config import Config
from firekeep.engine.transactions import ABORT as ABORT
from firekeep.status import Status
from firekeep.types import JSON, TokenProvider
from firekeep.write import Write

GetSource = Literal["default", "server", "cache"]
DisconnectKind = Literal["set", "update", "cancel"]
Updates = list[tuple[Path, Node]]


class EventTarget(Protocol):
    """What a listener registers: it is handed each event once, in order."""

    def deliver(self, event: Event) -> None:
        """Take one event; an exception is logged and affects nothing else."""
        ...


class GetResult(NamedTuple):
    """What one read gave."""

    node: Node
    from_cache: bool
    has_pending_writes: bool


class ViewMetadata(NamedTuple):
    """What is known about the data a query shows."""

    from_cache: bool
    complete: bool


class TransactionHandle(Protocol):
    """A running transaction; awaiting it gives whether it was committed, and the final node."""

    def __await__(self) -> Generator[Any, Any, tuple[bool, Node]]:
        """Wait for the outcome."""
        ...


class Driver:
    """Runs one engine: one task group, one lock, one connection at a time."""

    def __init__(
        self,
        host: str,
        namespace: str,
        *,
        secure: bool,
        config: Config,
        auth: str | TokenProvider | None = None,
        app_check: str | TokenProvider | None = None,
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Start the tasks and the first attempt to connect."""
        raise NotImplementedError

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Stop every task; writes still awaited raise `DatabaseClosed`."""
        raise NotImplementedError

    def set(self, path: Path, node: Node) -> Write:
        """Replace what is at a location; a last key ``.priority`` sets its priority."""
        raise NotImplementedError

    def update(self, path: Path, children: Updates) -> Write:
        """Replace several locations below one, atomically; nothing to do is done at once."""
        raise NotImplementedError

    def transaction(
        self,
        path: Path,
        fn: Callable[[JSON], object],
        *,
        apply_locally: bool = True,
        require_server: bool = False,
    ) -> TransactionHandle:
        """Run `fn` on the value until the server takes the result; `ABORT` leaves it as it is."""
        raise NotImplementedError

    def on_disconnect(
        self,
        kind: DisconnectKind,
        path: Path,
        payload: Node | Updates | None = None,
        *,
        persistent: bool = False,
    ) -> Write:
        """Register what the server does when the connection ends; `persistent`: each connection."""
        raise NotImplementedError

    def add_listener(
        self, path: Path, params: QueryParams, registration: EventTarget, kinds: int
    ) -> None:
        """Add a listener; what is already known is delivered before this returns."""
        raise NotImplementedError

    def remove_listener(
        self, path: Path, params: QueryParams, registration: EventTarget
    ) -> None:
        """Remove a listener; it is handed nothing after this returns."""
        raise NotImplementedError

    def keep_synced(self, path: Path, params: QueryParams, flag: bool) -> None:
        """Keep a query downloaded and fresh, or stop it; setting it twice is setting it once."""
        raise NotImplementedError

    def kept_synced(self) -> list[tuple[Path, QueryParams]]:
        """Return the queries that are kept, in the order in which they were asked for."""
        raise NotImplementedError

    async def get(
        self,
        path: Path,
        params: QueryParams,
        *,
        source: GetSource = "default",
        timeout_s: float | None,
    ) -> GetResult:
        """Read once."""
        raise NotImplementedError

    def pending_writes(self) -> list[Write]:
        """Return the writes that have no answer yet, oldest first."""
        raise NotImplementedError

    def pending_write(self, id: int) -> Write | None:
        """Return one of them."""
        raise NotImplementedError

    def purge(self) -> None:
        """Drop all of them, and every transaction and queued onDisconnect."""
        raise NotImplementedError

    async def wait_for_pending_writes(self, timeout_s: float | None = None) -> None:
        """Wait until every write that is pending at the call has an answer."""
        raise NotImplementedError

    def cancel_write(self, write: Write) -> bool:
        """Take a write that has not been sent out of the queue; return whether that was so."""
        raise NotImplementedError

    def go_offline(self) -> None:
        """Close the connection and stay without one."""
        raise NotImplementedError

    def go_online(self) -> None:
        """Connect again, at once, also after a shutdown by the server."""
        raise NotImplementedError

    def set_auth_token(self, token: str | None) -> None:
        """Change the credential: at once where there is a connection, else for the next one."""
        raise NotImplementedError

    @property
    def status(self) -> Status:
        """What is known at this moment."""
        raise NotImplementedError

    def add_status_callback(self, callback: Callable[[Status], object]) -> Callable[[], None]:
        """Call back with each new status; return what removes the callback."""
        raise NotImplementedError

    def add_rejection_callback(self, callback: Callable[[Write], object]) -> Callable[[], None]:
        """Call back with each write that failed and that nobody awaited; return what removes it."""
        raise NotImplementedError

    def server_time_ms(self) -> int:
        """Return the estimated time of the server in ms since 1970."""
        raise NotImplementedError

    def next_push_id(self) -> str:
        """Return a new key that sorts after all earlier ones of this client."""
        raise NotImplementedError

    def has_pending_writes(self, path: Path) -> bool:
        """Return whether a visible write at, above or below a location has no answer yet."""
        raise NotImplementedError

    def view_metadata(self, path: Path, params: QueryParams) -> ViewMetadata:
        """Return what is known about the data a query shows."""
        raise NotImplementedError

    def start_soon(
        self, function: Callable[..., Awaitable[object]], *arguments: object
    ) -> None:
        """Run an asynchronous function in the database's task group."""
        raise NotImplementedError
