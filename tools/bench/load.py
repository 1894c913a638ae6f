"""The tools that make load, none of which is ours, and what they are told."""

import json
import shlex
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from tools.bench.asked import Request

# kept: connections are kept; open: they are, and were made before it is measured; fresh: each request has its own;
# pipelined: several requests are sent at once; numbered: each has an X-Request-Id of its own, as behind many a proxy.
Way = Literal["kept", "open", "fresh", "pipelined", "numbered", "tls", "h2c", "h2"]
PIPELINED: Final = 16  # requests that are sent before their answers are read
_STREAMS: Final = 16  # requests under way on each connection of HTTP/2
_MOST: Final = 512  # requests under way at once, where a rate can't be kept up with
_MANY: Final = 256  # connections by which a rate is kept
_PATIENCE: Final = 30  # seconds after which a request has failed
_LUA: Final = Path(__file__).with_name("wrk.lua")
_WARM_UP: Final = ((1_000, 1), (1 << 16, 2))  # up to so many connections, seconds until all are made and in use


class Load(Struct, frozen=True):
    """How a server is asked: in which way, on how many connections, for how long.

    `pause` is the mean of the milliseconds that each connection waits before its next request.
    """

    way: Way
    connections: int
    seconds: int
    pause: int = 0


class Pace(Struct, frozen=True):
    """How a server is asked at a constant rate, in requests a second; `kept`: on connections that are kept."""

    rate: int
    seconds: int
    kept: bool = True

    @property
    def load(self) -> Load:
        """The same on many kept connections, each of which waits for a random time between its requests.

        One slow answer holds up none but the next request of its own connection, which are few. Where a program that
        asks at exact times would be at hand for less CPU than the servers take, it would leave out nothing at all.
        """
        return Load("kept", _MANY, self.seconds, max(1, round(1000 * _MANY / self.rate)))


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
    lines.append(f"numbered = {'true' if load.way == 'numbered' else 'false'}")
    lines += [f"depth = {PIPELINED if load.way == 'pipelined' else 1}", f"pause = {load.pause}"]
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


def vegeta(program: Path, pace: Pace, where: str, request: Request) -> list[str]:
    """Give vegeta's command for a pace of new connections, which reads its target from a pipe, and reports to another.

    It asks at the rate whatever comes back, on as many connections as that takes, up to some hundreds: one slow answer
    holds up no other request, and so none of the waiting is left out of what is measured.
    """
    fields = [f"-header={name}: {value}" for name, value in request.fields]
    options = [f"-rate={pace.rate}", f"-duration={pace.seconds}s", f"-timeout={_PATIENCE}s", f"-max-workers={_MOST}"]
    options.append("-keepalive=false")
    attack = shlex.join([str(program), "attack", *options, *fields])
    report = shlex.join([str(program), "report", "-type=json"])
    return ["sh", "-c", f"echo {shlex.quote(f'GET {where}')} | {attack} | {report}"]
