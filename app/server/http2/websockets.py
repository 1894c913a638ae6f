"""WebSockets among the streams of one HTTP/2 connection (RFC 8441)."""

from http import HTTPStatus
from typing import Final

from websockets.frames import CloseCode

from app.http.errors import ProtocolError
from app.server.http2.exchange import Exchange
from app.server.http2.request_parser import Requested
from app.server.http2.stream_sender import Answers
from app.server.protocol import Channel
from app.server.state import Phase, Service
from app.server.websocket.echo import WebSocketEcho
from app.server.websocket.handshake import accept_extended_connect
from app.server.wsgi import Gateway

_STOPS: Final = "server is shutting down"


class WebSockets:
    """Opens WebSockets, echoes their messages, and closes them."""

    def __init__(self, channel: Channel, gateway: Gateway, answers: Answers, service: Service) -> None:
        self._channel = channel
        self._gateway = gateway
        self._answers = answers
        self._service = service

    def open(self, number: int, exchange: Exchange, what: Requested) -> None:
        """Open a WebSocket on a stream, or send why it is rejected."""
        if what.protocol != b"websocket":
            self._answers.refuse(
                number,
                ProtocolError(HTTPStatus.NOT_IMPLEMENTED, "unsupported :protocol; only websocket is supported"),
            )
            return
        try:
            accepted = accept_extended_connect(what.request)
        except ProtocolError as error:
            self._answers.refuse(number, error)
            return
        greeting = self._gateway.ask(what.request, websocket=True)
        echo = exchange.websocket = WebSocketEcho(accepted.extensions, self._service.bounds.message)
        echo.greet(greeting.body)
        self._answers.send_head(number, accepted.response, None, end=False)
        self._gateway.upgraded(what.request, accepted.response, greeting, exchange.since)
        if self._service.draining:
            self.stop(number, exchange)
        else:
            self.echo(number, exchange)

    def expire(self, number: int, exchange: Exchange, now: float) -> None:
        """Close a WebSocket that is idle or has reached its maximum lifetime."""
        old = now >= exchange.begun + self._service.bounds.timeouts.websocket
        reason = "maximum lifetime reached (ECHO_WEBSOCKET_TIMEOUT)" if old else "idle timeout (ECHO_IDLE_TIMEOUT)"
        self._say_goodbye(number, exchange, reason)

    def stop(self, number: int, exchange: Exchange) -> None:
        """Close a WebSocket, because the server stops."""
        self._say_goodbye(number, exchange, _STOPS)

    def _say_goodbye(self, number: int, exchange: Exchange, reason: str) -> None:
        """Close a WebSocket after the echo of its input; a client that sends no Close frame in return is dropped."""
        if not exchange.goodbye:
            exchange.goodbye = reason
            exchange.closes = self._service.clock() + self._service.seconds[Phase.CLOSING]
        self.echo(number, exchange)

    def echo(self, number: int, exchange: Exchange) -> None:
        """Send the output of a WebSocket."""
        echo = exchange.websocket
        if echo is None:
            return
        now, timeouts = self._service.clock(), self._service.bounds.timeouts
        if not exchange.answered:
            exchange.deadline = min(now + timeouts.idle, exchange.begun + timeouts.websocket, exchange.closes)
        if exchange.goodbye and not echo.pending:
            echo.close(CloseCode.GOING_AWAY, exchange.goodbye)
        self._answers.queue(number, exchange, echo.outgoing())
        self._answers.keep(exchange)
        if echo.over:
            exchange.done = exchange.answered = True
        elif echo.pending:
            self._channel.soon()
        self._answers.send(number, exchange)
