"""Figures that need no load: memory, start, large upload, image.

Each function measures one round.
"""

import hashlib
import json
import shutil
import socket
import time
from contextlib import ExitStack, suppress
from http.client import HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import uuid4

from tools.bench import measuring, processes
from tools.bench.asked import BARE
from tools.bench.peers import ECHO, PYTHON_HTTPBIN
from tools.bench.rounds import NotMeasuredError, Round
from tools.commands import ROOT, CommandError, run

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a file in memory is what is meant
_UPLOAD: Final = 1 << 30  # bytes
_BLOCK: Final = 1 << 20
_IDLE: Final = 1_000  # connections
_PATIENCE: Final = 60.0  # seconds
_BUILD_DEADLINE: Final = 900.0
_IMAGE: Final = "echo:bench"
_OURS_BEGINS: Final = "ECHO_HOST"  # what the first instruction of ours in the Dockerfile's last stage sets
_EDITED: Final = "app/http/headers/names.py"


def memory(this: Round) -> dict[str, float]:
    """Return the memory in bytes of an idle server, one worker and its arbiter, that has answered a request."""
    taken = {}
    for subject in (ECHO, PYTHON_HTTPBIN):
        with this.bench.started(subject) as server:
            taken[subject.name] = float(processes.memory(server.process.pid))
    return taken


def start(this: Round) -> dict[str, float]:
    """Return the seconds from the start of a process to its first response."""
    with this.bench.started(ECHO) as server:
        return {ECHO.name: server.seconds}


def idle(this: Round) -> dict[str, float]:
    """Return the bytes that each of many idle connections adds to a server after it has received one response."""
    with this.bench.started(ECHO) as server, ExitStack() as held:
        before = processes.memory(server.process.pid)
        for _ in range(_IDLE):
            sock = held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=_PATIENCE))
            sock.sendall(b"GET /blah/blah HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = HTTPResponse(sock)
            answer.begin()
            answer.read()
        grown = processes.memory(server.process.pid) - before
        if fault := measuring.ask(server, BARE):
            this.bench.faults.append(f"{ECHO.name}, {_IDLE} idle connections: {fault}")
        return {ECHO.name: grown / _IDLE}


def upload(this: Round) -> dict[str, float]:
    """Return the bytes per second of an upload from memory, and those at which sha256sum reads the same file."""
    if shutil.disk_usage(_MEMORY).free < 2 * _UPLOAD:
        raise NotMeasuredError(f"{_MEMORY} has no room for a file of {_UPLOAD >> 30} GiB")
    with TemporaryDirectory(dir=_MEMORY, prefix="echo-bench-") as folder:
        file = Path(folder) / "body"
        block = hashlib.shake_256(b"body").digest(_BLOCK)
        with file.open("wb") as output:
            for _ in range(_UPLOAD // _BLOCK):
                output.write(block)
        server = this.bench.running(ECHO)
        ours, told = _uploaded(server.port, file)
        began = time.perf_counter()
        digest = run(*processes.on(this.bench.cores.server, ["sha256sum", str(file)])).split()[0]
        theirs = time.perf_counter() - began
    if told != digest:
        this.bench.faults.append(f"{ECHO.name}, upload of {_UPLOAD} bytes: SHA-256 {told} instead of {digest}")
    return {ECHO.name: _UPLOAD / ours, "sha256sum": _UPLOAD / theirs}


def _uploaded(port: int, file: Path) -> tuple[float, str]:
    """Send a file as a body. Return the seconds until the response, and the digest that the response reports."""
    fields = f"Host: a\r\nAccept: application/json\r\nContent-Length: {file.stat().st_size}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE) as sock, file.open("rb") as body:
        began = time.perf_counter()
        sock.sendall(f"POST /anything HTTP/1.1\r\n{fields}\r\n".encode())
        sock.sendfile(body)
        answer = HTTPResponse(sock)
        answer.begin()
        told = answer.read()
        took = time.perf_counter() - began
    return took, json.loads(told)["body"]["sha256"]


def image(this: Round) -> dict[str, float]:
    """Return the size of the image above its base, in bytes."""
    _with_engine(this)
    run("make", "image", f"IMAGE={_IMAGE}", deadline=_BUILD_DEADLINE)
    told = run("docker", "history", "--no-trunc", "--human=false", "--format={{.Size}}\t{{.CreatedBy}}", _IMAGE)
    return {ECHO.name: float(added(told))}


def added(history: str) -> int:
    """Return the sum of the layers above the base's, from docker's output, which lists the newest layer first."""
    total = 0
    for line in history.splitlines():
        size, _, made_by = line.partition("\t")
        total += int(size)
        if _OURS_BEGINS in made_by:
            return total
    raise NotMeasuredError(f"the image's history does not tell where the base ends: no {_OURS_BEGINS}")


def rebuild(this: Round) -> dict[str, float]:
    """Return the seconds that a rebuild of the image takes after an edit of one file."""
    _with_engine(this)
    copy = this.bench.folder / "copy"
    if not copy.exists():
        run("git", "clone", "--quiet", "--shared", ROOT, copy)
        run("make", "-C", copy, "image", f"IMAGE={_IMAGE}", deadline=_BUILD_DEADLINE)
    edited = copy / _EDITED
    # A unique content, because the engine would reuse its cached layers for one that it has built before.
    edited.write_text(f"{edited.read_text(encoding='utf-8')}# edited {uuid4()}\n", encoding="utf-8")
    began = time.perf_counter()
    run("make", "-C", copy, "image", f"IMAGE={_IMAGE}", deadline=_BUILD_DEADLINE)
    return {ECHO.name: time.perf_counter() - began}


def _with_engine(this: Round) -> None:
    try:
        run("docker", "info")
    except (CommandError, OSError) as error:
        raise NotMeasuredError("docker is not reached") from error
    this.bench.clean_up(_take_away_image)


def _take_away_image() -> None:
    with suppress(CommandError):  # another row's build has done it, or there was no build
        run("docker", "image", "rm", _IMAGE)
