"""Order of the benchmark's measurements, and rows that can't be measured."""

from collections.abc import Callable

import pytest

from tools.bench.measuring import Bench
from tools.bench.results import Figure, Row, Unmeasured
from tools.bench.rounds import Measurable, NotMeasuredError, Round, measure
from tools.commands import CommandError
from tools.toolchain.__main__ import ToolError


def row(key: str, bound: float | None = 9.0) -> Row:
    """Return a row."""
    return Row(key=key, name=f"the {key}", unit="s", bound=bound)


def noting(done: list[str], key: str) -> Callable[[Round], dict[str, float]]:
    """Return a function that measures a row, and records that it has run."""

    def measured(_: Round) -> dict[str, float]:
        done.append(key)
        return {"echo": float(len(done)), "peer": 1.0}

    return measured


def test_rows_are_measured_in_turn_and_those_alone_before_any_server_is_kept() -> None:
    """The results are in the order in which the rows were requested."""
    done: list[str] = []
    rows = [Measurable(row(key), noting(done, key), alone=key == "c") for key in "abc"]
    told = [*measure(Bench(print, {}), rows, rounds=2, seconds=1)]
    assert done == [*"cc", *"ab", *"ab"]
    assert [each.name for each in told] == ["the a", "the b", "the c"]
    assert isinstance(told[0], Figure)
    assert told[0].subjects == {"echo": [3.0, 5.0], "peer": [1.0, 1.0]}


def test_what_is_told_for_its_own_sake_is_measured_in_every_other_round() -> None:
    """Rows without a requirement are measured in every other round, beginning with the first."""
    done: list[str] = []
    rows = [Measurable(row("a"), noting(done, "a")), Measurable(row("b", bound=None), noting(done, "b"))]
    assert len([*measure(Bench(print, {}), rows, rounds=3, seconds=1)]) == 2
    assert done == [*"ab", *"a", *"ab"]


@pytest.mark.parametrize("error", [NotMeasuredError, CommandError, ToolError])
def test_what_can_not_be_measured_is_told_with_its_reason(error: type[Exception]) -> None:
    """Such a row is tried once and has its reason, and the other rows are measured."""
    done: list[str] = []

    def fails(_: Round) -> dict[str, float]:
        done.append("tried")
        raise error("npm ci: exit code 1\nand much more")

    said: list[str] = []
    rows = [Measurable(row("a"), fails), Measurable(row("b"), noting(done, "b"))]
    told = [*measure(Bench(said.append, {}), rows, rounds=2, seconds=1)]
    assert told[0] == Unmeasured("the a", "npm ci: exit code 1")
    assert isinstance(told[1], Figure)
    assert done == ["tried", "b", "b"]
    assert said[0] == "round 1 of 2: the a: npm ci: exit code 1"
