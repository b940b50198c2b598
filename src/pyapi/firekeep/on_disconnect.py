"""What the server is to do when it loses this client."""

from collections.abc import Mapping

from firekeep.driver import Driver
from firekeep.types import Priority, Writable
from firekeep.user_updates import priority_path, read_updates
from firekeep.write import Write
from firekeep_core.snap.node import EMPTY
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_python, validate_priority

__all__ = ["OnDisconnect"]


class OnDisconnect:
    """Instructions that the server carries out once when the present connection ends.

    Each call returns a `Write`, confirmed when the server has taken the instruction.

    Example::

        await reference.on_disconnect().set("offline")
    """

    __slots__ = ("_driver", "_path")

    def __init__(self, driver: Driver, path: Path) -> None:
        self._driver = driver
        self._path = path

    def set(self, value: Writable, priority: Priority = None) -> Write:
        """Have the value set, and the priority if one is given.

        Example::

            reference.on_disconnect().set(firekeep.TIMESTAMP)
        """
        path = self._path
        if priority is None:
            return self._driver.on_disconnect("set", path, from_python(value, path=path))
        return self._driver.on_disconnect("set", path, from_python(value, priority, path=path))

    def update(self, values: Mapping[str, Writable]) -> Write:
        """Have several locations below set, at once.

        Example::

            reference.on_disconnect().update({"online": False, "seen": firekeep.TIMESTAMP})
        """
        return self._driver.on_disconnect("update", self._path, read_updates(self._path, values))

    def remove(self) -> Write:
        """Have the location removed.

        Example::

            reference.on_disconnect().remove()
        """
        return self._driver.on_disconnect("set", self._path, EMPTY)

    def set_priority(self, priority: Priority) -> Write:
        """Have the priority set.

        Example::

            reference.on_disconnect().set_priority(0)
        """
        node = validate_priority(priority, path=self._path)
        return self._driver.on_disconnect("set", priority_path(self._path), node)

    def cancel(self) -> Write:
        """Take back every instruction for the location and below.

        Example::

            reference.on_disconnect().cancel()
        """
        return self._driver.on_disconnect("cancel", self._path)
