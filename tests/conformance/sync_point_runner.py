"""Runs sync-engine cases (syncpoint-format) on any engine that stands behind `CaseEngine`.

The runner knows the format and its matching rules, and watches over the listens: none may be
started twice, stopped without having been started, or missing (I-48). Values and events are
plain Python in export form, so it is the same for the model and for the native engine.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from tests.model.query_model import from_case as query_of
from tests.model.tree_model import Keys, Tree, from_export, keys_of, same

Step: TypeAlias = Mapping[str, Any]
Params: TypeAlias = Mapping[str, Any]

VALUE = "value"
# child_moved may stand among the added ones: D-6.
PHASE = {"child_removed": 0, "child_added": 1, "child_moved": 1, "child_changed": 2, VALUE: 3}

ANY_STEP = {"type", "events", ".comment", "debug"}
STEP_KEYS: dict[str, tuple[set[str], set[str]]] = {  # required, optional
    "listen": ({"path"}, {"params", "callbackId"}),
    "unlisten": ({"path", "callbackId"}, {"params"}),
    "set": ({"path", "data"}, {"visible"}),
    "update": ({"path", "data"}, set()),
    "serverUpdate": ({"path", "data"}, {"tag"}),
    "serverMerge": ({"path", "data"}, {"tag"}),
    "ackUserWrite": ({"writeId"}, {"revert"}),
    "suppressWarning": (set(), set()),
}
EVENT_KEYS = {"path", "type", "name", "prevName", "data"}


@dataclass(frozen=True)
class Raised:
    """An event that an engine raised; `path` is where the listener is."""

    path: Keys
    kind: str
    key: str | None
    previous_key: str | None
    value: Tree
    listener: int
    query: Hashable


@dataclass(frozen=True)
class Listening:
    """A listen that an engine started or stopped."""

    start: bool
    path: Keys
    query: Hashable
    tag: int | None


class CaseEngine(Protocol):
    """What a case needs of an engine; paths are absolute, `None` params the default query."""

    def listen(
        self, path: Keys, params: Params | None, listener: int
    ) -> tuple[list[Raised], list[Listening]]:
        """Register a listener for all five kinds of event."""
        ...

    def unlisten(self, path: Keys, params: Params | None, listener: int) -> list[Listening]:
        """Take a listener off one query."""
        ...

    def set(self, write_id: int, path: Keys, data: object, visible: bool) -> list[Raised]:
        """Overwrite a path."""
        ...

    def update(self, write_id: int, path: Keys, data: Mapping[str, object]) -> list[Raised]:
        """Overwrite several paths below one."""
        ...

    def server_update(self, path: Keys, data: object, tag: int | None) -> list[Raised]:
        """Take in that all of a path is now so."""
        ...

    def server_merge(self, path: Keys, data: Mapping[str, object], tag: int | None) -> list[Raised]:
        """Take in that some children of a path are now so."""
        ...

    def acknowledge(self, write_id: int) -> list[Raised]:
        """Take in that the server accepted a write."""
        ...

    def revert(self, write_id: int) -> list[Raised]:
        """Take in that the server refused a write."""
        ...


class CaseError(ValueError):
    """A case that does not follow the format: a misspelt key would weaken it silently."""


def check_keys(case: Mapping[str, Any]) -> None:
    """Refuse a case with a key that the format does not have."""
    _only(case, {"name", "steps"}, {".comment", "debug"}, "test")
    for number, step in enumerate(case["steps"]):
        kind = str(step.get("type"))
        if kind not in STEP_KEYS:
            raise CaseError(f"step {number}: unknown type {kind!r}")
        required, optional = STEP_KEYS[kind]
        _only(step, required | {"type", "events"}, optional | ANY_STEP, f"step {number} ({kind})")
        for event in step["events"]:
            _only(event, {"path", "type", "data"}, EVENT_KEYS, f"step {number}, event")
            if event["type"] not in PHASE:
                raise CaseError(f"step {number}: unknown event type {event['type']!r}")
        params = step.get("params")
        if params is not None:
            query_of(params)  # refuses keys that it does not know
            if "tag" not in params:
                raise CaseError(f"step {number}: params without a tag")


def _only(found: Mapping[str, object], required: set[str], optional: set[str], where: str) -> None:
    if missing := required - found.keys():
        raise CaseError(f"{where}: missing keys {sorted(missing)}")
    if unknown := found.keys() - required - optional:
        raise CaseError(f"{where}: unknown keys {sorted(unknown)}")


class CaseRun:
    """One run of one case on a fresh engine, below a base path."""

    def __init__(self, engine: CaseEngine, base: str) -> None:
        self.engine = engine
        self.base = keys_of(base)
        self.next_write = 0
        self.next_listener = -1  # anonymous ones count down: given ids are not negative
        # Where each listener is, and on which queries.
        self.listening: list[tuple[Keys, Params | None, int]] = []
        self.active: set[tuple[Keys, Hashable]] = set()

    def run(self, case: Mapping[str, Any]) -> None:
        """Take every step and check its events; AssertionError says which step failed."""
        check_keys(case)
        for number, step in enumerate(case["steps"]):
            try:
                raised = self._take(step)
                expected = step["events"]
                if step["type"] in ("listen", "unlisten"):
                    self._check_exact(raised, expected)
                else:
                    self._check_sets(raised, expected)
            except AssertionError as error:
                error.add_note(f"step {number} of {case['name']!r}: {dict(step)}")
                raise

    def _path(self, of: Step) -> Keys:
        return self.base + keys_of(str(of["path"]))

    def _take(self, step: Step) -> list[Raised]:
        tag = step.get("tag")
        match step["type"]:
            case "listen":
                return self._listen(step)
            case "unlisten":
                self._unlisten(step)
            case "set":
                visible = step.get("visible", True) is True
                return self.engine.set(self._write(), self._path(step), step["data"], visible)
            case "update":
                return self.engine.update(self._write(), self._path(step), step["data"])
            case "serverUpdate":
                return self.engine.server_update(self._path(step), step["data"], tag)
            case "serverMerge":
                return self.engine.server_merge(self._path(step), step["data"], tag)
            case "ackUserWrite":
                write_id = step["writeId"]
                if step.get("revert", False):
                    return self.engine.revert(write_id)
                return self.engine.acknowledge(write_id)
            case _:
                pass
        return []

    def _write(self) -> int:
        self.next_write += 1
        return self.next_write - 1

    def _listen(self, step: Step) -> list[Raised]:
        listener = step.get("callbackId")
        if listener is None:
            listener = self.next_listener
            self.next_listener -= 1
        assert isinstance(listener, int)
        params = step.get("params")
        where = (self._path(step), params, listener)
        self.listening.append(where)
        raised, listens = self.engine.listen(*where)
        self._note(listens)
        return raised

    def _unlisten(self, step: Step) -> None:
        path, listener = self._path(step), step["callbackId"]
        params = step.get("params")
        query = None if params is None else query_of(params)
        taken = [
            where
            for where in self.listening
            if where[0] == path
            and where[2] == listener
            and (query is None or (where[1] is not None and query_of(where[1]) == query))
        ]
        assert taken, "the listener is not there"
        for where in taken:
            self.listening.remove(where)
            self._note(self.engine.unlisten(*where))

    def _note(self, listens: Iterable[Listening]) -> None:
        for change in listens:
            listen = (change.path, change.query)
            if change.start:
                assert listen not in self.active, f"listened twice: {listen}"
                self.active.add(listen)
            else:
                assert listen in self.active, f"stopped without a listen: {listen}"
                self.active.remove(listen)

    def _check_exact(self, raised: list[Raised], expected: list[Mapping[str, Any]]) -> None:
        assert len(raised) == len(expected), f"raised {raised}"
        for actual, wanted in zip(raised, expected, strict=True):
            assert actual.path == self._path(wanted), f"{actual} is not {dict(wanted)}"
            assert matches(actual, wanted), f"{actual} is not {dict(wanted)}"

    def _check_sets(self, raised: list[Raised], expected: list[Mapping[str, Any]]) -> None:
        assert len(raised) == len(expected), f"raised {raised}"
        start = 0
        while start < len(expected):
            end = start
            path = self._path(expected[start])
            while end < len(expected) and self._path(expected[end]) == path:
                end += 1
            chunk = raised[start:end]
            assert all(event.path == path for event in chunk), f"{path} is not where {chunk} are"
            check_phases(chunk)
            left = expected[start:end]
            for event in chunk:
                found = next((wanted for wanted in left if matches(event, wanted)), None)
                assert found is not None, f"{event} is none of {left}; raised {raised}"
                left.remove(found)
            start = end


def check_phases(events: Iterable[Raised]) -> None:
    """Check the order of the kinds of event that one listener of one query hears."""
    phase: dict[tuple[int, Hashable], int] = {}
    for event in events:
        listener = (event.listener, event.query)
        now = PHASE[event.kind]
        assert now >= phase.get(listener, 0), f"{event} comes too late"
        phase[listener] = now


def matches(actual: Raised, wanted: Mapping[str, Any]) -> bool:
    """Compare an event with an expected one, its location aside."""
    kind = wanted["type"]
    if actual.kind != kind or not same(actual.value, from_export(wanted["data"])):
        return False
    if kind == VALUE:
        return True
    if actual.key != wanted.get("name"):
        return False
    return kind == "child_removed" or actual.previous_key == wanted.get("prevName")
