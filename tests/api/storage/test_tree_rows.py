"""One tree as rows: what a change reads, and which priorities outlive it."""

from typing import Any

import pytest
from tests.api.storage.counting import CountingBackend

from firekeep.storage.memory import MemoryBackend
from firekeep.storage.staging import Staging
from firekeep.storage.tree_rows import TreeRows
from firekeep_core.operation.difference import differences
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.value import from_export

PREFIX = b"\x01"
TEXT = "x" * 50


class Tree:
    """Rows that are changed by differences, as those who know the whole value change them."""

    def __init__(self, backend: MemoryBackend) -> None:
        self.staging = Staging(backend)
        self.rows = TreeRows(self.staging, PREFIX)
        self.root = EMPTY

    def become(self, root: Node) -> None:
        for place, node in differences(ROOT, self.root, root):
            self.rows.replace(place, node)
        self.commit()
        self.root = root

    def commit(self) -> None:
        self.rows.drop_priorities()
        self.staging.commit()
        self.rows.settle()

    @property
    def stored(self) -> Node:
        return self.rows.load(ROOT)


def children(letter: str, count: int = 200) -> dict[str, Any]:
    return {f"{letter}{number:05}": {"text": TEXT} for number in range(count)}


def reads_of_removing(count: int, priority: int | None) -> int:
    """Return how many rows are read when half of the children of a map are removed."""
    backend = CountingBackend()
    tree = Tree(backend)
    keys = sorted(children("k", 2 * count))
    tree.become(from_export({"log": {**children("k", 2 * count), ".priority": priority}}))

    backend.reads = 0
    for key in keys[:count]:
        tree.rows.replace(Path.from_keys(["log", key]), EMPTY)
    tree.commit()

    assert tree.stored.get(Path.parse("log")).keys() == keys[count:]
    return backend.reads


@pytest.mark.parametrize("priority", [None, 1])
def test_what_removing_children_reads_grows_with_their_number_alone(priority: int | None) -> None:
    few, many = (reads_of_removing(count, priority) for count in (250, 2000))

    assert many <= 9 * few


@pytest.mark.parametrize("letter", ["a", "z"])
def test_a_map_whose_children_are_all_exchanged_keeps_its_priority(letter: str) -> None:
    backend = MemoryBackend()
    tree = Tree(backend)
    tree.become(from_export({"log": {**children("k"), ".priority": 1}}))

    root = from_export({"log": {**children(letter), ".priority": 1}})
    tree.become(root)

    assert tree.stored == root


def test_priorities_go_with_the_last_child_of_each_map_above() -> None:
    backend = MemoryBackend()
    tree = Tree(backend)
    inner = {**children("k"), ".priority": 2}
    tree.become(from_export({"outer": {"inner": inner, ".priority": 1}, "other": 1}))

    for key in children("k"):
        tree.rows.replace(Path.from_keys(["outer", "inner", key]), EMPTY)
    tree.commit()

    assert [key for key, _ in backend.scan(PREFIX, b"\x02")] == [b"\x01other\x00"]


def test_a_priority_stays_as_long_as_one_child_does() -> None:
    tree = Tree(MemoryBackend())
    tree.become(from_export({"log": {**children("k"), ".priority": 1}}))

    for key in sorted(children("k"))[:-1]:
        tree.rows.replace(Path.from_keys(["log", key]), EMPTY)
    tree.commit()

    assert tree.stored == from_export({"log": {"k00199": {"text": TEXT}, ".priority": 1}})
