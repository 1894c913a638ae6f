"""Real proxies in front of an echo: Debian's haproxy and nginx.

They run in the foreground, and write all their files to one folder.
"""

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

# The files that tests need, their paths in Debian, and their packages. PATH of ordinary users has no sbin.
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))
_NGINX_MODULES = "/usr/lib/nginx/modules"
_NEEDED = {
    "haproxy": ("haproxy", _PATH, "haproxy"),
    "nginx": ("nginx", _PATH, "nginx-light"),
    "nginx's stream module": ("ngx_stream_module.so", _NGINX_MODULES, "libnginx-mod-stream"),
}
_PAUSE = 0.02  # seconds between two checks of a proxy that starts


def needs(name: str) -> str:
    """Return the path of a file that a test needs. Without it the test fails in CI and is skipped elsewhere."""
    file, path, package = _NEEDED[name]
    found = shutil.which(file, os.F_OK, path)
    if found is None:
        missing(f"no {name} on this machine: apt-get install {package}")
    return found


@dataclass
class Proxy:
    """A running proxy, and the port of 127.0.0.1 on which it accepts clients."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def connect(self) -> socket.socket:
        """Open a connection, with the deadline as timeout of each of its waits."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def said(self) -> str:
        """Return its log so far."""
        return self.log.read_text(errors="replace")

    def wait_until_said(self, words: str) -> None:
        """Wait until its log contains these words; fails with the log at the deadline, or if the proxy ends."""
        give_up = time.monotonic() + DEADLINE
        while words not in self.said():
            self.look_again(give_up, f"it has not said {words!r}")

    def look_again(self, give_up: float, state: str) -> None:
        """Wait a moment; fails with the state if the deadline has passed or the proxy has ended."""
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
    """Start a proxy, yield it once it accepts connections, and always stop it; failures inside include its log."""
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
    """Run haproxy in front of an echo's port, with these additional parameters of `server` and `bind`.

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


# A master that runs as root would run its workers as another user, who can't write to the folder.
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
# Accept bodies of any size, and store them in the folder that the test removes.
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
    """Run nginx as a TCP proxy that sends the PROXY protocol.

    https://nginx.org/en/docs/stream/ngx_stream_proxy_module.html#proxy_protocol
    """
    module = needs("nginx's stream module")
    with _nginx(folder, echo, _NGINX_STREAM, f"load_module {module};") as proxy:
        yield proxy


@contextmanager
def nginx_http(folder: Path, echo: int) -> Iterator[Proxy]:
    """Run nginx as an HTTP proxy that reuses its connections and forwards bodies unbuffered.

    https://nginx.org/en/docs/http/ngx_http_proxy_module.html
    """
    with _nginx(folder, echo, _NGINX_HTTP) as proxy:
        yield proxy


# HTTP proxies that add an ID of their own to each request, which the echo reflects, and to the response that they match
# with that request. Clients may close their sending side after the request (`proxy_ignore_client_abort`).
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
    """A running proxy that adds request IDs, and its ports by the protocol that it speaks there to clients."""

    proxy: Proxy
    ports: dict[str, int]


@contextmanager
def haproxy_numbering(folder: Path, echo: int) -> Iterator[Numbering]:
    """Run haproxy in front of an echo's port, with the ID of each request in X-Proxied, which the echo reflects."""
    program = needs("haproxy")
    http1, http2 = free_ports(2)
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY_NUMBERING.format(http1=http1, http2=http2, echo=echo, deadline=round(DEADLINE)))
    with _running([program, "-db", "-f", str(config)], folder, http1) as proxy:
        yield Numbering(proxy, {"http1": http1, "http2": http2})


@contextmanager
def nginx_numbering(folder: Path, echo: int) -> Iterator[Numbering]:
    """Run nginx like `haproxy_numbering`; on one more port, it buffers the whole request body before it forwards it."""
    program = needs("nginx")
    ports = dict(zip(("http1", "http2", "buffering"), free_ports(3), strict=True))
    file = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    file.write_text((_NGINX + _NGINX_NUMBERING).format(user=user, load="", folder=folder, echo=echo, **ports))
    with _running([program, "-p", str(folder), "-e", "stderr", "-c", str(file)], folder, ports["http1"]) as proxy:
        yield Numbering(proxy, ports)
