"""A network for a browser, in which every host resolves to this machine.

All requests are recorded, and none leaves the machine.

Some paths lead to an echo: it gets another request, byte for byte, instead of the browser's own, and the browser gets
its response, byte for byte. In a frame, only the frame-ancestors directive is removed from the response.
"""

import re
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from tests.http.process import DEADLINE, read_to_end

ECHO: Final = "echo.test"  # the host name of the echo
EVIL: Final = "evil.test"
_FORWARDED: Final = "/forwarded/"
_FRAMED: Final = "/framed/"

_HEAD: Final = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n(?:.*\r\n)*?(?i:host): *(\S+)\r\n")
_TLS: Final = b"\x16"  # the record type of a handshake
_ICON: Final = "/favicon.ico"  # requested by browsers on their own
_TEST: Final = b".test"  # ignore Chromium's requests to its vendor
_UNFRAMED: Final = b"; frame-ancestors 'none'"

Page = tuple[str, str]  # host and path


class Network(socketserver.ThreadingTCPServer):
    """All servers of the network. `strays` are the unexpected requests: method, host, target."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[Page, bytes] = {}
        self.answers: dict[str, bytes] = {}
        self.strays: list[tuple[str, str, str]] = []
        self._forwarded: dict[str, tuple[int, bytes]] = {}

    @property
    def rule(self) -> str:
        """The argument with which Chromium resolves every host to this server."""
        return f"--host-resolver-rules=MAP * 127.0.0.1:{self.server_address[1]}"

    def forward(self, port: int, request: bytes, *, framed: bool = False) -> str:
        """Return the path that serves the response to a request; the request must ask to close the connection."""
        path = f"{_FRAMED if framed else _FORWARDED}{len(self._forwarded)}"
        self._forwarded[path] = (port, request)
        return path

    def page(self, host: str, path: str, body: bytes, fields: Mapping[str, str]) -> str:
        """Return the URL that serves a page of the tests."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.pages[host, path] = head.encode() + body
        return f"http://{host}{path}"

    def answer(self, raw: bytes) -> bytes:
        """Return the response to a browser's request."""
        match = _HEAD.match(raw)
        if match is None:
            if _TEST in raw:
                self.strays.append(("TLS", "", "") if raw.startswith(_TLS) else ("odd", "", ascii(raw)))
            return b""
        method, target, host = (part.decode("latin-1") for part in match.groups())
        if host == ECHO and target in self._forwarded:
            return self._asked(target)
        if (host, target) in self.pages:
            return self.pages[host, target]
        if host.endswith(_TEST.decode()) and target != _ICON:
            self.strays.append((method, host, target))
        return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nstray"

    def _asked(self, path: str) -> bytes:
        """Send the request registered for a path to the echo and return the response."""
        port, request = self._forwarded[path]
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
            sock.sendall(request)
            answer = self.answers[path] = read_to_end(sock)
        if not path.startswith(_FRAMED):
            return answer
        head, end, body = answer.partition(b"\r\n\r\n")
        return head.replace(_UNFRAMED, b"") + end + body


class _Handler(socketserver.BaseRequestHandler):
    server: Network

    def handle(self) -> None:
        self.request.settimeout(DEADLINE)
        raw = b""
        try:
            while b"\r\n\r\n" not in raw and not raw.startswith(_TLS):
                piece = self.request.recv(65_536)
                if not piece:  # browsers open connections in advance, and may not use them
                    return
                raw += piece
            self.request.sendall(self.server.answer(raw))
        except OSError:  # a browser may disconnect at any time
            return


@contextmanager
def network() -> Iterator[Network]:
    """Run the network and yield its server."""
    with Network() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
