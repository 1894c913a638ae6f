"""The load client against HTTP/2 servers that lose requests."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import hpack
import pytest

from app.server.http2 import frames
from tests.e2e.load import http2
from tests.e2e.load.asking import Asker, Kind, Place
from tests.e2e.load.judging import SIZES, Again, Fault, Request, new_request
from tests.e2e.load.tallying import Tally
from tests.unit.losing import OTHER_BODY, Serve, asked, assert_noted, port_of, reflection


def over_http2(stream: int, request: Request, body: bytes | None = None, status: str = "200") -> list[bytes]:
    """Return the frames of a response, correct by default.

    None of its headers is added to the table (RFC 7541, 6.2.2).
    """
    body = reflection(request, http2.PROTOCOL) if body is None else body
    fields = ((":status", status), ("content-length", str(len(body))), ("x-request-id", request.id))
    block = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields])
    return [
        frames.encode(frames.HEADERS, frames.END_HEADERS, stream, block),
        frames.encode(frames.DATA, frames.END_STREAM, stream, body),
    ]


def reset_by(stream: int, code: frames.ErrorCode) -> list[bytes]:
    """Return the frame that resets a stream."""
    return [frames.encode_number(frames.RST_STREAM, stream, code)]


def with_changes(**changes: Any) -> Callable[[int, Request], list[bytes]]:
    """Return a function that responds with a changed reflection."""
    return lambda stream, request: over_http2(stream, request, reflection(request, http2.PROTOCOL, **changes))


GOODBYE = frames.encode_goaway(0, frames.ErrorCode.NO_ERROR)
# The frames that the server sends before it closes, and the fault that the client must find.
OVER_HTTP2: dict[str, tuple[Callable[[int, Request], list[bytes]], Fault | None]] = {
    "right": (over_http2, None),
    "nothing": (lambda *_: [], Fault.CLOSED),
    "a head": (lambda *what: over_http2(*what)[:1], Fault.CUT),
    "a reset": (lambda stream, _: reset_by(stream, frames.ErrorCode.INTERNAL_ERROR), Fault.RESET),
    "an error of the connection": (
        lambda stream, _: [frames.encode_goaway(stream, frames.ErrorCode.PROTOCOL_ERROR)],
        Fault.RESET,
    ),
    "a goodbye that lets it be answered, and no answer": (
        lambda stream, _: [frames.encode_goaway(stream, frames.ErrorCode.NO_ERROR)],
        Fault.CLOSED,
    ),
    "a failure": (lambda stream, request: over_http2(stream, request, b"busy", "503"), Fault.FAILED),
    "no HPACK": (lambda *_: [frames.encode(frames.HEADERS, frames.END_HEADERS, 1, b"\xff" * 9)], Fault.BROKEN),
    "a body that is too short": (
        lambda *what: [over_http2(*what)[0], frames.encode(frames.DATA, frames.END_STREAM, what[0], b"{}")],
        Fault.BROKEN,
    ),
    "two answers": (lambda *what: over_http2(*what) + over_http2(*what)[1:], Fault.TWICE),
    "another's": (with_changes(id="other"), Fault.ANOTHER),
    "another digest": (with_changes(**OTHER_BODY), Fault.CHANGED),
}


async def asked_streams(reader: asyncio.StreamReader) -> AsyncIterator[int]:
    """Yield the stream of each complete request, in any number of frames, until the client ends."""
    assert await reader.readexactly(len(frames.PREFACE)) == frames.PREFACE
    taken = frames.FrameReader()
    while data := await reader.read(65_536):
        taken.feed_bytes(data)
        while frame := taken.next_frame():
            if frame.type == frames.DATA and frame.flags & frames.END_STREAM:
                yield frame.stream_id


def speaking_http2(
    request: Request, answer: Callable[[int, Request], list[bytes]], *, first: list[bytes] | None = None
) -> Serve:
    """Return a server that responds to the request and closes.

    It sends `first` instead for the first request, and continues.
    """
    firsts = [first] if first else []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frames.encode_settings({}))
        async for stream in asked_streams(reader):
            if firsts:
                writer.writelines(firsts.pop())
            else:
                writer.writelines(answer(stream, request))
                writer.write_eof()
        writer.close()

    return serve


@pytest.mark.parametrize("sent", OVER_HTTP2)
def test_each_loss_over_http2_is_noted_by_its_name(sent: str) -> None:
    """A lost request, on its own connection, is recorded by name."""
    answer, fault = OVER_HTTP2[sent]
    request = new_request("POST")
    tally = asked(Kind(http2.PROTOCOL, 1, fresh=True), request, speaking_http2(request, answer))
    assert_noted(tally, fault)


@pytest.mark.parametrize(
    ("said", "why", "connections"),
    [
        ([GOODBYE], Again.ABOVE_THE_LAST, 2),
        (reset_by(1, frames.ErrorCode.REFUSED_STREAM), Again.REFUSED, 1),
    ],
    ids=["GOAWAY", "REFUSED_STREAM"],
)
def test_what_http2_says_was_not_processed_is_sent_again(said: list[bytes], why: Again, connections: int) -> None:
    """Unprocessed requests are sent again and counted separately (RFC 9113, 8.7).

    They go to a new connection if the old one ends.
    """
    request = new_request("POST")
    tally = asked(Kind(http2.PROTOCOL, 1), request, speaking_http2(request, over_http2, first=said))
    assert (tally.asked, tally.answered, tally.connections, tally.lost) == (1, 1, connections, Counter())
    assert tally.again == {why: 1}


@pytest.mark.parametrize("size", SIZES)
def test_what_is_under_way_is_waited_for_when_goaway_has_come(size: int) -> None:
    """After GOAWAY, the next request opens a connection, and the one before is still answered on the old one."""
    first, second = replace(new_request("POST"), body=bytes(size)), new_request("POST")

    async def ask() -> Tally:
        tally, said, came = Tally(), asyncio.Event(), asyncio.Event()

        async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if said.is_set():
                came.set()
                await speaking_http2(second, over_http2)(reader, writer)
                return
            await anext(asked_streams(reader))
            writer.write(frames.encode_settings({}) + frames.encode_goaway(1, frames.ErrorCode.NO_ERROR))
            said.set()
            await came.wait()
            writer.writelines(over_http2(1, first))
            await reader.read()
            writer.close()

        async with await asyncio.start_server(answer_late, "127.0.0.1", 0) as server:
            place = Place("127.0.0.1", port_of(server), "host")
            asker = Asker(place, Kind(http2.PROTOCOL, 1), tally, lambda: True)
            under_way = asyncio.create_task(asker.ask(first))
            await said.wait()
            await asker.ask(second)
            await under_way
            await asker.ask_on()
        return tally

    tally = asyncio.run(ask())
    assert (tally.answered, tally.connections, tally.lost) == (2, 2, Counter())
