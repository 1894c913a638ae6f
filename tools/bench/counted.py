"""`python -m tools.bench.counted`: serve echo for instruction counts.

It serves as a worker does. Time passes as for echo on its own, and not as under the counting tool, which makes
everything take fifty times as long. Otherwise, what is made once a millisecond would be made for each request, and what
waits for other work would not find any.

It listens on a free local port, which it writes to stdout. Every line on stdin sets a mark, which a line on stdout
confirms; the end of stdin stops it. There is no worker heartbeat.
"""

import asyncio
import gc
import itertools
import os
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import uvloop
from msgspec import structs

from app.bootstrap import read_configuration
from app.echo import routes
from app.echo.handler import EchoHandler
from app.http.observer import NULL_OBSERVER, Gauges
from app.server.clock import Clock, clock_for
from app.server.connection import Connection
from app.server.limits import RequestLimits
from app.server.state import Limits, ServerState, Timeouts
from app.server.transport_filters import ListenerConfig
from app.server.wsgi import server_environ
from app.telemetry.telemetry import Telemetry

_BOUNDS = Limits(
    request=RequestLimits(head_size=65_536, header_count=256, body_size=1 << 30),
    timeouts=Timeouts(head=600, body=600, idle=600),
    connections=100,
)
_SLOWER: Final = 50
_LOOK: Final = 50e-6  # seconds that pass from one clock reading to the next: a request reads it two or three times


def clock(begin: float) -> Callable[[], float]:
    """Return a clock that advances only when it is read."""
    return partial(next, itertools.count(begin, _LOOK))


def slowed(time: Clock) -> Clock:
    """Return the time as it is without the counting tool."""
    later = time.call_later
    return structs.replace(time, perf_counter=clock(0), call_later=lambda seconds, call: later(seconds * _SLOWER, call))


async def serve(sock: socket.socket) -> None:
    """Serve on a listening socket until stdin ends."""
    host, port = sock.getsockname()
    configured = read_configuration({"ECHO_PORT": str(port)})
    settings, policy = configured.settings, configured.policy
    loop = asyncio.get_running_loop()
    now = clock(time.time())
    service = ServerState(_BOUNDS, clock=slowed(clock_for(loop, now)), report=partial(print, file=sys.stderr))
    # Like the worker's, which dispatches each port's requests.
    answers = routes.dispatch_by_port({port: routes.echo_app(EchoHandler(settings, policy, clock=now))})
    watch = Telemetry(settings, policy).create_observer(service.call_later, service.report, Gauges)
    listener = ListenerConfig(answers, server_environ(host, port, multiprocess=False), observer=watch or NULL_OBSERVER)
    server = await loop.create_server(partial(Connection, service, listener), sock=sock)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, mark, ended)
    print(port, flush=True)  # noqa: T201 - whoever counts reads it
    await ended.wait()
    server.close()


def mark(ended: asyncio.Event) -> None:
    """Set a mark for callgrind: call a function of the C library that nothing else here calls."""
    if os.read(sys.stdin.fileno(), 1):
        os.getloadavg()
        os.write(sys.stdout.fileno(), b"\n")
    else:
        ended.set()


if __name__ == "__main__":
    gc.collect()
    gc.freeze()  # as in `app.bootstrap.EchoApplication.run`
    uvloop.run(serve(socket.create_server(("127.0.0.1", 0))))
