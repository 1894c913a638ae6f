"""One measurement: a running server, a load on it, its CPU, its faults."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import trustme
from msgspec import Struct

from tests.http.process import environment, free_ports
from tools.bench import checking, load, loading, processes, told
from tools.bench.asked import BARE, JSON, Request
from tools.bench.load import Load, Pace
from tools.bench.loading import Made
from tools.bench.peers import Subject
from tools.bench.told import LoadError
from tools.commands import Say
from tools.toolchain.__main__ import TOOLS, find


class NothingMeasuredError(Exception):
    """A load received no response in its time, or its tool did not end; the message says which."""


class Measured(Struct, frozen=True):
    """The result of a load: durations in seconds, and seconds of CPU of the server's processes."""

    requests_per_second: float
    p50: float
    p99: float
    cpu_per_request: float


class Running(Struct, frozen=True):
    """A running server, and the seconds until its first response."""

    subject: Subject
    process: subprocess.Popen[bytes]
    port: int
    seconds: float


class Bench(AbstractContextManager["Bench"]):
    """The servers of a run, each started when it is first requested, and stopped at the end of the run.

    `faults` are wrong responses: if there are any, no figure is reliable.
    """

    def __init__(self, say: Say, environ: Mapping[str, str]) -> None:
        self.say = say
        self.environ = environ
        self.cores = processes.cores()
        self.faults: list[str] = []
        self._running: dict[str, Running] = {}
        self._cleaned_by: set[Callable[[], None]] = set()
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self.folder = Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix="echo-bench-")))
        issued = trustme.CA().issue_cert("localhost", "127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(self.folder / "tls.crt")
        issued.private_key_pem.write_to_path(self.folder / "tls.key")
        # The load generators run on other processors than the servers; servers that may use all get them explicitly.
        self._held.callback(os.sched_setaffinity, 0, self.cores.all)
        os.sched_setaffinity(0, {self.cores.load})
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def clean_up(self, way: Callable[[], None]) -> None:
        """Register a function to call once at the end of the run, whatever happens, however often it is registered."""
        if way not in self._cleaned_by:
            self._cleaned_by.add(way)
            self._held.callback(way)

    def running(self, subject: Subject) -> Running:
        """Return a server that stays running, after starting it if necessary."""
        if subject.name not in self._running:
            self._running[subject.name] = self._held.enter_context(self.started(subject))
        return self._running[subject.name]

    @contextmanager
    def started(self, subject: Subject) -> Iterator[Running]:
        """Run a new server process, yielding when it responds correctly. Raise `ProcessError` if it does not start."""
        port, admin_port = free_ports(2)
        settings = {name: value.format(secret=self.folder) for name, value in subject.environ.items()}
        environ = {**environment(port=port, admin_port=admin_port), **settings}
        where = self.cores.all if subject.everywhere else self.cores.server
        command = processes.on(where, subject.program(self.folder, port))
        ready = partial(_ready, subject, port)
        with processes.started(command, environ, processes.on(self.cores.load, []), ready) as (process, seconds):
            yield Running(subject, process, port, seconds)

    def measure(self, subject: Subject, request: Request, how: Load) -> Measured:
        """Generate a load with the tool for its way, and return the result.

        Raise `NothingMeasuredError` if there is none.
        """
        server = self.running(subject)
        what = f"{request.kind}, {how.way}, connections: {how.connections}"
        where = load.url(how.way, server.port, subject.targets[request.kind])
        tool = loading.made(where, request, how, self.folder)
        return self._measured(server, what, partial(ask, server, request, how.way), tool)

    def paced(self, subject: Subject, request: Request, pace: Pace) -> Measured:
        """Generate a load at a constant rate, and return its result. Raise `NothingMeasuredError` if there is none."""
        if pace.kept:
            return self.measure(subject, request, pace.load)
        server = self.running(subject)
        where = load.url("fresh", server.port, subject.targets[request.kind])
        command = load.vegeta(find(TOOLS["vegeta"], self.environ), pace, where, request)
        what = f"{request.kind}, {pace.rate} a second"
        return self._measured(server, what, partial(ask, server, request), Made(command, told.by_vegeta))

    def _measured(self, server: Running, what: str, asked: checking.Ask, tool: Made) -> Measured:
        """Generate a load, and measure the server's CPU.

        Responses are checked immediately before, during and after it.
        """
        cores = self.cores.all if server.subject.everywhere else (self.cores.load,)
        wrong = [asked()]
        with checking.asking(asked) as meanwhile:
            said, used = loading.run(tool, cores, server.process.pid)
        try:
            loaded = tool.read(said)
        except LoadError as error:  # h2load waits for ever for a server that leaves connections open
            raise NothingMeasuredError(f"{server.subject.name}: {what}: {str(error).partition(chr(10))[0]}") from error
        wrong += [*meanwhile, asked()]
        if loaded.failed:
            failed = f"{loaded.failed} requests of {loaded.requests + loaded.failed} failed"
            self.say(f"{server.subject.name}: {what}: {failed}")
            wrong += [failed] if loaded.failed > server.subject.may_fail * loaded.requests else []
        self.faults += [f"{server.subject.name}: {what}: {fault}" for fault in wrong if fault]
        if not loaded.requests:
            raise NothingMeasuredError(
                f"{server.subject.name}: {what}: no request was answered in the time that it had"
            )
        return Measured(loaded.requests / loaded.seconds, loaded.p50, loaded.p99, used / loaded.requests)


def ask(server: Running, request: Request, way: load.Way = "kept") -> str:
    """Send one request to a server. Return what is wrong with its response, or an empty string."""
    subject = server.subject
    return checking.ask(server.port, subject.targets[request.kind], request, way, subject.checks[request.kind])


def _ready(subject: Subject, port: int) -> bool:
    request = BARE if "bare" in subject.targets else JSON
    return not checking.ask(port, subject.targets[request.kind], request, subject.way, subject.checks[request.kind])
