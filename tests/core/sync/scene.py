"""Short stories for a sync tree: say what happens, read what the listeners heard."""

from typing import Any

from tests.model.engine_model import EngineModel, ListenChange
from tests.model.native_engine import NativeEngine, Range, merge_ranges
from tests.model.query_model import from_case
from tests.model.tree_model import PRIORITY, SERVER_VALUE, Tree, from_export, keys_of
from tests.model.view_model import ALL_KINDS, KINDS, Event

Heard = tuple[Any, ...]


def increment(delta: float) -> Any:
    return {SERVER_VALUE: {"increment": delta}}


class Listener:
    """Whoever listens; its name shows in what was heard."""

    def __init__(self, path: str, params: dict[str, Any]) -> None:
        self.path = keys_of(path)
        self.query = from_case(params)


class Scene:
    """One engine, and what its listeners heard since somebody last asked.

    What was heard is short: ``(path, "value", value)``, ``(path, "removed", key, value)``,
    and for added, moved and changed ``(path, kind, key, previous key, value)``.
    Methods give the listens that were to be started (+) or stopped (-), if any.
    """

    def __init__(self, engine: EngineModel | NativeEngine) -> None:
        self.engine = engine
        self.events: list[Event] = []
        self.next_write = 0

    def heard(self) -> list[Heard]:
        """Take what was heard since the last time."""
        events, self.events = self.events, []
        return [short(event) for event in events]

    # Listeners.

    def listen(
        self, path: str = "", kinds: tuple[str, ...] = (), **params: Any
    ) -> tuple[Listener, list[str]]:
        listener = Listener(path, params)
        mask = sum(KINDS[kind] for kind in kinds) if kinds else ALL_KINDS
        events, listens = self.engine.add_registration(
            listener.path, listener.query, listener, mask
        )
        self.events += events
        return listener, [short_listen(change) for change in listens]

    def unlisten(self, listener: Listener) -> list[str]:
        listens = self.engine.remove_registration(listener.path, listener.query, listener)
        return [short_listen(change) for change in listens]

    def refuse(self, path: str, error: object = "refused", **params: Any) -> list[str]:
        events, listens = self.engine.cancel(keys_of(path), from_case(params), error)
        self.events += events
        return [short_listen(change) for change in listens]

    # The user; each write gives its id.

    def set(self, path: str, value: Any, *, visible: bool = True) -> int:
        write_id = self._next()
        self.events += self.engine.write(
            write_id, keys_of(path), from_export(value), visible=visible
        )
        return write_id

    def set_priority(self, path: str, priority: Any) -> int:
        return self.set(f"{path}/{PRIORITY}", priority)

    def update(self, path: str, children: dict[str, Any]) -> int:
        write_id = self._next()
        self.events += self.engine.write_merge(write_id, keys_of(path), entries(children))
        return write_id

    def send(self, *write_ids: int) -> None:
        for write_id in write_ids:
            self.engine.mark_sent(write_id)

    def _next(self) -> int:
        self.next_write += 1
        return self.next_write

    # The server.

    def server_sets(self, path: str, value: Any, tag: int | None = None) -> None:
        self.events += self.engine.overwrite(keys_of(path), from_export(value), tag)

    def server_merges(self, path: str, children: dict[str, Any], tag: int | None = None) -> None:
        self.events += self.engine.merge(keys_of(path), entries(children), tag)

    def server_sends_ranges(
        self,
        path: str,
        ranges: list[tuple[str | None, str | None, Any]],
        tag: int | None = None,
        **params: Any,
    ) -> None:
        """Replace the ranges after one path and up to another of what the listen holds."""
        keys: list[Range] = [
            (
                None if start is None else keys_of(start),
                None if end is None else keys_of(end),
                from_export(value),
            )
            for start, end, value in ranges
        ]
        if isinstance(self.engine, NativeEngine):
            self.events += self.engine.range_merge(keys_of(path), keys, tag)
        else:
            merged = merge_ranges(self.held(path, **params), keys)
            self.events += self.engine.overwrite(keys_of(path), merged, tag)

    def answer_listen(self, path: str, tag: int | None = None) -> None:
        self.events += self.engine.listen_complete(keys_of(path), tag)

    def accept(self, write_id: int) -> None:
        self.events += self.engine.acknowledge(write_id)

    def reject(self, write_id: int) -> None:
        self.events += self.engine.revert(write_id)

    def lose_connection(self) -> None:
        self.events += self.engine.connection_lost()

    # Questions.

    def value(self, path: str, **params: Any) -> Tree:
        assert self.is_complete(path, **params)
        return self.engine.complete_value(keys_of(path), from_case(params))

    def is_complete(self, path: str, **params: Any) -> bool:
        return self.engine.is_complete(keys_of(path), from_case(params))

    def held(self, path: str, **params: Any) -> Tree:
        return self.engine.server_node(keys_of(path), from_case(params))

    def latest_state(self, path: str, *exclude: int) -> Tree:
        return self.engine.latest_state(keys_of(path), exclude)


def entries(children: dict[str, Any]) -> list[tuple[tuple[str, ...], Tree]]:
    return [(keys_of(path), from_export(value)) for path, value in children.items()]


def short(event: Event) -> Heard:
    path = "/".join(event.path)
    if event.kind == "value":
        return path, "value", event.value
    if event.kind == "cancel":
        return path, "cancel", event.error
    if event.kind == "child_removed":
        return path, "removed", event.key, event.value
    kind = event.kind.removeprefix("child_")
    return path, kind, event.key, event.previous_key, event.value


def short_listen(change: ListenChange) -> str:
    tag = "" if change.tag is None else f"#{change.tag}"
    return ("+" if change.start else "-") + "/" + "/".join(change.path) + tag
