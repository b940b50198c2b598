"""Writes for the tests of the queue."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from tests.core.snap.strategies import EXPORTS, KEYS

from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_export

PATHS = st.lists(KEYS, max_size=4).map(Path.from_keys)
TIMES = st.integers(-(2**63), 2**63 - 1)
OWNERS = st.one_of(st.none(), st.just(""), st.text(st.characters(codec=None), max_size=6))
RAW = EXPORTS | st.sampled_from([None, {".sv": "timestamp"}, {"n": {".sv": {"increment": 1.0}}}])


@st.composite
def queued_writes(draw: st.DrawFn, write_id: int) -> QueuedWrite:
    is_update = draw(st.booleans())
    children = tuple(draw(st.lists(PATHS, max_size=3))) if is_update else ()
    envelope = WriteEnvelope(
        write_id,
        draw(OWNERS),
        "update" if is_update else "set",
        draw(PATHS),
        children,
        draw(TIMES),
        draw(TIMES),
        draw(st.integers(0, 2**40)),
        draw(st.booleans()),
        draw(st.booleans()),
    )
    count = len(children) if is_update else 1
    return QueuedWrite(envelope, tuple(from_export(draw(RAW)) for _ in range(count)))


def set_of(write_id: int, value: Any, path: str = "a") -> QueuedWrite:
    envelope = WriteEnvelope(
        write_id, None, "set", Path.parse(path), (), 1000, 2000, 10, False, False
    )
    return QueuedWrite(envelope, (from_export(value),))


def update_of(write_id: int, places: Sequence[str], value: Any) -> QueuedWrite:
    """Return a write that puts one value at many places."""
    write = set_of(write_id, value)
    children = tuple(Path.parse(place) for place in places)
    envelope = write.envelope._replace(kind="update", children=children)
    return QueuedWrite(envelope, write.nodes * len(children))


def sent(write: QueuedWrite, maybe_sent: bool = True) -> QueuedWrite:
    return QueuedWrite(write.envelope._replace(maybe_sent=maybe_sent), write.nodes)


def ids(writes: Sequence[QueuedWrite]) -> list[int]:
    return [write.envelope.id for write in writes]
