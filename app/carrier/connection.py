"""One TCP connection: bytes to the reader, requests to the application, answers back, all in good time.

Nothing here waits: every phase has a deadline, which the service holds against the time.
"""

import asyncio
from http import HTTPStatus
from traceback import format_exception
from typing import cast

from msgspec import structs

from app.bodies import Meter
from app.carrier.errors import ProtocolError
from app.carrier.gateway import call, environ_of
from app.carrier.http1 import Data, End, Event, Head, RequestReader
from app.carrier.response import CONTINUE, Response, encode, refusal
from app.carrier.service import Phase, Service
from app.wire import Application, Environ, WireRequest


class Connection(asyncio.Protocol):
    """Serves one connection by HTTP/1.1. One that is not `counted` is taken also when there are enough."""

    def __init__(self, service: Service, application: Application, environ: Environ, *, counted: bool = True) -> None:
        self.phase = Phase.IDLE
        self.deadline = float("inf")
        self._service = service
        self._application = application
        self._environ = environ
        self._counted = counted
        self._reader = RequestReader(service.bounds.limits)
        self._head: Head | None = None
        self._meter: Meter | None = None  # of a body that has begun
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._blocked = False  # the client does not read: what it sends is not read either
        self._ended = False  # the client has closed its side

    # asyncio's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin. One connection too many is answered 503 and closed."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername") or ("", 0)
        self._environ = self._environ | {"REMOTE_ADDR": peer[0], "REMOTE_PORT": str(peer[1])}
        full = self._counted and len(self._service.connections) >= self._service.bounds.connections
        self._service.connections.add(self)
        self._enter(Phase.IDLE)
        if full:
            self._refuse(ProtocolError(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections; try again"))

    def connection_lost(self, exc: Exception | None) -> None:
        """End, however it came to it."""
        del exc
        self._service.connections.discard(self)
        self._service.changed()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self.phase is Phase.CLOSING:
            return
        self._reader.receive(data)
        if not self._blocked:
            self._advance()

    def eof_received(self) -> bool:
        """Take the end of what the client sends. What it asked is answered still; half a request is not."""
        self._ended = True
        if not self._blocked:
            self._leave()
        return True

    def pause_writing(self) -> None:
        """Stop reading a client that does not read its answers."""
        self._blocked = True
        self._transport.pause_reading()
        if self.phase is Phase.CLOSING:
            self._allow(Phase.CLIENT_READS)
        else:
            self._enter(Phase.CLIENT_READS)

    def resume_writing(self) -> None:
        """Go on with a client that has read its answers."""
        self._blocked = False
        self._transport.resume_reading()
        if self.phase is Phase.CLOSING:
            self._enter(Phase.CLOSING)
            return
        self._enter(Phase.IDLE)
        self._advance()
        if self._ended and not self._blocked:
            self._leave()

    # what ends a connection from outside

    def expire(self) -> None:
        """End a connection whose time is over: with 408 where half a request has come, else silently."""
        if self.phase in (Phase.HEAD, Phase.BODY):
            self._refuse(ProtocolError(HTTPStatus.REQUEST_TIMEOUT, f"the {self.phase.name.lower()} took too long"))
        elif self.phase is Phase.IDLE:
            self._leave()
        else:
            self._transport.abort()

    def close_if_idle(self) -> None:
        """Close a connection on which nothing is under way."""
        if self.phase is Phase.IDLE:
            self._leave()

    def abort(self) -> None:
        """Drop the connection with whatever is under way."""
        self._transport.abort()

    # between them

    def _advance(self) -> None:
        """Take what the reader makes of the bytes so far."""
        try:
            for event in self._reader.events():
                self._take(event)
                if self._blocked or self.phase is Phase.CLOSING:
                    return
        except ProtocolError as error:
            self._refuse(error)
            return
        if self._reader.within_body:
            waits_for = Phase.BODY
        elif self._reader.within_request:
            waits_for = Phase.HEAD
        else:
            waits_for = Phase.IDLE
        # A phase's time begins once: bytes that trickle in don't prolong it.
        if self.phase is not waits_for:
            self._enter(waits_for)

    def _take(self, event: Event) -> None:
        if isinstance(event, Head):
            self._head, self._meter = event, None
            if event.expects_continue:
                self._transport.write(CONTINUE)
        elif isinstance(event, Data):
            self._meter = self._meter or Meter()
            self._meter.take(event.piece)
            self._enter(Phase.BODY)
        else:
            self._answer(event)

    def _answer(self, end: End) -> None:
        head = cast("Head", self._head)
        request = head.request
        if self._meter or head.chunked:
            body = (self._meter or Meter()).body(chunked=head.chunked)
            request = structs.replace(request, body=body, trailers=end.trailers)
        response = self._ask(request)
        keep = head.keep_alive and not self._service.draining
        self._enter(Phase.IDLE)
        # HTTP/1.0 keeps a connection only when told so, HTTP/1.1 unless told otherwise (RFC 9112, 9.3).
        told = "close" if not keep else "keep-alive" if head.request.version == "HTTP/1.0" else ""
        self._send(response, told, with_body=head.request.method != b"HEAD")
        if not keep:
            self._close()

    def _ask(self, request: WireRequest) -> Response:
        environ = environ_of(request, self._environ, draining=self._service.draining)
        try:
            return call(self._application, environ)
        except Exception as error:  # noqa: BLE001 - a fault of the application ends one request, not the worker
            self._service.report("the application failed\n" + "".join(format_exception(error)))
            return refusal(ProtocolError(HTTPStatus.INTERNAL_SERVER_ERROR, "the application failed"))

    def _refuse(self, error: ProtocolError) -> None:
        head = self._head if self._reader.within_body else None
        self._send(refusal(error), "close", with_body=head is None or head.request.method != b"HEAD")
        self._close()

    def _send(self, response: Response, connection: str, *, with_body: bool) -> None:
        self._transport.write(encode(response, date=self._service.date(), connection=connection, with_body=with_body))

    def _leave(self) -> None:
        """Close a connection on which the client has nothing more to say; what was written leaves first."""
        self._enter(Phase.CLOSING)
        self._transport.close()

    def _close(self) -> None:
        """Close after what was written, without resetting a client that still sends (RFC 9112, 9.6)."""
        self._enter(Phase.CLOSING)
        if self._blocked:
            self._allow(Phase.CLIENT_READS)
        self._transport.write_eof()

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self._allow(phase)
        if phase is Phase.IDLE and self._service.draining:
            self._service.changed()

    def _allow(self, phase: Phase) -> None:
        """Give the time that goes with a phase, from now on."""
        self.deadline = self._service.clock() + self._service.seconds[phase]
