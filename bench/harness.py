"""Running cells in fresh processes, interleaved and shuffled, and summing them up."""

import json
import math
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

Figures = dict[str, float]


@dataclass
class Cell:
    """One workload at one size, and the figures of each round."""

    workload: str
    size: int
    rounds: list[Figures] = field(default_factory=list[Figures])

    def median(self, name: str) -> float:
        """Return the median of a figure over the rounds."""
        return statistics.median(figures[name] for figures in self.rounds)

    def spread(self, name: str) -> tuple[float, float]:
        """Return the first and third quartile, or the only value twice."""
        values = sorted(figures[name] for figures in self.rounds)
        if len(values) < 2:
            return values[0], values[0]
        first, _, third = statistics.quantiles(values, n=4, method="inclusive")
        return first, third


def measure(workload: str, size: int) -> Figures:
    """Run one cell in a fresh process; raises if its own checks fail."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.cell", workload, str(size)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise RuntimeError(f"{workload} at {size} failed:\n{done.stderr[-2000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def run_rounds(cells: list[Cell], rounds: int) -> None:
    """Fill the cells, every round in another order, so that drift hits all alike."""
    for number in range(rounds):
        order = random.Random(number).sample(cells, len(cells))
        for cell in order:
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
