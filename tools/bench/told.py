"""Output of the load generators, parsed."""

import re
from typing import Final

import msgspec
from msgspec import Struct

_COUNTS: Final = re.compile(r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$", re.MULTILINE)
_CODES: Final = re.compile(r"^status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx$", re.MULTILINE)
_RATE: Final = re.compile(r"^finished in \S+, ([\d.]+) req/s", re.MULTILINE)
_STARTED: Final = "Main benchmark duration is started"
_OVER: Final = "Main benchmark duration is over"


class LoadError(Exception):
    """A load generator's output is unexpected; the message contains it."""


class Loaded(Struct, frozen=True):
    """A load generator's report: complete responses, duration and latencies in seconds, failed requests."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int


class _Wrk(Struct):
    requests: int
    microseconds: int
    p50: int
    p99: int
    failed: int


class _Vegeta(Struct):
    latencies: dict[str, int]  # nanoseconds
    requests: int
    duration: int
    success: float


def h2load_begins(line: str) -> bool:
    """Return whether h2load's measurement starts at this line of its output."""
    return line.startswith(_STARTED)


def h2load_ends(line: str) -> bool:
    """Return whether h2load's measurement ends at this line of its output."""
    return line.startswith(_OVER)


def by_wrk(output: str) -> Loaded:
    """Parse wrk's output. Raise `LoadError` if it is unexpected."""
    try:
        told = msgspec.json.decode(output.strip().rpartition("\n")[2], type=_Wrk)
    except msgspec.MsgspecError as error:
        raise LoadError(f"wrk did not come to an end; it said:\n{output}") from error
    return Loaded(told.requests, told.microseconds / 1e6, told.p50 / 1e6, told.p99 / 1e6, told.failed)


def by_h2load(output: str, log: str) -> Loaded:
    """Parse h2load's output, and its log: a line for each request, with begin, status, and duration in microseconds.

    Raise `LoadError` if the output is unexpected.
    """
    counts, codes, rate = (pattern.search(output) for pattern in (_COUNTS, _CODES, _RATE))
    if not (counts and codes and rate):
        raise LoadError(f"h2load did not come to an end; it said:\n{output}")
    succeeded, failed, _, late = map(int, counts.groups())  # errored requests are also counted as failed
    lost = failed + late + sum(map(int, codes.groups()))
    times = sorted(int(line.split("\t")[2]) for line in log.splitlines())
    p50, p99 = (times[len(times) * percent // 100] / 1e6 if times else 0.0 for percent in (50, 99))
    # The duration is derived from h2load's own rate: the one that it prints includes the time to connect.
    return Loaded(succeeded, succeeded / float(rate[1]) if float(rate[1]) else 0.0, p50, p99, lost)


def by_vegeta(output: str) -> Loaded:
    """Parse vegeta's output. Raise `LoadError` if it is unexpected."""
    try:
        told = msgspec.json.decode(output, type=_Vegeta)
        p50, p99 = (told.latencies[name] / 1e9 for name in ("50th", "99th"))
    except (msgspec.MsgspecError, KeyError) as error:
        raise LoadError(f"vegeta did not come to an end; it said:\n{output}") from error
    succeeded = round(told.requests * told.success)
    return Loaded(succeeded, told.duration / 1e9, p50, p99, told.requests - succeeded)
