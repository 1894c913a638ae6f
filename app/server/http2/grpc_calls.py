"""The calls among the streams of one HTTP/2 connection: requests that are answered while they come, as gRPC's are."""

from app.server.http2.delayed import Paced
from app.server.http2.exchange import Exchange
from app.server.http2.grpc_stream import Calling
from app.server.http2.stream_sender import Answers
from app.server.response import FAILED
from app.server.state import Service
from app.server.wsgi import Gateway


class Calls:
    """Begins them, and hands them what comes."""

    def __init__(self, gateway: Gateway, answers: Answers, paced: Paced, service: Service) -> None:
        self._gateway = gateway
        self._answers = answers
        self._paced = paced
        self._service = service
        self.made = 0  # bytes of messages, which may be many more than came

    def begin(self, number: int, exchange: Exchange, *, invite: bool) -> bool:
        """Begin the call that a request asks for; tell whether the application takes it for one.

        It may `invite` the body that it waits for. One that it fails to begin is answered with that.
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
        """Take bytes of a request, if it is a call's."""
        calling = exchange.outgoing
        if isinstance(calling, Calling) and not calling.over:
            exchange.received += len(piece)
            calling.receive(piece)
            self.made += max(0, calling.call.held - exchange.kept)
            self._go_on(number, exchange, calling)

    def end(self, number: int, exchange: Exchange) -> None:
        """Take the end of a request, if it is a call's."""
        calling = exchange.outgoing
        if isinstance(calling, Calling) and not calling.over:
            calling.end()
            self._go_on(number, exchange, calling)

    def _go_on(self, number: int, exchange: Exchange, calling: Calling) -> None:
        """Let it say what is due; count what is held, unless it is over by then."""
        self._paced.expect(number, exchange, calling)
        if number in self._answers.exchanges:
            self._answers.keep(exchange)
