"""The model engine behind the runner's `CaseEngine`."""

from collections.abc import Mapping

from tests.conformance.sync_point_runner import Listening, Params, Raised
from tests.model.engine_model import EngineModel, Event, ListenChange
from tests.model.query_model import from_case
from tests.model.tree_model import Keys, Tree, from_export, keys_of


class ModelCaseEngine:
    """Drives an `EngineModel`; listeners are the numbers that the case gives them."""

    def __init__(self) -> None:
        self.model = EngineModel()

    def listen(
        self, path: Keys, params: Params | None, listener: int
    ) -> tuple[list[Raised], list[Listening]]:
        events, listens = self.model.add_registration(path, from_case(params or {}), listener)
        return raised(events), listening(listens)

    def unlisten(self, path: Keys, params: Params | None, listener: int) -> list[Listening]:
        return listening(self.model.remove_registration(path, from_case(params or {}), listener))

    def set(self, write_id: int, path: Keys, data: object, visible: bool) -> list[Raised]:
        return raised(self.model.write(write_id, path, from_export(data), visible=visible))

    def update(self, write_id: int, path: Keys, data: Mapping[str, object]) -> list[Raised]:
        return raised(self.model.write_merge(write_id, path, entries(data)))

    def server_update(self, path: Keys, data: object, tag: int | None) -> list[Raised]:
        return raised(self.model.overwrite(path, from_export(data), tag))

    def server_merge(self, path: Keys, data: Mapping[str, object], tag: int | None) -> list[Raised]:
        return raised(self.model.merge(path, entries(data), tag))

    def acknowledge(self, write_id: int) -> list[Raised]:
        return raised(self.model.acknowledge(write_id))

    def revert(self, write_id: int) -> list[Raised]:
        return raised(self.model.revert(write_id))


def entries(data: Mapping[str, object]) -> list[tuple[Keys, Tree]]:
    """Read the data of a merge: relative paths and what is there now."""
    return [(keys_of(path), from_export(value)) for path, value in data.items()]


def raised(events: list[Event]) -> list[Raised]:
    """Bring the model's events into the runner's form."""
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
    """Bring the model's listens into the runner's form."""
    return [Listening(change.start, change.path, change.query, change.tag) for change in changes]
