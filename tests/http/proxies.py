"""Real proxies in front of an echo: Debian's haproxy and nginx, in the foreground, all they write in one folder."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.http.process import DEADLINE, end, free_ports
from tests.http.programs import missing

# What a test needs, where Debian has it, and by which package. Ordinary users have no sbin on their PATH.
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))
_NGINX_MODULES = "/usr/lib/nginx/modules"
_NEEDED = {
    "haproxy": ("haproxy", _PATH, "haproxy"),
    "nginx": ("nginx", _PATH, "nginx-light"),
    "nginx's stream module": ("ngx_stream_module.so", _NGINX_MODULES, "libnginx-mod-stream"),
}
_PAUSE = 0.02  # seconds between two looks at a proxy that starts


def needs(name: str) -> str:
    """Give where something that a test needs is. Without it the test fails in CI and is skipped elsewhere."""
    file, path, package = _NEEDED[name]
    found = shutil.which(file, os.F_OK, path)
    if found is None:
        missing(f"no {name} on this machine: apt-get install {package}")
    return found


@dataclass
class Proxy:
    """A running proxy, and the port of 127.0.0.1 on which it takes clients."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def connect(self) -> socket.socket:
        """Open a connection, with the deadline on each of its waits."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def said(self) -> str:
        """Give what it has written to its log so far."""
        return self.log.read_text(errors="replace")

    def wait_until_said(self, words: str) -> None:
        """Wait until its log has these words; fails with the log at the deadline, or when it ends."""
        give_up = time.monotonic() + DEADLINE
        while words not in self.said():
            self.look_again(give_up, f"it has not said {words!r}")

    def look_again(self, give_up: float, state: str) -> None:
        """Let a moment pass; fails with the state when it was the last, or when the proxy has ended."""
        try:
            code = self.process.wait(_PAUSE)
        except subprocess.TimeoutExpired:
            assert time.monotonic() < give_up, f"{state} in {DEADLINE:.0f} s"
        else:
            raise AssertionError(f"{state}, and it has ended with {code}")


def _wait_until_ready(proxy: Proxy) -> None:
    give_up = time.monotonic() + DEADLINE
    while True:
        try:
            proxy.connect().close()
        except ConnectionRefusedError:
            proxy.look_again(give_up, "it takes no connections")
        else:
            return


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[Proxy]:
    """Run a proxy until it takes connections, and end it whatever happens; what fails meanwhile shows its log."""
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    proxy = Proxy(process, port, log)
    try:
        _wait_until_ready(proxy)
        yield proxy
    except BaseException as error:
        error.add_note(f"{command[0]} said:\n{proxy.said()}")
        raise
    finally:
        end(process)


_HAPROXY = """\
global
    log stdout format raw local0 debug
    maxconn 100

defaults
    mode {mode}
    log global
    option log-health-checks
    option httpchk GET /health
    unique-id-format unique-%ci-%cp
    timeout connect {deadline}s
    timeout client {deadline}s
    timeout server {deadline}s

frontend clients
    bind 127.0.0.1:{port} {bind}
    default_backend echo

backend echo
    server echo 127.0.0.1:{echo} {server}
"""


@contextmanager
def haproxy(folder: Path, echo: int, server: str = "", *, bind: str = "", mode: str = "tcp") -> Iterator[Proxy]:
    """Run haproxy in front of an echo's port, with these parameters behind its `server` and its `bind`.

    https://docs.haproxy.org/2.6/configuration.html
    """
    program = needs("haproxy")
    [port] = free_ports(1)
    config = folder / "haproxy.cfg"
    config.write_text(
        _HAPROXY.format(mode=mode, bind=bind, server=server, port=port, echo=echo, deadline=round(DEADLINE))
    )
    with _running([program, "-db", "-f", str(config)], folder, port) as proxy:
        yield proxy


# A master that is root would give its workers to another user, who can't write to the folder.
_NGINX = """\
{user}
{load}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr info;
events {{ worker_connections 100; }}
"""
_NGINX_STREAM = """
stream {{
    server {{
        listen 127.0.0.1:{port};
        proxy_pass 127.0.0.1:{echo};
        proxy_protocol on;
    }}
}}
"""
# Bodies of any size, which are kept where the test cleans up.
_NGINX_BODIES = """\
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
"""
_NGINX_HTTP = (
    """
http {{
    access_log {folder}/access;
"""
    + _NGINX_BODIES
    + """\
    upstream echo {{
        server 127.0.0.1:{echo};
        keepalive 4;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://echo;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_request_buffering off;
        }}
    }}
}}
"""
)


@contextmanager
def _nginx(folder: Path, echo: int, config: str, load: str = "") -> Iterator[Proxy]:
    program = needs("nginx")
    [port] = free_ports(1)
    file = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    file.write_text((_NGINX + config).format(user=user, load=load, folder=folder, port=port, echo=echo))
    with _running([program, "-p", str(folder), "-e", "stderr", "-c", str(file)], folder, port) as proxy:
        yield proxy


@contextmanager
def nginx_stream(folder: Path, echo: int) -> Iterator[Proxy]:
    """Run nginx as a proxy of TCP that sends the PROXY protocol.

    https://nginx.org/en/docs/stream/ngx_stream_proxy_module.html#proxy_protocol
    """
    module = needs("nginx's stream module")
    with _nginx(folder, echo, _NGINX_STREAM, f"load_module {module};") as proxy:
        yield proxy


@contextmanager
def nginx_http(folder: Path, echo: int) -> Iterator[Proxy]:
    """Run nginx as a proxy of HTTP that keeps its connections and passes bodies on as they come.

    https://nginx.org/en/docs/http/ngx_http_proxy_module.html
    """
    with _nginx(folder, echo, _NGINX_HTTP) as proxy:
        yield proxy


# Proxies of HTTP that give each request a number of their own, which the echo shows, and say it with the answer that
# they take for that request's. Clients may close their side behind what they ask (`proxy_ignore_client_abort`).
_HAPROXY_NUMBERING = """\
global
    log stdout format raw local0 debug
    maxconn 100

defaults
    mode http
    log global
    http-reuse always
    unique-id-format %[uuid]
    timeout connect {deadline}s
    timeout client {deadline}s
    timeout server {deadline}s

frontend clients
    bind 127.0.0.1:{http1}
    bind 127.0.0.1:{http2} proto h2
    http-request set-header X-Proxied %[unique-id]
    http-after-response set-header X-Answered %[unique-id]
    default_backend echo

backend echo
    server echo 127.0.0.1:{echo}
"""
_NGINX_NUMBERING = (
    """
http {{
    access_log off;
"""
    + _NGINX_BODIES
    + """\
    upstream echo {{
        server 127.0.0.1:{echo} max_fails=0;
        keepalive 4;
    }}
    proxy_http_version 1.1;
    proxy_next_upstream off;
    proxy_ignore_client_abort on;
    proxy_set_header Host $http_host;
    proxy_set_header Connection "";
    proxy_set_header X-Proxied $request_id;
    add_header X-Answered $request_id always;
    server {{
        listen 127.0.0.1:{http1};
        listen 127.0.0.1:{http2} http2;
        proxy_request_buffering off;
        location / {{ proxy_pass http://echo; }}
    }}
    server {{
        listen 127.0.0.1:{buffering};
        location / {{ proxy_pass http://echo; }}
    }}
}}
"""
)


@dataclass
class Numbering:
    """A running proxy that numbers its requests, and its ports by what it speaks there to clients."""

    proxy: Proxy
    ports: dict[str, int]


@contextmanager
def haproxy_numbering(folder: Path, echo: int) -> Iterator[Numbering]:
    """Run haproxy in front of an echo's port, which shows the number of each request as X-Proxied."""
    program = needs("haproxy")
    http1, http2 = free_ports(2)
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY_NUMBERING.format(http1=http1, http2=http2, echo=echo, deadline=round(DEADLINE)))
    with _running([program, "-db", "-f", str(config)], folder, http1) as proxy:
        yield Numbering(proxy, {"http1": http1, "http2": http2})


@contextmanager
def nginx_numbering(folder: Path, echo: int) -> Iterator[Numbering]:
    """Run nginx likewise; on a port more it takes a body whole before it asks."""
    program = needs("nginx")
    ports = dict(zip(("http1", "http2", "buffering"), free_ports(3), strict=True))
    file = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    file.write_text((_NGINX + _NGINX_NUMBERING).format(user=user, load="", folder=folder, echo=echo, **ports))
    with _running([program, "-p", str(folder), "-e", "stderr", "-c", str(file)], folder, ports["http1"]) as proxy:
        yield Numbering(proxy, ports)
