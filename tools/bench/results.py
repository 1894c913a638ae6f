"""Results of a benchmark run, and their JSON file.

All times are in seconds, all sizes in bytes.
"""

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
    """The machine that was measured; `load` is the load average of one minute at the begin of the run."""

    cores: int
    cpu: str
    python: str
    kernel: str
    load: float


class Spread(Struct, frozen=True):
    """The median, the lowest and the highest of the rounds."""

    median: float
    low: float
    high: float


class Row(Struct, frozen=True, kw_only=True):
    """The requirement of a row: a `goal` to reach, and a `bound` that must hold; None requires nothing.

    `key` selects the row, `name` is its label for people.
    """

    key: str
    name: str
    unit: str
    goal: float | None = None
    bound: float | None = None
    better: Better = "less"

    @property
    def asked(self) -> bool:
        """Whether the row requires anything; otherwise it is reported for information only."""
        return self.goal is not None or self.bound is not None


class Figure(Row, frozen=True, kw_only=True):
    """A row with the measurements of each subject, a value per round: ours first, then the peer's, if there is one.

    `ratio` is ours divided by the peer's, round by round; without a peer it is our value itself, in `unit`.
    """

    subjects: dict[str, list[float]]
    ratio: Spread
    holds: bool
    met: bool


class Unmeasured(Struct, frozen=True):
    """A row of the table that could not be measured on this machine, and why."""

    name: str
    why: str


class Point(Struct, frozen=True):
    """The result of one subject at one place of a curve: times and CPU are in seconds."""

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
    """The cost by `x`, for every subject."""

    name: str
    x: Axis
    series: list[Series]


class Instructions(Struct, frozen=True):
    """Instructions of one request: the count stored in the repository, and this run's."""

    request: str
    kept: int | None
    now: int


class Results(Struct, frozen=True, kw_only=True):
    """All results of a run. `began` is in RFC 3339."""

    machine: Machine
    began: str
    figures: list[Figure] = []
    unmeasured: list[Unmeasured] = []
    curves: list[Curve] = []
    instructions: list[Instructions] = []


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of the rounds' values, of which there is at least one."""
    return Spread(median(values), min(values), max(values))


def within(value: float, limit: float | None, better: Better) -> bool:
    """Return whether a value is within a limit; without a limit, it is."""
    if limit is None:
        return True
    return value <= limit if better == "less" else value >= limit


def figure(row: Row, subjects: dict[str, list[float]]) -> Figure:
    """Return a row with its measurements.

    The ratio is computed round by round, so that what slows the machine down for a while slows both.
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
    """Write a run's results to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def read(file: Path = FILE) -> Results:
    """Read a run's results. Raise `OSError`, `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return msgspec.json.decode(file.read_bytes(), type=Results)
