"""The SDKs' shared sync-engine cases and our random histories (syncpoint-format).

They are other people's data: read from the specification next to the project where it is,
and from nowhere else. Every test runs at the root and below a path without data of its own.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.case_engine import SyncCaseEngine
from tests.conformance.sync_point_runner import CaseEngine, CaseError, CaseRun, check_keys
from tests.model.engine_model import EngineModel
from tests.model.native_engine import NativeEngine

ENGINES: dict[str, Callable[[], CaseEngine]] = {
    "model": lambda: SyncCaseEngine(EngineModel()),
    "native": lambda: SyncCaseEngine(NativeEngine()),
}
BASES = {"root": "", "deep": "foo/bar/baz"}
FILES = {"syncpoint-cases.json": 56, "syncpoint-random-cases.json": 157}


def find(name: str) -> Path | None:
    """Find a file of the specification beside the project."""
    for parent in Path(__file__).resolve().parents:
        candidate = parent / "shared" / "spec" / name
        if candidate.is_file():
            return candidate
    return None


def load() -> list[tuple[str, Mapping[str, object]]]:
    cases: list[tuple[str, Mapping[str, object]]] = []
    for name in FILES:
        path = find(name)
        if path is not None:
            for number, case in enumerate(json.loads(path.read_text("utf-8"))):
                cases.append((f"{path.stem.removeprefix('syncpoint-')}-{number}", case))
    return cases


CASES = load()


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_an_engine_raises_the_events_of_the_case(
    case: Mapping[str, Any], engine: Callable[[], CaseEngine], base: str
) -> None:
    CaseRun(engine(), base).run(case)


def test_no_case_is_missing() -> None:
    if not CASES:
        pytest.skip("the specification (../shared/spec) is not here")
    assert len(CASES) == sum(FILES.values())


LISTEN: dict[str, object] = {"type": "listen", "path": "a", "events": []}
EVENT: dict[str, object] = {"path": "a", "type": "value", "data": 1}


@pytest.mark.parametrize(
    "step",
    [
        {**LISTEN, "calbackId": 1},
        {**LISTEN, "type": "lisen"},
        {**LISTEN, "params": {"tag": 1, "orderBuy": "x"}},
        {**LISTEN, "params": {"tag": 1, "startAt": {"indx": 1}}},
        {**LISTEN, "params": {"orderByKey": True}},
        {**LISTEN, "events": [{**EVENT, "prev": "b"}]},
        {**LISTEN, "events": [{**EVENT, "type": "values"}]},
        {"type": "set", "path": "a", "events": []},
    ],
    ids=["step key", "type", "param", "bound", "tag", "event key", "event type", "missing"],
)
def test_the_runner_refuses_what_the_format_does_not_have(step: Mapping[str, object]) -> None:
    with pytest.raises((CaseError, ValueError)):
        check_keys({"name": "misspelt", "steps": [step]})
