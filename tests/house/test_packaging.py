"""What is built holds what it should, installs, and imports."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPORTS = "import firekeep, firekeep_core.sync.sync_tree; print(firekeep.__name__)"


def run(*command: str, cwd: Path) -> str:
    # optimisation off: only the shape of what is built counts here
    environment = {
        **os.environ,
        "FIREKEEP_BUILD": "debug",
        "PYTHONPATH": sysconfig.get_path("purelib"),  # the build tools of this environment
    }
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what is tracked."""
    target = tmp_path_factory.mktemp("checkout")
    tracked = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, tracked):
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((ROOT / name).read_bytes())
    return target


@pytest.fixture(scope="module")
def sdist(checkout: Path) -> Path:
    script = "import setuptools.build_meta as b; print(b.build_sdist('dist'))"
    name = run(sys.executable, "-c", script, cwd=checkout).split()[-1]
    return checkout / "dist" / name


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the sdist, not from the checkout."""
    target = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    (source,) = target.iterdir()
    script = "import setuptools.build_meta as b; print(b.build_wheel('dist'))"
    name = run(sys.executable, "-c", script, cwd=source).split()[-1]
    return source / "dist" / name


def suffixes(names: list[str]) -> set[str]:
    return {Path(name).suffix for name in names if not name.endswith("/")}


def test_the_sdist_holds_sources_and_nothing_generated(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = archive.getnames()

    assert {".pyx", ".pxd", ".pyi", ".h"} <= suffixes(names)
    assert suffixes(names) & {".c", ".so", ".pyc"} == set()
    assert any(name.endswith("tests/conftest.py") for name in names)


def test_the_wheel_holds_modules_stubs_and_no_sources(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert suffixes(names) & {".pyx", ".pxd", ".h", ".c"} == set()
    assert {"firekeep/py.typed", "firekeep_core/py.typed"} <= set(names)
    assert any(name.startswith("firekeep_core/snap/word.") and ".so" in name for name in names)
    assert "firekeep_core/snap/node.pyi" in names


def test_the_wheel_of_the_sdist_installs_and_imports(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"

    run(
        *(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"),
        *("--target", str(target), str(wheel)),
        cwd=tmp_path,
    )

    script = f"import sys; sys.path.insert(0, {str(target)!r}); {IMPORTS}; print(firekeep.__file__)"
    printed = run(sys.executable, "-c", script, cwd=tmp_path)
    assert str(target) in printed


@pytest.mark.parametrize("option", [[], ["-e"]])
def test_a_checkout_installs(checkout: Path, tmp_path: Path, option: list[str]) -> None:
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "venv", str(environment), cwd=tmp_path)
    python = str(environment / "bin" / "python")

    run(
        *(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"),
        *(*option, "."),
        cwd=checkout,
    )

    assert run(python, "-c", IMPORTS, cwd=tmp_path).strip() == "firekeep"
