"""Large bodies: hashed completely, in limited memory.

They are sent with and without content coding, many at once, while other requests are served.
"""

import gzip
import hashlib
import json
import random
import re
import select
import socket
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped] # it publishes no types
import pytest

from app.config.settings import DEFAULT_MAX_DECODED
from tests.http import raw_http2
from tests.http.process import Echo, read_answer, read_to_end
from tests.http.programs import Secure, program, running_with_tls
from tools.commands import run

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20
BLOCK = random.Random(7).randbytes(MIB)  # noqa: S311 - the same bytes each time
GET = b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Yield an echo for these tests only, so that nothing else uses its memory; it also speaks TLS."""
    with running_with_tls(tmp_path_factory.mktemp("large")) as secure:
        assert secure.echo.get("/")[0].status == 200, "its worker is there"
        yield secure
        assert secure.echo.process.poll() is None, "it has lived through all of it"


@pytest.fixture
def echo(secure: Secure) -> Echo:
    """Return that echo."""
    return secure.echo


def peak_memory(echo: Echo) -> int:
    """Return the peak memory of the workers in bytes (VmHWM of proc(5))."""
    states = "".join(Path(f"/proc/{worker}/status").read_text() for worker in echo.workers())
    return sum(int(kibibytes) << 10 for kibibytes in re.findall(r"^VmHWM:\s+(\d+) kB$", states, re.MULTILINE))


@contextmanager
def at_most(added: int, echo: Echo) -> Iterator[None]:
    """Check that a block raises the workers' peak memory by less than `added` bytes."""
    for worker in echo.workers():
        Path(f"/proc/{worker}/clear_refs").write_text("5")  # reset the peak
    before = peak_memory(echo)
    yield
    after = peak_memory(echo)
    assert after - before < added, f"{before >> 20} MiB became {after >> 20} MiB"


def digest_of(blocks: int) -> str:
    """Return the SHA-256 of so many blocks."""
    digest = hashlib.sha256()
    for _ in range(blocks):
        digest.update(BLOCK)
    return digest.hexdigest()


def body_in(answer: bytes) -> dict[str, Any]:
    """Return what a reflection shows of the body."""
    body: dict[str, Any] = json.loads(answer)["body"]
    return body


def read_body(sock: socket.socket) -> dict[str, Any]:
    """Read the next response; return what it shows of the body."""
    return body_in(read_answer(sock)[1])


def answers_until(echo: Echo, over: Callable[[], bool]) -> int:
    """Send requests on a connection of its own until `over` holds; return the number of earlier responses."""
    count = 0
    with echo.connect() as sock:
        while True:
            sock.sendall(GET)
            assert read_answer(sock)[1] == b"<b>Got: other</b>!"
            if over():
                return count
            count += 1


# without content coding


@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
def test_a_large_body_takes_no_memory_and_holds_nobody_up(echo: Echo, framing: str) -> None:
    """A body of 1 GiB, or 256 MiB chunked, is hashed in less than 16 MiB of memory, while other requests are served."""
    blocks, before, behind, last = (1024, b"", b"", b"")
    head = b"Content-Length: %d" % (blocks * MIB)
    if framing == "chunked":
        blocks, before, behind, last = (256, b"%x\r\n" % MIB, b"\r\n", b"0\r\n\r\n")
        head = b"Transfer-Encoding: chunked"
    digest = hashlib.sha256()
    with echo.connect() as sock, at_most(16 * MIB, echo):

        def upload() -> None:
            sock.sendall(PUT + head + b"\r\n\r\n")
            for _ in range(blocks):
                sock.sendall(before + BLOCK + behind)
                digest.update(BLOCK)
            sock.sendall(last)

        uploading = threading.Thread(target=upload, daemon=True)
        uploading.start()
        answers = answers_until(echo, lambda: not uploading.is_alive())
        body = read_body(sock)
    assert (body["length"], body["sha256"], body["truncated"]) == (blocks * MIB, digest.hexdigest(), True)
    assert body["chunked"] is (framing == "chunked")
    assert answers >= 20


@pytest.mark.parametrize("how", ["HTTP/2", "HTTP/2 over TLS", "HTTP/1.1 over TLS"])
def test_curls_large_file_takes_no_memory(secure: Secure, tmp_path: Path, how: str) -> None:
    """A 96 MiB file of curl is hashed in less than 16 MiB of memory over each protocol."""
    file = tmp_path / "large"
    with file.open("wb") as output:
        output.truncate(96 * MIB)  # a sparse file uses no disk space
    url = secure.url if "TLS" in how else f"http://127.0.0.1:{secure.echo.port}"
    version = {"HTTP/2": "--http2-prior-knowledge", "HTTP/2 over TLS": "--http2"}.get(how, "--http1.1")
    options = ("-q", "--silent", "--show-error", "--noproxy", "*", "--cacert", secure.authority, version)
    with at_most(16 * MIB, secure.echo):
        answer = run(program("curl"), *options, "-H", "Accept: application/json", "-T", file, f"{url}/")
    with file.open("rb") as sent:
        digest = hashlib.file_digest(sent, "sha256").hexdigest()
    seen = json.loads(answer)
    assert seen["proto"] == ("HTTP/2.0" if how.startswith("HTTP/2") else "HTTP/1.1")
    assert (seen["body"]["length"], seen["body"]["sha256"]) == (96 * MIB, digest)


def test_many_uploads_at_once_take_no_memory(echo: Echo) -> None:
    """Fifty simultaneous uploads of 8 MiB, sent block by block in turn, add less than 64 MiB of memory."""
    digest = digest_of(8)
    with ExitStack() as opened, at_most(64 * MIB, echo):
        socks = [opened.enter_context(echo.connect()) for _ in range(50)]
        for sock in socks:
            sock.sendall(PUT + b"Content-Length: %d\r\n\r\n" % (8 * MIB))
        for _ in range(8):
            for sock in socks:
                sock.sendall(BLOCK)
        for sock in socks:
            body = read_body(sock)
            assert (body["length"], body["sha256"]) == (8 * MIB, digest)


# with content coding


def deflate(data: bytes) -> bytes:
    """Return data in the zlib format, which the coding deflate means (RFC 9110, 8.4.1.2)."""
    return zlib.compress(data, 1)


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "deflate": deflate,
    "br": lambda data: bytes(brotli.compress(data, quality=1)),
    "zstd": zstd.compress,
}


def coded(coding: str, content: bytes) -> bytes:
    """Return a request with a coded body and its Content-Encoding."""
    return PUT + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding.encode(), len(content)) + content


@pytest.mark.parametrize("coding", CODINGS)
def test_a_coded_body_is_shown_both_ways(echo: Echo, coding: str) -> None:
    """A coded body of the largest accepted size is shown coded and decoded."""
    plain = (BLOCK[: MIB // 16] + bytes(MIB - MIB // 16)) * (
        DEFAULT_MAX_DECODED // MIB
    )  # random bytes are slow to compress
    content = CODINGS[coding](plain)
    with echo.connect() as sock:
        sock.sendall(coded(coding, content))
        body = read_body(sock)
    assert (body["length"], body["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    decoded = body["decoded"]
    assert decoded["codings"] == [coding]
    assert (decoded["length"], decoded["sha256"]) == (DEFAULT_MAX_DECODED, hashlib.sha256(plain).hexdigest())
    assert decoded["truncated"] is True


def brotli_of_zeros(blocks: int) -> bytes:
    """Return so many MiB of zeros, coded without holding them in memory."""
    compressor = brotli.Compressor(quality=1)
    return b"".join(compressor.process(bytes(MIB)) for _ in range(blocks)) + bytes(compressor.finish())


# 1 GiB of zeros each, some made of several gzip members or zstd frames in a row.
BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(bytes(16 * MIB)) * 64,
    "br": lambda: brotli_of_zeros(1024),
    "zstd": lambda: zstd.compress(bytes(256 * MIB)) * 4,
}


@pytest.mark.parametrize("coding", BOMBS)
def test_a_bomb_is_refused_by_name_and_holds_nobody_up(echo: Echo, coding: str) -> None:
    """Decoding a bomb stops at ECHO_MAX_DECODED; the coded body is hashed, and other requests are served meanwhile."""
    bomb = BOMBS[coding]()
    with echo.connect() as sock, at_most(32 * MIB, echo):
        sock.sendall(coded(coding, bomb))
        answers = answers_until(echo, lambda: bool(select.select([sock], [], [], 0)[0]))
        body = read_body(sock)
    assert (body["length"], body["sha256"]) == (len(bomb), hashlib.sha256(bomb).hexdigest())
    assert body["decoded"] == {
        "codings": [coding],
        "refused": f"{coding}: decoded body exceeds {DEFAULT_MAX_DECODED} bytes (ECHO_MAX_DECODED)",
    }
    assert answers >= 3


def test_a_bomb_within_a_bomb_is_refused(echo: Echo) -> None:
    """A body of zeros coded twice is rejected, because the outer coding is decoded in bounded steps, too."""
    bomb = gzip.compress(gzip.compress(bytes(256 * MIB), 1))
    with echo.connect() as sock, at_most(32 * MIB, echo):
        sock.sendall(coded("gzip, gzip", bomb))
        refused = read_body(sock)["decoded"]["refused"]
    assert refused == f"gzip: decoded body exceeds {DEFAULT_MAX_DECODED} bytes (ECHO_MAX_DECODED)"


# too large


def test_a_client_that_waits_is_refused_before_it_sends(echo: Echo) -> None:
    """A too large body with Expect gets 413 instead of 100, and the connection is closed (RFC 9110, 10.1.1)."""
    head = PUT + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (1024 * MIB + 1)
    with echo.connect() as sock:
        sock.sendall(head)
        answer = read_to_end(sock)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_client_of_http_2_that_waits_is_refused_before_it_sends(echo: Echo) -> None:
    """Over HTTP/2, a too large body with Expect gets 413 on its stream, and the connection stays open."""
    fields = [(b":method", b"PUT"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]
    fields += [(b"expect", b"100-continue"), (b"content-length", b"%d" % (1024 * MIB + 1))]
    with echo.connect() as sock:
        client = raw_http2.Client(sock)
        client.send(raw_http2.opening() + raw_http2.headers(1, fields, ends=False))
        client.hear(lambda: client.over(1))
        assert client.streams[1].status == 413
        client.send(raw_http2.request(b"/next", 3))
        client.hear(lambda: client.over(3))
    assert (client.streams[3].status, client.streams[3].body) == (200, b"<b>Got: next</b>!")
    heads = [frame for frame in client.frames if frame.type == "HEADERS" and frame.stream == 1]
    assert len(heads) == 1, "no 100 came before"
