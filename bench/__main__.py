"""``python -m bench``: cost per operation, growth over size, and a peer in the same run."""

import argparse
from pathlib import Path

from bench.catalogue import CATALOGUE
from bench.harness import Cell, run_rounds, to_json
from bench.report import lines


def main() -> None:
    """Run the workloads asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "workloads", nargs="*", help=f"default: all of {', '.join(CATALOGUE)}", metavar="workload"
    )
    parser.add_argument("--rounds", type=int, default=5, help="of cells that are not large")
    parser.add_argument("--largest", type=int, help="leave out sizes above this")
    parser.add_argument("--output", type=Path, help="write all figures as JSON")
    options = parser.parse_args()
    unknown = set(options.workloads) - CATALOGUE.keys()
    if unknown:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}")
    cells = [
        Cell(name, size)
        for name in options.workloads or CATALOGUE
        for size in CATALOGUE[name].sizes
        if options.largest is None or size <= options.largest
    ]
    run_rounds(cells, options.rounds)
    print("\n".join(lines(cells)))
    if options.output:
        options.output.write_text(to_json(cells))


if __name__ == "__main__":
    main()
