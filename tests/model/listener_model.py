"""A listener that believes its events, and checks that they make sense (sync-engine §3)."""

from collections.abc import Sequence

from tests.model.query_model import Query
from tests.model.tree_model import Keys, Tree, same
from tests.model.view_model import ALL_KINDS, KINDS, Event, Shown

CHILD_KINDS = ALL_KINDS & ~KINDS["value"] & ~KINDS["cancel"]
PHASES = {"child_removed": 0, "child_added": 1, "child_moved": 1, "child_changed": 2, "value": 3}


class Listener:
    """One registration: replays the child events it hears into an ordered list."""

    def __init__(self, path: Keys, query: Query, kinds: int = ALL_KINDS) -> None:
        self.path = path
        self.query = query
        self.kinds = kinds
        self.items: list[tuple[str, Tree]] = []
        self.value: Tree = None
        self.has_value = False
        self.cancelled = 0

    def hear(self, events: Sequence[Event]) -> None:
        """Take in what one operation tells this listener."""
        if events and events[0].kind == "cancel":
            assert len(events) == 1, "one cancel and nothing else (I-56)"
            self.cancelled += 1
            return
        phases = [PHASES[event.kind] for event in events]
        assert phases == sorted(phases), "removed, added and moved, changed, value (I-22)"
        assert phases.count(PHASES["value"]) <= 1, "one value at most (I-22)"
        told: dict[str, set[str]] = {}
        before = dict(self.items)
        for event in events:
            assert event.path == self.path and event.query == self.query
            assert self.kinds & KINDS[event.kind], "only what it listens for"
            if event.kind == "value":
                self._hear_value(event)
                continue
            assert event.key is not None
            told.setdefault(event.key, set()).add(event.kind)
            self._replay(event)
        if self.kinds & CHILD_KINDS == CHILD_KINDS:
            self._check_children(told, before, events)

    def _hear_value(self, event: Event) -> None:
        if self.has_value:
            assert not same(self.value, event.value), "no value twice in a row (I-21)"
        self.value, self.has_value = event.value, True

    def _replay(self, event: Event) -> None:
        """Apply one child event to what was heard so far (I-24)."""
        if self.kinds & CHILD_KINDS != CHILD_KINDS:
            return
        assert event.key is not None
        keys = [key for key, _ in self.items]
        if event.kind != "child_added":
            assert event.key in keys, f"{event.key} was never added"
            index = keys.index(event.key)
            if event.kind == "child_changed":
                self.items[index] = (event.key, event.value)
                return
            _, old = self.items.pop(index)
            del keys[index]
            if event.kind == "child_removed":
                assert same(old, event.value), "removed as it was last shown"
                return
        assert event.key not in keys, f"{event.key} is there already"
        place = 0 if event.previous_key is None else keys.index(event.previous_key) + 1
        self.items.insert(place, (event.key, event.value))

    def _check_children(
        self, told: dict[str, set[str]], before: dict[str, Tree], events: Sequence[Event]
    ) -> None:
        now = dict(self.items)
        previous = dict(zip(now, [None, *now], strict=False))
        for key, kinds in told.items():
            moved = "child_moved" in kinds
            kinds.discard("child_moved")
            assert len(kinds) == 1, f"one of added, removed, changed for {key} (I-23)"
            if "child_changed" in kinds:
                assert not same(before[key], now[key]), "a change changes something"
                assert moved == self.query.moves(key, before[key], now[key]), "moved (I-23)"
            else:
                assert not moved, "moved only together with changed (I-23)"
        for event in events:
            if event.kind not in ("child_removed", "value"):
                assert event.key is not None
                assert event.previous_key == previous[event.key], "final predecessor (§3.3)"

    def check(self, shown: Shown) -> None:
        """Compare what was heard with what the view shows."""
        if self.kinds & CHILD_KINDS == CHILD_KINDS:
            assert [key for key, _ in self.items] == [key for key, _ in shown.items]
            for (_, heard), (_, child) in zip(self.items, shown.items, strict=True):
                assert same(heard, child)
        if not self.kinds & KINDS["value"]:
            return
        if shown.complete:
            assert self.has_value and same(self.value, shown.value)
        else:
            self.has_value = False  # when it is complete again, a value will say so
