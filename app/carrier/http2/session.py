"""HTTP/2 on one connection: many requests at once, each answered as soon as it is whole (RFC 9113)."""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Final

from msgspec import structs
from websockets.frames import CloseCode

from app.carrier.errors import ProtocolError
from app.carrier.gateway import Gateway
from app.carrier.http2 import frames
from app.carrier.http2.events import Data, End, Event, Head, Reset
from app.carrier.http2.exchange import NEVER, Exchange, fields_of
from app.carrier.http2.frames import ErrorCode, Http2ConnectionError
from app.carrier.http2.requests import Requested
from app.carrier.http2.streams import Streams
from app.carrier.response import Response, refusal
from app.carrier.service import Phase, Service
from app.carrier.session import Channel
from app.carrier.websocket.echo import WebSocketEcho
from app.carrier.websocket.handshake import accept_extended_connect
from app.wire import Fields, WireRequest

_STOPS: Final = "the server stops"
_TURN: Final = 100  # events that are dealt with before others are served
_FLUSHED: Final = 1 << 16  # bytes that are written at once, before it is seen whether the client reads them
# Bytes of answers that wait for the client's windows, above which no more requests are answered.
_QUEUED: Final = 1 << 20
_ECHOED: Final = 1 << 18  # bytes of a WebSocket that wait to be sent, above which no more of it is taken


class Http2Session:
    """Reads requests and writes their answers, those of all streams in turn."""

    def __init__(self, channel: Channel, gateway: Gateway, service: Service) -> None:
        self._channel = channel
        self._gateway = gateway
        self._service = service
        self._streams = Streams(service.bounds.limits, service.bounds.streams, service.clock)
        self._exchanges: dict[int, Exchange] = {}
        self._unanswered: deque[End] = deque()  # whole requests that wait until the client has read others' answers
        self._answered = 0  # requests
        self._leaving = False  # no more streams are taken
        self._head_deadline = NEVER  # of a preface, a frame or a header block that has begun
        self._head_of = 0  # how many frames came before what that deadline is of
        self._idle = False
        self._over = False

    def begin(self, settings: bytes = b"", request: WireRequest | None = None) -> None:
        """Send the server's preface; answer the request with which HTTP/1.1 was upgraded, if it was."""
        if request is not None:
            self._guarded(partial(self._take_upgraded, settings, request))
        self._settle()

    def receive(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._over:
            return
        if not self._guarded(partial(self._streams.receive, data)):
            self._settle()
        elif not self._channel.blocked:
            self._advance()

    def go_on(self) -> None:
        """Go on with a client that has read its answers, and with what is done in steps."""
        for number, exchange in list(self._exchanges.items()):
            if exchange.meter and exchange.meter.pending:
                exchange.meter.work()
                if exchange.meter.pending:
                    self._channel.soon()
            elif exchange.websocket and exchange.websocket.pending:
                exchange.websocket.work()
                self._echo(number, exchange)
        if not self._channel.blocked:
            self._advance()

    def end(self) -> None:
        """Take the end of what the client sends: without its windows there is not much to be said to it."""
        self._over = True
        self._channel.leave()

    def expire(self) -> None:
        """End the streams whose time is over, or the connection, when it is idle."""
        now = self._service.clock()
        over = self._head_deadline <= now or not self._exchanges
        for number, exchange in list(self._exchanges.items()):
            if exchange.deadline > now:
                continue
            if exchange.websocket and not exchange.done and not exchange.goodbye:
                old = now >= exchange.begun + self._service.bounds.timeouts.websocket
                self._say_goodbye(number, exchange, "its time is over" if old else "nothing has come for too long")
            elif exchange.done or exchange.goodbye:
                self._reset(number, ErrorCode.CANCEL)
            else:
                self._refuse(number, ProtocolError(HTTPStatus.REQUEST_TIMEOUT, "the body took too long"))
        if over:
            self._go_away(ErrorCode.NO_ERROR)
            self._finish()
        self._pump()

    def drain(self) -> None:
        """Say that no more requests should come here; those that are on their way are answered still (6.8)."""
        if not self._leaving:
            self._streams.go_away(frames.LAST_STREAM, ErrorCode.NO_ERROR)
        for number, exchange in list(self._exchanges.items()):
            if exchange.websocket:
                self._say_goodbye(number, exchange, _STOPS)
        self._pump()

    def last_call(self) -> None:
        """Take no more requests, and leave when those before are answered."""
        if not self._leaving:
            self._go_away(ErrorCode.NO_ERROR)
        self._settle()

    # what comes in

    def _guarded(self, step: Callable[[], None]) -> bool:
        """Take a step, or tell the client why the connection can't go on; give whether it does."""
        try:
            step()
        except Http2ConnectionError as error:
            self._go_away(error.code, error.reason)
            self._finish()
            return False
        return True

    def _advance(self) -> None:
        self._guarded(self._take_events)
        self._pump()

    def _take_events(self) -> None:
        for taken, event in enumerate(self._streams.events(), 1):
            self._take(event)
            if taken >= _TURN or self._streams.waiting >= _FLUSHED:
                self._channel.soon()  # others are served in between, and this one when it has read
            if self._channel.blocked or self._over:
                return

    def _take(self, event: Event) -> None:
        if isinstance(event, Head):
            self._begin(event)
        elif isinstance(event, Data):
            self._take_data(event)
        elif isinstance(event, End):
            exchange = self._exchanges.get(event.stream)
            if exchange is not None and exchange.websocket:
                exchange.websocket.end()
                self._echo(event.stream, exchange)
            elif exchange is not None and not exchange.done:
                exchange.deadline = self._service.clock() + self._service.seconds[Phase.CLIENT_READS]
                self._unanswered.append(event)
                self._answer_waiting()
        elif isinstance(event, Reset):
            self._forget(event.stream)

    def _begin(self, head: Head) -> None:
        what = head.what
        if isinstance(what, ProtocolError):
            self._refuse(head.stream, what, bodiless=head.bodiless)
            return
        exchange = self._exchanges[head.stream] = Exchange(what.request, self._service.clock())
        limit = self._service.bounds.limits.body
        if what.length is not None and what.length > limit:
            self._refuse(head.stream, ProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body above {limit} bytes"))
        elif what.protocol:
            self._connect(head.stream, exchange, what)
        elif what.request.method == b"CONNECT":
            self._answer(head.stream, exchange, ())  # a tunnel's body has no end to wait for
        else:
            if what.expects_continue and what.length != 0:
                self._streams.send_head(head.stream, ((b":status", b"100"),), end=False)
            exchange.deadline = self._service.body_deadline(exchange.begun, 0)

    def _take_upgraded(self, settings: bytes, request: WireRequest) -> None:
        head = self._streams.upgraded(settings, request)
        exchange = self._exchanges[head.stream] = Exchange(request, self._service.clock())
        self._answer(head.stream, exchange, request.trailers, body_is_known=True)

    def _connect(self, number: int, exchange: Exchange, what: Requested) -> None:
        """Open a WebSocket on a stream (RFC 8441)."""
        if what.protocol != b"websocket":
            self._refuse(
                number, ProtocolError(HTTPStatus.NOT_IMPLEMENTED, "websocket is the only :protocol known here")
            )
            return
        try:
            accepted = accept_extended_connect(what.request)
        except ProtocolError as error:
            self._refuse(number, error)
            return
        greeting = self._gateway.ask(what.request, websocket=True)
        echo = exchange.websocket = WebSocketEcho(accepted.extensions, self._service.bounds.message)
        echo.greet(greeting.body)
        self._send_head(number, accepted.response, end=False)
        if self._service.draining:
            self._say_goodbye(number, exchange, _STOPS)
        else:
            self._echo(number, exchange)

    def _say_goodbye(self, number: int, exchange: Exchange, reason: str) -> None:
        """Close a WebSocket, behind what has come on it; who does not answer to that is dropped."""
        if not exchange.goodbye:
            exchange.goodbye = reason
            exchange.closes = self._service.clock() + self._service.seconds[Phase.CLOSING]
        self._echo(number, exchange)

    def _take_data(self, data: Data) -> None:
        number, size = data.stream, len(data.piece)
        exchange = self._exchanges.get(number)
        if exchange is None or exchange.done:
            self._streams.take(number, size)
            return
        if exchange.websocket:
            exchange.untaken += size
            exchange.websocket.receive(data.piece)
            self._echo(number, exchange)
            return
        exchange.received += size
        limit = self._service.bounds.limits.body
        if exchange.received > limit:
            self._streams.take(number, size)
            self._refuse(number, ProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body above {limit} bytes"))
            return
        exchange.meter = exchange.meter or self._service.meter(exchange.request.fields)
        exchange.meter.take(data.piece)
        self._streams.take(number, size)
        exchange.deadline = self._service.body_deadline(exchange.begun, exchange.received)
        if exchange.meter.pending:
            self._channel.soon()

    # what goes out

    def _answer_waiting(self) -> None:
        """Answer what is whole, unless the answers before take too much memory."""
        while (
            self._unanswered
            and self._streams.waiting < _FLUSHED
            and sum(len(each.out) for each in self._exchanges.values()) <= _QUEUED
        ):
            end = self._unanswered.popleft()
            exchange = self._exchanges.get(end.stream)
            if exchange is not None and not exchange.done:
                self._answer(end.stream, exchange, end.trailers)

    def _answer(self, number: int, exchange: Exchange, trailers: Fields, *, body_is_known: bool = False) -> None:
        request = exchange.request
        if exchange.meter or (trailers and not body_is_known):
            body = (exchange.meter or self._service.meter(request.fields)).body(chunked=False)
            request = structs.replace(request, body=body, trailers=trailers)
            exchange.meter = None
        self._answered += 1
        response = self._gateway.ask(request)
        self._respond(number, exchange, response, with_body=request.method != b"HEAD")
        if self._answered >= self._service.bounds.requests and not self._leaving:
            self._go_away(ErrorCode.NO_ERROR)

    def _refuse(self, number: int, error: ProtocolError, *, bodiless: bool = False) -> None:
        """Say what was wrong, and that no more of it is wanted (8.1): a malformed request is a stream error (8.1.1)."""
        exchange = self._exchanges.get(number)
        response = refusal(error)
        if bodiless or (exchange is not None and exchange.request.method == b"HEAD"):
            self._send_head(number, response, end=True, with_body=False)
        elif self._streams.room(number) < len(response.body):
            # It has no window for a line, and is not waited for: what it does not read is what is refused.
            self._send_head(number, structs.replace(response, body=b""), end=True)
        else:
            self._send_head(number, response, end=False)
            self._streams.send_data(number, response.body, end=True)
        malformed = error.status is HTTPStatus.BAD_REQUEST
        if malformed or self._streams.knows(number):
            self._streams.reset(number, ErrorCode.PROTOCOL_ERROR if malformed else ErrorCode.NO_ERROR)
        self._forget(number)

    def _respond(self, number: int, exchange: Exchange, response: Response, *, with_body: bool) -> None:
        exchange.done = True
        exchange.deadline = self._service.clock() + self._service.seconds[Phase.CLIENT_READS]
        nothing = not with_body or not (response.body or response.trailers)
        self._send_head(number, response, end=nothing, with_body=with_body)
        if nothing:
            self._complete(number)
            return
        exchange.out = memoryview(response.body)
        exchange.trailers = response.trailers
        self._send(number, exchange)

    def _send_head(self, number: int, response: Response, *, end: bool, with_body: bool = True) -> None:
        fields = fields_of(response, date=self._service.date(), with_body=with_body)
        self._streams.send_head(number, fields, end=end)

    def _echo(self, number: int, exchange: Exchange) -> None:
        """Queue what a WebSocket has to say."""
        echo = exchange.websocket
        if echo is None:
            return
        now, timeouts = self._service.clock(), self._service.bounds.timeouts
        if not exchange.done:
            exchange.deadline = min(now + timeouts.idle, exchange.begun + timeouts.websocket, exchange.closes)
        if exchange.goodbye and not echo.pending:
            echo.close(CloseCode.GOING_AWAY, exchange.goodbye)
        out = echo.outgoing()
        if out:
            exchange.out = memoryview(bytes(exchange.out) + out)
        if echo.over:
            exchange.done = True
        elif echo.pending:
            self._channel.soon()
        self._send(number, exchange)

    def _send(self, number: int, exchange: Exchange) -> bool:
        """Send one frame of what waits, as far as the windows let it; tell whether there was any progress."""
        size = min(self._streams.room(number), len(exchange.out))
        rest = exchange.out[size:]
        over = exchange.done and not rest
        if size or (over and not exchange.trailers):
            piece = bytes(exchange.out[:size])
            exchange.out = rest
            self._streams.send_data(number, piece, end=over and not exchange.trailers)
            if exchange.done:
                exchange.deadline = self._service.clock() + self._service.seconds[Phase.CLIENT_READS]
        if exchange.untaken and len(rest) < _ECHOED:
            self._streams.take(number, exchange.untaken)
            exchange.untaken = 0
        if not over:
            return size > 0
        if exchange.trailers:
            trailers = tuple((name.lower(), value) for name, value in exchange.trailers)
            self._streams.send_head(number, trailers, end=True)
        self._complete(number)
        return True

    def _complete(self, number: int) -> None:
        """Forget an exchange that was answered. A client that has not ended its side need not go on (8.1)."""
        if self._streams.knows(number):
            self._streams.reset(number, ErrorCode.NO_ERROR)
        self._forget(number)

    def _forget(self, number: int) -> None:
        exchange = self._exchanges.pop(number, None)
        if exchange is not None and exchange.untaken:
            self._streams.take(number, exchange.untaken)  # the connection's window outlives the stream

    def _pump(self) -> None:
        """Send what waits, a frame of each stream in turn, until the windows or the client allow no more."""
        progress = True
        while progress and not self._channel.blocked:
            progress = False
            for number, exchange in list(self._exchanges.items()):
                if exchange.out:
                    progress = self._send(number, exchange) or progress
            if self._streams.waiting >= _FLUSHED:
                self._channel.write(self._streams.outgoing())
            if self._unanswered and not progress:
                before = len(self._unanswered)
                self._answer_waiting()
                progress = len(self._unanswered) < before
                if self._streams.waiting >= _FLUSHED:
                    self._channel.soon()
        self._settle()

    def _reset(self, number: int, code: ErrorCode) -> None:
        self._streams.reset(number, code)
        self._forget(number)

    def _go_away(self, code: ErrorCode, reason: str = "") -> None:
        self._leaving = True
        # What was said is not taken back (6.8); `last` goes on with streams that are refused.
        self._streams.refuse_above = min(self._streams.last, self._streams.refuse_above)
        self._streams.go_away(self._streams.refuse_above, code, reason)

    def _finish(self) -> None:
        self._over = True
        self._exchanges.clear()

    # and the time

    def _settle(self) -> None:
        """Write what there is to write, and wait for what comes next."""
        out = self._streams.outgoing()
        if out:
            self._channel.write(out)
        if self._over or (not self._exchanges and (self._leaving or not self._streams.goes_on)):
            self._over = True
            self._channel.close()
            return
        self._wait(self._exchanges.values())

    def _wait(self, exchanges: Iterable[Exchange]) -> None:
        number, size = self._streams.partial_data
        exchange = self._exchanges.get(number)
        if exchange is not None and not (exchange.done or exchange.websocket):
            exchange.deadline = self._service.body_deadline(exchange.begun, exchange.received + size)
        if not self._streams.within_head:
            self._head_deadline = NEVER
        elif self._head_deadline == NEVER or self._head_of != self._streams.taken:
            self._head_deadline = self._service.clock() + self._service.seconds[Phase.HEAD]
            self._head_of = self._streams.taken
        idle = not self._exchanges and self._head_deadline == NEVER
        if idle:
            if not self._idle:
                self._channel.enter(Phase.IDLE)
        else:
            self._channel.enter(Phase.BODY, min(self._head_deadline, *(each.deadline for each in exchanges), NEVER))
        self._idle = idle
