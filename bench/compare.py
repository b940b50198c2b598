"""``python -m bench.compare OLD.json NEW.json``: ratios of two outputs of ``python -m bench``."""

import json
import statistics
import sys
from pathlib import Path


def medians(path: str) -> dict[tuple[str, int], float]:
    """Return the median cost of each cell in an output file."""
    return {
        (cell["workload"], cell["size"]): statistics.median(r["cost"] for r in cell["rounds"])
        for cell in json.loads(Path(path).read_text())
    }


def main() -> None:
    """Print old, new and their ratio for each cell that both have."""
    old, new = medians(sys.argv[1]), medians(sys.argv[2])
    for workload, size in sorted(old.keys() & new.keys()):
        before, after = old[workload, size], new[workload, size]
        print(
            f"{workload:4} {size:>10,}  {before:10.2f} → {after:10.2f}   ratio {after / before:.2f}"
        )


if __name__ == "__main__":
    main()
