"""Rows measured in rounds: in each, every server under every load once, whatever number of rows asks for it."""

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
_MANY: Final = 1_000  # connections, and bytes of a body, from which on a load takes longer to get going
_LARGE: Final = 1 << 24
_SLOW: Final = 2  # times as long
_SLOWER: Final = 4

Value = Literal["requests_per_second", "p50", "p99", "cpu_per_request"]


class NotMeasuredError(Exception):
    """A row that this machine can't measure; the message says why."""


class Cell(Struct, frozen=True):
    """A server under a load."""

    subject: Subject
    request: Request
    way: Way = "kept"
    connections: int = USUAL


class Round:
    """One round: what was measured in it is not measured a second time."""

    def __init__(self, bench: Bench, seconds: int) -> None:
        self.bench = bench
        self.seconds = seconds
        self._measured: dict[tuple[object, ...], Measured] = {}

    def measured(self, cell: Cell) -> Measured:
        """Give what a server has shown under a load."""
        key = (cell.subject.name, cell.request, cell.way, cell.connections)
        if key not in self._measured:
            many, large = cell.connections >= _MANY, len(cell.request.body) >= _LARGE
            seconds = self.seconds * (_SLOW if many else _SLOWER if large else 1)
            self._measured[key] = self.bench.measure(
                cell.subject, cell.request, Load(cell.way, cell.connections, seconds)
            )
        return self._measured[key]

    def compared(self, value: Value, *cells: Cell) -> dict[str, float]:
        """Give what each server has shown, ours first."""
        return {cell.subject.name: getattr(self.measured(cell), value) for cell in cells}

    def paced(
        self, value: Value, request: Request, rate: float, *subjects: Subject, kept: bool = True
    ) -> dict[str, float]:
        """Give what each server has shown at a constant rate, ours first."""
        pace = Pace(max(1, round(rate)), self.seconds, kept)
        return {subject.name: getattr(self.bench.paced(subject, request, pace), value) for subject in subjects}


Measure = Callable[[Round], dict[str, float]]


class Measurable(Struct, frozen=True):
    """A row, and what measures one round of it, ours first; it may raise `NotMeasuredError`.

    `alone`: it is measured while no other server runs, which would share memory with those that are measured.
    """

    row: Row
    measure: Measure
    alone: bool = False


def measure(bench: Bench, chosen: Sequence[Measurable], rounds: int, seconds: int) -> Iterator[Figure | Unmeasured]:
    """Measure these rows in each round, those that ask for nothing in every other one; give them in their order."""
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
    """Measure one round of a row; give what was measured, or why it can't be, by the row's key."""
    try:
        return each.measure(this), {}
    except NothingMeasuredError as error:
        this.bench.faults.append(str(error))
        return {}, {each.row.key: str(error)}
    except (NotMeasuredError, CommandError, ToolError) as error:  # the latter: a peer can't be had here
        return {}, {each.row.key: str(error).partition("\n")[0]}


def _said(row: Row, values: Iterable[float]) -> str:
    return " : ".join(measure_of(value, row.unit) for value in values)
