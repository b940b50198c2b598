"""The types that signatures of the public API are made of."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar

from firekeep.exceptions import FirekeepError

__all__ = [
    "JSON",
    "CancelCallback",
    "ChildCallback",
    "EventKind",
    "Priority",
    "Registration",
    "TokenProvider",
    "ValueCallback",
    "Writable",
]

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
"""What a snapshot's value is made of; None is the absence of a value."""

Writable: TypeAlias = (
    "bool | int | float | str | Sequence[Writable] | Mapping[str, Writable] | None"
)
"""What may be written: JSON in any list or mapping, with server values anywhere inside."""

Priority: TypeAlias = int | float | str | None
"""A node's priority; None is no priority."""

EventKind: TypeAlias = Literal[
    "value", "child_added", "child_changed", "child_moved", "child_removed"
]
"""What a listener may listen for, in Firebase's words."""

SnapshotT_contra = TypeVar("SnapshotT_contra", contravariant=True)


class ValueCallback(Protocol[SnapshotT_contra]):
    """Called with each new value; an awaitable it returns is awaited before the next call."""

    def __call__(self, snapshot: SnapshotT_contra, /) -> object:
        """Take the new value."""
        ...


class ChildCallback(Protocol[SnapshotT_contra]):
    """Called with a child and the key of the one before it in the query's order."""

    def __call__(self, snapshot: SnapshotT_contra, previous_key: str | None, /) -> object:
        """Take what happened to one child; `previous_key` is None for the first."""
        ...


class CancelCallback(Protocol):
    """Called once if the server refuses or revokes the listen; no event follows it."""

    def __call__(self, error: FirekeepError, /) -> object:
        """Take the reason."""
        ...


class Registration(Protocol):
    """Something that goes on until it is closed; closing it twice does nothing."""

    def close(self) -> None:
        """End it; nothing is called after this returns."""
        ...


class TokenProvider(Protocol):
    """Gives the credential for each new connection, and again when the server wants another."""

    def __call__(self, force_refresh: bool, /) -> Awaitable[str | None]:
        """Return a token, or None to be nobody; `force_refresh`: the last one was refused."""
        ...
