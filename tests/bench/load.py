"""The tools that make load: what they are told, and what they tell. None of them is ours."""

import json
import re
import shlex
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from tests.bench.asked import Request

# kept: connections are kept; open: they are, and were made before it is measured; fresh: each request has its own;
# pipelined: several requests are sent at once.
Way = Literal["kept", "open", "fresh", "pipelined", "tls", "h2c", "h2"]
PIPELINED: Final = 16  # requests that are sent before their answers are read
_STREAMS: Final = 16  # requests under way on each connection of HTTP/2
_MOST: Final = 4096  # requests under way at once, where a rate can't be kept up with
_PATIENCE: Final = 30  # seconds after which a request has failed
_LUA: Final = Path(__file__).with_name("wrk.lua")
_COUNTS: Final = re.compile(r"^requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$", re.MULTILINE)
_STARTED: Final = "Main benchmark duration is started"
_OVER: Final = "Main benchmark duration is over"
_CODES: Final = re.compile(r"^status codes: (\d+) 2xx", re.MULTILINE)
_RATE: Final = re.compile(r"^finished in \S+, ([\d.]+) req/s", re.MULTILINE)
_WARM_UP: Final = ((1_000, 1), (1 << 16, 2))  # up to so many connections, seconds until all are made and in use


class LoadError(Exception):
    """A tool said something else than it was expected to; the message has it."""


class Load(Struct, frozen=True):
    """How a server is asked: in which way, on how many connections, for how long."""

    way: Way
    connections: int
    seconds: int


class Pace(Struct, frozen=True):
    """How a server is asked at a constant rate, in requests a second; `kept`: on connections that are kept."""

    rate: int
    seconds: int
    kept: bool = True


class Loaded(Struct, frozen=True):
    """What a tool tells of its load: whole answers, its duration and the latencies in seconds, requests that failed."""

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


def over_http2(way: Way) -> bool:
    """Tell whether that is HTTP/2."""
    return way in {"h2c", "h2"}


def by_h2load(way: Way) -> bool:
    """Tell whether h2load asks in that way: it knows HTTP/2, and can make its connections before it measures."""
    return over_http2(way) or way == "open"


def over_tls(way: Way) -> bool:
    """Tell whether that is over TLS."""
    return way in {"tls", "h2"}


def url(way: Way, port: int, target: str) -> str:
    """Give the address of a server of this machine."""
    return f"http{'s' if over_tls(way) else ''}://127.0.0.1:{port}{target}"


def script(request: Request, load: Load) -> str:
    """Give what wrk runs, in Lua: the request, then what is common to all. Bodies are of one letter."""
    fields = [*request.fields, *([("Connection", "close")] if load.way == "fresh" else [])]
    lines = [f"wrk.method = {json.dumps(request.method)}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in fields]
    if request.method == "POST":
        lines.append(f'wrk.body = string.rep("y", {len(request.body)})')
    lines.append(f"depth = {PIPELINED if load.way == 'pipelined' else 1}")
    return "\n".join([*lines, _LUA.read_text(encoding="ascii")])


def wrk(load: Load, where: str, scripted: Path) -> list[str]:
    """Give wrk's command."""
    options = ["--threads=1", f"--connections={load.connections}", f"--duration={load.seconds}s"]
    return ["wrk", *options, f"--timeout={_PATIENCE}s", f"--script={scripted}", where]


def h2load(load: Load, where: str, request: Request, log: Path) -> list[str]:
    """Give h2load's command, which writes the time of each request into a log."""
    fields = [f"--header={name.lower()}: {value}" for name, value in request.fields]
    options = [f"--clients={load.connections}", f"--duration={load.seconds}", "--threads=1", f"--log-file={log}"]
    options.append(f"--warm-up-time={next(seconds for most, seconds in _WARM_UP if load.connections <= most)}")
    streams = ["--h1"] if load.way == "open" else [f"--max-concurrent-streams={_STREAMS}"]
    return ["h2load", *options, *streams, *fields, where]


def h2load_begins(line: str) -> bool:
    """Tell whether h2load measures from this line of its output on."""
    return line.startswith(_STARTED)


def h2load_ends(line: str) -> bool:
    """Tell whether h2load measures until this line of its output."""
    return line.startswith(_OVER)


def vegeta(program: Path, pace: Pace, where: str, request: Request) -> list[str]:
    """Give vegeta's command, which reads its target from a pipe, and reports to another one.

    It asks at the rate whatever comes back, on as many connections as that takes, up to some thousands: one slow answer
    holds up no other request, and so none of the waiting is left out of what is measured.
    """
    fields = [f"-header={name}: {value}" for name, value in request.fields]
    options = [f"-rate={pace.rate}", f"-duration={pace.seconds}s", f"-timeout={_PATIENCE}s", f"-max-workers={_MOST}"]
    options.append(f"-keepalive={'true' if pace.kept else 'false'}")
    attack = shlex.join([str(program), "attack", *options, *fields])
    report = shlex.join([str(program), "report", "-type=json"])
    return ["sh", "-c", f"echo {shlex.quote(f'GET {where}')} | {attack} | {report}"]


def told_by_wrk(output: str) -> Loaded:
    """Read what wrk has said. Raises `LoadError`."""
    try:
        told = msgspec.json.decode(output.strip().rpartition("\n")[2], type=_Wrk)
    except msgspec.MsgspecError as error:
        raise LoadError(f"wrk did not come to an end; it said:\n{output}") from error
    return Loaded(told.requests, told.microseconds / 1e6, told.p50 / 1e6, told.p99 / 1e6, told.failed)


def told_by_h2load(output: str, log: str) -> Loaded:
    """Read what h2load has said, and its log: begin, status, and duration of a request in microseconds, a line each.

    Raises `LoadError`.
    """
    counts, codes, rate = (pattern.search(output) for pattern in (_COUNTS, _CODES, _RATE))
    if not (counts and codes and rate):
        raise LoadError(f"h2load did not come to an end; it said:\n{output}")
    answered = int(codes[1])
    succeeded, failed, _, late = map(int, counts.groups())  # what is errored is failed, too
    lost = failed + late + max(0, succeeded - answered)
    times = sorted(int(line.split("\t")[2]) for line in log.splitlines())
    p50, p99 = (times[len(times) * percent // 100] / 1e6 if times else 0.0 for percent in (50, 99))
    # Of a duration that its own rate tells: the one that it names has the making of the connections in it.
    return Loaded(answered, succeeded / float(rate[1]) if float(rate[1]) else 0.0, p50, p99, lost)


def told_by_vegeta(output: str) -> Loaded:
    """Read what vegeta has said. Raises `LoadError`."""
    try:
        told = msgspec.json.decode(output, type=_Vegeta)
        p50, p99 = (told.latencies[name] / 1e9 for name in ("50th", "99th"))
    except (msgspec.MsgspecError, KeyError) as error:
        raise LoadError(f"vegeta did not come to an end; it said:\n{output}") from error
    succeeded = round(told.requests * told.success)
    return Loaded(succeeded, told.duration / 1e9, p50, p99, told.requests - succeeded)
