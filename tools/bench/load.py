"""Commands of the load generators, none of which is ours."""

import json
import shlex
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from tools.bench.asked import Request

# Ways to send requests; tls, h2c and h2 are protocols.
#
# - kept: connections are reused
# - open: they are reused, and established before the measurement
# - fresh: each request has a new connection
# - pipelined: several requests are sent at once
# - numbered: each request has an X-Request-Id of its own, as behind many proxies
Way = Literal["kept", "open", "fresh", "pipelined", "numbered", "tls", "h2c", "h2"]
PIPELINED: Final = 16  # requests that are sent before their responses are read
_STREAMS: Final = 16  # concurrent requests on each HTTP/2 connection
_MOST: Final = 512  # concurrent requests, if a rate can't be sustained
_MANY: Final = 256  # connections that share a constant rate
_PATIENCE: Final = 30  # seconds after which a request has failed
_LUA: Final = Path(__file__).with_name("wrk.lua")
_WARM_UP: Final = ((1_000, 1), (1 << 16, 2))  # up to this many connections, seconds until all are in use


class Load(Struct, frozen=True):
    """A load on a server: its way, its number of connections, its duration.

    `pause` is the mean of the milliseconds that each connection waits before its next request.
    """

    way: Way
    connections: int
    seconds: int
    pause: int = 0


class Pace(Struct, frozen=True):
    """A load at a constant rate, in requests per second; `kept`: on reused connections."""

    rate: int
    seconds: int
    kept: bool = True

    @property
    def load(self) -> Load:
        """Return the same rate on many reused connections, each of which waits for a random time between its requests.

        A slow response delays only the next request of its own connection, which are few. A program that sends at exact
        times would omit no waiting at all, if there were one that uses less CPU than the servers.
        """
        return Load("kept", _MANY, self.seconds, max(1, round(1000 * _MANY / self.rate)))


def over_http2(way: Way) -> bool:
    """Return whether this is HTTP/2."""
    return way in {"h2c", "h2"}


def by_h2load(way: Way) -> bool:
    """Return whether h2load generates this load: it speaks HTTP/2, and can open its connections before it measures."""
    return over_http2(way) or way == "open"


def over_tls(way: Way) -> bool:
    """Return whether this is over TLS."""
    return way in {"tls", "h2"}


def url(way: Way, port: int, target: str) -> str:
    """Return the URL of a local server."""
    return f"http{'s' if over_tls(way) else ''}://127.0.0.1:{port}{target}"


def script(request: Request, load: Load) -> str:
    """Return wrk's Lua script: the request, then what is common to all. Bodies repeat one letter."""
    fields = [*request.fields, *([("Connection", "close")] if load.way == "fresh" else [])]
    lines = [f"wrk.method = {json.dumps(request.method)}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in fields]
    if request.method == "POST":
        lines.append(f'wrk.body = string.rep("y", {len(request.body)})')
    lines.append(f"numbered = {'true' if load.way == 'numbered' else 'false'}")
    lines += [f"depth = {PIPELINED if load.way == 'pipelined' else 1}", f"pause = {load.pause}"]
    return "\n".join([*lines, _LUA.read_text(encoding="ascii")])


def wrk(load: Load, where: str, scripted: Path) -> list[str]:
    """Return wrk's command."""
    options = ["--threads=1", f"--connections={load.connections}", f"--duration={load.seconds}s"]
    return ["wrk", *options, f"--timeout={_PATIENCE}s", f"--script={scripted}", where]


def h2load(load: Load, where: str, request: Request, log: Path) -> list[str]:
    """Return h2load's command, which logs the time of each request to a file."""
    fields = [f"--header={name.lower()}: {value}" for name, value in request.fields]
    options = [f"--clients={load.connections}", f"--duration={load.seconds}", "--threads=1", f"--log-file={log}"]
    options.append(f"--warm-up-time={next(seconds for most, seconds in _WARM_UP if load.connections <= most)}")
    streams = ["--h1"] if load.way == "open" else [f"--max-concurrent-streams={_STREAMS}"]
    return ["h2load", *options, *streams, *fields, where]


def vegeta(program: Path, pace: Pace, where: str, request: Request) -> list[str]:
    """Return vegeta's command for a rate of new connections, which reads its target from a pipe and reports to another.

    It keeps the rate whatever the responses are, on as many connections as that takes, up to some hundreds. A slow
    response delays no other request, so no waiting is missing from the measurement.
    """
    fields = [f"-header={name}: {value}" for name, value in request.fields]
    options = [f"-rate={pace.rate}", f"-duration={pace.seconds}s", f"-timeout={_PATIENCE}s", f"-max-workers={_MOST}"]
    options.append("-keepalive=false")
    attack = shlex.join([str(program), "attack", *options, *fields])
    report = shlex.join([str(program), "report", "-type=json"])
    return ["sh", "-c", f"echo {shlex.quote(f'GET {where}')} | {attack} | {report}"]
