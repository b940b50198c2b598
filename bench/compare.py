"""``python -m bench.compare OLD.json NEW.json``: ratios of two outputs of ``python -m bench``."""

import sys
from pathlib import Path

from bench.harness import Cell, from_json


def compared(old: list[Cell], new: list[Cell]) -> list[str]:
    """Return a line for each cell that both have: old and new median cost, and their ratio."""
    before = {(cell.workload, cell.size): cell.median("cost") for cell in old}
    return [
        f"{cell.workload:14} {cell.size:>10,}  {cost:10.2f} → {cell.median('cost'):10.2f}"
        f"   ratio {cell.median('cost') / cost:.2f}"
        for cell in new
        if (cost := before.get((cell.workload, cell.size))) is not None
    ]


def main() -> None:
    """Compare the two files named."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    old, new = (from_json(Path(name).read_text()) for name in sys.argv[1:])
    print("\n".join(compared(old, new)))


if __name__ == "__main__":
    main()
