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
from app.http.observer import NULL_OBSERVER, Gauges
from app.server.certificate_store import CertificateStore
from app.server.clock import clock_for, drain_pending_reads
from app.server.connection import Connection
from app.server.limits import RequestLimits
from app.server.listener import Acceptor
from app.server.process import signals
from app.server.process.worker_status import WorkerStatus
from app.server.state import SHUTDOWN_GRACE, Limits, ServerState, Timeouts
from app.server.transport_filters import ListenerConfig
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
            directory = self.cfg.worker_tmp_dir
            self.log.warning(
                "failed to create a heartbeat file in %s: %s; using the temporary directory", directory, error.strerror
            )
            self._init_with_default_directory(arguments, directory)
        self.status = WorkerStatus()

    def _init_with_default_directory(self, arguments: tuple[Any, ...], directory: str | None) -> None:
        self.cfg.set("worker_tmp_dir", None)  # Python's own choice: TMPDIR, /tmp, ...
        try:
            super().__init__(*arguments)
        except OSError as error:
            message = f"failed to create a heartbeat file in {directory} and in the temporary directory: {error}"
            raise HaltServer(message) from error
        finally:
            self.cfg.set("worker_tmp_dir", directory)

    def init_process(self) -> None:
        """Create the event loop before gunicorn sets signals and calls `run`."""
        self.loop = uvloop.new_event_loop()
        self.wake_event = asyncio.Event()  # set when something happens that the main loop waits for
        self.drops_requests = False
        self.read_until = -math.inf  # by the loop's clock: all data that had arrived by then was read
        self.drain_deadline = math.inf  # by the loop's clock, too: requests in flight are dropped then
        super().init_process()

    def init_signals(self) -> None:
        """Make stop signals end the worker until it serves; called by gunicorn before it loads the application."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as unused signals since startup: a terminal ends the arbiter
        signals.exit_on_stop_signals()
        # A worker that hangs can't run an event: the arbiter's SIGABRT is handled at the place where it hangs.
        signal.signal(signal.SIGABRT, self._on_sigabrt)

    def _install_signal_handlers(self) -> None:
        """Make signals events of the loop, which must be running: SIGTERM drains, SIGINT and SIGQUIT stop at once."""
        self.loop.add_signal_handler(signal.SIGTERM, self._begin_stop)
        self.loop.add_signal_handler(signal.SIGINT, self._stop_immediately)
        self.loop.add_signal_handler(signal.SIGQUIT, self._stop_immediately)

    def _begin_stop(self) -> None:
        # Nine tenths of the drain time, so that the worker exits before the arbiter kills those that are late.
        self.drain_deadline = min(self.drain_deadline, self.loop.time() + self.app.settings.drain_seconds * 0.9)
        self.alive = False
        self.wake_event.set()

    def _stop_immediately(self) -> None:
        self.drops_requests = True
        self._begin_stop()

    def _on_sigabrt(self, number: int, frame: FrameType | None) -> None:
        self.handle_abort(number, frame)

    def run(self) -> None:
        """Serve until stopped."""
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self.loop.close()

    async def _serve(self) -> None:
        self._install_signal_handlers()
        settings = self.app.settings
        self.certificates: CertificateStore | None = self.app.certificates
        state = ServerState(
            _limits_from(settings),
            clock=clock_for(self.loop, time.time),
            report=self.log.error,
        )
        self.observer = self.app.telemetry.create_observer(state.call_later, state.report, partial(_read_gauges, state))
        acceptors = {port: await self._start_acceptor(state, sock) for port, sock in self._take_over_sockets()}
        self.status.accepting = True
        while self.alive and self.ppid == os.getppid():
            await self._run_turn(state, TICK)
        self._begin_stop()
        await self._drain(state, acceptors)

    async def _run_turn(self, state: ServerState, seconds: float) -> None:
        """Send a heartbeat, expire late connections, and wait for an event, at most `seconds`."""
        self.notify()
        state.expire_overdue(self.read_until)
        self.app.telemetry.publish()
        if self.certificates is not None:
            self.certificates.reload_if_changed(self.log.error)
        self.wake_event.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake_event.wait()
        self.read_until = await drain_pending_reads(self.loop)

    def _take_over_sockets(self) -> list[tuple[int, socket.socket]]:
        """Duplicate gunicorn's listening sockets, and close the originals. Return ports and duplicates."""
        owned = []
        for listener in self.sockets:
            sock = socket.socket(fileno=os.dup(listener.fileno()))
            sock.setblocking(False)
            owned.append((sock.getsockname()[1], sock))
            listener.close()
        return owned

    async def _start_acceptor(self, state: ServerState, sock: socket.socket) -> Acceptor:
        settings = self.app.settings
        host, port = sock.getsockname()[:2]
        environ = server_environ(host, port, multiprocess=self.cfg.workers > 1)
        if port == settings.port:
            certificates = self.certificates
            listener = ListenerConfig(
                self.wsgi,
                environ,
                expects_proxy_header=settings.proxy_protocol == "on",
                get_ssl_context=lambda: certificates.current_context if certificates else None,
                tls_only=settings.tls_only == "on",
                observer=self.observer or NULL_OBSERVER,
            )
        else:
            # Probes are answered even at the connection limit: otherwise the kubelet would kill a pod for being busy.
            listener = ListenerConfig(self.wsgi, environ, counts_toward_limit=False)
        # It does not matter which worker receives a probe: connections to the admin port are few and short.
        shared = port == settings.port and self.cfg.workers > 1
        return await Acceptor.start(sock, partial(Connection, state, listener), self.cfg.backlog, shared=shared)

    async def _drain(self, state: ServerState, acceptors: dict[int, Acceptor]) -> None:
        """Drain: readiness fails, the main listener closes, accepted requests are answered, everything closes.

        The admin port stays open to the end, so that the cluster can see that this worker is live and not ready.
        """
        state.on_connection_change = self.wake_event.set
        state.draining = True
        await acceptors[self.app.settings.port].drain_and_close()
        self.status.accepting = False
        # Only now: notified clients reconnect at once, and would meet a listener that is closing.
        state.begin_shutdown()
        await asyncio.sleep(0)  # the loop's clock stands still within a turn: clients get the whole second from here on
        idle_close_at = self.loop.time() + SHUTDOWN_GRACE
        while state.connections and not self.drops_requests and (now := self.loop.time()) < self.drain_deadline:
            closes_idle = self.read_until >= idle_close_at
            if closes_idle:
                state.close_idle()
            await self._run_turn(
                state, min(TICK, self.drain_deadline - now, TICK if closes_idle else max(0, idle_close_at - now))
            )
        for acceptor in acceptors.values():
            acceptor.close()
        state.abort_all()
        await asyncio.sleep(0)  # one turn of the loop closes the dropped connections
        self.app.telemetry.close()


def _read_gauges(state: ServerState) -> Gauges:
    in_flight, connections = state.count_in_flight()
    return Gauges(in_flight.requests, in_flight.websockets, connections, int(state.draining))


def _limits_from(settings: Settings) -> Limits:
    return Limits(
        request=RequestLimits(settings.max_header_bytes, settings.max_headers, settings.max_body),
        timeouts=Timeouts(
            settings.header_timeout, settings.body_timeout, settings.idle_timeout, settings.websocket_timeout
        ),
        connections=settings.max_connections,
        requests_per_connection=settings.max_requests,
        min_body_rate=settings.min_body_rate,
        concurrent_streams=settings.max_streams,
        message_size=settings.max_message,
        decoded_size=settings.max_decoded,
        memory_budget=settings.memory_budget,
    )
