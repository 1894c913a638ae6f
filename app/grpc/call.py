"""State machine of one gRPC call, without I/O and without a clock.

It turns the bytes of the request into those of the response, and determines the status.
"""

from collections.abc import Callable
from math import inf
from typing import Final

import msgspec
from msgspec import structs

from app.grpc.context import Asked
from app.grpc.framing import Messages, cardinality, framed
from app.grpc.services import Kind, Method
from app.grpc.status import CallError, Code, code_of, trailers
from app.http.call import Said
from app.http.grpc_record import Ending

_TURN: Final = 100  # messages processed in a row before other connections are served
_PIECE: Final = 65_536  # bytes of output after which the client must read before more is generated
_STOPPED: Final = trailers(Code.UNAVAILABLE, "server is shutting down")


class Terms(msgspec.Struct, frozen=True):
    """Options of a call: `timeout` and `delay` in seconds; the status code requested by the client, which may be OK."""

    timeout: float = inf
    delay: float = 0.0
    status: Code = Code.OK


class GrpcCall:
    """One call. An error ends it with a status code and a message, and affects nothing else.

    Times are in seconds since the request head.
    """

    def __init__(self, asked: Asked, method: Method, messages: Messages, terms: Terms, ending: Ending) -> None:
        self._asked = asked
        self._method = method
        self._messages = messages
        self._terms = terms
        self._ending = ending
        self._size = sum(len(name) + len(value) for name, value in asked.request.fields)
        self._due = inf  # time of the next output, apart from the deadline
        self._ended = False  # the request is complete
        self._over = False  # the response is complete
        self._outcome: Said | None = None  # the last output, sent when it is due
        self._watched: bytes | None = None  # the request message of a Watch
        self._answers = False  # a bidirectional stream has sent at least one response
        self._stops = False  # the server stops

    @property
    def due(self) -> float:
        """The time of the next output, if nothing happens before."""
        return inf if self._over else min(self._due, self._terms.timeout)

    @property
    def held(self) -> int:
        """Number of buffered bytes, of the request and of pending output."""
        return (
            self._size
            + self._messages.held
            + len(self._watched or b"")
            + len(self._outcome.body if self._outcome else b"")
        )

    @property
    def listens(self) -> bool:
        """Whether the call needs more of the request before it can continue."""
        answers = self._method.kind is Kind.DIALOGUE and self._messages.waiting
        return not (self._ended or self._over or self._outcome or answers)

    @property
    def bare(self) -> bool:
        """Whether the next output is the trailers only."""
        if self._terms.timeout < self._due:
            return True
        if self._outcome:
            return not self._outcome.body
        return self._method.kind is Kind.DIALOGUE and not self._messages.waiting and (self._ended or self._is_to_end)

    def receive(self, piece: bytes, now: float) -> None:
        """Process bytes of the request body."""
        if not (self._ended or self._over or self._outcome):
            self._guarded(lambda: self._take(piece, now))

    def end(self, now: float) -> None:
        """Process the end of the request."""
        if not (self._ended or self._over or self._outcome):
            self._ended = True
            self._guarded(lambda: self._begin(now))

    def say(self, now: float) -> Said:
        """Return the output that is due by now, empty if there is none."""
        if self._over or now < self.due:
            return Said()
        if now >= self._terms.timeout:
            return self._finish(CallError(Code.DEADLINE_EXCEEDED, "grpc-timeout exceeded"))
        try:
            said = self._outcome or self._next()
        except CallError as error:
            return self._finish(error)
        return self._told_last(said) if said.trailers else said

    def stop(self) -> None:
        """Prepare to end, since the server stops.

        A Watch ends after a last status, a bidirectional stream after a response.
        """
        if self._method.kind is Kind.UNARY or self._over or self._outcome:
            return
        self._stops = True
        self._asked = structs.replace(self._asked, draining=True)
        if self._watched is not None or self._is_to_end:
            self._due = 0.0

    def silent(self) -> Said:
        """End with DEADLINE_EXCEEDED, since the client sent nothing for too long."""
        return self._finish(
            CallError(
                Code.DEADLINE_EXCEEDED, "timeout while receiving the request (ECHO_BODY_TIMEOUT, ECHO_MIN_BODY_RATE)"
            )
        )

    def old(self) -> Said:
        """End with UNAVAILABLE, since the maximum lifetime of a call is reached."""
        return self._finish(
            CallError(Code.UNAVAILABLE, "maximum lifetime of a call reached (ECHO_WEBSOCKET_TIMEOUT); retry")
        )

    def fail(self) -> Said:
        """End with INTERNAL, since its output could not be generated."""
        return self._finish(CallError(Code.INTERNAL, "internal error"))

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except CallError as error:
            self._outcome = _ended_by(error)
            self._due = 0.0

    def _take(self, piece: bytes, now: float) -> None:
        self._messages.receive(piece)
        if self._method.kind is Kind.DIALOGUE:
            self._due = now if self._messages.waiting or self._is_to_end else inf

    def _begin(self, now: float) -> None:
        """Start the response, since the request is complete. Raise `CallError` if its messages are invalid."""
        self._messages.end()
        self._due = now
        if self._method.kind is Kind.DIALOGUE:
            return
        if not self._messages.waiting:
            raise cardinality("none")
        message = self._messages.next()
        if self._method.kind is Kind.WATCH:
            self._watched = message
            return
        self._due = now + self._terms.delay
        self._outcome = self._answered(message)

    def _answered(self, message: bytes) -> Said:
        if self._terms.status is not Code.OK:
            return Said(trailers=trailers(self._terms.status, "requested by x-echo-status"))
        try:
            return Said(framed(self._method.answer(self._asked, message)), trailers(Code.OK))
        except CallError as error:
            return _ended_by(error)

    def _next(self) -> Said:
        """Return the next output of a method with several responses. Raise `CallError`."""
        if self._watched is not None:
            return self._told(self._watched)
        said = bytearray()
        for _ in range(_TURN):
            if not self._messages.waiting or len(said) >= _PIECE:
                break
            said += framed(self._method.answer(self._asked, self._messages.next()))
        if self._messages.waiting:
            return Said(bytes(said))  # more output is due at once
        self._due = inf
        self._answers = True
        if self._ended:
            return Said(bytes(said), trailers(Code.OK))
        return Said(bytes(said), _STOPPED if self._is_to_end else ())

    @property
    def _is_to_end(self) -> bool:
        """Whether a bidirectional stream ends, since the server stops: not before it has sent a response."""
        return self._answers and self._stops

    def _told(self, watched: bytes) -> Said:
        """Return the status for a Watch; when the server stops, the last status and the trailers."""
        self._due = inf
        return Said(framed(self._method.answer(self._asked, watched)), _STOPPED if self._stops else ())

    def _finish(self, error: CallError) -> Said:
        return self._told_last(_ended_by(error))

    def _told_last(self, said: Said) -> Said:
        self._over = True
        code = code_of(said.trailers)
        self._ending.code, self._ending.number = code.name, code.value
        return said


def _ended_by(error: CallError) -> Said:
    return Said(trailers=trailers(error.code, error.message))


class Refused:
    """A call that is rejected at once, without reading its request body."""

    due = 0.0
    held = 0
    listens = False
    bare = True

    def __init__(self, error: CallError, ending: Ending) -> None:
        ending.code, ending.number = error.code.name, error.code.value
        self._said = _ended_by(error)

    def receive(self, piece: bytes, now: float) -> None:
        """Ignore bytes of the request body."""

    def end(self, now: float) -> None:
        """Ignore the end of the request."""

    def say(self, now: float) -> Said:
        """Return the trailers."""
        del now
        return self._said

    def stop(self) -> None:
        """Ignore that the server stops, as the call ends anyway."""

    def silent(self) -> Said:
        """Return the same trailers, whatever else ends the call."""
        return self._said

    old = fail = silent
