"""A network for a browser in which every host is this one: what is asked of whom is known, and nothing gets out.

Some paths lead to an echo: instead of the browser's own request it gets another, byte for byte, and the browser gets
its answer, byte for byte; but in a frame, where one that must not be framed is seen without that one directive.
"""

import re
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from tests.http.process import DEADLINE, read_to_end

ECHO: Final = "echo.test"  # where the echo seems to be
EVIL: Final = "evil.test"
_FORWARDED: Final = "/forwarded/"
_FRAMED: Final = "/framed/"

_HEAD: Final = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n(?:.*\r\n)*?(?i:host): *(\S+)\r\n")
_TLS: Final = b"\x16"  # a record's type: a handshake
_ICON: Final = "/favicon.ico"  # browsers ask for it by themselves
_TEST: Final = b".test"  # what Chromium asks its maker for is no matter of ours
_UNFRAMED: Final = b"; frame-ancestors 'none'"

Page = tuple[str, str]  # host and path


class Network(socketserver.ThreadingTCPServer):
    """All servers that there are. `strays` are the requests that nobody has foreseen: method, host, target."""

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
        """The argument by which Chromium finds every host here."""
        return f"--host-resolver-rules=MAP * 127.0.0.1:{self.server_address[1]}"

    def forward(self, port: int, request: bytes, *, framed: bool = False) -> str:
        """Give the path at which a request's answer is found; the request must ask for the connection's end."""
        path = f"{_FRAMED if framed else _FORWARDED}{len(self._forwarded)}"
        self._forwarded[path] = (port, request)
        return path

    def page(self, host: str, path: str, body: bytes, fields: Mapping[str, str]) -> str:
        """Give the address at which a page of our own is found."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.pages[host, path] = head.encode() + body
        return f"http://{host}{path}"

    def answer(self, raw: bytes) -> bytes:
        """Give the answer to a browser's request."""
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
        """Ask the echo what the path stands for."""
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
                if not piece:  # browsers open connections ahead, and may not use them
                    return
                raw += piece
            self.request.sendall(self.server.answer(raw))
        except OSError:  # a browser may go at any time
            return


@contextmanager
def network() -> Iterator[Network]:
    """Run a network."""
    with Network() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
