"""The project speaks of itself alone, leaves nothing for later, and keeps files short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".pyx", ".pxd", ".pyi", ".h", ".md", ".toml", ".yml", ".sh", ".js", ".mjs"}
#: Folders of a machine; a pattern, so that this file does not find itself.
MACHINE = re.compile(r"(?<![\w.~$}])/(?:wor[k]|op[t]|roo[t]|hom[e]|far[m])/\w")
LATER = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X]|HAC[K])\b")
CEILING = 500
CEILING_OF_TESTS = 800
#: Files over the ceiling, and why they are one job all the same.
LONG = {
    "src/core/firekeep_core/snap/word.h": "what a word is, and every question that needs no state",
    "src/core/firekeep_core/snap/tree.h": "one B+tree with one allocator, whose state it owns",
    "src/core/firekeep_core/query/params.pyx": "one immutable value in four written forms",
    "src/core/firekeep_core/sync/write_tree.pyx": "one algorithm: layering writes over a value",
    "src/core/firekeep_core/sync/sync_tree.pyx": "one descent; its parts share one state",
    "src/pyapi/firekeep/driver.py": "the one place that performs effects, behind one lock",
    "src/pyapi/firekeep/engine/exchange.py": "what either side says, message by message",
    "src/pyapi/firekeep/engine/session.py": "one state machine: the connection and its credentials",
    "src/pyapi/firekeep/engine/transactions.py": "one queue, whose runs and sends share one state",
    "src/pyapi/firekeep/engine/engine.py": "every call that the engine answers, one by one",
    "src/core/firekeep_core/sync/view.pyx": "one state: what is known, shown and told",
}


def files() -> list[Path]:
    found: list[Path] = []
    for top in ("src", "tests", "bench", "docs", ".github"):
        if (ROOT / top).is_dir():
            found += [
                path
                for path in (ROOT / top).rglob("*")
                if path.suffix in SUFFIXES and "node_modules" not in path.parts
            ]
    return found + [path for path in ROOT.iterdir() if path.suffix in SUFFIXES]


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    return [
        f"{path.name}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_path_of_a_machine_is_named() -> None:
    assert lines_with(MACHINE, files()) == []


def test_nothing_is_left_for_later() -> None:
    assert lines_with(LATER, files()) == []


def test_files_have_one_job() -> None:
    long = {
        str(path.relative_to(ROOT))
        for path in files()
        if path.suffix in {".py", ".pyx", ".h"}
        and len(path.read_text().splitlines())
        > (CEILING_OF_TESTS if "tests" in path.relative_to(ROOT).parts else CEILING)
    }

    assert long - LONG.keys() == set()


@pytest.mark.parametrize(
    ("pattern", "line"), [(MACHINE, "see /hom" + "e/me/x"), (LATER, "# TOD" + "O: later")]
)
def test_a_slip_is_seen(tmp_path: Path, pattern: re.Pattern[str], line: str) -> None:
    path = tmp_path / "slip.py"
    path.write_text(line)

    assert len(lines_with(pattern, [path])) == 1
