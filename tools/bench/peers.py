"""Servers that are measured: echo in several settings, and peers.

Each peer is started as its authors start it.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tools.bench.asked import Kind
from tools.bench.checking import Check, bare_line, echoed, empty, raw, shown
from tools.bench.load import Way
from tools.commands import ROOT, run
from tools.toolchain.__main__ import TOOLS, find

# Virtual environments, which the Makefile creates with a Python built like the image's: echo's, and the peers'.
OURS: Final = ROOT / ".tools" / "bench" / "echo" / "bin" / "python"
ENVIRONMENT: Final = ROOT / ".tools" / "bench" / "peers"
_NODE: Final = ROOT / ".tools" / "http-echo-server"
_LOCKED: Final = Path(__file__).parent / "http-echo-server"
_INSTALL_DEADLINE: Final = 300.0  # seconds
_LARGEST: Final = 1 << 26  # maximum body size in bytes that go-httpbin is configured with: the largest of our curves

Program = Callable[[Path, int], list[str]]


class Subject(Struct, frozen=True):
    """A server: the command that starts it, from a folder with `tls.crt` and `tls.key` and its port.

    By the kind of a request, `targets` has its target, and `checks` the check of its response; `way` is one that the
    server supports. On one processor alone, a Go program assumes that there are no others (GOMAXPROCS=1); `everywhere`
    allows it all. `may_fail` is the share of requests that it may lose on a busy machine, if it has timeouts of its
    own.
    """

    name: str
    program: Program
    targets: Mapping[Kind, str]
    checks: Mapping[Kind, Check]
    environ: Mapping[str, str] = MappingProxyType({})
    everywhere: bool = False
    way: Way = "kept"
    may_fail: float = 0.01


def _echo(_: Path, __: int) -> list[str]:
    return [str(OURS), "-m", "app"]


def _gthread(_: Path, port: int) -> list[str]:
    plain = ["--worker-class=gthread", f"--bind=127.0.0.1:{port}", "tools.bench.plain:application"]
    return [str(OURS), "-m", "gunicorn", *plain]


def _httpbin(_: Path, port: int) -> list[str]:
    # The command of the project's own image: one worker, of gevent's.
    return [str(ENVIRONMENT / "bin" / "gunicorn"), f"--bind=127.0.0.1:{port}", "httpbin:app", "--worker-class=gevent"]


def _go_httpbin(_: Path, port: int) -> list[str]:
    where = ["-host", "127.0.0.1", "-port", str(port)]
    return [str(find(TOOLS["go-httpbin"], os.environ)), *where, "-max-body-size", str(_LARGEST)]


def _quiet_go_httpbin(secret: Path, port: int) -> list[str]:
    return [*_go_httpbin(secret, port), "-log-level", "OFF"]


def _go_httpbin_with_tls(secret: Path, port: int) -> list[str]:
    files = ["-https-cert-file", str(secret / "tls.crt"), "-https-key-file", str(secret / "tls.key")]
    return [*_go_httpbin(secret, port), *files]


def _fortio(_: Path, port: int) -> list[str]:
    return [str(find(TOOLS["fortio"], os.environ)), f"127.0.0.1:{port}"]


def _http_echo_server(_: Path, port: int) -> list[str]:
    package = _NODE / "node_modules" / "http-echo-server" / "index.js"
    if not package.exists():
        _NODE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_LOCKED / name, _NODE)
        run("npm", "ci", "--prefix", _NODE, "--silent", "--no-audit", "--no-fund", deadline=_INSTALL_DEADLINE)
    return ["node", str(package), str(port)]


def _ours(name: str, *, everywhere: bool = False, **settings: str) -> Subject:
    return Subject(
        name,
        _echo,
        {"bare": "/blah/blah", "json": "/anything", "form": "/anything"},
        {"bare": bare_line, "json": shown, "form": shown},
        {f"ECHO_{each.upper()}": value for each, value in settings.items()},
        everywhere,
        may_fail=0.0,
    )


def _of_httpbins_kind(name: str, program: Program, environ: Mapping[str, str], *, everywhere: bool) -> Subject:
    # Without the argument httpbin omits the headers that proxies add.
    everything = "/anything?show_env=1" if program is _httpbin else "/anything"
    targets: dict[Kind, str] = {"bare": "/status/200", "json": everything, "form": everything}
    return Subject(name, program, targets, {"bare": empty, "json": shown, "form": shown}, environ, everywhere)


ECHO: Final = _ours("echo")
SILENT: Final = _ours("echo, neither metrics nor log", metrics="off")
WATCHED: Final = _ours("echo, metrics and JSON log", access_log="json")
SECURE: Final = replace(_ours("echo, TLS", tls_cert="{secret}/tls.crt", tls_key="{secret}/tls.key"), way="tls")
GO_HTTPBIN: Final = _of_httpbins_kind("go-httpbin", _go_httpbin, {}, everywhere=False)
QUIET_GO_HTTPBIN: Final = _of_httpbins_kind("go-httpbin, no log", _quiet_go_httpbin, {}, everywhere=False)
SECURE_GO_HTTPBIN: Final = replace(
    _of_httpbins_kind("go-httpbin, TLS", _go_httpbin_with_tls, {}, everywhere=False), way="tls"
)
PYTHON_HTTPBIN: Final = _of_httpbins_kind("httpbin", _httpbin, {}, everywhere=False)
GTHREAD: Final = Subject("our application, gthread", _gthread, ECHO.targets, ECHO.checks)
FORTIO: Final = Subject(
    "fortio server", _fortio, {"bare": "/", "json": "/", "form": "/"}, {"bare": empty, "json": echoed, "form": echoed}
)
HTTP_ECHO_SERVER: Final = Subject("http-echo-server", _http_echo_server, {"json": "/anything"}, {"json": raw})


def with_workers(count: int) -> tuple[Subject, Subject, Subject]:
    """Return echo, go-httpbin and httpbin with this many workers, on any processor."""
    go = {"GOMAXPROCS": f"{count}"}
    python = {"WEB_CONCURRENCY": f"{count}"}
    return (
        _ours(f"echo, workers: {count}", everywhere=True, workers=f"{count}"),
        _of_httpbins_kind(f"go-httpbin, GOMAXPROCS={count}", _go_httpbin, go, everywhere=True),
        _of_httpbins_kind(f"httpbin, workers: {count}", _httpbin, python, everywhere=True),
    )
