"""Curves: cost by connections, body size, headers and workers."""

from collections.abc import Callable, Iterable, Iterator
from statistics import median
from typing import Final

from msgspec import Struct

from tools.bench import measuring
from tools.bench.asked import JSON, posting, with_fields
from tools.bench.measuring import Bench, Measured, NothingMeasuredError
from tools.bench.peers import ECHO, FORTIO, GO_HTTPBIN, PYTHON_HTTPBIN, with_workers
from tools.bench.results import Axis, Curve, Point, Series
from tools.bench.rounds import USUAL, Cell, Round

# Limits on connections up to a body size, because each connection buffers much of a larger body and takes long.
_CONNECTIONS: Final = ((1 << 17, USUAL), (1 << 21, 4), (1 << 30, 1))
_KINDS: Final = (ECHO, GO_HTTPBIN, FORTIO, PYTHON_HTTPBIN)


class Line(Struct, frozen=True):
    """A curve: its axis, the places on it, and the servers that are measured at a place."""

    name: str
    x: Axis
    places: tuple[int, ...]
    cells: Callable[[int], dict[str, Cell]]


def _by_connections(count: int) -> dict[str, Cell]:
    return {subject.name: Cell(subject, JSON, "open", count) for subject in _KINDS}


def _by_body(length: int) -> dict[str, Cell]:
    request = posting(length)
    connections = next(count for most, count in _CONNECTIONS if length <= most)
    return {subject.name: Cell(subject, request, connections=connections) for subject in _KINDS}


def _by_fields(count: int) -> dict[str, Cell]:
    return {subject.name: Cell(subject, with_fields(count)) for subject in _KINDS}


def _by_workers(count: int) -> dict[str, Cell]:
    return {subject.name.partition(",")[0]: Cell(subject, JSON) for subject in with_workers(count)}


CURVES: Final = {
    "connections": Line("GET, JSON, 12 headers", "connections", (1, 8, 64, 512, 4096), _by_connections),
    "body": Line("POST", "body bytes", (0, 1 << 10, 1 << 14, 1 << 18, 1 << 20, 1 << 24, 1 << 26), _by_body),
    "headers": Line("GET, JSON", "headers", (2, 12, 50, 100, 200), _by_fields),
    "workers": Line("GET, JSON, 12 headers, all cores", "workers", (1, 2), _by_workers),
}


def measure(bench: Bench, keys: Iterable[str], rounds: int, seconds: int) -> Iterator[Curve]:
    """Measure these curves several times, all servers in turn at each place."""
    for key in keys:
        line = CURVES[key]
        told: dict[tuple[str, int], list[Measured]] = {}
        for number in range(rounds):
            this = Round(bench, seconds)
            for place in line.places:
                for subject, cell in line.cells(place).items():
                    if not _refused(bench, cell):
                        told.setdefault((subject, place), []).extend(_answered(this, cell))
                bench.say(f"curve {key}, {number + 1} of {rounds}: {line.x}: {place}")
        names = [*line.cells(line.places[0])]
        yield Curve(line.name, line.x, [_series(name, line.places, told) for name in names])


def _refused(bench: Bench, cell: Cell) -> bool:
    """Return whether a peer does not support what is requested there: one body or header too many ends its curve."""
    if cell.subject.name.startswith(ECHO.name):
        return False
    fault = measuring.ask(bench.running(cell.subject), cell.request, cell.way)
    if fault:
        bench.say(f"{cell.subject.name} does not respond as required: {fault[:120]}")
    return bool(fault)


def _answered(this: Round, cell: Cell) -> list[Measured]:
    """Measure a place; a server that does not respond there in time is omitted there."""
    try:
        return [this.measured(cell)]
    except NothingMeasuredError as error:
        this.bench.say(str(error))
        return []


def _series(name: str, places: Iterable[int], told: dict[tuple[str, int], list[Measured]]) -> Series:
    return Series(name, [_point(place, told[name, place]) for place in places if told.get((name, place))])


def _point(place: int, rounds: list[Measured]) -> Point:
    return Point(
        place,
        median(each.requests_per_second for each in rounds),
        median(each.p50 for each in rounds),
        median(each.p99 for each in rounds),
        median(each.cpu_per_request for each in rounds),
    )
