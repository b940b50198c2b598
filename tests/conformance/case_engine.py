"""An engine with the model's methods behind the runner's `CaseEngine`."""

from collections.abc import Mapping

from tests.conformance.sync_point_runner import Listening, Params, Raised
from tests.model.engine_model import EngineModel, ListenChange
from tests.model.native_engine import NativeEngine
from tests.model.query_model import from_case
from tests.model.tree_model import Keys, Tree, from_export, keys_of
from tests.model.view_model import Event


class SyncCaseEngine:
    """Drives the model or the native engine; listeners are the numbers of the case."""

    def __init__(self, engine: EngineModel | NativeEngine) -> None:
        self.engine = engine

    def listen(
        self, path: Keys, params: Params | None, listener: int
    ) -> tuple[list[Raised], list[Listening]]:
        events, listens = self.engine.add_registration(path, from_case(params or {}), listener)
        return raised(events), listening(listens)

    def unlisten(self, path: Keys, params: Params | None, listener: int) -> list[Listening]:
        return listening(self.engine.remove_registration(path, from_case(params or {}), listener))

    def set(self, write_id: int, path: Keys, data: object, visible: bool) -> list[Raised]:
        return raised(self.engine.write(write_id, path, from_export(data), visible=visible))

    def update(self, write_id: int, path: Keys, data: Mapping[str, object]) -> list[Raised]:
        return raised(self.engine.write_merge(write_id, path, entries(data)))

    def server_update(self, path: Keys, data: object, tag: int | None) -> list[Raised]:
        return raised(self.engine.overwrite(path, from_export(data), tag))

    def server_merge(self, path: Keys, data: Mapping[str, object], tag: int | None) -> list[Raised]:
        return raised(self.engine.merge(path, entries(data), tag))

    def acknowledge(self, write_id: int) -> list[Raised]:
        return raised(self.engine.acknowledge(write_id))

    def revert(self, write_id: int) -> list[Raised]:
        return raised(self.engine.revert(write_id))


def entries(data: Mapping[str, object]) -> list[tuple[Keys, Tree]]:
    """Read the data of a merge: relative paths and what is there now."""
    return [(keys_of(path), from_export(value)) for path, value in data.items()]


def raised(events: list[Event]) -> list[Raised]:
    """Bring events into the runner's form."""
    found: list[Raised] = []
    for event in events:
        assert isinstance(event.registration, int)
        found.append(
            Raised(
                event.path,
                event.kind,
                event.key,
                event.previous_key,
                event.value,
                event.registration,
                event.query,
            )
        )
    return found


def listening(changes: list[ListenChange]) -> list[Listening]:
    """Bring listens into the runner's form."""
    return [Listening(change.start, change.path, change.query, change.tag) for change in changes]
