"""The paths of one update apply in the order in which they were given (sync-engine §5.1)."""

from firekeep_core.operation.operation import Overwrite
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.value import export, from_export
from firekeep_core.sync.event import KINDS
from firekeep_core.sync.sync_tree import SyncTree


def test_a_priority_outlives_an_update_that_adds_before_it_deletes() -> None:
    tree = SyncTree()
    tree.add_registration(ROOT, QueryParams.DEFAULT, "listener", KINDS["value"])
    tree.apply([Overwrite(ROOT, from_export(None))])

    tree.write_merge(0, ROOT, parts({"a/a/a": 1, ".priority": 5}))
    tree.write_merge(1, ROOT, parts({"b/c": 1, "b/b": 2, "a/a": None}))

    value = tree.complete_value(ROOT, QueryParams.DEFAULT)
    assert value is not None
    assert export(value) == {"b": {"b": 2, "c": 1}, ".priority": 5}


def test_a_priority_goes_with_the_last_child_before_others_come() -> None:
    tree = SyncTree()
    tree.add_registration(ROOT, QueryParams.DEFAULT, "listener", KINDS["value"])
    tree.apply([Overwrite(ROOT, from_export({"a": 1, ".priority": 5}))])

    tree.write_merge(0, ROOT, parts({"a": None, "b": 2}))

    value = tree.complete_value(ROOT, QueryParams.DEFAULT)
    assert value is not None
    assert export(value) == {"b": 2}


def parts(values: dict[str, object]) -> list[tuple[Path, Node]]:
    return [(Path.from_wire(path), from_export(value)) for path, value in values.items()]
