"""What a run of the bench has measured, and its form in a file. Seconds and bytes everywhere."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final, Literal

import msgspec
from msgspec import Struct, structs

from tools.commands import ROOT

FOLDER: Final = ROOT / ".bench"
FILE: Final = FOLDER / "results.json"

Better = Literal["less", "more"]
Axis = Literal["connections", "body bytes", "headers", "workers"]


class Machine(Struct, frozen=True):
    """Where it was measured; `load` is the load average of one minute when the run began."""

    cores: int
    cpu: str
    python: str
    kernel: str
    load: float


class Spread(Struct, frozen=True):
    """The median of the rounds, and the lowest and the highest of them."""

    median: float
    low: float
    high: float


class Row(Struct, frozen=True, kw_only=True):
    """What a row of the table asks: a `goal` to be reached, and a `bound` that must hold; None asks for nothing.

    `key` is what the row is chosen by, `name` what a person reads.
    """

    key: str
    name: str
    unit: str
    goal: float | None = None
    bound: float | None = None
    better: Better = "less"

    @property
    def asked(self) -> bool:
        """Whether the row asks for anything; else it is told for its own sake."""
        return self.goal is not None or self.bound is not None


class Figure(Row, frozen=True, kw_only=True):
    """A row with what was measured of each subject, a value a round: ours first, then the peer's, where there is one.

    `ratio` is ours by the peer's, round by round; where there is no peer it is ours itself, in `unit`.
    """

    subjects: dict[str, list[float]]
    ratio: Spread
    holds: bool
    met: bool


class Unmeasured(Struct, frozen=True):
    """A row of the table that this machine could not measure, and why."""

    name: str
    why: str


class Point(Struct, frozen=True):
    """What one subject did at one place of a curve: times and CPU are seconds."""

    x: float
    requests_per_second: float
    p50: float
    p99: float
    cpu_per_request: float


class Series(Struct, frozen=True):
    """One subject's curve."""

    subject: str
    points: list[Point]


class Curve(Struct, frozen=True):
    """How the cost grows with `x`, of every subject."""

    name: str
    x: Axis
    series: list[Series]


class Instructions(Struct, frozen=True):
    """Instructions that one request takes: the count that is kept in the repository, and this run's."""

    request: str
    kept: int | None
    now: int


class Results(Struct, frozen=True, kw_only=True):
    """All of a run. `began` is in RFC 3339."""

    machine: Machine
    began: str
    figures: list[Figure] = []
    unmeasured: list[Unmeasured] = []
    curves: list[Curve] = []
    instructions: list[Instructions] = []


def spread(values: Sequence[float]) -> Spread:
    """Give the spread of the rounds' values, of which there is one at least."""
    return Spread(median(values), min(values), max(values))


def within(value: float, limit: float | None, better: Better) -> bool:
    """Tell whether a value keeps to a limit; without one, it does."""
    if limit is None:
        return True
    return value <= limit if better == "less" else value >= limit


def figure(row: Row, subjects: dict[str, list[float]]) -> Figure:
    """Give a row with what was measured.

    The ratio is made round by round, so that what slows the machine down for a while slows both.
    """
    ours, *peers = subjects.values()
    ratio = spread([mine / theirs for mine, theirs in zip(ours, peers[0], strict=True)] if peers else ours)
    return Figure(
        **structs.asdict(row),
        subjects=subjects,
        ratio=ratio,
        holds=within(ratio.median, row.bound, row.better),
        met=within(ratio.median, row.goal, row.better),
    )


def write(results: Results, file: Path = FILE) -> None:
    """Write a run's results down."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def read(file: Path = FILE) -> Results:
    """Read what a run has written. Raises `OSError`, `msgspec.ValidationError`, `msgspec.DecodeError`."""
    return msgspec.json.decode(file.read_bytes(), type=Results)
