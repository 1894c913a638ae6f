"""Other echo servers whose dialects are supported: real and recorded.

`REQUESTS` and `OWN_REQUESTS` are sent to both.

`python -m tests.http.peers NAME PORT SAYS` sends all requests of the tables to a peer at a port of this machine and
writes its recording; SAYS identifies the peer.
"""

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from types import MappingProxyType

from tests.http.process import DEADLINE, end, free_ports, read_to_end
from tests.http.programs import missing
from tools.toolchain.__main__ import TOOLS, ToolError, find

_RECORDINGS = Path(__file__).parent / "recordings"
_PAUSE = 0.02  # seconds between two checks of a peer that starts
_CHUNKS = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
_MULTIPART = (
    b'--xx\r\nContent-Disposition: form-data; name="b"\r\n\r\n1\r\n'
    b'--xx\r\nContent-Disposition: form-data; name="b"\r\n\r\n\xc3\xbc <2>\r\n'
    b'--xx\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nin\nit\r\n'
    b"--xx--\r\n"
)


def _request(line: str, *fields: str, body: bytes = b"", agent: str = "peers/1") -> bytes:
    named = ["Host: Echo.test:81", *([f"User-Agent: {agent}"] if agent else []), "Connection: close", *fields]
    if body and not any(field.startswith("Transfer-Encoding") for field in fields):
        named.append(f"Content-Length: {len(body)}")
    head = "".join(f"{each}\r\n" for each in (line if " HTTP/" in line else f"{line} HTTP/1.1", *named))
    return head.encode() + b"\r\n" + body


def _form(method: str, body: bytes) -> bytes:
    return _request(f"{method} /anything/form", "Content-Type: application/x-www-form-urlencoded", body=body)


def _json(body: bytes) -> bytes:
    return _request("POST /anything/json?x=1", "Content-Type: application/json", body=body)


# The requests sent to every peer, by name. Each peer echoes this path.
REQUESTS: dict[str, bytes] = {
    "plain": _request("GET /anything"),
    "query": _request("GET /anything/q?a=1&a=2&b&=c&d=%20+e&f=%zz&g=1;h=2&%C3%BC=%C3%9f&<>&'\""),
    "a bare question mark": _request("GET /anything/q?"),
    "an encoded path": _request("GET /anything/a%2Fb%20c/%C3%BC;x=1,2"),
    "names": _request("GET /anything", "x-b: 2", "X-A: 1", "aCCept: */*", "x-a: 2", "X-Empty:", "X-B: 1"),
    "utf-8": _request("GET /anything/ü?ü=ü", "X-A: ü<&>"),
    "not utf-8": _request("GET /anything?x=%ff").replace(b"peers/1", b"a\xfc\xe2\x82b"),
    "no agent": _request("GET /anything", agent=""),
    "absolute form": _request("GET http://other.test:82/anything?y=1"),
    "an unclean path": _request("GET /anything/a/../b"),
    "forwarded": _request("GET /anything", "X-Forwarded-For: 192.0.2.7, 192.0.2.8", "X-Forwarded-Proto: https"),
    "form": _form("POST", b"b=1&a=2&b=%C3%BC+x&c&=d"),
    "a form in a PUT": _form("PUT", b"a=1"),
    "a form in a DELETE": _form("DELETE", b"a=1"),
    "a form in a GET": _form("GET", b"a=1"),
    "a form in another method": _form("PURGE", b"a=1"),
    "a bad form": _form("POST", b"a=1&b=%zz&c=2"),
    "json": _json(b'{"b": [1, 2.5, null, "\xc3\xbc<>", "\\u00e9"], "a": {"x": true}}'),
    "bad json": _json(b'{"a":'),
    "multipart": _request("PATCH /anything", "Content-Type: multipart/form-data; boundary=xx", body=_MULTIPART),
    "bad multipart": _request("POST /anything", "Content-Type: multipart/form-data", body=_MULTIPART),
    "text": _request("POST /anything", "Content-Type: text/plain; charset=utf-8", body=b"a <b> & \"c\" 'd'\n\xc3\xbc"),
    "binary": _request("POST /anything", "Content-Type: application/x-a", body=bytes(range(0x20, 0x7F)) + b"\xff\xfe"),
    "no type": _request("POST /anything", body=b"\xc3\xbc"),
    "chunked": _request(
        "POST /anything",
        "Content-Type: text/plain",
        "Transfer-Encoding: chunked",
        body=_CHUNKS,
    ),
    "an empty POST": _request("POST /anything", "Content-Length: 0"),
    "HEAD": _request("HEAD /anything"),
    "another method": _request("PURGE /anything"),
    "HTTP/1.0": _request("GET /anything HTTP/1.0"),
}

# The requests that only one peer supports, by name.
OWN_REQUESTS: dict[str, dict[str, bytes]] = {
    "gateway-api": {
        "health": _request("GET /health"),
        "status": _request("GET /status/418"),
        "status in a POST": _request("POST /status/503", body=b"x"),
        "no status": _request("GET /status/41x"),
        "status and more": _request("GET /status/200?x=1"),
        "delay": _request("GET /x?delay=1ms&delay=zz"),
        "a delay below zero": _request("GET /x?delay=-1h"),
        "a delay in a form": _request("POST /", "Content-Type: application/x-www-form-urlencoded", body=b"delay=1us"),
        "no delay": _request("GET /x?delay=zz"),
        "a delay without unit": _request("GET /x?delay=1h2"),
        "a delay of another unit": _request("GET /x?delay=1d"),
        "set": _request("GET /", "X-Echo-Set-Header: X-Set: b,x-two:d , X-Set: e", "x-echo-set-header: X-3, x-4:"),
        "set nothing": _request("GET /", "X-Echo-Set-Header:"),
        "set a cookie": _request("GET /", "X-Echo-Set-Header: Set-Cookie:a=b"),
        "set the type": _request("GET /", "X-Echo-Set-Header: Content-Type:text/html"),
    },
    "whoami": {
        "api": _request("GET /api?x=1&y=<", "X-A: 1", "x-a: ü"),
        "api in a POST": _request("POST /api", body=b"x"),
        "health": _request("GET /health"),
        "bench": _request("GET /bench"),
        "data": _request("GET /data?size=100"),
        "data of kilobytes": _request("GET /data?size=2&unit=Kb"),
        "no data": _request("GET /data?size=0"),
        "one byte of data": _request("GET /data?size=1"),
        "two bytes of data": _request("GET /data?size=2"),
        "data of no size": _request("GET /data?size=x"),
        "data to keep": _request("GET /data?size=50&attachment=true"),
        "wait": _request("GET /?wait=1ms"),
        "wait for nothing": _request("GET /?wait=zz"),
        "environment": _request("GET /api?env=true"),
    },
    "echoserver": {},
}


@dataclass(frozen=True)
class Told:
    """A response: status, headers by name in lower case, and body."""

    status: int
    fields: dict[str, str]
    body: bytes


def asked(dialect: str) -> dict[str, bytes]:
    """Return all requests that are sent to a peer."""
    return REQUESTS | OWN_REQUESTS[dialect]


def ask(port: int, request: bytes) -> bytes:
    """Send a request unchanged to a port of this machine; return everything received."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
        sock.sendall(request)
        return read_to_end(sock)


class _Held:
    """A complete response, as the object that `HTTPResponse` reads from."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, mode: str) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self._raw)


def told(request: bytes, raw: bytes) -> Told:
    """Parse a response; the values of one name are joined."""
    method = request.split(b" ")[0].decode()
    answer = HTTPResponse(_Held(raw), method=method)  # type: ignore[arg-type] # all that it asks of a socket
    answer.begin()
    names = {name.lower() for name in answer.headers}
    return Told(answer.status, {name: ", ".join(answer.headers.get_all(name, ())) for name in names}, answer.read())


def _tool(name: str) -> str:
    try:
        return str(find(TOOLS[name], os.environ))
    except ToolError as error:
        missing(str(error))


def _echo_basic(ports: Sequence[int]) -> tuple[list[str], dict[str, str]]:
    environ = dict(zip(("HTTP_PORT", "HTTPS_PORT", "H2C_PORT"), map(str, ports), strict=True))
    return [_tool("echo-basic")], environ | {"NAMESPACE": "ns", "POD_NAME": "pod"}


REAL = {"gateway-api": _echo_basic}


@contextmanager
def running_peer(
    dialect: str, log: Path, settings: Mapping[str, str] = MappingProxyType({}), *, secure: bool = False
) -> Iterator[int]:
    """Run the real echo of a dialect, with these settings in its environment, and always stop it.

    Yields its port (the TLS port if `secure`), once it accepts connections there.
    """
    ports = free_ports(3)
    port = ports[1 if secure else 0]
    command, environ = REAL[dialect](ports)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    give_up = time.monotonic() + DEADLINE
    try:
        while not _takes_connections(port):
            try:
                process.wait(_PAUSE)
            except subprocess.TimeoutExpired:
                assert time.monotonic() < give_up, f"{command[0]} takes no connections: {log.read_text()}"
            else:
                raise AssertionError(f"{command[0]} has ended: {log.read_text()}")
        yield port
    finally:
        end(process)


def _takes_connections(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True)
class Recording:
    """A recorded peer: its identification, where it ran, and its responses by the name of the request."""

    says: str
    hostname: str
    port: int
    answers: dict[str, Told]


def recording(dialect: str) -> Recording:
    """Return a recording; fails if the recorded requests differ from the current ones."""
    kept = json.loads((_RECORDINGS / f"{dialect}.json").read_text())
    exchanges = {name: [text.encode("latin-1") for text in pair] for name, pair in kept["exchanges"].items()}
    assert {name: request for name, (request, _) in exchanges.items()} == asked(dialect), "record it anew"
    answers = {name: told(*pair) for name, pair in exchanges.items()}
    return Recording(kept["says"], kept["hostname"], kept["port"], answers)


def _record(dialect: str, port: int, says: str) -> None:
    exchanges = {
        name: [raw.decode("latin-1") for raw in (request, ask(port, request))]
        for name, request in asked(dialect).items()
    }
    kept = {"says": says, "hostname": socket.gethostname(), "port": port, "exchanges": exchanges}
    (_RECORDINGS / f"{dialect}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    _record(sys.argv[1], int(sys.argv[2]), sys.argv[3])
