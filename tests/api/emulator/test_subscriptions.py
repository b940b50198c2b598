"""Whoever applies the pushes to what they were sent holds what the server would send anew."""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from firekeep.emulator.clock import Clock
from firekeep.emulator.listens import Listen, QueryListen
from firekeep.emulator.namespace import Namespace, read_update
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_export

KEYS = ["a", "b", "c", "1", "2", "10"]
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.5, 2.0]),
    st.sampled_from(["", "x", "y", "\U0001f600", "\ufffd"]),
)
PRIORITIES = st.one_of(st.none(), st.integers(0, 3), st.sampled_from(["p", "q"]))


def prioritised(value: object, priority: object) -> object:
    return value if priority is None else {".value": value, ".priority": priority}


def prioritised_map(children: dict[str, Any], priority: object) -> object:
    return children if priority is None else {**children, ".priority": priority}


def priority_write(place: str, priority: object) -> tuple[str, object]:
    return f"{place}/.priority", priority


LEAVES = st.builds(prioritised, SCALARS, PRIORITIES)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        prioritised_map, st.dictionaries(st.sampled_from(KEYS), inner, max_size=5), PRIORITIES
    ),
    max_leaves=12,
)
PLACES = st.lists(st.sampled_from(KEYS), max_size=3).map("/".join)
WRITTEN = st.one_of(st.none(), VALUES)
ORDERS = st.sampled_from([".key", ".value", ".priority", "a", "b/a"])


@st.composite
def queries(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a query in its wire form, as different clients write it."""
    order = draw(ORDERS)
    query: dict[str, Any] = {"i": order}
    if order == ".key":
        values: st.SearchStrategy[Any] = st.sampled_from(KEYS)
    elif order == ".priority":
        values = PRIORITIES
    else:
        values = st.one_of(st.none(), SCALARS)
    for value_name, key_name, inclusive_name in (("sp", "sn", "sin"), ("ep", "en", "ein")):
        if draw(st.booleans()):
            query[value_name] = draw(values)
            if draw(st.booleans()):
                query[inclusive_name] = draw(st.booleans())
            if order != ".key" and draw(st.booleans()):
                names = [*KEYS, "[MIN_NAME]", "[MAX_NAME]", "[MAX_KEY]"]
                query[key_name] = draw(st.sampled_from(names))
    if draw(st.booleans()):
        query |= {"l": draw(st.integers(1, 3)), "vf": draw(st.sampled_from("lr"))}
    return query


@st.composite
def updates(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a multi-path update, no path of which is in another."""
    update: dict[str, Any] = {}
    for place in draw(st.lists(PLACES.filter(bool), min_size=1, max_size=4)):
        path = Path.parse(place)
        if not any(
            Path.from_wire(other).contains(path) or path.contains(Path.from_wire(other))
            for other in update
        ):
            update[place] = draw(WRITTEN)
    for place in draw(st.lists(PLACES, max_size=2)):
        if not any(Path.from_wire(other).contains(Path.parse(place)) for other in update):
            update[f"{place}/.priority"] = draw(PRIORITIES)
    return update


@dataclass
class Update:
    """A write of several paths at once."""

    children: dict[str, Any]


class Client:
    """The simplest that can be right: one value for the plain listens, one for each tag."""

    def __init__(self) -> None:
        self.plain: dict[Path, Node] = {}
        self.tagged: dict[int, tuple[Path, Node]] = {}
        self.untagged_pushes = 0

    def push(self, text: str) -> None:
        message = json.loads(text)["d"]
        body = message["b"]
        place = Path.from_wire(body["p"])
        changes = {"": body["d"]} if message["a"] == "d" else body["d"]
        self.untagged_pushes += "t" not in body
        for below, value in changes.items():
            path = place.child(Path.from_wire(below))
            node = from_export(value)
            if "t" in body:
                root, held = self.tagged[body["t"]]
                self.tagged[body["t"]] = root, held.update(path.relative_to(root), node)
            else:
                self._apply(path, node)

    def _apply(self, path: Path, node: Node) -> None:
        # Kept apart for each listen: what none of them covers is not to be sent.
        covering = [root for root in self.plain if root.contains(path)]
        assert covering, f"{path} is not listened to"
        for root in covering:
            self.plain[root] = self.plain[root].update(path.relative_to(root), node)
        for root in self.plain:
            if path.contains(root) and root not in covering:
                self.plain[root] = node.get(root.relative_to(path))


@settings(deadline=None, max_examples=400)
@given(
    data=VALUES,
    plain=st.lists(PLACES, max_size=3, unique=True),
    tagged=st.lists(st.tuples(PLACES, queries()), max_size=4),
    writes=st.lists(
        st.one_of(
            st.tuples(PLACES, WRITTEN),
            st.tuples(PLACES, updates().map(Update)),
            st.builds(priority_write, PLACES, PRIORITIES),
        ),
        max_size=12,
    ),
)
def test_pushes_keep_every_listen_equal_to_the_server(
    data: Any, plain: list[str], tagged: list[tuple[str, Any]], writes: list[Any]
) -> None:
    namespace = Namespace("test", Clock(), from_export(data))
    client = Client()
    params: dict[int, QueryParams] = {}
    for place in plain:
        path = Path.parse(place)
        value = namespace.root.get(path)
        client.plain[path] = value
        namespace.subscriptions.add(Listen(client, path), value)
    for tag, (place, form) in enumerate(tagged, 1):
        path, params[tag] = Path.parse(place), QueryParams.from_wire(form)
        listen = QueryListen(client, path, form, params[tag], tag)
        value = namespace.root.get(path)
        client.tagged[tag] = path, listen.entitled(value)
        namespace.subscriptions.add(listen, value)

    for place, value in writes:
        path = Path.from_wire(place)
        if place.endswith(".priority"):
            namespace.commit(path, [(path, from_export(value))])
        elif isinstance(value, Update):
            namespace.commit(path, read_update(path, value.children))
        else:
            namespace.commit(path, [(path, from_export(value))])

        for path, held in client.plain.items():
            assert held == namespace.root.get(path)
        for tag, (path, held) in client.tagged.items():
            assert held == params[tag].filter(namespace.root.get(path)), params[tag]


@settings(deadline=None)
@given(data=VALUES, places=st.lists(st.tuples(PLACES, st.none() | queries()), max_size=6))
def test_removed_listens_leave_nothing_behind(data: Any, places: list[tuple[str, Any]]) -> None:
    namespace = Namespace("test", Clock(), from_export(data))
    listens: list[Listen] = []
    for place, form in places:
        path, client = Path.parse(place), Client()
        if form is None:
            listens.append(Listen(client, path))
        else:
            listens.append(QueryListen(client, path, form, QueryParams.from_wire(form), 1))
        namespace.subscriptions.add(listens[-1], namespace.root.get(path))
    for listen in listens:
        namespace.subscriptions.remove(listen)
    assert namespace.subscriptions.is_empty
    namespace.commit(Path.parse("/"), [(Path.parse("/"), EMPTY)])
