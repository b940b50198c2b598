"""Cells as a person reads them: costs, growth, and whether the goals are met."""

from collections.abc import Iterator

from bench.catalogue import CATALOGUE, PATH_COPY_US, Workload
from bench.harness import Cell, growth_exponent

#: Figures beside the cost, in words.
NOTES = {
    "first": "first 500",
    "last": "last 500",
    "p99": "p99",
    "read": "merged read",
    "peak": "peak",
    "accounted": "by its own account",
    "held_mb": "MB held",
    "peak_mb": "MB at peak",
}


def lines(cells: list[Cell]) -> Iterator[str]:
    """Yield a row for each cell, and the exponent and goals of each workload."""
    scale = time_scale(cells)
    for name in dict.fromkeys(cell.workload for cell in cells):
        workload = CATALOGUE[name]
        mine = sorted((cell for cell in cells if cell.workload == name), key=lambda c: c.size)
        yield ""
        yield f"{name}  {workload.title}"
        for cell in mine:
            yield row(cell, workload)
        yield from verdicts(mine, workload, scale)


def row(cell: Cell, workload: Workload) -> str:
    """Return a cell in one line: median, quartiles, what stands beside it."""
    low, high = cell.quartiles("cost")
    parts = [
        f"  {cell.size:>10,}  {cell.median('cost'):9.2f} {workload.unit}  ({low:.2f} to {high:.2f})"
    ]
    if workload.peer:
        ratio = cell.ratio("cost", "peer")
        parts.append(f"{workload.peer} {cell.median('peer'):.2f}, ratio {ratio:.2f}")
    parts += [
        f"{title} {cell.median(figure):.2f}"
        for figure, title in NOTES.items()
        if figure in cell.rounds[0]
    ]
    return "   ".join(parts)


def time_scale(cells: list[Cell]) -> float | None:
    """Return by how much goals in microseconds stretch on this machine; None if unknown."""
    copies = [cell for cell in cells if cell.workload == "W2e" and cell.size == 100_000]
    return copies[0].median("peer") / PATH_COPY_US if copies else None


def verdicts(cells: list[Cell], workload: Workload, scale: float | None) -> Iterator[str]:
    """Yield the growth over size, and each goal with whether it is met."""
    if len(cells) > 1 and workload.unit != "B":
        slope = growth_exponent([(cell.size, cell.median("cost")) for cell in cells])
        goal = workload.exponent
        yield f"  growth exponent {slope:.3f}" + ("" if goal is None else judged(slope, goal))
    if workload.cost is not None:
        worst = max(cell.median("cost") for cell in cells)
        if workload.unit == "B":
            yield f"  largest {worst:.1f} B" + judged(worst, workload.cost)
        elif scale is not None:
            worst /= scale
            yield (
                f"  largest {worst:.2f} µs where a path copy at 100 000 takes {PATH_COPY_US} µs"
                + judged(worst, workload.cost)
            )


def judged(value: float, goal: float) -> str:
    """Return a goal and whether a value meets it."""
    return f", at most {goal:g}: {'met' if value <= goal else 'MISSED'}"
