"""The corpus of odd and malformed requests (cases/README.md).

It is run against a running echo and against its request reader.
"""

import json
import os
import re
import select
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import pytest

from app.config.settings import Settings
from app.http.errors import ProtocolError
from app.server.http1.events import RequestHead
from app.server.http1.parser import BodyData, RequestParser
from app.server.limits import RequestLimits
from tests.http import corpus, raw_http2
from tests.http.corpus import HTTP1, HTTP2, Case, Http1Case, Http2Case
from tests.http.process import Echo, running
from tests.http.raw_http2 import Client

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
NEXT_ANSWER = b"<b>Got: next</b>!"
NEXT_STREAM = 2001  # higher than the streams of any case
# The maximum number of pieces in which a request arrives: byte by byte, unless it is larger.
WAYS = {"whole": 1, "byte by byte": 5000}

EchoWith = Callable[[Mapping[str, int]], Echo]


class Answer(NamedTuple):
    """An HTTP/1.1 response, with header names in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def echo_with() -> Iterator[EchoWith]:
    """Yield a function that returns an echo with some settings, one echo for each combination."""
    echoes: dict[str, Echo] = {}
    with ExitStack() as stack:

        def give(settings: Mapping[str, int]) -> Echo:
            key = json.dumps(settings, sort_keys=True)
            if key not in echoes:
                echoes[key] = stack.enter_context(running(**settings))
            return echoes[key]

        yield give
        assert [echo.process.poll() for echo in echoes.values()] == [None] * len(echoes), "they have lived through it"


def parameters(cases: Mapping[str, Http1Case] | Mapping[str, Http2Case]) -> list[object]:
    """Return the cases as parameters of a test."""
    return [pytest.param(case, id=name) for name, case in cases.items()]


@contextmanager
def noted(way: str) -> Iterator[None]:
    """Add to a failure how the request was sent: a separate test for each way would take twice the time."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"sent {way}")
        raise


def complaints(echo: Echo) -> str:
    """Return what an echo has written to stderr since the last call."""
    assert echo.process.stderr is not None
    said = b""
    while select.select([echo.process.stderr], [], [], 0)[0] and (piece := os.read(echo.process.stderr.fileno(), 4096)):
        said += piece
    return said.decode()


def next_answer(stream: BinaryIO, *, with_body: bool = True) -> Answer | None:
    """Return the next final response on a connection, complete and well-formed; None at the connection's end."""
    lines: list[str] = []
    while (line := stream.readline()) != b"\r\n":
        if not line and not lines:
            return None
        assert line.endswith(b"\r\n"), f"cut off: {lines} {line!r}"
        lines.append(line[:-2].decode("latin-1"))
    match = re.fullmatch(r"HTTP/1\.1 ([1-5][0-9]{2}) [ -~]+", lines[0])
    assert match, lines[0]
    if match[1].startswith("1"):
        return next_answer(stream, with_body=with_body)
    named = [line.partition(": ") for line in lines[1:]]
    fields = {name.lower(): value for name, _, value in named}
    assert len(fields) == len(named), f"a field twice: {lines}"
    length = int(fields["content-length"]) if with_body else 0
    body = stream.read(length)
    assert len(body) == length, "cut off"
    return Answer(int(match[1]), fields, body)


def check_answer(case: Http1Case | Http2Case, status: int, fields: Mapping[str, str], body: bytes) -> None:
    """Compare a response with its case: a rejection is one line with the reason, another shows what the case lists."""
    if case.refused:
        phrase = HTTPStatus(status).phrase
        reason = body.decode("ascii").removeprefix(f"{status} {phrase}: ")
        assert f"{status} {phrase}: {reason}" == body.decode("ascii")
        assert reason.removesuffix("\n").isprintable()
        assert reason.endswith("\n")
        assert len(reason) < 250
        assert case.says in reason
        assert fields["content-type"] == "text/plain; charset=utf-8"
        return
    if case.answer is not None:
        assert body.decode() == case.answer
    if case.shows or case.counts:
        assert fields["content-type"] == "application/json"
        told = json.loads(body)
        assert {key: told[key] for key in case.shows} == case.shows
        assert {key: len(told[key]) for key in case.counts} == case.counts


def test_a_mistake_in_a_case_is_said_with_its_file(tmp_path: Path) -> None:
    """An error in a case is reported with its file: no case with an unknown or missing key is accepted."""
    file = tmp_path / "odd.toml"
    file.write_text('rfc = "RFC 9112, 3"\nwhat = "a"\nsend = ["a"]\nstatus = 400\nstates = "b"\n')
    with pytest.raises(ValueError, match=r"odd\.toml: .*`states`"):
        corpus.read(file)


@pytest.mark.parametrize("case", parameters(HTTP1))
def test_a_request_is_answered_as_its_case_says(echo_with: EchoWith, case: Http1Case) -> None:
    """Every case's request gets its response, alone and followed by another request, with no output on stderr.

    If the case closes the connection, the following request gets no response; otherwise it gets one.
    """
    echo = echo_with(case.settings)
    for way, behind in (("alone", b""), ("with one behind it", NEXT)):
        with noted(way):
            check_request(echo, case, behind)
    assert complaints(echo) == ""


def check_request(echo: Echo, case: Http1Case, behind: bytes) -> None:
    """Send a case's request, followed by `behind`, and compare the responses."""
    wire = corpus.wire(case.send)
    with_body = not wire.startswith(b"HEAD ")
    with echo.connect() as sock, sock.makefile("rb") as stream:
        sock.sendall(wire + behind)
        answer = next_answer(stream, with_body=with_body)
        assert answer is not None, "closed without an answer"
        assert answer.status == case.status, answer
        if with_body:
            check_answer(case, answer.status, answer.fields, answer.body)
        if not case.ends:
            sock.sendall(b"" if behind else NEXT)
            following = next_answer(stream)
            assert following is not None
            assert following.body == NEXT_ANSWER
            sock.shutdown(socket.SHUT_WR)
        else:
            assert answer.fields["connection"] == "close"
        assert next_answer(stream) is None


@pytest.mark.parametrize("case", parameters(HTTP1))
def test_the_reader_takes_a_request_as_its_case_says(case: Http1Case) -> None:
    """The reader parses a request alike in one piece or byte by byte; a rejection has the case's status and reason."""
    for way, pieces in WAYS.items():
        with noted(way):
            check_reader(case, pieces)


def check_reader(case: Http1Case, pieces: int) -> None:
    """Parse a case's request in at most `pieces` pieces, and compare the result."""
    wire = corpus.wire(case.send)
    reader = RequestParser(limits(case))
    step = -(-len(wire) // pieces)
    if case.refused:
        with pytest.raises(ProtocolError) as raised:
            list(read(reader, wire, step))
        assert raised.value.status == case.status
        assert case.says in raised.value.reason
        assert raised.value.reason.isprintable()
    else:
        whole = RequestParser(limits(case))
        assert list(read(reader, wire, step)) == list(read(whole, wire, len(wire)))
        assert not reader.is_within_request


def limits(case: Case) -> RequestLimits:
    """Return the limits of a reader in an echo with the case's settings."""
    settings = msgspec.structs.replace(Settings(), **case.settings)
    return RequestLimits(settings.max_header_bytes, settings.max_headers, settings.max_body)


def read(reader: RequestParser, wire: bytes, step: int) -> Iterator[object]:
    """Yield the events of bytes that arrive in pieces, each body as one piece."""
    body = b""
    for start in range(0, len(wire), step):
        reader.feed(wire[start : start + step])
        for event in iter(reader.next_event, None):
            if isinstance(event, BodyData):
                body += event.piece
            elif isinstance(event, RequestHead):
                yield event
            else:
                yield body
                yield event


@pytest.mark.parametrize("case", parameters(HTTP2))
def test_a_stream_ends_as_its_case_says(echo_with: EchoWith, case: Http2Case) -> None:
    """A stream ends with its response, RST_STREAM, both, or GOAWAY; without GOAWAY, the next request is served."""
    echo = echo_with(case.settings)
    wire = raw_http2.sent(case)
    for way, pieces in WAYS.items():
        with noted(way), echo.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = Client(sock)
            client.send(wire, -(-len(wire) // pieces))
            check_end(case, client)
    assert complaints(echo) == ""


def check_end(case: Http2Case, client: Client) -> None:
    """Receive the end of a case, and compare it with the case."""
    if case.goaway or case.error:
        client.hear(lambda: case.error is not None and 1 in client.streams and client.streams[1].reset is not None)
        if case.goaway or client.goaway:
            assert client.goaway in {case.goaway, case.error}
            client.hear()  # until it is closed: RFC 9113, 5.4.1
            return
        assert client.streams[1].reset == case.error
    client.hear(lambda: client.over(1))
    client.send(raw_http2.request(b"/next", NEXT_STREAM))
    client.hear(lambda: client.over(NEXT_STREAM))
    assert (client.goaway, client.closed) == (None, False)
    assert client.streams[NEXT_STREAM].body == NEXT_ANSWER
    if case.status is not None:
        answer = client.streams[1]
        assert answer.complete
        assert answer.status == case.status, answer
        check_answer(case, answer.status, answer.fields, answer.body)
    if case.reset is not None:
        assert client.streams[1].reset == case.reset
