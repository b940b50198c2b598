"""What a benchmark prints follows from its figures alone."""

import pytest
from bench.bench_update_engine import run
from bench.compare import compared
from bench.harness import Cell, from_json, growth_exponent, to_json
from bench.report import lines


def cell(workload: str, size: int, *costs: float, peer: float = 1.0) -> Cell:
    return Cell(workload, size, [{"cost": cost, "peer": peer} for cost in costs])


def test_an_exponent_is_the_growth_of_the_cost() -> None:
    assert growth_exponent([(10, 5.0), (100, 5.0), (1000, 5.0)]) == pytest.approx(0)
    assert growth_exponent([(10, 1.0), (100, 10.0)]) == pytest.approx(1)


def test_a_report_gives_medians_quartiles_ratios_and_verdicts() -> None:
    cells = [
        cell("W2", 1_000, 1.0, 2.0, 9.0, peer=0.5),
        cell("W2", 100_000, 4.0, peer=0.5),
        cell("W2e", 100_000, 6.0, peer=2.8),
    ]

    text = "\n".join(lines(cells))

    assert "2.00 µs  (1.50 to 5.50)   empty callback 0.50, ratio 4.00" in text
    assert "growth exponent 0.151, at most 0.1: MISSED" in text
    # a path copy takes twice what the goal was stated for
    assert "largest 3.00 µs where a path copy at 100 000 takes 1.4 µs, at most 3: met" in text


def test_figures_survive_being_written_and_compared() -> None:
    old, new = [cell("W8", 1_000, 4.0)], [cell("W8", 1_000, 2.0), cell("W8", 3_000, 1.0)]

    assert from_json(to_json(old)) == old
    (line,) = compared(from_json(to_json(old)), new)
    assert line.endswith("ratio 0.50")


def test_a_measurement_of_the_engine_holds_its_own_checks() -> None:
    figures = run(50)

    assert figures["cost"] > 0
    assert figures["peer"] > 0
