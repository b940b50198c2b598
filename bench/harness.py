"""Running cells in fresh processes, interleaved and shuffled, and summing them up."""

import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

Figures = dict[str, float]

#: A cell of this size or more is measured in three rounds at most.
HEAVY_SIZE = 100_000
HEAVY_ROUNDS = 3
TIMEOUT_S = 900


@dataclass
class Cell:
    """One workload at one size, and the figures of each round."""

    workload: str
    size: int
    rounds: list[Figures] = field(default_factory=list[Figures])

    def median(self, name: str) -> float:
        """Return the median of a figure over the rounds."""
        return statistics.median(figures[name] for figures in self.rounds)

    def quartiles(self, name: str) -> tuple[float, float]:
        """Return the first and third quartile, or the only value twice."""
        values = [figures[name] for figures in self.rounds]
        if len(values) < 2:
            return values[0], values[0]
        first, _, third = statistics.quantiles(values, n=4, method="inclusive")
        return first, third

    def ratio(self, name: str, to: str) -> float:
        """Return the median over the rounds of one figure's ratio to another."""
        return statistics.median(figures[name] / figures[to] for figures in self.rounds)


def measure(workload: str, size: int) -> Figures:
    """Run one cell in a fresh process; raises if its own checks fail."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.cell", workload, str(size)],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        raise RuntimeError(f"{workload} at {size} failed:\n{done.stderr[-2000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def run_rounds(cells: list[Cell], rounds: int) -> None:
    """Fill the cells, every round in another order, so that drift hits all alike."""
    for number in range(rounds):
        due = [cell for cell in cells if cell.size < HEAVY_SIZE or number < HEAVY_ROUNDS]
        for cell in random.Random(number).sample(due, len(due)):
            cell.rounds.append(measure(cell.workload, cell.size))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def growth_exponent(points: Sequence[tuple[float, float]]) -> float:
    """Return the least-squares slope of log(cost) over log(size).

    >>> round(growth_exponent([(10, 5.0), (100, 5.0), (1000, 5.0)]), 3)
    0.0
    """
    x = [math.log(size) for size, _ in points]
    y = [math.log(cost) for _, cost in points]
    return statistics.linear_regression(x, y).slope


def to_json(cells: list[Cell]) -> str:
    """Return every figure of every round, and what it was measured on."""
    machine = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
    }
    return json.dumps({"machine": machine, "cells": [asdict(cell) for cell in cells]}, indent=1)


def from_json(text: str) -> list[Cell]:
    """Return the cells of an output of `to_json`."""
    return [Cell(**cell) for cell in json.loads(text)["cells"]]
