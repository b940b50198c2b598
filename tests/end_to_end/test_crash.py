"""A process that is killed at any moment has lost nothing that it was promised."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


def killed(directory: Path, rounds: int, seed: int) -> dict[str, int]:
    """Kill a process so many times; return what was found after it."""
    path = os.pathsep.join([str(ROOT), *sys.path])
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.end_to_end.crash_rounds",
            str(directory),
            str(rounds),
            str(seed),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    figures: dict[str, int] = json.loads(ended.stdout)
    return figures


def check(directory: Path, rounds: int, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    figures = killed(directory, rounds, seed)

    with capsys.disabled():
        print(f"\nkilled at random moments: {figures}")
    assert figures["kills"] == rounds
    assert figures["writes_found_again"] > rounds
    assert figures["units_found_again"] > rounds


def test_two_hundred_kills_lose_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(tmp_path, 200, 1, capsys)


@pytest.mark.slow
def test_two_thousand_kills_lose_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(tmp_path, 2000, 1000, capsys)
