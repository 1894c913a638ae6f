"""The load client against HTTP/1.1 servers that lose requests."""

import asyncio
import json
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
import uvloop

from tests.e2e.load import http1, http2
from tests.e2e.load.asking import Asker, Kind, Place
from tests.e2e.load.http1 import Http1
from tests.e2e.load.judging import Again, Fault, LostError, Request, new_request
from tests.e2e.load.tallying import Tally, report, summed
from tests.http.process import closed_port
from tests.unit.losing import OTHER_BODY, asked, assert_noted, reflection


def over_http1(body: bytes, number: str, status: int = 200) -> bytes:
    """Return a response after which the connection ends."""
    head = f"HTTP/1.1 {status} X\r\nX-Request-Id: {number}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def right(request: Request) -> bytes:
    """Return the correct response."""
    return over_http1(reflection(request, http1.PROTOCOL), request.id)


# Responses of the server, and the fault that the client must find.
OVER_HTTP1: dict[str, tuple[Callable[[Request], bytes], Fault | None]] = {
    "right": (right, None),
    "nothing": (lambda _: b"", Fault.CLOSED),
    "half of a head": (lambda request: right(request)[:10], Fault.CUT),
    "half of a body": (lambda request: right(request)[:-1], Fault.CUT),
    "a failure": (lambda request: over_http1(b"busy", request.id, 503), Fault.FAILED),
    "another version": (lambda request: right(request).replace(b"HTTP/1.1", b"HTTP/1.2"), Fault.BROKEN),
    "no length": (lambda request: right(request).replace(b"Content-Length", b"X-Length"), Fault.BROKEN),
    "two lengths": (
        lambda request: right(request).replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n"),
        Fault.BROKEN,
    ),
    "two answers": (lambda request: right(request) * 2, Fault.TWICE),
    "a byte too many": (lambda request: right(request) + b"\n", Fault.TWICE),
    "another's head": (lambda request: over_http1(reflection(request, http1.PROTOCOL), "other"), Fault.ANOTHER),
    "another's body": (
        lambda request: over_http1(reflection(request, http1.PROTOCOL, id="other"), request.id),
        Fault.ANOTHER,
    ),
    "another digest": (
        lambda request: over_http1(reflection(request, http1.PROTOCOL, **OTHER_BODY), request.id),
        Fault.CHANGED,
    ),
    "another target": (
        lambda request: over_http1(reflection(request, http1.PROTOCOL, path="/"), request.id),
        Fault.CHANGED,
    ),
    "another method": (
        lambda request: over_http1(reflection(request, http1.PROTOCOL, method="GET"), request.id),
        Fault.CHANGED,
    ),
    "another protocol": (lambda request: over_http1(reflection(request, "HTTP/1.0"), request.id), Fault.CHANGED),
    "no reflection": (lambda request: over_http1(b"<b>", request.id), Fault.CHANGED),
}


@pytest.mark.parametrize("sent", OVER_HTTP1)
def test_each_loss_over_http1_is_noted_by_its_name(sent: str) -> None:
    """A lost request, on its own connection, is recorded by name."""
    answer, fault = OVER_HTTP1[sent]
    request = new_request("POST")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(f"POST {request.target} HTTP/1.1\r\n".encode())
        assert await reader.readexactly(len(request.body)) == request.body
        writer.write(answer(request))
        writer.close()

    assert_noted(asked(Kind(http1.PROTOCOL, 1, fresh=True), request, serve), fault)


def test_a_reset_and_silence_and_nobody_are_noted_by_their_names() -> None:
    """A reset, a timeout and an unreachable server are recorded by name."""
    request = new_request("POST")

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    kind = Kind(http1.PROTOCOL, 1, fresh=True)
    assert_noted(asked(kind, request, reset), Fault.RESET)
    for protocol in (http1.PROTOCOL, http2.PROTOCOL):
        silent = asked(Kind(protocol, 1), replace(request, patience=0.05), keep_silent)
        assert_noted(silent, Fault.TIMED_OUT)
    tally = Tally()
    with closed_port() as port:
        assert not asyncio.run(Asker(Place("127.0.0.1", port, "host"), kind, tally, lambda: True).ask(request))
    assert_noted(tally, Fault.UNREACHED)


@pytest.mark.parametrize(("method", "again", "lost"), [("PUT", 1, 0), ("POST", 0, 1)])
def test_a_kept_connection_that_is_closed_meanwhile(method: str, again: int, lost: int) -> None:
    """Idempotent requests are sent again and counted separately; others are lost (RFC 9112, 9.3.1)."""
    request = new_request(method)

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (right(request).replace(b"Connection: close\r\n", b""), b""):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(request.body))
            writer.write(answer)
        writer.close()

    tally = asked(Kind(http1.PROTOCOL, 1, method=method), request, answer_once, times=2)
    assert tally.again == (Counter({Again.CLOSED_WHILE_IDLE: 1}) if again else Counter())
    assert tally.lost == (Counter({Fault.CLOSED: 1}) if lost else Counter())
    assert (tally.asked, tally.answered, tally.connections) == (2, 2 - lost, 2 - lost)


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_connection_that_is_reset_before_it_is_used(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """A connection that is reset before use is lost at once.

    It can still be closed, although the loop may no longer have a socket for it.
    """

    async def use(listener: socket.socket) -> None:
        loop, host_port = asyncio.get_running_loop(), listener.getsockname()
        _, connection = await loop.create_connection(lambda: Http1("host", Tally().note), *host_port)
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        await connection.ended.wait()
        assert not connection.usable
        await connection.close()
        with pytest.raises(LostError) as lost:
            await connection.ask(new_request("POST"), last=True)
        assert lost.value.fault == Fault.CLOSED

    with socket.create_server(("127.0.0.1", 0)) as listener, asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(use(listener))


def test_connection_close_is_believed() -> None:
    """After Connection: close, the next request opens a connection, and the old one is waited for until it ends."""
    request = new_request("POST")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(request.body))
        writer.write(right(request))
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()

    tally = asked(Kind(http1.PROTOCOL, 1), request, answer, times=2)
    assert (tally.answered, tally.connections, tally.lost) == (2, 2, Counter())


def test_reports_are_summed_up_by_kind() -> None:
    """Reports of several pods are summed into one."""
    one, other = Tally(asked=2, answered=1, slowest=0.5), Tally(asked=1, answered=1, slowest=0.25)
    one.note(Fault.CUT, "here")
    one.pods["a"] += 1
    other.pods["a"] += 1
    both = summed(json.loads(json.dumps(report({"kept": tally}))) for tally in (one, other))["kept"]
    assert (both.asked, both.answered, both.slowest, both.pods) == (3, 2, 0.5, {"a": 2})
    assert both.lost == {Fault.CUT: 1}
    (told,) = both.told
    assert told.startswith("kept: ")
    assert told.endswith(f"{Fault.CUT}: here")
