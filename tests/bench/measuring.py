"""One measurement: a server that runs, a load on it, what it used for that, and whether it answered rightly."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Self

import trustme
from msgspec import Struct

from tests.bench import checking, load, processes
from tests.bench.asked import BARE, JSON, Request
from tests.bench.load import Load, Loaded, Pace
from tests.bench.peers import Subject
from tests.commands import Say
from tests.http.process import environment, free_ports
from tests.toolchain.__main__ import TOOLS, find

_BEYOND: Final = 90.0  # seconds that a load may take beyond its duration


class Measured(Struct, frozen=True):
    """What a load has shown: seconds, and seconds of CPU of the server's processes."""

    requests_per_second: float
    p50: float
    p99: float
    cpu_per_request: float


class Running(Struct, frozen=True):
    """A server that runs, and after how many seconds it answered."""

    subject: Subject
    process: subprocess.Popen[bytes]
    port: int
    seconds: float


class Bench(AbstractContextManager["Bench"]):
    """The servers of a run, each started when it is first asked for, and ended with the run.

    `faults` are answers that were wrong: while there are any, no figure is to be believed.
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
        # What asks is not where the servers are; those who may be everywhere are told so.
        self._held.callback(os.sched_setaffinity, 0, self.cores.all)
        os.sched_setaffinity(0, {self.cores.load})
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def clean_up(self, way: Callable[[], None]) -> None:
        """Do something when the run is over, whatever happens; once, however often it is said."""
        if way not in self._cleaned_by:
            self._cleaned_by.add(way)
            self._held.callback(way)

    def running(self, subject: Subject) -> Running:
        """Give a server that is kept running, started when it was not."""
        if subject.name not in self._running:
            self._running[subject.name] = self._held.enter_context(self.started(subject))
        return self._running[subject.name]

    @contextmanager
    def started(self, subject: Subject) -> Iterator[Running]:
        """Run a server anew, from when it answers rightly. Raises `ProcessError`."""
        port, admin_port = free_ports(2)
        settings = {name: value.format(secret=self.folder) for name, value in subject.environ.items()}
        environ = {**environment(port=port, admin_port=admin_port), **settings}
        where = self.cores.all if subject.everywhere else self.cores.server
        command = processes.on(where, subject.program(self.folder, port))
        ready = partial(_ready, subject, port)
        with processes.started(command, environ, processes.on(self.cores.load, []), ready) as (process, seconds):
            yield Running(subject, process, port, seconds)

    def measure(self, subject: Subject, request: Request, how: Load) -> Measured:
        """Make as much load as it takes, and give what it showed."""
        server = self.running(subject)
        where = load.url(how.way, server.port, subject.targets[request.kind])
        if load.over_http2(how.way):
            command, told = load.h2load(how, where, request), load.told_by_h2load
        else:
            scripted = self.folder / "asked.lua"
            scripted.write_text(load.script(request, how), encoding="ascii")
            command, told = load.wrk(how, where, scripted), load.told_by_wrk
        what = f"{request.kind}, {how.way}, connections: {how.connections}"
        return self._measured(
            server, what, partial(ask, server, request, how.way), lambda: told(self._run(server, command))
        )

    def paced(self, subject: Subject, request: Request, pace: Pace) -> Measured:
        """Ask at a constant rate, and give what that showed."""
        server = self.running(subject)
        where = load.url("kept", server.port, subject.targets[request.kind])
        command = load.vegeta(find(TOOLS["vegeta"], self.environ), pace, where, request)
        what = f"{request.kind}, {pace.rate} a second"
        return self._measured(
            server, what, partial(ask, server, request), lambda: load.told_by_vegeta(self._run(server, command))
        )

    def _measured(self, server: Running, what: str, asked: checking.Ask, loading: Callable[[], Loaded]) -> Measured:
        """Make a load, and see what the server uses for it. Answers are checked right before, meanwhile, and after."""
        wrong = [asked()]
        with checking.asking(asked) as meanwhile:
            began = processes.cpu_seconds(server.process.pid)
            loaded = loading()
            used = processes.cpu_seconds(server.process.pid) - began
        wrong += [*meanwhile, asked()]
        if loaded.failed:
            wrong.append(f"{loaded.failed} requests of {loaded.requests + loaded.failed} failed")
        if not loaded.requests:
            wrong.append("no request was answered")
        self.faults += [f"{server.subject.name}: {what}: {fault}" for fault in wrong if fault]
        answered = max(1, loaded.requests)
        return Measured(answered / loaded.seconds, loaded.p50, loaded.p99, used / answered)

    def _run(self, server: Running, command: list[str]) -> str:
        where = self.cores.all if server.subject.everywhere else self.cores.load
        with subprocess.Popen(
            processes.on(where, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        ) as process:
            try:
                output, _ = process.communicate(timeout=_BEYOND)
            except BaseException:
                processes.end(process)
                raise
        return output


def ask(server: Running, request: Request, way: load.Way = "kept") -> str:
    """Ask a server once; give what is wrong with its answer, or nothing."""
    subject = server.subject
    return checking.ask(server.port, subject.targets[request.kind], request, way, subject.checks[request.kind])


def _ready(subject: Subject, port: int) -> bool:
    request = BARE if "bare" in subject.targets else JSON
    return not checking.ask(port, subject.targets[request.kind], request, subject.way, subject.checks[request.kind])
