"""The README's table of the stored benchmark runs."""

from tools.bench import kept
from tools.bench.results import Figure, Machine, Results, Row, Unmeasured, figure

QUIET, BUSY = (Machine(2, "a CPU", "3.11.7", "6.1", load) for load in (0.1, 4.0))


def of(*values: float) -> Figure:
    """Return a figure with these ratios, a round each."""
    row = Row(key="cpu", name="CPU", unit="s", goal=1.0, bound=1.5)
    return figure(row, {"echo": [*values], "peer": [1.0] * len(values)})


def test_each_run_has_a_column_and_the_first_says_whether_a_goal_is_met() -> None:
    """A row that neither could measure has its reason, and one that only one measured has an empty cell."""
    told = {
        "quiet": Results(machine=QUIET, began="2026-11-24T19:45:00+00:00", figures=[of(0.9, 0.8, 1.1)]),
        "busy": Results(
            machine=BUSY,
            began="2026-11-24T18:45:00+00:00",
            figures=[of(2.0)],
            unmeasured=[Unmeasured("image", "no engine")],
        ),
    }
    lines = kept.documented(told).splitlines()
    assert lines[0].startswith("- On a quiet machine: measured on 2026-11-24: 2 cores of a CPU")
    assert lines[1].startswith("- On a busy machine: ")
    assert lines[3:] == [
        "| figure | ours : theirs, quiet | quiet | busy | goal | must hold | quiet |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| CPU | 900 ms : 1 s | **0.90** (0.80 to 1.10) | **2.00** (2.00 to 2.00) | ≤ 1.00 | ≤ 1.50 | met |",
        "| image |  |  |  |  |  | not measured: no engine |",
    ]


def test_a_run_that_is_kept_can_be_read() -> None:
    """There is at least one stored run, and each is in its place."""
    assert kept.runs()
    assert {kept.file(name).suffix for name in kept.NAMES} == {".json"}
