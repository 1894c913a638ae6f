"""Controls over real sockets: delays, sizes and failures.

One client's controls do not delay the requests of others.
"""

import asyncio
import hashlib
import json
import re
import resource
import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.http.streamed_body import generate_body
from tests.http.process import DEADLINE, Echo, read_answer, running
from tests.http.programs import program
from tests.http.proxies import nginx_http
from tests.http.test_large_bodies import at_most
from tools.commands import run

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
MIB = 1 << 20
DELAYED = 1000


def asking(query: str, *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    """Return a request with controls in its query."""
    lines = (f"{method} /a?{query} HTTP/{version}", "Host: a", *fields, "", "")
    return "\r\n".join(lines).encode()


@pytest.fixture(scope="module")
def many_files() -> Iterator[None]:
    """Raise the limit of open files, so that this process and its echoes can open the sockets of these tests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * DELAYED
    assert hard == resource.RLIM_INFINITY or hard >= wanted, f"ulimit -n {wanted}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_thousand_delayed_requests_keep_nobody_waiting() -> None:
    """While a thousand requests are delayed, a plain request and one with a short delay get their responses."""
    with running(drain_seconds=0.5) as echo, ExitStack() as stack:
        delayed = [stack.enter_context(echo.connect()) for _ in range(DELAYED)]
        for sock in delayed:
            sock.sendall(asking("echo_delay=60s"))
        with echo.connect() as short, echo.connect() as plain:
            short.sendall(asking("echo_delay=50ms"))
            plain.sendall(GET)
            assert read_answer(plain)[1] == b"<b>Got: </b>!"
            assert read_answer(short)[1] == b"<b>Got: a</b>!"
        poll = select.poll()
        for sock in delayed:
            poll.register(sock, select.POLLIN)
        assert poll.poll(0) == [], "none of them is over"


def test_what_is_asked_behind_a_delayed_request_is_answered_behind_it(echo: Echo) -> None:
    """A request pipelined after a delayed one gets its response after it, as RFC 9112, 9.3.2 requires."""
    came = echo.exchange(asking("echo_delay=50ms") + b"GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert re.findall(b"<b>Got: .</b>!", came) == [b"<b>Got: a</b>!", b"<b>Got: b</b>!"]


def test_a_drip_comes_piece_by_piece(echo: Echo) -> None:
    """The first piece of a drip arrives, and other requests get responses, long before the last piece."""
    with echo.connect() as sock, echo.connect() as other:
        sock.sendall(asking("echo_size=10&echo_drip=60s"))
        came = b""
        while not came.endswith(b"\r\n\r\n0"):
            piece = sock.recv(1000)
            assert piece, came
            came += piece
        assert b"Content-Length: 10\r\n" in came
        other.sendall(GET)
        assert read_answer(other)[0].status == 200
        assert select.select([sock], [], [], 0) == ([], [], [])


def test_a_drip_ends_with_its_last_byte(echo: Echo) -> None:
    """A drip ends with its last byte, and the connection stays usable."""
    with echo.connect() as sock:
        for _ in range(2):
            sock.sendall(asking("echo_size=3&echo_drip=20ms"))
            assert read_answer(sock)[1] == b"012"


def test_a_large_body_is_made_while_it_is_sent() -> None:
    """A body of 256 MiB is complete and uses at most 16 MiB of memory; other requests are served meanwhile."""
    size = 256 * MIB
    with running() as echo, closing(httpx.Client(base_url=f"http://127.0.0.1:{echo.port}")) as client:
        assert echo.get("/")[0].status == 200, "its worker is there"
        digest, length = hashlib.sha256(), 0
        with at_most(16 * MIB, echo), client.stream("GET", f"/?echo_size={size}") as answer:
            assert answer.headers["Content-Length"] == str(size)
            for number, piece in enumerate(answer.iter_raw()):
                digest.update(piece)
                length += len(piece)
                if number == 100:
                    assert echo.get("/")[0].status == 200
    expected = hashlib.sha256()
    for piece in generate_body(size):
        expected.update(piece)
    assert (length, digest.hexdigest()) == (size, expected.hexdigest())


def test_a_client_that_does_not_read_costs_nothing(echo: Echo) -> None:
    """Clients that do not read use little memory: no more of a body is generated than is sent."""
    with at_most(16 * MIB, echo), ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(echo.connect()).sendall(asking("echo_size=1GiB"))
        assert echo.get("/")[0].status == 200


@pytest.mark.parametrize("query", ["echo_abort=before", "echo_abort=before&echo_delay=10ms&echo_size=10"])
def test_a_connection_is_cut_off_before_the_head(echo: Echo, query: str) -> None:
    """With echo_abort=before, the connection is closed without a byte."""
    with echo.connect() as sock:
        sock.sendall(asking(query))
        with suppress(ConnectionResetError):
            assert sock.recv(1) == b""


@pytest.mark.parametrize(
    ("query", "version", "half"),
    [
        ("echo_body=0123456789", "1.1", b"01234"),
        ("echo_body=0123456789", "1.0", b"01234"),
        ("echo_size=10", "1.1", b"01234"),
        ("echo_size=10&echo_drip=20ms", "1.1", b"01234"),
    ],
)
def test_a_connection_is_cut_off_in_the_middle(echo: Echo, query: str, version: str, half: bytes) -> None:
    """With echo_abort=middle, the connection is closed after half of the bytes announced in Content-Length."""
    came = echo.exchange(asking(query + "&echo_abort=middle", version=version))
    head, _, body = came.partition(b"\r\n\r\n")
    assert b"HTTP/1.1 200 OK" in head
    assert b"Content-Length: 10" in head
    assert body == half


def test_a_body_of_unknown_length_is_cut_off_without_its_last_chunk(echo: Echo) -> None:
    """An aborted chunked body has no last chunk, so that no client takes it for complete."""
    came = echo.exchange(asking("echo_format=events&echo_abort=middle"))
    assert b"Transfer-Encoding: chunked" in came
    assert b"id: 1\n" in came
    assert not came.endswith(b"0\r\n\r\n")


def curl(*arguments: str) -> str:
    """Return the output of curl."""
    return run(program("curl"), "--silent", *arguments)


def curl_ends(*arguments: str) -> int:
    """Return curl's exit code (https://curl.se/docs/manpage.html#EXIT)."""
    command = [program("curl"), "--silent", "--output", "/dev/null", *arguments]
    return subprocess.run(command, timeout=DEADLINE, check=False).returncode


def test_clients_see_the_cut(echo: Echo) -> None:
    """The exit codes of curl report an empty reply or an incomplete transfer."""
    url = f"http://127.0.0.1:{echo.port}/?echo_size=1000&echo_abort="
    assert [curl_ends("--http1.1", url + when) for when in ("before", "middle")] == [52, 18]


def test_over_http_2_only_the_stream_is_cut_off(echo: Echo) -> None:
    """Over HTTP/2, an abort resets only its stream, because the connection may carry other requests."""
    url = f"http://127.0.0.1:{echo.port}/?echo_size=1000&echo_abort="
    for when in ("before", "middle"):
        assert curl_ends("--http2-prior-knowledge", url + when) == 92, "a stream error"
    with closing(httpx.Client(http1=False, http2=True, base_url=f"http://127.0.0.1:{echo.port}")) as client:
        ports = set()
        for query in ("echo_abort=before", "echo_format=json", "echo_delay=20ms&echo_format=json"):
            try:
                ports.add(client.get(f"/?{query}").json()["client"]["port"])
            except httpx.RemoteProtocolError:
                assert "abort" in query
        assert len(ports) == 1


def test_over_http_2_a_delay_holds_up_its_own_stream_only(echo: Echo) -> None:
    """Over HTTP/2, a delay does not hold up other streams of the same connection."""

    async def both() -> list[dict[str, Any]]:
        base = f"http://127.0.0.1:{echo.port}"
        async with httpx.AsyncClient(http1=False, http2=True, base_url=base, timeout=DEADLINE) as client:
            first = (await client.get("/?echo_format=json")).json()
            slow = asyncio.create_task(client.get("/?echo_format=json&echo_delay=60s"))
            told = [(await client.get("/?echo_format=json")).json() for _ in range(3)]
            assert not slow.done()
            slow.cancel()
            return [first, *told]

    assert len({told["client"]["port"] for told in asyncio.run(both())}) == 1


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize(
    "query", ["echo_size=3000000", "echo_size=100000&echo_drip=50ms", "echo_size=300000&echo_compress=br"]
)
def test_real_clients_get_what_they_ask_for(echo: Echo, query: str, version: str) -> None:
    """Real clients receive generated bodies over both protocols, with and without content coding."""
    told = curl("--compressed", version, f"http://127.0.0.1:{echo.port}/?{query}")
    size = int(re.findall("size=([0-9]+)", query)[0])
    assert told.encode() == b"".join(generate_body(size))


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_content_has_none(echo: Echo, status: int) -> None:
    """A status without content has no body, and the next response on the connection is valid."""
    with echo.connect() as sock:
        sock.sendall(asking(f"echo_status={status}&echo_size=100"))
        answer, body = read_answer(sock)
        assert (answer.status, body) == (status, b"")
        assert answer.headers["Content-Length"] == ("0" if status == 205 else None)
        sock.sendall(GET)
        assert read_answer(sock)[0].status == 200


def test_head_has_the_length_of_what_get_would_have(echo: Echo) -> None:
    """HEAD has the Content-Length that GET would have, without generating the body."""
    answer, body = echo.get("/?echo_size=1GiB", method="HEAD")
    assert (answer.headers["Content-Length"], body) == (str(1 << 30), b"")


def test_a_redirect_is_followed(echo: Echo) -> None:
    """A redirect to a target of the same echo is followed by curl."""
    told = curl(
        "--location",
        f"http://127.0.0.1:{echo.port}/a?echo_redirect=/b%3Fecho_format%3Djson",
    )
    assert json.loads(told)["path"] == "/b?echo_format=json"


def test_the_first_tries_fail_as_a_client_that_tries_again_sees(echo: Echo) -> None:
    """With echo_fail_first, curl's retry after 503 succeeds."""
    told = curl(
        "--retry", "5", "--retry-delay", "1", "--header", "X-Request-Id: retried",
        f"http://127.0.0.1:{echo.port}/a?echo_fail_first=1&echo_format=json",
    )  # fmt: skip
    answers = re.findall(r'"try": ([0-9]+)', told)
    assert answers == ["1", "2"]


def test_events_come_one_by_one_through_a_proxy_that_buffers(echo: Echo, tmp_path: Path) -> None:
    """The first event passes a buffering proxy as soon as it is generated: the response disables nginx's buffering."""
    with nginx_http(tmp_path, echo.port) as nginx, nginx.connect() as sock:
        sock.sendall(asking("echo_count=600", "Accept: text/event-stream"))
        came = b""
        while b"\n\n" not in came:
            piece = sock.recv(65_536)
            assert piece, came
            came += piece
    assert came.count(b"id: ") == 1
    assert b"Content-Type: text/event-stream" in came


def test_a_mistake_is_told_over_the_wire(echo: Echo) -> None:
    """An invalid control is reported with 400 as text, never as HTML."""
    answer, body = echo.get("/?echo_status=<b>")
    assert (answer.status, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert b'echo_status="<b>": not a whole number' in body


def test_a_hostile_field_does_not_reach_the_head(echo: Echo) -> None:
    """A control cannot inject a header line into the response head."""
    with socket.create_connection(("127.0.0.1", echo.port), DEADLINE) as sock:
        sock.sendall(asking("echo_header=X-A:b%0d%0aSet-Cookie:%20c=d"))
        answer, _ = read_answer(sock)
    assert answer.status == 400
    assert answer.headers["Set-Cookie"] is None
