"""Operations say what they are about."""

import pytest

from firekeep_core.operation.operation import (
    ListenComplete,
    Merge,
    Operation,
    Overwrite,
    RangeMerge,
)
from firekeep_core.snap.node import EMPTY
from firekeep_core.snap.path import ROOT, Path

PATH = Path.parse("rooms/r1")


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (Overwrite(PATH, EMPTY), "Overwrite('/rooms/r1')"),
        (Overwrite(PATH, EMPTY, 3), "Overwrite('/rooms/r1', tag=3)"),
        (Merge(ROOT, [(PATH, EMPTY)]), "Merge('/')"),
        (RangeMerge(ROOT, [(None, PATH, EMPTY)], 1), "RangeMerge('/', tag=1)"),
        (ListenComplete(PATH, 2), "ListenComplete('/rooms/r1', tag=2)"),
    ],
)
def test_an_operation_shows_its_path_and_tag(operation: Operation, text: str) -> None:
    assert repr(operation) == text


@pytest.mark.parametrize(("given", "tag"), [(None, None), (0, None), (1, 1)])
def test_the_tag_zero_is_no_tag(given: int | None, tag: int | None) -> None:
    assert Overwrite(PATH, EMPTY, given).tag == tag
