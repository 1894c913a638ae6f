"""gRPC calls among the streams of one HTTP/2 connection.

They are answered while their requests are still arriving.
"""

from app.server.http2.delayed import Paced
from app.server.http2.exchange import Exchange
from app.server.http2.grpc_stream import Calling
from app.server.http2.stream_sender import Answers
from app.server.response import FAILED
from app.server.state import Service
from app.server.wsgi import Gateway


class Calls:
    """Starts calls, and passes them their input."""

    def __init__(self, gateway: Gateway, answers: Answers, paced: Paced, service: Service) -> None:
        self._gateway = gateway
        self._answers = answers
        self._paced = paced
        self._service = service
        self.made = 0  # bytes of decompressed messages, which may be many more than arrived

    def begin(self, number: int, exchange: Exchange, *, invite: bool) -> bool:
        """Start the call that a request is for; return whether the application treats it as one.

        With `invite`, send 100 Continue if the call waits for a body. If the application fails, its error response is
        sent.
        """
        response = self._gateway.ask(exchange.request, as_call=True)
        call = response.effects.call
        if response is FAILED:
            self._answers.respond(number, exchange, response, with_body=True)
            return True
        if call is None:
            return False
        if invite and call.listens:
            self._answers.invite(number)
        calling = exchange.outgoing = Calling(call, self._service)
        exchange.answered, exchange.head, exchange.response = True, response, response
        if self._service.draining:
            calling.stop(self._service.clock())
        self._go_on(number, exchange, calling)
        return True

    def receive(self, number: int, exchange: Exchange, piece: bytes) -> None:
        """Process bytes of a request, if it is a call's."""
        calling = exchange.outgoing
        if isinstance(calling, Calling) and not calling.over:
            exchange.received += len(piece)
            calling.receive(piece)
            self.made += max(0, calling.call.held - exchange.kept)
            self._go_on(number, exchange, calling)

    def end(self, number: int, exchange: Exchange) -> None:
        """Process the end of a request, if it is a call's."""
        calling = exchange.outgoing
        if isinstance(calling, Calling) and not calling.over:
            calling.end()
            self._go_on(number, exchange, calling)

    def _go_on(self, number: int, exchange: Exchange, calling: Calling) -> None:
        """Send what the call has due; update the buffered bytes, unless it has ended."""
        self._paced.expect(number, exchange, calling)
        if number in self._answers.exchanges:
            self._answers.keep(exchange)
