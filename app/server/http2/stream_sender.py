"""Response output of one HTTP/2 connection: heads, DATA frames in turn.

Each body sends one frame in turn, as far as the flow-control windows allow.
"""

from http import HTTPStatus
from typing import Final

from msgspec import structs

from app.http.errors import ProtocolError
from app.http.observer import APPLICATION_FAILED, unread
from app.server.http2.connection import Streams
from app.server.http2.exchange import Exchange, fields_of
from app.server.http2.frames import ErrorCode
from app.server.http2.grpc_stream import Calling
from app.server.http2.request_parser import VERSION
from app.server.http2.schedule import Schedule
from app.server.response import FAILED, WITHOUT_CONTENT, Response, refusal, told_length
from app.server.state import Phase, Service, UnderWay
from app.server.wsgi import Count, Gateway

_ECHOED: Final = 1 << 18  # bytes of a WebSocket waiting to be sent, above which its window is not raised


class Answers:
    """Sends the output of a connection's exchanges, and ends them."""

    def __init__(self, streams: Streams, gateway: Gateway, service: Service) -> None:
        self.exchanges: dict[int, Exchange] = {}  # those in flight
        self.schedule = Schedule()  # of those with more output than is queued
        self.queued = 0  # bytes waiting to be sent
        self.held = 0  # bytes of complete bodies that are delayed
        self.kept = 0  # bytes of unanswered requests
        self._streams = streams
        self._gateway = gateway
        self._service = service
        self._read = 0  # bytes of bodies that the windows have admitted
        self._sending: dict[int, Exchange] = {}  # those with queued output

    def respond(self, number: int, exchange: Exchange, response: Response, *, with_body: bool) -> None:
        """Send a complete response, without effects."""
        exchange.answered = True
        exchange.response = response
        self.client_reads(exchange)
        content = with_body and response.status[:3] not in WITHOUT_CONTENT
        length = len(response.body) if content else told_length(response, with_body=with_body)
        nothing = not (content and response.body)
        self.send_head(number, response, length, end=nothing)
        if nothing:
            self.complete(number)
            return
        exchange.done = True
        self.queue(number, exchange, response.body)
        self.send(number, exchange)

    def fail(self, number: int, exchange: Exchange) -> None:
        """Send 500, since the application has failed before anything was sent."""
        self._gateway.watch.refused(APPLICATION_FAILED)
        self.respond(number, exchange, FAILED, with_body=True)

    def refuse(self, number: int, error: ProtocolError, *, bodiless: bool = False) -> None:
        """Send an error response, and reset the stream (8.1): a malformed request is a stream error (8.1.1)."""
        exchange = self.exchanges.get(number)
        response, sent = refusal(error), 0
        if bodiless or (exchange is not None and exchange.request.method == b"HEAD"):
            self.send_head(number, response, None, end=True)
        elif self._streams.room(number) < len(response.body):
            # The window has no room for a line, and is not waited for: the unread data is what is rejected.
            self.send_head(number, structs.replace(response, body=b""), None, end=True)
        else:
            self.send_head(number, response, len(response.body), end=False)
            self._streams.send_data(number, response.body, end=True)
            sent = len(response.body)
        malformed = error.status is HTTPStatus.BAD_REQUEST
        if malformed or self._streams.knows(number):
            self._streams.reset(number, ErrorCode.PROTOCOL_ERROR if malformed else ErrorCode.NO_ERROR)
        self.forget(number)
        if exchange is not None:
            self._gateway.refused(error, exchange.request, Count(exchange.since, sent, exchange.received))
        else:
            self._gateway.refused(error, unread(version=VERSION), Count(self._service.exact(), sent, 0))

    def send_head(self, number: int, response: Response, length: int | None, *, end: bool) -> None:
        """Send the head of a response with this Content-Length."""
        self._streams.send_head(number, fields_of(response, date=self._service.date(), length=length), end=end)

    def invite(self, number: int) -> None:
        """Send 100 Continue to a client that waits for it (RFC 9110, 15.2.1)."""
        self._streams.send_head(number, ((b":status", b"100"),), end=False)

    def queue(self, number: int, exchange: Exchange, data: bytes) -> None:
        """Append bytes to the output buffer."""
        if data:
            exchange.out = memoryview(bytes(exchange.out) + data if exchange.out else data)
            self.queued += len(data)
            self._sending[number] = exchange

    def send(self, number: int, exchange: Exchange) -> bool:
        """Send one frame of the buffered output, as far as the windows allow; return whether there was any progress."""
        size = min(self._streams.room(number), len(exchange.out))
        rest = exchange.out[size:]
        over = exchange.done and not rest
        ends = over and not exchange.trailers
        if size or ends:
            piece = bytes(exchange.out[:size])
            exchange.out = rest
            self.queued -= size
            exchange.sent += size
            self._read += size
            self._streams.send_data(number, piece, end=ends)
            if not rest:
                self._sending.pop(number, None)
            if exchange.answered and not over:
                self._let_through(exchange, size)
        if exchange.untaken and len(rest) < _ECHOED:
            self._streams.take(number, exchange.untaken)
            exchange.untaken = 0
        if over:
            self._end(number, exchange)
        elif exchange.broken and not rest:
            self.reset(number, ErrorCode.INTERNAL_ERROR)
        return size > 0 or over or (exchange.broken and not rest)

    def send_round(self) -> bool:
        """Send one frame of each exchange with queued output; return whether there was any progress."""
        progress = False
        for number, exchange in list(self._sending.items()):
            progress = self.send(number, exchange) or progress
        return progress

    @property
    def under_way(self) -> UnderWay:
        """Numbers of requests in flight and of open WebSockets."""
        websockets = sum(exchange.websocket is not None for exchange in self.exchanges.values())
        return UnderWay(len(self.exchanges) - websockets, websockets)

    def client_reads(self, exchange: Exchange) -> None:
        """Start the time in which the client has to admit more output; a delay of our own comes before it.

        It is extended as for a request's body, by what is sent, at the minimum rate. A client that admits a byte now
        and then keeps the response in memory no longer than one that admits nothing.
        """
        now = self._service.clock()
        if exchange.outgoing and not exchange.outgoing.over:
            now = max(now, exchange.outgoing.due)
        exchange.reads, exchange.read, exchange.read_before = now, 0, self._read
        exchange.deadline = now + self._service.seconds[Phase.CLIENT_READS]

    def waits_its_turn(self, number: int, exchange: Exchange) -> bool:
        """Return whether a stream's window is open, and the client reads other responses at the minimum rate.

        The connection's window is shared by all streams. A client with a hundred responses in flight on a slow network
        may have to wait for the last one far longer than for a single one.
        """
        seconds = self._service.clock() - exchange.reads
        fast = self._read - exchange.read_before >= max(1.0, seconds * self._service.bounds.body_rate)
        return fast and self._streams.wants(number)

    def _let_through(self, exchange: Exchange, size: int) -> None:
        if not exchange.out:
            self.client_reads(exchange)  # for the following output
            return
        exchange.reads = min(exchange.reads, self._service.clock())
        exchange.read += size
        exchange.deadline = self._service.body_deadline(exchange.reads, exchange.read)

    def hold(self, exchange: Exchange, size: int) -> None:
        """Count the bytes of a delayed body."""
        exchange.held = size
        self.held += size

    def release(self, exchange: Exchange) -> None:
        """Stop counting them."""
        self.held -= exchange.held
        exchange.held = 0

    def keep(self, exchange: Exchange) -> None:
        """Update the bytes buffered of an incomplete or queued request; of a call, all its bytes."""
        if exchange.websocket:
            size = exchange.websocket.held
        elif isinstance(exchange.outgoing, Calling):
            size = exchange.outgoing.call.held
        else:
            size = sum(len(name) + len(value) for name, value in exchange.request.fields) + len(exchange.request.target)
            size += exchange.meter.kept if exchange.meter else 0
        self.kept += size - exchange.kept
        exchange.kept = size

    def complete(self, number: int) -> None:
        """Remove an answered exchange. A client that has not ended its side need not continue (8.1)."""
        if self._streams.knows(number):
            self._streams.reset(number, ErrorCode.NO_ERROR)
        self.forget(number, whole=True)

    def reset(self, number: int, code: ErrorCode) -> None:
        """Reset a stream, whatever is in flight on it."""
        self._streams.reset(number, code)
        self.forget(number)

    def forget(self, number: int, *, whole: bool = False) -> None:
        """Remove an exchange, if it is known, with its unsent output; `whole` if its response was sent completely."""
        exchange = self.exchanges.pop(number, None)
        if exchange is None:
            return
        self._sending.pop(number, None)
        self.kept -= exchange.kept
        self.queued -= len(exchange.out)
        if exchange.outgoing:
            exchange.outgoing.close()
            self.release(exchange)
            self.schedule.drop(number)
        if exchange.untaken:
            self._streams.take(number, exchange.untaken)  # the connection's window outlives the stream
        if exchange.response is not None:
            count = Count(exchange.since, exchange.sent, exchange.received)
            self._gateway.answered(exchange.request, exchange.response, count, whole=whole)

    def _end(self, number: int, exchange: Exchange) -> None:
        if exchange.trailers:
            trailers = tuple((name.lower(), value) for name, value in exchange.trailers)
            self._streams.send_head(number, trailers, end=True)
        self.complete(number)
