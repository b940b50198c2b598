"""A client that lists what it holds in ranges ends with what the server holds (wire §4.6)."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.emulator.test_subscriptions import VALUES

from firekeep.emulator.clock import Clock
from firekeep.emulator.messages import Request
from firekeep.emulator.namespace import Namespace
from firekeep.emulator.session import Session
from firekeep_core.operation.range_merge import apply_range_merge
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export
from firekeep_core.wire.compound_hash import compound_hash


class Answers:
    """Takes what a session sends in place of a connection."""

    def __init__(self) -> None:
        self.session_id = "s"
        self.credential: str | None = None
        self.texts: list[str] = []

    def push(self, text: str) -> None:
        self.texts.append(text)

    def answer(self, action: str, text: str) -> None:
        self.texts.append(text)


def listen(server: Node, held: Node, threshold: int | None) -> list[dict[str, Any]]:
    """Return what a listen sends to a client that holds something."""
    answers = Answers()

    def refuse_nothing(request: Request) -> None:
        return None

    session = Session(answers, Namespace("test", Clock(), server), refuse_nothing)
    hashes, paths = compound_hash(held, threshold)
    body = {"p": "/", "h": hash_v1(held), "ch": {"hs": hashes, "ps": paths}}
    session.receive(json.dumps({"t": "d", "d": {"r": 1, "a": "q", "b": body}}).encode())
    return [json.loads(text)["d"] for text in answers.texts]


def bound(text: str | None) -> Path | None:
    return None if text is None else Path.from_wire(text)


@settings(deadline=None, max_examples=300)
@given(server=VALUES, held=VALUES, threshold=st.sampled_from([1, 20, 60]))
def test_a_client_ends_with_what_the_server_holds(server: Any, held: Any, threshold: int) -> None:
    wanted, node = from_export(server), from_export(held)
    *pushes, answer = listen(wanted, node, threshold)
    for push in pushes:
        data = push["b"]["d"]
        if push["a"] == "d":
            node = from_export(data)
        else:
            ranges = [
                (bound(one.get("s")), bound(one.get("e")), from_export(one["m"])) for one in data
            ]
            node = apply_range_merge(node, ranges)
    assert answer == {"r": 1, "b": {"s": "ok", "d": {}}}
    assert node == wanted


def test_one_changed_leaf_of_many_is_all_that_is_sent() -> None:
    held = from_export({f"k{i:04}": {"name": f"child {i}", "n": i} for i in range(1000)})
    wanted = held.update(Path.parse("k0500/n"), from_export(-1))
    pushes = listen(wanted, held, None)[:-1]
    assert [push["a"] for push in pushes] == ["rm"]
    assert len(json.dumps(pushes)) < len(json.dumps(export(wanted))) / 10
