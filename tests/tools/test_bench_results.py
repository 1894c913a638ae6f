"""Ratios of the benchmark, and reports of them."""

from pathlib import Path

import pytest

from tools.bench import report
from tools.bench.apart import added
from tools.bench.figures import FIGURES
from tools.bench.results import (
    Curve,
    Figure,
    Instructions,
    Machine,
    Point,
    Results,
    Row,
    Series,
    Spread,
    Unmeasured,
    figure,
    read,
    write,
)
from tools.bench.rounds import NotMeasuredError

LESS = Row(key="cpu", name="CPU per request", unit="s/request", goal=1.0, bound=1.5)
MORE = Row(key="rate", name="requests a second", unit="requests/s", goal=1.0, bound=0.9, better="more")
ALONE = Row(key="start", name="start to first 200", unit="s", goal=0.3, bound=0.5)
TOLD = Row(key="told", name="beside", unit="s/request")


def results(*figures: Figure) -> Results:
    """Return a run with these figures, and one of everything else."""
    return Results(
        machine=Machine(2, "a CPU", "3.11.7", "6.1", 0.25),
        began="2026-11-24T19:45:00+00:00",
        figures=[*figures],
        unmeasured=[Unmeasured("image above its base", "docker is not reached")],
        curves=[
            Curve(
                "GET",
                "connections",
                [
                    Series("echo", [Point(1, 4000, 2e-4, 4e-3, 1.5e-4), Point(8, 7000, 9e-4, 2e-3, 1e-4)]),
                    Series("x", []),
                ],
            )
        ],
        instructions=[Instructions("risen", 100, 106), Instructions("new", None, 5), Instructions("same", 100, 105)],
    )


@pytest.mark.parametrize(
    ("row", "ours", "theirs", "spread", "verdict"),
    [
        (LESS, [1.0, 3.0, 1.0], [1.0, 1.0, 2.0], Spread(1.0, 0.5, 3.0), "met"),
        (LESS, [1.5], [1.0], Spread(1.5, 1.5, 1.5), "holds"),
        (LESS, [3.0, 3.2], [2.0, 2.0], Spread(1.55, 1.5, 1.6), "broken"),
        (MORE, [95.0], [100.0], Spread(0.95, 0.95, 0.95), "holds"),
        (MORE, [89.0], [100.0], Spread(0.89, 0.89, 0.89), "broken"),
        (MORE, [120.0], [100.0], Spread(1.2, 1.2, 1.2), "met"),
        (TOLD, [9.0], [1.0], Spread(9.0, 9.0, 9.0), ""),
    ],
)
def test_a_ratio_is_made_round_by_round(
    row: Row, ours: list[float], theirs: list[float], spread: Spread, verdict: str
) -> None:
    """Its median is compared with the goal and the limit, in either direction."""
    made = figure(row, {"echo": ours, "peer": theirs})
    assert made.ratio == spread
    assert report.verdict(made) == verdict


def test_a_figure_without_a_peer_is_its_own_value() -> None:
    """Its ratio is the value in its unit, and is reported as such."""
    made = figure(ALONE, {"echo": [0.25, 0.45, 0.44]})
    assert (made.ratio, made.holds, made.met) == (Spread(0.44, 0.25, 0.45), True, False)
    assert report.cells(made)[1:] == ("", "**440 ms**", "250 ms to 450 ms", "≤ 300 ms", "≤ 500 ms", "holds")


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (132e-6, "s/request", "132 µs/request"),
        (0.0013, "s/request", "1.3 ms/request"),
        (8.02e6, "B", "8.02 MB"),
        (6e6, "B", "6 MB"),
        (3.5e8, "B/s", "350 MB/s"),
        (12_345.6, "requests/s", "12,346 requests/s"),
        (0, "s", "0 s"),
    ],
)
def test_a_value_is_told_in_the_unit_that_fits(value: float, unit: str, told: str) -> None:
    """A value has the power of its unit that people would write."""
    assert report.measure_of(value, unit) == told


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Reading a written run restores all of it."""
    told = results(figure(LESS, {"echo": [1.0], "peer": [2.0]}), figure(ALONE, {"echo": [0.2]}))
    write(told, tmp_path / "folder" / "results.json")
    assert read(tmp_path / "folder" / "results.json") == told


def test_all_of_a_run_is_in_its_document() -> None:
    """The document has the machine, each figure, the reasons for missing ones, and each place of a curve."""
    told = report.markdown(results(figure(LESS, {"echo": [1.0e-4], "peer": [2.0e-4]})))
    assert "2 cores of a CPU, Linux 6.1, Python 3.11.7, load average 0.25" in told
    assert (
        "| CPU per request | 100 µs/request : 200 µs/request | **0.50** | 0.50 to 0.50 | ≤ 1.00 | ≤ 1.50 | met |"
        in told
    )
    assert "not measured: docker is not reached" in told
    assert "| 1 | 4,000/s, 200 µs, 4 ms, 150 µs |  |" in told
    assert "| risen | 100 | 106 | +6.0% |" in told


def test_what_is_broken_or_has_risen_is_red_on_a_terminal() -> None:
    """Broken limits and increased counts are red, and nothing else is."""
    run = results(figure(LESS, {"echo": [9.0], "peer": [1.0]}), figure(ALONE, {"echo": [0.2]}))
    red = [line for line in report.coloured(run).splitlines() if "\x1b[31m" in line]
    assert [line.split("| ")[1].strip(" ") for line in red] == ["CPU per request", "risen"]
    assert report.broken(run) == ["CPU per request"]
    assert "\x1b" not in report.markdown(run)


def test_what_the_image_adds_is_what_stands_above_its_base() -> None:
    """Docker lists the last layer first; the base's own layers come below the first instruction of ours."""
    assert added("0\tLABEL\n700\tCOPY /image/app/ /\n0\tEXPOSE\n0\tENV ECHO_HOST=*\n900\tENV PYTHON\n") == 700
    with pytest.raises(NotMeasuredError, match="where the base ends"):
        added("700\tCOPY\n")


def test_a_goal_asks_for_no_less_than_the_bound_of_its_row() -> None:
    """The comparison is in the direction in which the row is better."""
    both = [each.row for each in FIGURES.values() if each.row.goal is not None and each.row.bound is not None]
    assert len(both) == 14
    assert [row.key for row in both if (row.goal or 0) > (row.bound or 0)] == [
        row.key for row in both if row.better == "more"
    ]
