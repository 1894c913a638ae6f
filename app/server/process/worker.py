"""gunicorn worker class: event loop, signals, heartbeat, listeners, drain.

It follows gunicorn's custom worker interface (`gunicorn.workers.base.Worker`): the worker calls `notify()` more often
than the timeout, exits when its parent has changed, and closes its own listeners.
"""

import asyncio
import math
import os
import signal
import socket
import time
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, Final

import uvloop
from gunicorn.errors import HaltServer
from gunicorn.workers.base import Worker as GunicornWorker

from app.config.settings import Settings
from app.http.observer import UNWATCHED, Gauges
from app.server.certificate_store import Contexts
from app.server.clock import caught_up, time_of
from app.server.connection import Connection
from app.server.limits import Limits
from app.server.listener import Acceptor
from app.server.process import signals
from app.server.process.worker_status import WorkerStatus
from app.server.state import LAST_CALL, Bounds, Service, Timeouts
from app.server.transport_filters import Listener
from app.server.wsgi import server_environ

TICK: Final = 0.5  # seconds between heartbeats, and the maximum delay of a deadline


class Worker(GunicornWorker):  # type: ignore[misc]  # gunicorn has no types
    """An asyncio worker on uvloop, one per process. Its settings are those of `app.bootstrap.EchoApplication`."""

    def __init__(self, *arguments: Any) -> None:
        """Create the worker, in the arbiter, with a heartbeat file where there is space for one.

        /dev/shm may be full, now or when a worker has to be replaced, which is no reason to stop those that serve.
        Raise `HaltServer` with a message if no other directory will do either.
        """
        try:
            super().__init__(*arguments)
        except OSError as error:
            place = self.cfg.worker_tmp_dir
            self.log.warning(
                "failed to create a heartbeat file in %s: %s; using the temporary directory", place, error.strerror
            )
            self._make_elsewhere(arguments, place)
        self.status = WorkerStatus()

    def _make_elsewhere(self, arguments: tuple[Any, ...], place: str | None) -> None:
        self.cfg.set("worker_tmp_dir", None)  # Python's own choice: TMPDIR, /tmp, ...
        try:
            super().__init__(*arguments)
        except OSError as error:
            what = f"failed to create a heartbeat file in {place} and in the temporary directory: {error}"
            raise HaltServer(what) from error
        finally:
            self.cfg.set("worker_tmp_dir", place)

    def init_process(self) -> None:
        """Create the event loop before gunicorn sets signals and calls `run`."""
        self.loop = uvloop.new_event_loop()
        self.wake = asyncio.Event()  # set when something happens that the main loop waits for
        self.at_once = False
        self.read_until = -math.inf  # by the loop's clock: all data that had arrived by then was read
        self.deadline = math.inf  # by the loop's clock, too: requests in flight are dropped then
        super().init_process()

    def init_signals(self) -> None:
        """Make stop signals end the worker until it serves; called by gunicorn before it loads the application."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as unused signals since startup: a terminal ends the arbiter
        signals.exit_on_stop_signals()
        # A worker that hangs can't run an event: the arbiter's SIGABRT is handled at the place where it hangs.
        signal.signal(signal.SIGABRT, self._abort)

    def _take_signals(self) -> None:
        """Make signals events of the loop, which must be running: SIGTERM drains, SIGINT and SIGQUIT stop at once."""
        self.loop.add_signal_handler(signal.SIGTERM, self._stop)
        self.loop.add_signal_handler(signal.SIGINT, self._stop_at_once)
        self.loop.add_signal_handler(signal.SIGQUIT, self._stop_at_once)

    def _stop(self) -> None:
        # Nine tenths of the drain time, so that the worker exits before the arbiter kills those that are late.
        self.deadline = min(self.deadline, self.loop.time() + self.app.settings.drain_seconds * 0.9)
        self.alive = False
        self.wake.set()

    def _stop_at_once(self) -> None:
        self.at_once = True
        self._stop()

    def _abort(self, number: int, frame: FrameType | None) -> None:
        self.handle_abort(number, frame)

    def run(self) -> None:
        """Serve until stopped."""
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self.loop.close()

    async def _serve(self) -> None:
        self._take_signals()
        settings = self.app.settings
        self.contexts: Contexts | None = self.app.contexts
        service = Service(
            _bounds(settings),
            time=time_of(self.loop, time.time),
            report=self.log.error,
        )
        self.watch = self.app.telemetry.watch(service.later, service.report, partial(_gauges, service))
        listeners = {port: await self._listen(service, sock) for port, sock in self._sockets()}
        self.status.accepting = True
        while self.alive and self.ppid == os.getppid():
            await self._turn(service, TICK)
        self._stop()
        await self._drain(service, listeners)

    async def _turn(self, service: Service, seconds: float) -> None:
        """Send a heartbeat, expire late connections, and wait for an event, at most `seconds`."""
        self.notify()
        service.sweep(self.read_until)
        self.app.telemetry.publish()
        if self.contexts is not None:
            self.contexts.refresh(self.log.error)
        self.wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        self.read_until = await caught_up(self.loop)

    def _sockets(self) -> list[tuple[int, socket.socket]]:
        """Duplicate gunicorn's listening sockets, and close the originals. Return ports and duplicates."""
        taken = []
        for listener in self.sockets:
            sock = socket.socket(fileno=os.dup(listener.fileno()))
            sock.setblocking(False)
            taken.append((sock.getsockname()[1], sock))
            listener.close()
        return taken

    async def _listen(self, service: Service, sock: socket.socket) -> Acceptor:
        settings = self.app.settings
        host, port = sock.getsockname()[:2]
        environ = server_environ(host, port, multiprocess=self.cfg.workers > 1)
        if port == settings.port:
            contexts = self.contexts
            listener = Listener(
                self.wsgi,
                environ,
                proxied=settings.proxy_protocol == "on",
                context=lambda: contexts.current if contexts else None,
                tls_only=settings.tls_only == "on",
                watch=self.watch or UNWATCHED,
            )
        else:
            # Probes are answered even at the connection limit: otherwise the kubelet would kill a pod for being busy.
            listener = Listener(self.wsgi, environ, counted=False)
        # It does not matter which worker receives a probe: connections to the admin port are few and short.
        shared = port == settings.port and self.cfg.workers > 1
        return await Acceptor.begin(sock, partial(Connection, service, listener), self.cfg.backlog, shared=shared)

    async def _drain(self, service: Service, listeners: dict[int, Acceptor]) -> None:
        """Drain: readiness fails, the main listener closes, accepted requests are answered, everything closes.

        The admin port stays open to the end, so that the cluster can see that this worker is live and not ready.
        """
        service.changed = self.wake.set
        service.draining = True
        await listeners[self.app.settings.port].close_in_order()
        self.status.accepting = False
        # Only now: notified clients reconnect at once, and would meet a listener that is closing.
        service.drain()
        await asyncio.sleep(0)  # the loop's clock stands still within a turn: clients get the whole second from here on
        last_call = self.loop.time() + LAST_CALL
        while service.connections and not self.at_once and (now := self.loop.time()) < self.deadline:
            called = self.read_until >= last_call
            if called:
                service.last_call()
            await self._turn(service, min(TICK, self.deadline - now, TICK if called else max(0, last_call - now)))
        for listener in listeners.values():
            listener.close()
        service.abort()
        await asyncio.sleep(0)  # one turn of the loop closes the dropped connections
        self.app.telemetry.close()


def _gauges(service: Service) -> Gauges:
    under_way, connections = service.counts()
    return Gauges(under_way.requests, under_way.websockets, connections, int(service.draining))


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        limits=Limits(settings.max_header_bytes, settings.max_headers, settings.max_body),
        timeouts=Timeouts(
            settings.header_timeout, settings.body_timeout, settings.idle_timeout, settings.websocket_timeout
        ),
        connections=settings.max_connections,
        requests=settings.max_requests,
        body_rate=settings.min_body_rate,
        streams=settings.max_streams,
        message=settings.max_message,
        decoded=settings.max_decoded,
        held=settings.memory_budget,
    )
