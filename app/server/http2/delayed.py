"""Delayed and streamed responses of one HTTP/2 connection.

Each of them delays only its own stream.
"""

from typing import Final

from app.server.http2.connection import Streams
from app.server.http2.exchange import NEVER, Exchange
from app.server.http2.frames import ErrorCode
from app.server.http2.grpc_stream import Calling
from app.server.http2.stream_sender import Answers
from app.server.response import Response
from app.server.response_body import Outgoing
from app.server.state import Service

# Limits for a turn of the loop: bytes requested from responses, and number of steps.
_BYTES: Final = 1 << 17
_STEPS: Final = 100


class Paced:
    """Requests the next piece of a response when it is due, earlier output was sent, and a window is open."""

    def __init__(self, streams: Streams, answers: Answers, service: Service) -> None:
        self._streams = streams
        self._answers = answers
        self._service = service
        self._schedule = answers.schedule

    def begin(self, number: int, exchange: Exchange, response: Response) -> None:
        """Start a response that takes time; send immediately what is due."""
        now = self._service.clock()
        outgoing = exchange.outgoing = Outgoing(response, self._service, with_body=exchange.request.method != b"HEAD")
        exchange.answered, exchange.head, exchange.response = True, response, response
        if outgoing.due <= now:
            self._step(number, exchange, outgoing, now)
        else:
            self._answers.hold(exchange, len(response.body))
            self._schedule.put(number, outgoing.due)
            self._answers.client_reads(exchange)

    def expect(self, number: int, exchange: Exchange, calling: Calling) -> None:
        """Send what a call has due now, and schedule its next output."""
        now = self._service.clock()
        was_due = self._schedule.due.get(number, NEVER) <= now
        self._schedule.put(number, calling.due)
        if not exchange.out and not (was_due and calling.due <= now):  # else earlier output is still unread
            self._answers.client_reads(exchange)
        if calling.due <= now and self._wanted(number, exchange, calling):
            self._step(number, exchange, calling, now)

    def go_on(self) -> None:
        """Advance the responses that are due, in turn; some may be left for the loop's next turn."""
        now, steps, size = self._service.clock(), 0, 0
        for number in self._schedule.ready(now):
            exchange = self._answers.exchanges[number]
            outgoing = exchange.outgoing
            if outgoing and self._wanted(number, exchange, outgoing):
                size += self._step(number, exchange, outgoing, now)
                steps += 1
                if size >= _BYTES or steps >= _STEPS:
                    return

    def due(self) -> float:
        """Return the time, on the loop's clock, of the next possible step, or `NEVER`."""
        now = self._service.clock()
        for number in self._schedule.ready(now):
            exchange = self._answers.exchanges[number]
            if exchange.outgoing and self._wanted(number, exchange, exchange.outgoing):
                return now
        return self._schedule.next()

    def stop(self) -> None:
        """End responses that have no known end."""
        now = self._service.clock()
        for number, exchange in self._answers.exchanges.items():
            outgoing = exchange.outgoing
            if outgoing and not outgoing.over:
                outgoing.stop(now)
                self._schedule.put(number, outgoing.due)

    def _wanted(self, number: int, exchange: Exchange, outgoing: Outgoing | Calling) -> bool:
        if exchange.out:
            return False
        return exchange.head is not None or outgoing.ending or self._streams.room(number) > 0

    def _step(self, number: int, exchange: Exchange, outgoing: Outgoing | Calling, now: float) -> int:
        """Advance a response by one step; return the number of bytes that it has added."""
        if outgoing.dropped:
            self._answers.reset(number, ErrorCode.INTERNAL_ERROR)
            return 0
        head, exchange.head = exchange.head, None
        no_room = outgoing.streamed and outgoing.has_content and not self._streams.room(number)
        if head and no_room and not outgoing.ending:
            self._answers.send_head(number, head, outgoing.length, end=False)
            self._wait(number, exchange, outgoing)
            return 0
        self._answers.release(exchange)
        piece = outgoing.take(now)
        if head and outgoing.failed:  # nothing was sent
            exchange.outgoing = None
            self._schedule.drop(number)
            self._answers.fail(number, exchange)
            return 0
        self._wait(number, exchange, outgoing)
        if head:
            nothing = exchange.done and not (piece or exchange.trailers)
            self._answers.send_head(number, head, outgoing.length, end=nothing)
            if nothing:
                self._answers.complete(number)
                return 0
        self._answers.queue(number, exchange, piece)
        self._answers.send(number, exchange)
        return len(piece)

    def _wait(self, number: int, exchange: Exchange, outgoing: Outgoing | Calling) -> None:
        """Record the state of the output, and schedule its next step."""
        exchange.broken = outgoing.broken
        exchange.done = outgoing.over and not outgoing.broken
        exchange.trailers = outgoing.trailers
        if isinstance(outgoing, Calling):
            self._answers.keep(exchange)
        if outgoing.over:
            self._schedule.drop(number)
        else:
            self._schedule.put(number, outgoing.due)
        self._answers.client_reads(exchange)
