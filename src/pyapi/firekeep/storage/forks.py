"""What a process holds that a child forked from it must neither use nor let go of."""

import ctypes
import os
from typing import Protocol
from weakref import WeakSet

from firekeep.exceptions import UsageError

__all__ = ["Holder", "check_process", "keep_for_ever", "leave_to_parent", "let_children_end"]


class Holder(Protocol):
    """Something that is told, in a forked child, that it still belongs to the parent."""

    def forked(self) -> None:
        """Forget what the child must not touch; called in the child, before anything else."""
        ...


_holders: WeakSet[Holder] = WeakSet()
_has_threads = False


def leave_to_parent(holder: Holder) -> None:
    """Tell `holder` in every child that is forked from now on; it is not kept alive by this."""
    _holders.add(holder)


def check_process(owner_id: int) -> None:
    """Raise unless this is the process with that id.

    Raises:
        UsageError: this one was forked from it.
    """
    if os.getpid() != owner_id:
        raise UsageError(
            f"the storage was opened in process {owner_id}, from which this one, {os.getpid()},"
            " was forked; a child that uses a database has to be spawned"
        )


def keep_for_ever(thing: object) -> None:
    """Let an object never be freed, not even at the end of the process.

    Freeing what RocksDB opened closes it, and in a child that waits for threads which only the
    parent has.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def let_children_end() -> None:
    """Let no child that is forked from now on wait at its end for threads that it has not.

    A C++ destructor of RocksDB does; since some version of glibc it waits for ever.
    """
    global _has_threads
    _has_threads = True


def _after_fork() -> None:
    if _has_threads:
        _skip_destructors()
    for holder in list(_holders):
        holder.forked()


def _skip_destructors() -> None:
    """Let the process end as soon as the interpreter has, with the same status."""
    library = ctypes.CDLL(None)
    # Called with the status and something more, which `_exit` does not look at.
    register = getattr(library, "on_exit", None)
    if register is not None:
        register(ctypes.cast(library._exit, ctypes.c_void_p), None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
