"""Law 1, imports go one way, and Law 2, below the driver nothing is performed."""

import re
from pathlib import Path

import pytest
from tests.house.layers import CORE, violations

ROOT = Path(__file__).parents[2]

PERFORMING = re.compile(
    r"^\s*(?:import|from)\s+(?:time|random|socket|logging|os|secrets|threading|asyncio|anyio|trio)\b"
    r"|^\s*(?:async def|async with|async for|await)\b|[=(]\s*await\b",
    re.MULTILINE,
)


def performers(root: Path) -> list[str]:
    """Give the files below the driver that could perform something."""
    found: list[str] = []
    for base in (root / "core" / CORE, root / "pyapi" / "firekeep" / "engine"):
        found += [
            str(path.relative_to(root))
            for path in sorted(base.rglob("*"))
            if path.suffix in (".py", ".pyx", ".pxd") and PERFORMING.search(path.read_text())
        ]
    return found


def test_imports_go_one_way() -> None:
    assert violations(ROOT / "src") == []


def test_nothing_below_the_driver_performs() -> None:
    assert performers(ROOT / "src") == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for folder in ("snap", "store", "sync"):
        (tmp_path / "core/firekeep_core" / folder).mkdir(parents=True)
    for folder in ("engine", "storage"):
        (tmp_path / "pyapi/firekeep" / folder).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/firekeep_core/snap/node.pyx", "from ..sync.view cimport View"),
        ("core/firekeep_core/snap/node.pyx", "import anyio"),
        ("core/firekeep_core/store/layout.pyx", "from ..sync.view cimport View"),
        ("core/firekeep_core/store/layout.pyx", "import cbor2"),
        ("core/firekeep_core/store/record.pyx", "import rocksdict"),
        ("core/firekeep_core/snap/record.pyx", "import cbor2"),
        ("core/firekeep_core/sync/view.pyx", "from firekeep_core.store import record"),
        ("core/firekeep_core/sync/view.pyx", "from ..wire.message cimport decode"),
        ("core/firekeep_core/sync/view.pxd", "from firekeep_core.wire cimport message"),
        ("pyapi/firekeep/engine/engine.py", "from firekeep.net.transport import Transport"),
        ("pyapi/firekeep/engine/engine.py", "from firekeep.driver import Driver"),
        ("pyapi/firekeep/engine/engine.py", "from firekeep.storage.backend import Backend"),
        ("pyapi/firekeep/storage/rocksdb.py", "from firekeep.engine.engine import Engine"),
        ("pyapi/firekeep/storage/rocksdb.py", "from firekeep_core.sync import view"),
        ("pyapi/firekeep/storage/rocksdb.py", "import cbor2"),
        ("pyapi/firekeep/reference.py", "import rocksdict"),
        ("pyapi/firekeep/url.py", "from firekeep.engine.session import Session"),
        ("pyapi/firekeep/reference.py", "import websockets"),
    ],
)
def test_an_import_the_wrong_way_is_seen(tree: Path, path: str, line: str) -> None:
    (tree / path).write_text(f"{line}\n")

    assert len(violations(tree)) == 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/firekeep_core/store/record.pyx", "import cbor2"),
        ("core/firekeep_core/store/layout.pyx", "from ..snap.path cimport Path"),
        ("pyapi/firekeep/storage/rocksdb.py", "import rocksdict"),
        ("pyapi/firekeep/storage/write_journal.py", "from firekeep_core.store import record"),
    ],
)
def test_an_import_along_an_arrow_is_none(tree: Path, path: str, line: str) -> None:
    (tree / path).write_text(f"{line}\n")

    assert violations(tree) == []


@pytest.mark.parametrize("line", ["import time", "from os import environ", "async def f(): ..."])
def test_a_performer_below_the_driver_is_seen(tree: Path, line: str) -> None:
    (tree / "pyapi/firekeep/engine/engine.py").write_text(f"{line}\n")

    assert performers(tree) == ["pyapi/firekeep/engine/engine.py"]
