"""What a listener or a read is given: a location's value at one moment."""

import html
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, cast

from firekeep.exceptions import InvalidValue
from firekeep.typed_value import build
from firekeep.types import EventKind, Priority
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, to_python

__all__ = ["Event", "Metadata", "MetadataSource", "Origin", "Snapshot", "child_path"]

Origin = Literal["local", "server", "revert"]
"""What caused an event: a write of this client, the server, or the server's refusal of a write."""

TypedT = TypeVar("TypedT")

_SHOWN_ROWS = 50
_SHOWN_CHARACTERS = 200
_SHOWN_DEPTH = 3


class Metadata(NamedTuple):
    """Where the data of a snapshot come from."""

    from_cache: bool
    """Whether the server has not confirmed them on the present connection."""
    has_pending_writes: bool
    """Whether they show writes of this client that the server has not answered."""
    complete: bool
    """Whether all that the query asks for is known."""


class MetadataSource(Protocol):
    """Knows the metadata of what lies at and below one query."""

    def metadata(self, path: Path) -> Metadata:
        """Return them as they are now."""
        ...


class Snapshot:
    """The value of one location at one moment; never changes, and costs next to nothing to keep.

    It is a handle on the client's own copy: only what is asked for becomes Python objects, anew
    each time, so that what you get is yours to change. A snapshot is true if something exists.

    Example::

        async for snapshot in db.reference("rooms").values():
            for room in snapshot:                # in the order of the query
                print(room.key, room["name"].value)
    """

    __slots__ = ("_node", "_params", "_path", "_source")

    def __init__(
        self,
        node: Node,
        path: Path,
        params: QueryParams,
        source: Metadata | MetadataSource,
    ) -> None:
        self._node = node
        self._path = path
        self._params = params
        self._source = source

    @property
    def key(self) -> str | None:
        """The last key of the location; None at the root."""
        return self._path.key

    @property
    def path(self) -> Path:
        """The location."""
        return self._path

    @property
    def value(self) -> Any:
        """The value in plain Python: None, a scalar, a dict, or a list where Firebase gives one.

        Firebase shows a map as a list if its keys are mostly 0, 1, 2 …; `to_python` can leave that
        out.
        """
        return to_python(self._node)

    def to_python(self, arrays: Literal["auto", "never"] = "auto") -> Any:
        """Return the value in plain Python; `arrays="never"` keeps every map a dict.

        Example::

            snapshot.to_python(arrays="never")  # {"0": "a", "1": "b"} where value is ["a", "b"]
        """
        return to_python(self._node, arrays)

    def export(self) -> Any:
        """Return the value with all priorities, as ``.value`` and ``.priority``; lists stay maps.

        Example::

            await other.set(snapshot.export())  # an exact copy
        """
        return export(self._node)

    def as_type(self, kind: type[TypedT]) -> TypedT:
        """Return the value as a dataclass, a `TypedDict`, or any type made of these and JSON.

        Keys that the type does not name are left out. A list or map that it names and that is not
        there is empty, as the database holds no empty ones.

        Raises:
            InvalidValue: the value is not of that type; the message says where.

        Example::

            @dataclass
            class Room:
                name: str
                members: dict[str, bool]

            room = snapshot.as_type(Room)
        """
        try:
            return build(to_python(self._node, "never"), kind)
        except InvalidValue as error:
            raise InvalidValue(f"value at {self._path}: {error}") from None

    @property
    def priority(self) -> Priority:
        """The location's priority; None for none."""
        return cast("Priority", self._node.priority)

    def exists(self) -> bool:
        """Return whether there is anything at the location."""
        return not self._node.is_empty

    def child(self, path: str | Path) -> "Snapshot":
        """Return what lies below; what does not exist has the value None.

        Raises:
            InvalidPath: no such path can be, at once.

        Example::

            snapshot.child("address/city").value
        """
        below = child_path(path)
        return Snapshot(
            self._node.get(below), self._path.child(below), QueryParams.DEFAULT, self._source
        )

    def __getitem__(self, path: str | Path) -> "Snapshot":
        """Return what lies below, as `child` does."""
        return self.child(path)

    def has_child(self, path: str | Path) -> bool:
        """Return whether something exists below, at a path."""
        return not self._node.get(child_path(path)).is_empty

    def __contains__(self, path: str | Path) -> bool:
        """Return whether something exists below, at a path."""
        return self.has_child(path)

    def has_children(self) -> bool:
        """Return whether the location has children."""
        return len(self._node) > 0

    @property
    def num_children(self) -> int:
        """The number of children."""
        return len(self._node)

    def __len__(self) -> int:
        """Return the number of children."""
        return len(self._node)

    def __bool__(self) -> bool:
        """Return whether there is anything at the location."""
        return not self._node.is_empty

    def __iter__(self) -> Iterator["Snapshot"]:
        """Go through the children in the order of the query."""
        node, path, source = self._node, self._path, self._source
        for key, child in self._params.sort(node.items()):
            yield Snapshot(child, path.child(key), QueryParams.DEFAULT, source)

    def keys(self) -> list[str]:
        """Return the children's keys in the order of the query."""
        return [key for key, _ in self._params.sort(self._node.items())]

    @property
    def size_bytes(self) -> int:
        """The estimated size of the value in bytes; known without converting anything."""
        return self._node.size_bytes

    @property
    def metadata(self) -> Metadata:
        """Where the data come from.

        Of a snapshot handed to a plain callback it is as of the first time that it is asked for.
        """
        source = self._source
        if not isinstance(source, Metadata):
            source = self._source = source.metadata(self._path)
        return source

    def fix_metadata(self) -> None:
        """Take note of the metadata now, for whoever asks later."""
        if not isinstance(self._source, Metadata):
            self._source = self._source.metadata(self._path)

    def __eq__(self, other: object) -> bool:
        """Return whether the values are the same, priorities included, wherever they lie."""
        if not isinstance(other, Snapshot):
            return NotImplemented
        return self._node == other._node

    __hash__ = None  # type: ignore[assignment]  # equal by a value that may be huge

    def __repr__(self) -> str:
        """Return the location and the beginning of the value."""
        return f"<Snapshot {self._path}: {_summary(self._node)}>"

    def _repr_html_(self) -> str:
        """Return a table for a notebook, of the first children."""
        head = f"<code>{html.escape(str(self._path))}</code>"
        return f"<div>{head} {_table(self._params.sort, self._node, _SHOWN_DEPTH)}</div>"


class Event(NamedTuple):
    """One thing that happened to a query.

    Example::

        async for event in reference.events():
            print(event.kind, event.snapshot.key, event.snapshot.value)
    """

    kind: EventKind
    snapshot: Snapshot
    """The child, or the whole value of a ``value`` event; of a removed child the last value."""
    previous_key: str | None
    """The child just before it in the order of the query; None for the first."""
    initial: bool
    """Whether it tells what was there already when listening began."""
    origin: Origin


def child_path(path: str | Path) -> Path:
    """Return the path that a user means.

    Raises:
        InvalidPath: no such path can be.
    """
    return path if isinstance(path, Path) else Path.parse(path)


def _summary(node: Node) -> str:
    if node.is_map:
        count = len(node)
        return f"{count} {'child' if count == 1 else 'children'}, {node.size_bytes} bytes"
    text = repr(node.value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _table(sort: Any, node: Node, depth: int) -> str:
    if not node.is_map or depth == 0:
        return html.escape(_summary(node))
    items = node.items() if len(node) > 10 * _SHOWN_ROWS else sort(node.items())
    rows = [
        f"<tr><th>{html.escape(key)}</th>"
        f"<td>{_table(QueryParams.DEFAULT.sort, child, depth - 1)}</td></tr>"
        for key, child in items[:_SHOWN_ROWS]
    ]
    if len(items) > _SHOWN_ROWS:
        rows.append(f"<tr><td colspan=2>… {len(items) - _SHOWN_ROWS} more</td></tr>")
    return f"<table>{''.join(rows)}</table>"
