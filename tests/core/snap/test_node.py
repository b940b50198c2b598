"""Nodes: the update rules against a model of dicts, and versions that never change."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.core.snap.strategies import EXPORTS, KEYS, LEAVES, PRIORITIES, SCALARS
from tests.model import tree_model as model

from firekeep_core.errors import InvalidValue
from firekeep_core.snap.node import EMPTY, Node, from_scalar
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.value import export, from_export

SHORT_KEYS = st.sampled_from(["a", "b", "0", "1", "01", "-1", "a longer key", "é"])


@given(EXPORTS)
def test_a_node_tells_what_it_is(value: Any) -> None:
    node = from_export(value)
    children = model.children_of(value)

    assert node.is_empty is (not node) is False
    assert node.is_leaf is not node.is_map
    assert node.is_map is bool(children)
    assert node.keys() == list(node) == sorted(children, key=model.key_rank)
    assert len(node) == len(children)
    assert [key for key, _ in node.items()] == node.keys()
    assert node.first_key() == (node.keys()[0] if children else None)
    assert node.last_key() == (node.keys()[-1] if children else None)


@given(EXPORTS, KEYS)
def test_a_child_is_found_and_its_predecessor_known(value: Any, key: str) -> None:
    node = from_export(value)
    before = [other for other in node if model.key_rank(other) < model.key_rank(key)]

    assert (key in node) is (key in model.children_of(value))
    assert export(node.child(key)) == model.children_of(value).get(key)
    assert node.predecessor(key) == (before[-1] if before else None)


@given(EXPORTS, SHORT_KEYS, st.one_of(st.none(), EXPORTS))
def test_a_child_is_replaced_by_the_rules(value: Any, key: str, child: Any) -> None:
    node = from_export(value)

    changed = node.update_child(key, from_export(child))

    assert changed == from_export(model.update_child(value, key, child))
    assert node == from_export(value)


@given(
    EXPORTS,
    st.lists(SHORT_KEYS, max_size=4),
    st.one_of(st.none(), EXPORTS),
)
def test_a_path_is_replaced_by_the_rules(value: Any, keys: list[str], child: Any) -> None:
    node = from_export(value)

    changed = node.update(Path.from_keys(keys), from_export(child))

    assert changed == from_export(model.update(value, tuple(keys), child))
    assert changed.get(Path.from_keys(keys)) == from_export(
        model.get(model.update(value, tuple(keys), child), tuple(keys))
    )
    assert node == from_export(value)


@given(EXPORTS, st.lists(SHORT_KEYS, max_size=2), PRIORITIES)
def test_the_last_key_may_be_the_priority(value: Any, keys: list[str], priority: Any) -> None:
    path = Path.from_keys([*keys, ".priority"])

    changed = from_export(value).update(path, from_scalar(priority))

    assert changed == from_export(model.update(value, (*keys, ".priority"), priority))
    assert changed.get(path).value == model.get(export(changed), (*keys, ".priority"))


@given(EXPORTS, PRIORITIES)
def test_a_priority_is_replaced_and_null_has_none(value: Any, priority: Any) -> None:
    assert from_export(value).with_priority(priority) == from_export(
        model.with_priority(value, priority)
    )
    assert EMPTY.with_priority(1).is_empty


def test_an_emptied_leaf_stays_and_a_child_below_it_keeps_its_priority() -> None:
    leaf = from_scalar(1).with_priority("p")

    assert leaf.update_child("a", EMPTY).same(leaf)
    assert export(leaf.update_child("a", from_scalar(2))) == {"a": 2, ".priority": "p"}


def test_the_last_child_takes_its_parents_and_their_priorities_along() -> None:
    node = from_export({"a": {"b": {"c": 1, ".priority": 1}}, ".priority": 2})

    assert node.update(Path.parse("a/b/c"), EMPTY).is_empty


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, 1.0, True),
        (0.0, -0.0, True),
        (True, 1, False),
        (2**53, 2.0**53, True),
        (2**53 + 1, 2**53, False),
        ("1", 1, False),
        (2**63 - 1, 2**63 - 1, True),
    ],
)
def test_equality_is_by_value_and_kind(a: Any, b: Any, equal: bool) -> None:
    assert (from_scalar(a) == from_scalar(b)) is equal


@given(SCALARS)
def test_a_scalar_comes_back_as_it_went_in(value: Any) -> None:
    assert from_scalar(value).value == value
    assert type(from_scalar(value).value) is type(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, b"a", [], {}])
def test_what_is_no_scalar_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue):
        from_scalar(value)


@given(LEAVES)
def test_a_leaf_has_no_children(value: Any) -> None:
    leaf = from_export(value)

    assert leaf.child("a").is_empty
    assert leaf.get(Path.parse("a/b")).is_empty
    assert leaf.get(ROOT).same(leaf)
    assert leaf.leaf_count == 1


@given(EXPORTS)
def test_leaves_are_counted(value: Any) -> None:
    def count(tree: Any) -> int:
        children = model.children_of(tree)
        return sum(map(count, children.values())) if children else 1

    assert from_export(value).leaf_count == count(value)


def test_size_is_the_estimate_of_the_official_clients() -> None:
    # wire A.2: 1 + 40 * (3 + 4 + 22)
    node = from_export({f"k{i:02}": f"{i:02}" * 10 for i in range(40)})

    assert node.size_bytes == 1161
    assert EMPTY.size_bytes == 4
    assert from_scalar(1.5).with_priority("ab").size_bytes == 8 + 24 + 4


def test_a_node_is_made_by_functions_alone() -> None:
    with pytest.raises(TypeError):
        Node()
    with pytest.raises(TypeError):
        hash(EMPTY)


class Versions(RuleBasedStateMachine):
    """Wide maps grow and shrink through all their forms; every version stays what it was."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: list[tuple[Node, Any]] = [(EMPTY, None)]

    def _keep(self, node: Node, value: Any) -> None:
        self.versions.append((node, value))
        del self.versions[:-6]

    @rule(
        which=st.integers(0, 5),
        keys=st.lists(st.integers(0, 300), min_size=1, max_size=120),
        value=st.one_of(st.none(), LEAVES),
    )
    def change_many(self, which: int, keys: list[int], value: Any) -> None:
        node, tree = self.versions[which % len(self.versions)]
        child = from_export(value)
        for key in keys:
            node = node.update_child(f"key number {key}", child)
            tree = model.update_child(tree, f"key number {key}", value)
        self._keep(node, tree)

    @rule(which=st.integers(0, 5), key=st.integers(0, 300), value=LEAVES)
    def change_deep(self, which: int, key: int, value: Any) -> None:
        node, tree = self.versions[which % len(self.versions)]
        keys = (f"key number {key}", "deep", str(key % 3))
        changed = node.update(Path.from_keys(keys), from_export(value))
        self._keep(changed, model.update(tree, keys, value))

    @precondition(lambda self: len(self.versions) > 1)
    @rule()
    def forget(self) -> None:
        del self.versions[0]

    @invariant()
    def every_version_is_what_it_was(self) -> None:
        for node, tree in self.versions:
            assert export(node) == tree
            assert node.keys() == sorted(model.children_of(tree), key=model.key_rank)


TestVersions = Versions.TestCase
TestVersions.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
