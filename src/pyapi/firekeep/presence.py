"""Who is online: a record for each connection, which the server removes when it is lost."""

from types import TracebackType
from typing import Final, Self

from firekeep.driver import Driver
from firekeep.listener import KIND_BITS, Registrant
from firekeep.server_value import TIMESTAMP
from firekeep.types import Writable
from firekeep.user_updates import check_writable
from firekeep.write import Write
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_python
from firekeep_core.sync.event import Event as CoreEvent

__all__ = ["Presence"]

_CONNECTED: Final = Path.from_keys((".info", "connected"))


class Presence(Registrant):
    """Keeps one record below a location for as long as this client is connected.

    Each connection writes a record of its own, under a new key, and has the server remove it when
    the connection ends: so two devices of one user do not disturb each other, nor a new connection
    the end of an old one. With `last_seen` the server also notes there when that was.

    Example::

        with db.presence("online/ada", last_seen="last-seen/ada"):
            ...
        # someone is online where db.reference("online/ada") has children
    """

    __slots__ = ("_last_seen", "_node", "_place", "_record", "_write")

    def __init__(self, driver: Driver, path: Path, value: Writable, last_seen: Path | None) -> None:
        check_writable(path)
        if last_seen is not None:
            check_writable(last_seen)
        super().__init__(driver, _CONNECTED, QueryParams.DEFAULT)
        self._place = path
        self._last_seen = last_seen
        self._node: Node = from_python(value, path=path.child("record"))
        self._record: Path | None = None
        self._write: Write | None = None
        self.attach(KIND_BITS["value"])

    @property
    def path(self) -> Path:
        """The location whose children are the records."""
        return self._place

    @property
    def record(self) -> Path | None:
        """The record of the present connection; None while there is none."""
        return self._record

    def deliver(self, event: CoreEvent) -> None:
        """Take one change of whether there is a connection."""
        if self._is_closed or event.kind != "value":
            return
        if event.node.value is True:
            self._announce()
        else:
            self._withdraw()

    def close(self) -> None:
        """Remove the record and what the server was to do; closing twice is closing once."""
        if self._is_closed:
            return
        super().close()
        if self._driver.is_left:
            # The server removes the record at the end of the connection.
            self._record = self._write = None
            return
        record = self._record
        self._withdraw()
        if record is not None:
            self._driver.on_disconnect("cancel", record)
            self._driver.set(record, EMPTY)
        if self._last_seen is not None:
            self._driver.on_disconnect("cancel", self._last_seen)
            self._driver.set(self._last_seen, from_python(TIMESTAMP, path=self._last_seen))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the record."""
        self.close()

    def __repr__(self) -> str:
        """Return where it is, and under which key."""
        return f"<Presence at {self._place}: {'-' if self._record is None else self._record.key}>"

    def _announce(self) -> None:
        driver = self._driver
        record = self._record = self._place.child(driver.next_push_id())
        # In this order: there is no moment at which the record is there and nobody would remove it.
        driver.on_disconnect("set", record, EMPTY)
        if self._last_seen is not None:
            timestamp = from_python(TIMESTAMP, path=self._last_seen)
            driver.on_disconnect("set", self._last_seen, timestamp)
        self._write = driver.set(record, self._node)

    def _withdraw(self) -> None:
        record, write = self._record, self._write
        self._record = self._write = None
        # A write without an answer would be sent again on the next connection, which knows of no
        # removal: take it back, or undo it.
        if record is None or write is None or write.state not in ("queued", "sent"):
            return
        if not write.cancel() and not self._is_closed:
            self._driver.set(record, EMPTY)
