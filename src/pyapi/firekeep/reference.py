"""References: locations, and what can be written there."""

from collections.abc import Mapping

from firekeep.client import Client
from firekeep.exceptions import InvalidPath
from firekeep.on_disconnect import OnDisconnect
from firekeep.query import Query
from firekeep.snapshot import child_path
from firekeep.transaction import Transaction, TransactionFunction, run_transaction
from firekeep.types import Priority, Writable
from firekeep.user_updates import check_writable, priority_path, read_updates
from firekeep.write import Write
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.value import from_python, validate_priority

__all__ = ["Reference"]


class Reference(Query):
    """One location; immutable, equal to any other of the same location and database.

    A write is applied to the local copy, and told to plain callbacks, before the call returns; it
    is sent when that is possible. Bad arguments raise at once and change nothing. Every write
    raises

    - InvalidPath, InvalidValue or InvalidKey for what no database could hold;
    - QueueFull if too much waits to be sent already;
    - DatabaseClosed after the database has been left, `UsageError` before it has been entered.

    Example::

        ada = db.reference("scores/ada")
        ada.set(10)
        await ada.set(11)
    """

    __slots__ = ("_write",)

    def __init__(self, client: Client, path: Path, write: Write | None = None) -> None:
        self._client = client
        self._driver = client.driver
        self._params = QueryParams.DEFAULT
        self._path = path
        self._write = write

    # Navigating.

    def child(self, path: str | Path) -> "Reference":
        """Return a location below.

        Raises:
            InvalidPath: no such path can be, at once.

        Example::

            db.reference("rooms").child("lobby/messages")
        """
        below = child_path(path)
        if below.front == ".info" and self._path:
            raise InvalidPath(f"{below} is only at the root, not at {self._path}")
        return Reference(self._client, self._path.child(below))

    def __truediv__(self, path: str | Path) -> "Reference":
        """Return a location below: ``reference / "rooms" / "lobby"``."""
        return self.child(path)

    @property
    def parent(self) -> "Reference | None":
        """The location above; None at the root."""
        above = self._path.parent
        return None if above is None else Reference(self._client, above)

    @property
    def root(self) -> "Reference":
        """The root of the database."""
        return Reference(self._client, ROOT)

    @property
    def write(self) -> Write | None:
        """The write that `push` made here; None for any other reference."""
        return self._write

    # Writing.

    def set(self, value: Writable, priority: Priority = None) -> Write:
        """Replace all that is here; None removes it.

        Example::

            reference.set({"name": "Ada", "joined": firekeep.TIMESTAMP})
        """
        path = self._path
        if path.front == ".info":
            check_writable(path)
        if priority is None:
            return self._driver.set(path, from_python(value, path=path))
        return self._driver.set(path, from_python(value, priority, path=path))

    def update(self, values: Mapping[str, Writable]) -> Write:
        """Replace several locations below, all or none of them; the keys are paths.

        Example::

            db.reference().update({"rooms/lobby/open": True, "log/last": firekeep.TIMESTAMP})
        """
        check_writable(self._path)
        return self._driver.update(self._path, read_updates(self._path, values))

    def remove(self) -> Write:
        """Remove all that is here.

        Example::

            reference.remove()
        """
        check_writable(self._path)
        return self._driver.set(self._path, EMPTY)

    def set_priority(self, priority: Priority) -> Write:
        """Set the priority of what is here; it changes nothing where nothing is.

        Example::

            reference.set_priority(5)
        """
        path = self._path
        check_writable(path)
        return self._driver.set(priority_path(path), validate_priority(priority, path=path))

    def push(self, value: Writable = None, priority: Priority = None) -> "Reference":
        """Return a new child whose key sorts after all that were made before.

        With a value it is written there, and the `write` of the reference is its handle; without
        one only the key is made. Neither needs a connection.

        Example::

            message = messages.push({"text": "hello"})
            await message.write
        """
        check_writable(self._path)
        path = self._path.child(self._driver.next_push_id())
        if value is None:
            return Reference(self._client, path)
        node = (
            from_python(value, path=path)
            if priority is None
            else from_python(value, priority, path=path)
        )
        return Reference(self._client, path, self._driver.set(path, node))

    def transaction(
        self,
        fn: TransactionFunction,
        *,
        apply_locally: bool = True,
        require_server: bool = False,
    ) -> Transaction:
        """Change the value depending on what it is, however many clients do so at once.

        `fn` is given the value as plain Python and returns the new one: None removes it,
        `firekeep.ABORT` leaves it as it is, an exception ends the transaction and is raised where
        it is awaited. It may be called several times, first with what the client knows, and must
        do nothing else. `apply_locally=False` shows nothing before the server has agreed;
        `require_server=True` does not run it on a value that the server has not confirmed.

        Example::

            result = await likes.transaction(lambda count: (count or 0) + 1)
        """
        check_writable(self._path)
        return run_transaction(
            self._driver,
            self._path,
            fn,
            apply_locally=apply_locally,
            require_server=require_server,
        )

    def on_disconnect(self) -> OnDisconnect:
        """Return what takes instructions for when the server loses this client.

        Example::

            db.reference("online/ada").on_disconnect().remove()
        """
        check_writable(self._path)
        return OnDisconnect(self._driver, self._path)
