"""Whatever a client sends is answered, ignored or ends its session; nothing else happens."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from firekeep.emulator.clock import Clock
from firekeep.emulator.messages import Request
from firekeep.emulator.namespace import Namespace
from firekeep.emulator.session import Session
from firekeep_core.errors import ProtocolError
from firekeep_core.snap.value import from_export

ACTIONS = ["s", "q", "n", "g", "p", "m", "o", "om", "oc", "auth", "gauth", "unauth", "x"]
TEXTS = st.one_of(
    st.sampled_from(
        ["", "/", "/a", "a/b", "/a/.priority", ".info/x", ".sv", ".value", "[MIN_NAME]"]
    ),
    st.text(max_size=8),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS | st.sampled_from(["timestamp", "increment"]), inner, max_size=3)
    ),
    max_leaves=6,
)
QUERIES = st.dictionaries(
    st.sampled_from(["i", "sp", "sn", "sin", "ep", "en", "ein", "l", "vf", "zz"]),
    SCALARS | st.sampled_from([".key", ".value", "l", "r", 1]),
    max_size=5,
)
RANGES = st.fixed_dictionaries(
    {}, optional={"hs": st.lists(TEXTS, max_size=3) | VALUES, "ps": st.lists(TEXTS, max_size=3)}
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "p": TEXTS | TEXTS | VALUES,
        "d": VALUES,
        "h": TEXTS | VALUES,
        "q": QUERIES | VALUES,
        "t": st.integers(1, 3) | VALUES,
        "ch": RANGES | VALUES,
        "cred": TEXTS | VALUES | st.just("e30.e30.e30") | st.just("a.b.c"),
    },
)
REQUESTS = st.fixed_dictionaries(
    {"r": st.integers(0, 9) | SCALARS, "a": st.sampled_from(ACTIONS), "b": BODIES}
)
MESSAGES: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"t": st.just("d"), "d": REQUESTS}),
    st.fixed_dictionaries({"t": st.sampled_from("cdx"), "d": VALUES}),
    VALUES,
)


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


def refuse_nothing(request: Request) -> None:
    return None


def is_refusal(texts: list[str]) -> bool:
    return any(json.loads(text)["d"]["b"]["s"] != "ok" for text in texts)


@settings(deadline=None, max_examples=500)
@example(
    messages=[
        {"t": "d", "d": {"r": 0, "a": "auth", "b": {"cred": "e30.e30.e30"}}},
        {"t": "d", "d": {"r": 0, "a": "s", "b": {}}},
    ]
)
@given(messages=st.lists(MESSAGES, max_size=8))
def test_a_session_answers_each_request_until_it_ends_or_refuses_a_login(
    messages: list[Any],
) -> None:
    namespace = Namespace("test", Clock(), from_export({"a": {"b": 1, "c": "x"}}))
    answers = Answers()
    session = Session(answers, namespace, refuse_nothing)
    asked = 0
    for message in messages:
        try:
            session.receive(json.dumps(message).encode())
        except ProtocolError:
            break
        if message["t"] == "d":
            asked += 1
            if is_refusal(answers.texts[-1:]) and message["d"]["a"] in ("auth", "gauth"):
                break
    session.end()

    sent = [json.loads(text) for text in answers.texts]
    responses = [text for text in sent if text["t"] == "d" and "r" in text["d"]]
    assert len(responses) == asked
    assert namespace.subscriptions.is_empty


@settings(deadline=None)
@given(data=st.binary(max_size=60))
def test_bytes_that_are_no_message_end_the_session(data: bytes) -> None:
    session = Session(Answers(), Namespace("test", Clock()), refuse_nothing)
    try:
        session.receive(data)
    except ProtocolError:
        return
    assert json.loads(data)["t"] in ("c", "d")
