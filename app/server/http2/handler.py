"""HTTP/2 protocol handler: concurrent requests of one connection.

Each is answered as soon as it is complete (RFC 9113).
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Final

from msgspec import structs

from app.http.body import KEPT
from app.http.call import is_call
from app.http.errors import ProtocolError, full
from app.http.request import NO_EFFECTS, Fields
from app.server.http2.connection import Streams
from app.server.http2.delayed import Paced
from app.server.http2.events import Data, End, Event, Head, Reset
from app.server.http2.exchange import NEVER, Exchange
from app.server.http2.frames import ErrorCode, Http2ConnectionError
from app.server.http2.grpc_calls import Calls
from app.server.http2.grpc_stream import Calling
from app.server.http2.shutdown import Shutdown
from app.server.http2.stream_sender import Answers
from app.server.http2.websockets import WebSockets
from app.server.protocol import Channel
from app.server.state import Phase, Service, UnderWay
from app.server.wsgi import Gateway

_TURN: Final = 100  # events that are processed before other connections are served
_MADE: Final = 1 << 20  # bytes of calls' messages, likewise: with gzip they may be a thousand times the bytes received
_FLUSHED: Final = 1 << 16  # bytes written at once, before checking whether the client reads them
# Bytes of responses above which no more requests are answered: of responses that wait for the client's windows, and of
# delayed ones, of which a client may well request many.
_QUEUED: Final = 1 << 20
_HELD: Final = 1 << 23


class Http2Session:
    """Reads requests and writes their responses, those of all streams in turn."""

    def __init__(self, channel: Channel, gateway: Gateway, service: Service) -> None:
        self._channel = channel
        self._gateway = gateway
        self._service = service
        self._streams = Streams(service.bounds.limits, service.bounds.streams, service.clock, service.lists)
        self._answers = Answers(self._streams, gateway, service)
        self._paced = Paced(self._streams, self._answers, service)
        self._calls = Calls(gateway, self._answers, self._paced, service)
        self._websockets = WebSockets(channel, gateway, self._answers, service)
        self._exchanges = self._answers.exchanges
        self._unanswered: deque[End] = deque()  # complete requests that wait until the client has read other responses
        self._shutdown = Shutdown(self._streams, service)
        self._head_deadline = NEVER  # of an incomplete preface, frame or header block
        self._head_of = 0  # number of frames before the one with that deadline
        self._idle = False
        self._over = False

    def begin(self) -> None:
        """Send the server's preface."""
        self._settle()

    @property
    def under_way(self) -> UnderWay:
        """Numbers of requests in flight and of open WebSockets."""
        return self._answers.under_way

    def receive(self, data: bytes) -> None:
        """Process bytes from the client."""
        if self._over:
            return
        if not self._guarded(partial(self._streams.receive, data)):
            self._settle()
        elif not self._channel.blocked:
            self._advance()

    def go_on(self) -> None:
        """Resume when the client has read its responses, and with what is processed in steps."""
        for number, exchange in list(self._exchanges.items()):
            if exchange.meter and exchange.meter.pending:
                exchange.meter.work()
                if exchange.meter.pending:
                    self._channel.soon()
            elif exchange.websocket and exchange.websocket.pending:
                exchange.websocket.work()
                self._websockets.echo(number, exchange)
        if not self._channel.blocked:
            self._advance()

    def wake(self) -> None:
        """Send what is due of responses that take time."""
        self._paced.go_on()
        if not (self._exchanges or self._over):
            self._shutdown.look()
        self._pump()

    def end(self) -> None:
        """Process EOF from the client: without further window updates little could still be sent."""
        self._finish()
        self._channel.leave()

    def expire(self) -> None:
        """End streams whose deadline has passed, or the connection; an idle one receives GOAWAY first."""
        now = self._service.clock()
        over, idle = self._head_deadline <= now, not self._exchanges
        for number, exchange in list(self._exchanges.items()):
            if exchange.deadline > now:
                continue
            if exchange.websocket and not exchange.answered and not exchange.goodbye:
                self._websockets.expire(number, exchange, now)
            elif (exchange.queued or exchange.answered) and self._answers.waits_its_turn(number, exchange):
                self._answers.client_reads(exchange)
            elif exchange.answered or exchange.goodbye:
                self._answers.reset(number, ErrorCode.CANCEL)
            elif exchange.queued and self._answers.held > _HELD:
                self._answers.client_reads(exchange)  # the client is not slow: other responses are delayed
            else:
                what = "timeout while receiving the request body (ECHO_BODY_TIMEOUT, ECHO_MIN_BODY_RATE)"
                self._answers.refuse(number, ProtocolError(HTTPStatus.REQUEST_TIMEOUT, what))
        if over:
            self._shutdown.end(ErrorCode.NO_ERROR)
            self._finish()
        elif idle:
            self._shutdown.announce()
            self._channel.enter(Phase.IDLE)  # otherwise it would expire again at each check of the deadlines
        self._pump()

    def drain(self) -> None:
        """Announce the shutdown by GOAWAY; requests in transit are still answered (6.8)."""
        self._shutdown.announce()
        for number, exchange in list(self._exchanges.items()):
            if exchange.websocket:
                self._websockets.stop(number, exchange)
        self._paced.stop()
        self._pump()

    def last_call(self) -> None:
        """Announce the shutdown to clients that were not notified yet: they connected after the others were."""
        self._shutdown.announce()
        self._settle()

    @property
    def held(self) -> int:
        """Bytes buffered of unanswered requests, and of responses for which there is no window."""
        return self._streams.held + self._answers.kept + self._answers.queued

    def shed(self) -> None:
        """Reject incomplete requests; if that is not enough, end the connection."""
        for number, exchange in list(self._exchanges.items()):
            if exchange.kept and (exchange.websocket or isinstance(exchange.outgoing, Calling)):
                self._answers.reset(number, ErrorCode.ENHANCE_YOUR_CALM)
            elif exchange.kept and not exchange.answered:
                self._answers.refuse(number, full())
        if self._answers.queued or self._streams.within_head:
            self._shutdown.end(ErrorCode.ENHANCE_YOUR_CALM, full().reason)
            self._finish()
        self._settle()

    def lost(self) -> None:
        """Release everything in flight."""
        self._finish()

    # input

    def _guarded(self, step: Callable[[], None]) -> bool:
        """Run a step; on a connection error send GOAWAY. Return whether the connection continues."""
        try:
            step()
        except Http2ConnectionError as error:
            self._gateway.watch.refused(f"http2_{error.code.name.lower()}")
            self._shutdown.end(error.code, error.reason)
            self._finish()
            return False
        return True

    def _advance(self) -> None:
        self._guarded(self._take_events)
        self._pump()

    def _take_events(self) -> None:
        enough = self._calls.made + _MADE
        for taken, event in enumerate(self._streams.events(), 1):
            self._take(event)
            if taken >= _TURN or self._streams.waiting >= _FLUSHED or self._calls.made >= enough:
                self._channel.soon()  # other connections are served in between, and this one once the client has read
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
                self._websockets.echo(event.stream, exchange)
            elif exchange is not None and not exchange.answered:
                exchange.queued = True
                self._answers.client_reads(exchange)
                self._unanswered.append(event)
                self._answer_waiting()
                if not exchange.answered:
                    self._answers.keep(exchange)
            elif exchange is not None:
                self._calls.end(event.stream, exchange)
        elif isinstance(event, Reset):
            self._answers.forget(event.stream)

    def _begin(self, head: Head) -> None:
        what = head.what
        self._idle = False  # also if everything ends before the next check
        if isinstance(what, ProtocolError):
            self._answers.refuse(head.stream, what, bodiless=head.bodiless)
            return
        exchange = self._exchanges[head.stream] = Exchange(what.request, self._service.clock(), self._service.exact())
        invite = what.expects_continue and what.length != 0
        may_be_call = what.request.method == b"POST" and is_call(what.request.fields)
        if may_be_call and self._calls.begin(head.stream, exchange, invite=invite):
            self._shutdown.count()
            return
        limit = self._service.bounds.limits.body
        if what.length is not None and what.length > limit:
            self._refuse_body(head.stream)
        elif what.protocol:
            self._websockets.open(head.stream, exchange, what)
        elif what.request.method == b"CONNECT":
            self._answer(head.stream, exchange, ())  # a tunnel's body has no end to wait for
        else:
            if invite:
                self._answers.invite(head.stream)
            exchange.deadline = self._service.body_deadline(exchange.begun, 0)
            if not self._streams.ended(head.stream):
                self._answers.keep(exchange)

    def _take_data(self, data: Data) -> None:
        number, size = data.stream, len(data.piece)
        exchange = self._exchanges.get(number)
        if exchange is None or exchange.answered:
            self._streams.take(number, size)
            if exchange is not None:
                self._calls.receive(number, exchange, data.piece)
            return
        if exchange.websocket:
            exchange.untaken += size
            exchange.websocket.receive(data.piece)
            self._websockets.echo(number, exchange)
            return
        exchange.received += size
        if exchange.received > self._service.bounds.limits.body:
            self._streams.take(number, size)
            self._refuse_body(number)
            return
        exchange.meter = exchange.meter or self._service.meter(exchange.request.fields)
        exchange.meter.take(data.piece)
        if exchange.received - size < KEPT:
            self._answers.keep(exchange)
        self._streams.take(number, size)
        exchange.deadline = self._service.body_deadline(exchange.begun, exchange.received)
        if exchange.meter.pending:
            self._channel.soon()

    def _refuse_body(self, number: int) -> None:
        limit = self._service.bounds.limits.body
        what = f"request body exceeds {limit} bytes (ECHO_MAX_BODY)"
        self._answers.refuse(number, ProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, what))

    # output

    def _answer_waiting(self) -> None:
        """Respond to complete requests, unless earlier responses take too much memory."""
        while (
            self._unanswered
            and self._streams.waiting < _FLUSHED
            and self._answers.queued <= min(_QUEUED, self._service.waiting.share)
            and self._answers.held <= _HELD
        ):
            end = self._unanswered.popleft()
            exchange = self._exchanges.get(end.stream)
            if exchange is not None and not exchange.answered:
                self._answer(end.stream, exchange, end.trailers)

    def _answer(self, number: int, exchange: Exchange, trailers: Fields) -> None:
        request = exchange.request
        self._answers.kept -= exchange.kept
        exchange.kept = 0
        if exchange.meter or trailers:
            body = (exchange.meter or self._service.meter(request.fields)).body(chunked=False)
            request = structs.replace(request, body=body, trailers=trailers)
            exchange.meter = None
        response = self._gateway.ask(request)
        if response.effects is NO_EFFECTS:
            self._answers.respond(number, exchange, response, with_body=request.method != b"HEAD")
        else:
            self._paced.begin(number, exchange, response)
            if exchange.outgoing and number in self._exchanges:
                self._answers.keep(exchange)
        self._shutdown.count()

    def _pump(self) -> None:
        """Send buffered output, a frame of each stream in turn, until the windows or the client allow no more."""
        progress = True
        while progress and not self._channel.blocked:
            progress = self._answers.send_round()
            if self._streams.waiting >= _FLUSHED:
                self._channel.write(self._streams.outgoing())
            if self._unanswered and not progress:
                before = len(self._unanswered)
                self._answer_waiting()
                progress = len(self._unanswered) < before
                if self._streams.waiting >= _FLUSHED:
                    self._channel.soon()
        self._settle()

    def _finish(self) -> None:
        self._over = True
        for number in list(self._exchanges):
            self._answers.forget(number)

    # deadlines

    def _settle(self) -> None:
        """Write the output buffer, and set the deadline for what comes next."""
        out = self._streams.outgoing()
        if out:
            self._channel.write(out)
        if self._over or (not self._exchanges and (self._shutdown.final or not self._streams.goes_on)):
            self._over = True
            self._channel.close()
            return
        if self._shutdown.due < NEVER and not self._exchanges:
            self._channel.wake(self._shutdown.due)
        if self._answers.schedule.due:
            due = self._paced.due()
            if due < NEVER:
                self._channel.wake(due)
        self._wait(self._exchanges.values())

    def _wait(self, exchanges: Iterable[Exchange]) -> None:
        number, size = self._streams.partial_data
        exchange = self._exchanges.get(number)
        if exchange is not None and not (exchange.answered or exchange.websocket):
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
