"""Rounds of measurements, shared by the rows of the table.

In each round every server is measured once under every load, however many rows need it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct

from tools.bench.asked import Request
from tools.bench.load import Load, Pace, Way
from tools.bench.measuring import Bench, Measured, NothingMeasuredError
from tools.bench.peers import Subject
from tools.bench.report import measure_of
from tools.bench.results import Figure, Row, Unmeasured, figure
from tools.commands import CommandError
from tools.toolchain.__main__ import ToolError

USUAL: Final = 64  # connections
_MANY: Final = 1_000  # connections, and bytes of a body, from which a load takes longer to ramp up
_LARGE: Final = 1 << 24
_SLOW: Final = 2  # times the usual duration
_SLOWER: Final = 4

Value = Literal["requests_per_second", "p50", "p99", "cpu_per_request"]


class NotMeasuredError(Exception):
    """A row that can't be measured on this machine; the message says why."""


class Cell(Struct, frozen=True):
    """A server under a load."""

    subject: Subject
    request: Request
    way: Way = "kept"
    connections: int = USUAL


class Round:
    """One round: what was measured in it is not measured again."""

    def __init__(self, bench: Bench, seconds: int) -> None:
        self.bench = bench
        self.seconds = seconds
        self._measured: dict[tuple[object, ...], Measured] = {}

    def measured(self, cell: Cell) -> Measured:
        """Return the result of a server under a load."""
        key = (cell.subject.name, cell.request, cell.way, cell.connections)
        if key not in self._measured:
            many, large = cell.connections >= _MANY, len(cell.request.body) >= _LARGE
            seconds = self.seconds * (_SLOW if many else _SLOWER if large else 1)
            self._measured[key] = self.bench.measure(
                cell.subject, cell.request, Load(cell.way, cell.connections, seconds)
            )
        return self._measured[key]

    def compared(self, value: Value, *cells: Cell) -> dict[str, float]:
        """Return the result of each server, ours first."""
        return {cell.subject.name: getattr(self.measured(cell), value) for cell in cells}

    def paced(
        self, value: Value, request: Request, rate: float, *subjects: Subject, kept: bool = True
    ) -> dict[str, float]:
        """Return the result of each server at a constant rate, ours first."""
        pace = Pace(max(1, round(rate)), self.seconds, kept)
        return {subject.name: getattr(self.bench.paced(subject, request, pace), value) for subject in subjects}


Measure = Callable[[Round], dict[str, float]]


class Measurable(Struct, frozen=True):
    """A row, and the function that measures one round of it, ours first; it may raise `NotMeasuredError`.

    `alone`: it is measured while no other server runs, which would share memory with the measured ones.
    """

    row: Row
    measure: Measure
    alone: bool = False


def measure(bench: Bench, chosen: Sequence[Measurable], rounds: int, seconds: int) -> Iterator[Figure | Unmeasured]:
    """Measure these rows in each round, those without requirements in every other one; return them in their order."""
    told: dict[str, dict[str, list[float]]] = {each.row.key: {} for each in chosen}
    missing: dict[str, str] = {}
    for alone in (True, False):
        for number in range(rounds):
            this = Round(bench, seconds)
            for each in chosen:
                if each.alone is not alone or each.row.key in missing or (number % 2 and not each.row.asked):
                    continue
                values, missing_since = _values(each, this)
                missing |= missing_since
                for subject, value in values.items():
                    told[each.row.key].setdefault(subject, []).append(value)
                said = missing.get(each.row.key) or _said(each.row, values.values())
                bench.say(f"round {number + 1} of {rounds}: {each.row.name}: {said}")
    for each in chosen:
        why = missing.get(each.row.key)
        yield Unmeasured(each.row.name, why) if why else figure(each.row, told[each.row.key])


def _values(each: Measurable, this: Round) -> tuple[dict[str, float], dict[str, str]]:
    """Measure one round of a row; return the values, or why there are none, by the row's key."""
    try:
        return each.measure(this), {}
    except NothingMeasuredError as error:
        this.bench.faults.append(str(error))
        return {}, {each.row.key: str(error)}
    except (NotMeasuredError, CommandError, ToolError) as error:  # ToolError: a peer is not available here
        return {}, {each.row.key: str(error).partition("\n")[0]}


def _said(row: Row, values: Iterable[float]) -> str:
    return " : ".join(measure_of(value, row.unit) for value in values)
