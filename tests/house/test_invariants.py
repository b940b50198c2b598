"""Every test that the table of invariants names exists, and every invariant has a row."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "invariants.md"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)")


def missing(text: str) -> list[str]:
    """Give the tests named in `text` that are not there."""
    return [
        f"{path}::{name}"
        for path, name in NAMED.findall(text)
        if not (ROOT / "tests" / path).exists()
        or not re.search(rf"\b{name}\b", (ROOT / "tests" / path).read_text())
    ]


def test_every_named_test_exists() -> None:
    assert missing(TABLE.read_text()) == []


def test_every_invariant_has_a_row() -> None:
    rows = re.findall(r"^\| I-(\d+) \|", TABLE.read_text(), re.MULTILINE)

    assert rows == [str(number) for number in range(1, 109)]


def test_a_test_that_is_gone_is_seen() -> None:
    assert missing("`core/snap/test_word.py::test_of_nothing`") != []
