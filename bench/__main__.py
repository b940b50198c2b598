"""``python -m bench``: cost per operation, growth over size, and a peer in the same run."""

import argparse
import json
from pathlib import Path

from bench.harness import Cell, growth_exponent, run_rounds

SIZES: dict[str, list[int]] = {
    "W1": [42_000],
    "W2": [1_000, 10_000, 100_000],
    "W2e": [1_000, 10_000, 100_000],
    "W7": [1_000, 3_000, 10_000, 30_000, 100_000],
    "W8": [1_000, 3_000, 10_000, 30_000, 100_000],
    "W11": [100_000, 1_000_000, -1_000_000],
}
TITLES = {
    "W1": ("first value of 10 MB", "ms", "orjson.loads"),
    "W2": ("a leaf changes, one value listener", "µs", "empty callback"),
    "W2e": ("the same, engine alone", "µs", "path copy"),
    "W7": ("set while offline", "µs", ""),
    "W8": ("queued write sent, echoed, answered", "µs", ""),
    "W11": ("memory per leaf (negative: integers)", "B", ""),
}


def report(cells: list[Cell]) -> None:
    """Print a row per cell and the exponent of each workload."""
    for workload in dict.fromkeys(cell.workload for cell in cells):
        title, unit, peer = TITLES[workload]
        print(f"\n{workload}  {title}")
        mine = [cell for cell in cells if cell.workload == workload]
        for cell in mine:
            low, high = cell.spread("cost")
            line = f"  {cell.size:>10,}  {cell.median('cost'):10.2f} {unit}"
            line += f"  ({low:.2f} to {high:.2f})"
            if "peer" in cell.rounds[0]:
                ratio = cell.median("cost") / cell.median("peer")
                line += f"   {peer} {cell.median('peer'):.2f} {unit}, ratio {ratio:.2f}"
            if "last" in cell.rounds[0]:
                line += f"   first 500 {cell.median('first'):.2f}, last {cell.median('last'):.2f}"
            print(line)
        growing = [(cell.size, cell.median("cost")) for cell in mine if cell.size > 0]
        if len(growing) > 1 and unit != "B":
            print(f"  growth exponent {growth_exponent(growing):.3f}")


def main() -> None:
    """Run the workloads asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("workloads", nargs="*", default=list(SIZES), help=", ".join(SIZES))
    parser.add_argument("--rounds", type=int, default=3, help="rounds, 5 for figures to quote")
    parser.add_argument("--largest", type=int, help="leave out sizes above this")
    parser.add_argument("--output", type=Path, help="write all figures as JSON")
    options = parser.parse_args()
    cells = [
        Cell(workload, size)
        for workload in options.workloads
        for size in SIZES[workload]
        if options.largest is None or abs(size) <= options.largest
    ]
    run_rounds(cells, options.rounds)
    report(cells)
    if options.output:
        options.output.write_text(json.dumps([vars(cell) for cell in cells], indent=1))


if __name__ == "__main__":
    main()
