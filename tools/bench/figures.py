"""Table of figures: what is measured, on which servers, and how.

Each row also names what it is compared with.
"""

from functools import partial
from typing import Final

from tools.bench import apart
from tools.bench.asked import BARE, JSON, Request, posting
from tools.bench.load import Way, over_http2
from tools.bench.peers import (
    ECHO,
    FORTIO,
    GO_HTTPBIN,
    GTHREAD,
    HTTP_ECHO_SERVER,
    PYTHON_HTTPBIN,
    QUIET_GO_HTTPBIN,
    SECURE,
    SECURE_GO_HTTPBIN,
    SILENT,
    WATCHED,
    Subject,
    with_workers,
)
from tools.bench.results import Row
from tools.bench.rounds import USUAL, Cell, Measurable, Measure, Round, Value

CPU: Final = "s/request"
_RATE: Final = "requests/s"
_FEW: Final = 8  # HTTP/2 connections, each with several concurrent requests
_SLOW_RATE: Final = 100.0  # requests per second: http-echo-server keeps each connection for two seconds


def _pair(value: Value, request: Request, peer: Subject, ours: Subject = ECHO, way: Way = "kept") -> Measure:
    connections = _FEW if over_http2(way) else USUAL
    return lambda this: this.compared(value, *(Cell(each, request, way, connections) for each in (ours, peer)))


def _at_half(of: Subject, this: Round) -> dict[str, float]:
    """Compare the latencies at half of the rate that one of them reaches."""
    top = this.measured(Cell(of, JSON)).requests_per_second
    return this.paced("p99", JSON, top / 2, ECHO, GO_HTTPBIN)


def _flat(this: Round) -> dict[str, float]:
    """Compare the highest CPU cost of a request, by number of connections, with the lowest."""
    costs = [this.measured(Cell(ECHO, JSON, "open", count)).cpu_per_request for count in (8, 64, 512, 4096)]
    return {"echo, highest": max(costs), "echo, lowest": min(costs)}


_TWO: Final = with_workers(2)
_CPU: Final[Value] = "cpu_per_request"
KIB, MIB = 1 << 10, 1 << 20

# Requirements for echo: goals, and limits that must hold.
ASKED: Final = (
    Measurable(
        Row(key="cpu-json", name="CPU per request, JSON, vs go-httpbin /anything", unit=CPU, goal=1.0, bound=1.5),
        _pair(_CPU, JSON, GO_HTTPBIN),
    ),
    Measurable(
        Row(key="cpu-bare", name="CPU per request, bare, vs go-httpbin /status/200", unit=CPU, goal=1.0, bound=1.6),
        _pair(_CPU, BARE, GO_HTTPBIN),
    ),
    Measurable(
        Row(key="cpu-httpbin", name="CPU per request, JSON, vs httpbin /anything", unit=CPU, goal=0.08, bound=0.15),
        _pair(_CPU, JSON, PYTHON_HTTPBIN),
    ),
    Measurable(
        Row(
            key="cpu-gthread",
            name="CPU per request, JSON, vs our application, gthread",
            unit=CPU,
            goal=0.15,
            bound=0.25,
        ),
        _pair(_CPU, JSON, GTHREAD),
    ),
    Measurable(
        Row(key="p99", name="p99 at half of go-httpbin's top rate, JSON, vs go-httpbin", unit="s", goal=1.2, bound=1.5),
        partial(_at_half, GO_HTTPBIN),
    ),
    Measurable(
        Row(
            key="two-cores",
            name="requests a second, JSON, 2 workers on 2 cores, vs go-httpbin",
            unit=_RATE,
            goal=1.0,
            bound=0.9,
            better="more",
        ),
        _pair("requests_per_second", JSON, _TWO[1], _TWO[0]),
    ),
    Measurable(
        Row(key="upload", name="1 GiB upload, vs sha256sum", unit="B/s", goal=0.8, bound=0.5, better="more"),
        apart.upload,
    ),
    Measurable(
        Row(key="memory", name="memory of one worker and its arbiter, idle, vs httpbin", unit="B", goal=0.7, bound=0.9),
        apart.memory,
        alone=True,
    ),
    Measurable(Row(key="start", name="start to first 200", unit="s", goal=0.3, bound=0.5), apart.start, alone=True),
    Measurable(Row(key="image", name="image above its base", unit="B", goal=6e6, bound=8e6), apart.image, alone=True),
    Measurable(
        Row(key="rebuild", name="rebuild after an edit in app/", unit="s", goal=2.0, bound=4.0),
        apart.rebuild,
        alone=True,
    ),
    Measurable(
        Row(key="watched", name="CPU per request, JSON, metrics and JSON log vs off", unit=CPU, goal=1.1, bound=1.25),
        _pair(_CPU, JSON, SILENT, WATCHED),
    ),
    Measurable(
        Row(
            key="watched-bare",
            name="CPU per request, bare, metrics and JSON log vs off",
            unit=CPU,
            goal=1.1,
            bound=1.25,
        ),
        _pair(_CPU, BARE, SILENT, WATCHED),
    ),
    Measurable(
        Row(key="idle", name="memory of each of 1,000 idle connections", unit="B", goal=12.0 * KIB, bound=24.0 * KIB),
        apart.idle,
        alone=True,
    ),
    Measurable(
        Row(key="flat", name="CPU per request, JSON, 8 to 4,096 connections, highest vs lowest", unit=CPU, bound=1.2),
        _flat,
    ),
)

# Figures reported for information only.
BESIDE: Final = (
    Measurable(
        Row(key="quiet-json", name="CPU per request, JSON, vs go-httpbin without its log", unit=CPU),
        _pair(_CPU, JSON, QUIET_GO_HTTPBIN),
    ),
    Measurable(
        Row(key="quiet-bare", name="CPU per request, bare, vs go-httpbin without its log", unit=CPU),
        _pair(_CPU, BARE, QUIET_GO_HTTPBIN),
    ),
    Measurable(Row(key="fortio", name="CPU per request, bare, vs fortio server", unit=CPU), _pair(_CPU, BARE, FORTIO)),
    Measurable(
        Row(
            key="http-echo-server",
            name="CPU per request, JSON, 100 new connections a second, vs http-echo-server",
            unit=CPU,
        ),
        lambda this: this.paced(_CPU, JSON, _SLOW_RATE, ECHO, HTTP_ECHO_SERVER, kept=False),
    ),
    Measurable(
        Row(key="p99-ours", name="p99 at half of our own top rate, JSON, vs go-httpbin", unit="s"),
        partial(_at_half, ECHO),
    ),
    Measurable(
        Row(key="fresh", name="CPU per request, JSON, a new connection each, vs go-httpbin", unit=CPU),
        _pair(_CPU, JSON, GO_HTTPBIN, way="fresh"),
    ),
    Measurable(
        Row(key="numbered", name="CPU per request, JSON, an X-Request-Id of its own each, vs go-httpbin", unit=CPU),
        _pair(_CPU, JSON, GO_HTTPBIN, way="numbered"),
    ),
    Measurable(
        Row(key="pipelined", name="CPU per request, bare, pipelined, vs go-httpbin", unit=CPU),
        _pair(_CPU, BARE, GO_HTTPBIN, way="pipelined"),
    ),
    Measurable(
        Row(key="post", name="CPU per request, POST of 1 KiB, vs go-httpbin", unit=CPU),
        _pair(_CPU, posting(KIB), GO_HTTPBIN),
    ),
    Measurable(
        Row(key="post-large", name="CPU per request, POST of 1 MiB, vs go-httpbin", unit=CPU),
        _pair(_CPU, posting(MIB), GO_HTTPBIN),
    ),
    Measurable(
        Row(key="h2c", name="CPU per request, bare, h2c, vs fortio server", unit=CPU),
        _pair(_CPU, BARE, FORTIO, way="h2c"),
    ),
    Measurable(
        Row(key="tls", name="CPU per request, JSON, TLS, vs go-httpbin", unit=CPU),
        _pair(_CPU, JSON, SECURE_GO_HTTPBIN, SECURE, "tls"),
    ),
    Measurable(
        Row(key="h2", name="CPU per request, JSON, HTTP/2 over TLS, vs go-httpbin", unit=CPU),
        _pair(_CPU, JSON, SECURE_GO_HTTPBIN, SECURE, "h2"),
    ),
)
FIGURES: Final = {each.row.key: each for each in (*ASKED, *BESIDE)}
