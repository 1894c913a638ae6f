"""HTTP/1.1 protocol handler: requests of one connection in sequence.

Each request is answered before the next one is parsed (RFC 9112).
"""

from http import HTTPStatus
from typing import Final, cast

from msgspec import structs

from app.http.body import Meter
from app.http.errors import ProtocolError, full
from app.http.observer import APPLICATION_FAILED, unread
from app.http.request import NO_EFFECTS, WireRequest
from app.server.http1.events import Head
from app.server.http1.parser import Data, End, Event, RequestReader
from app.server.http1.response_writer import Answering, told
from app.server.protocol import Channel
from app.server.response import CONTINUE, FAILED, Response, encode, has_content, refusal
from app.server.state import Phase, Service, UnderWay
from app.server.websocket.echo import WebSocketEcho
from app.server.websocket.handler import WebSocketSession
from app.server.websocket.handshake import accept
from app.server.wsgi import Count, Gateway

_TURN: Final = 100  # pipelined requests that are answered before other connections are served


class Http1Session:
    """Protocol handler that reads requests and writes their responses."""

    __slots__ = (
        "_answered", "_answering", "_began", "_begun", "_channel", "_ended", "_gateway", "_head", "_meter", "_over",
        "_phase", "_reader", "_received", "_service",
    )  # fmt: skip

    def __init__(self, channel: Channel, gateway: Gateway, service: Service) -> None:
        self._channel = channel
        self._gateway = gateway
        self._service = service
        self._reader = RequestReader(service.bounds.limits, service.heads)
        self._head: Head | None = None  # of a request without a response so far
        self._began = 0.0  # when that head arrived, by the exact clock
        self._meter: Meter | None = None  # of a body that has begun
        self._answering: Answering | None = None  # a response that takes time; meanwhile no request is parsed
        self._phase = Phase.IDLE
        self._answered = 0  # number of requests answered
        self._begun = 0.0  # when the body began, on the loop's clock
        self._received = 0  # bytes of the body
        self._ended = False  # the client has sent EOF
        self._over = False  # nothing is read any more, or another protocol handler reads

    @property
    def under_way(self) -> UnderWay:
        """Whether a request is in flight."""
        return UnderWay(1 if self._head or self._answering else 0)

    def receive(self, data: bytes) -> None:
        """Process bytes from the client."""
        if self._over:
            return
        self._reader.receive(data)
        if not self._channel.blocked:
            self._advance()

    def go_on(self) -> None:
        """Resume when the client has read its responses, or with a response or a body that is processed in steps."""
        if self._answering and not self._answer_on(self._answering):
            return
        if self._meter and self._meter.pending:
            self._meter.work()
        if self._meter and self._meter.pending:
            self._channel.soon()
            return
        self._advance()
        if self._answering:
            return
        self._channel.resume()
        if self._ended and not self._channel.blocked:
            self._leave()

    def wake(self) -> None:
        """Resume a response of which more is due."""
        if self._answering:
            self.go_on()

    def end(self) -> None:
        """Process EOF from the client. Complete requests are still answered; an incomplete one is not."""
        self._ended = True
        if not self._channel.blocked and not self._answering:
            self._leave()

    def expire(self) -> None:
        """End a connection whose deadline has passed: with 408 if a request is incomplete, otherwise silently."""
        if self._phase is Phase.IDLE:
            self._leave()
        elif self._answering:
            self._channel.abort()
        else:
            is_head = self._phase is Phase.HEAD
            what = "head (ECHO_HEADER_TIMEOUT)" if is_head else "body (ECHO_BODY_TIMEOUT, ECHO_MIN_BODY_RATE)"
            self._refuse(ProtocolError(HTTPStatus.REQUEST_TIMEOUT, f"timeout while receiving the request {what}"))

    def drain(self) -> None:
        """End a response without a known end; otherwise the next response announces it by `Connection: close`."""
        if self._answering:
            self._answering.stop()

    def last_call(self) -> None:
        """Close the connection if nothing is in flight."""
        if self._phase is Phase.IDLE and not self._channel.blocked:
            self._leave()

    @property
    def held(self) -> int:
        """Bytes buffered of a request in flight: its head counts twice, as text and as parsed headers."""
        if self._answering:
            request = self._answering.request
            return self._reader.held + 2 * len(request.head) + len(request.body.kept)
        if self._head is None:
            return self._reader.held
        kept = self._meter.kept if self._meter else 0
        return self._reader.held + 2 * len(self._head.request.head) + kept

    def shed(self) -> None:
        """Reject an incomplete request. Data after a response is no more than what arrived with its request."""
        if not (self._answering or self._over):
            self._refuse(full())

    def lost(self) -> None:
        """Close a response in flight."""
        answering, self._answering = self._answering, None
        if answering:
            answering.close()
            self._tell(answering, whole=False)

    def _advance(self) -> None:
        """Process the events in the bytes so far."""
        if self._answering:
            return
        reader, channel = self._reader, self._channel
        try:
            while (event := reader.next()) is not None:
                self._take(event)
                if channel.blocked or self._over or self._answering:
                    return
        except ProtocolError as error:
            self._refuse(error)
            return
        if not reader.within_request:
            self._wait(Phase.IDLE)
        elif reader.within_body:
            self._wait_for_body()
        else:
            self._wait(Phase.HEAD)

    def _wait(self, phase: Phase) -> None:
        # The deadline of a phase is set once: bytes that trickle in don't extend it.
        if self._phase is not phase:
            self._phase = phase
            self._channel.enter(phase)

    def _wait_for_body(self) -> None:
        if self._phase is not Phase.BODY:
            self._phase = Phase.BODY
            self._begun = self._service.clock()
        self._channel.enter(Phase.BODY, self._service.body_deadline(self._begun, self._received))

    def _take(self, event: Event) -> None:
        if isinstance(event, Head):
            self._head, self._meter, self._received = event, None, 0
            self._began = self._service.exact()
            if event.whole:
                self._answer(event, event.request)
            elif event.expects_continue:
                self._channel.write(CONTINUE)
        elif isinstance(event, Data):
            self._meter = self._meter or self._service.meter(cast("Head", self._head).request.fields)
            self._meter.take(event.piece)
            self._received += len(event.piece)
            if self._meter.pending:
                self._channel.soon()
        else:
            self._end_body(event)

    def _end_body(self, end: End) -> None:
        head = cast("Head", self._head)
        meter = self._meter or self._service.meter(head.request.fields)
        request = structs.replace(head.request, body=meter.body(chunked=head.chunked), trailers=end.trailers)
        self._meter = None
        self._answer(head, request)

    def _answer(self, head: Head, request: WireRequest) -> None:
        self._answered += 1
        if head.websocket:
            self._open_websocket(head, request)
            return
        response = self._gateway.ask(request)
        self._head = None  # an idle connection keeps nothing of it
        if response.effects is not NO_EFFECTS:
            self._begin_to_answer(head, response)
            return
        service = self._service
        keep = head.keep_alive and not service.draining and self._answered < service.bounds.requests
        # Whatever comes next has its own deadline.
        self._phase = Phase.IDLE
        self._channel.enter(Phase.IDLE)
        connection = "" if keep and request.version != "HTTP/1.0" else told(keep=keep, old=True)
        content = has_content(response, with_body=request.method != b"HEAD")
        self._send(response, connection, with_body=content)
        sent = len(response.body) if content else 0
        self._gateway.answered(head.request, response, Count(self._began, sent, self._received))
        if not keep:
            self._over = True
            self._channel.close()
        elif not self._answered % _TURN:
            self._channel.soon()  # other connections are served in between

    def _begin_to_answer(self, head: Head, response: Response) -> None:
        """Start a response that takes time; until its end, nothing more is read from the connection."""
        last = self._answered >= self._service.bounds.requests
        answering = Answering(self._channel, self._service, head, response, last=last)
        self._answering, self._phase = answering, Phase.ANSWERING
        self._answer_on(answering)
        if not answering.over:
            self._channel.pause()

    def _answer_on(self, answering: Answering) -> bool:
        """Resume a response that takes time; return whether another request may be processed."""
        answering.go_on()
        if not answering.over:
            return False
        self._answering = None
        self._tell(answering, whole=answering.whole)
        if not answering.keep:
            self._over = True
            return False
        if not self._answered % _TURN:
            self._channel.soon()
        return not self._channel.blocked

    def _tell(self, answering: Answering, *, whole: bool) -> None:
        """Report a response that took time to the observer."""
        response = answering.response
        if response is FAILED:
            self._gateway.watch.refused(APPLICATION_FAILED)
        count = Count(self._began, answering.sent, self._received)
        self._gateway.answered(answering.request, response, count, whole=whole)

    def _open_websocket(self, head: Head, request: WireRequest) -> None:
        """Accept the upgrade to WebSocket, and switch the connection to its protocol handler."""
        accepted = accept(request)
        self._send(accepted.response, "Upgrade", with_body=False)
        echo = WebSocketEcho(accepted.extensions, self._service.bounds.message)
        greeting = self._gateway.ask(request, websocket=True)
        echo.greet(greeting.body)
        self._gateway.upgraded(head.request, accepted.response, greeting, self._began)
        self._over = True
        self._channel.become(WebSocketSession(self._channel, echo, self._service), self._reader.taken())

    def _leave(self) -> None:
        self._over = True
        self._channel.leave()

    def _refuse(self, error: ProtocolError) -> None:
        with_body = self._reader.method != b"HEAD"
        response = refusal(error)
        self._send(response, "close", with_body=with_body)
        self._over = True
        self._channel.close()
        # The connection ends only when the client has read the response: nothing is kept until then.
        head, self._head, self._meter = self._head, None, None
        self._reader.taken()
        request = head.request if head else unread(self._reader.method)
        begun = self._began if head else self._service.exact()
        sent = len(response.body) if with_body else 0
        self._gateway.refused(error, request, Count(begun, sent, self._received if head else 0))

    def _send(self, response: Response, connection: str, *, with_body: bool) -> None:
        self._channel.write(encode(response, date=self._service.date(), connection=connection, with_body=with_body))
