"""One call: from the bytes of its request to those of its answer, and how it ends. Without I/O, and without a clock."""

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

_TURN: Final = 100  # messages that are answered before others are served
_PIECE: Final = 65_536  # bytes of answers after which the client has to take them first
_STOPPED: Final = trailers(Code.UNAVAILABLE, "server is shutting down")


class Terms(msgspec.Struct, frozen=True):
    """What a call is held to: `timeout` and `delay` in seconds; the code that a client wants, which may be OK."""

    timeout: float = inf
    delay: float = 0.0
    status: Code = Code.OK


class GrpcCall:
    """One call. What is wrong with it ends it, with a code and a sentence, and nothing else."""

    def __init__(self, asked: Asked, method: Method, messages: Messages, terms: Terms, ending: Ending) -> None:
        self._asked = asked
        self._method = method
        self._messages = messages
        self._terms = terms
        self._ending = ending
        self._size = sum(len(name) + len(value) for name, value in asked.request.fields)
        self._due = inf  # when there is something to be said, but for the deadline
        self._ended = False  # the client has said all
        self._over = False  # and so have we
        self._outcome: Said | None = None  # with which it ends when that is due
        self._watched: bytes | None = None  # the message of who watches
        self._answers = False  # it has, of a dialogue, at least once
        self._stops: bool | None = None  # the server does; or only one of its workers

    @property
    def due(self) -> float:
        """When it has something to say, if nothing happens before."""
        return inf if self._over else min(self._due, self._terms.timeout)

    @property
    def held(self) -> int:
        """How many bytes of what came, and of what is to be said, it keeps."""
        return (
            self._size
            + self._messages.held
            + len(self._watched or b"")
            + len(self._outcome.body if self._outcome else b"")
        )

    @property
    def listens(self) -> bool:
        """Whether the client has to say more before it can go on."""
        answers = self._method.kind is Kind.DIALOGUE and self._messages.waiting
        return not (self._ended or self._over or self._outcome or answers)

    @property
    def bare(self) -> bool:
        """Whether what it says next is its end and nothing else."""
        if self._terms.timeout < self._due:
            return True
        if self._outcome:
            return not self._outcome.body
        if self._method.kind is Kind.DIALOGUE:
            return not self._messages.waiting and (self._ended or self._is_to_end)
        return self._stops is False

    def receive(self, piece: bytes, now: float) -> None:
        """Take bytes of the request's body."""
        if not (self._ended or self._over or self._outcome):
            self._guarded(lambda: self._take(piece, now))

    def end(self, now: float) -> None:
        """Take the end of the request."""
        if not (self._ended or self._over or self._outcome):
            self._ended = True
            self._guarded(lambda: self._begin(now))

    def say(self, now: float) -> Said:
        """Give what is to be said by now."""
        if self._over or now < self.due:
            return Said()
        if now >= self._terms.timeout:
            return self._finish(CallError(Code.DEADLINE_EXCEEDED, "grpc-timeout exceeded"))
        try:
            said = self._outcome or self._next()
        except CallError as error:
            return self._finish(error)
        return self._told_last(said) if said.trailers else said

    def stop(self, *, replaced: bool) -> None:
        """Take it that the server stops: who watches is told so, a dialogue ends behind an answer."""
        if self._method.kind is Kind.UNARY or self._over or self._outcome:
            return
        self._stops = not replaced
        self._asked = structs.replace(self._asked, draining=not replaced)
        if self._watched is not None or self._is_to_end:
            self._due = 0.0

    def silent(self) -> Said:
        """End, since the client has said nothing for too long."""
        return self._finish(
            CallError(
                Code.DEADLINE_EXCEEDED, "timeout while receiving the request (ECHO_BODY_TIMEOUT, ECHO_MIN_BODY_RATE)"
            )
        )

    def old(self) -> Said:
        """End, since it has gone on for as long as anything may."""
        return self._finish(
            CallError(Code.UNAVAILABLE, "maximum lifetime of a call reached (ECHO_WEBSOCKET_TIMEOUT); retry")
        )

    def fail(self) -> Said:
        """End, since what it should have said could not be made."""
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
        """Begin to answer, since the request is whole."""
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
        """Give what is next of several messages. Raises `CallError`."""
        if self._watched is not None:
            return self._told(self._watched)
        said = bytearray()
        for _ in range(_TURN):
            if not self._messages.waiting or len(said) >= _PIECE:
                break
            said += framed(self._method.answer(self._asked, self._messages.next()))
        if self._messages.waiting:
            return Said(bytes(said))  # it is due still
        self._due = inf
        self._answers = True
        if self._ended:
            return Said(bytes(said), trailers(Code.OK))
        return Said(bytes(said), _STOPPED if self._is_to_end else ())

    @property
    def _is_to_end(self) -> bool:
        """Whether a dialogue ends, since the server does: not before the client has had an answer to something."""
        return self._answers and self._stops is not None

    def _told(self, watched: bytes) -> Said:
        """Give the status that is watched; when the server stops, the last one, and the end."""
        self._due = inf
        if self._stops is None:
            return Said(framed(self._method.answer(self._asked, watched)))
        last = framed(self._method.answer(self._asked, watched)) if self._stops else b""
        return Said(last, _STOPPED)

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
    """A call that ends as soon as it has begun: nothing of its request is read."""

    due = 0.0
    held = 0
    listens = False
    bare = True

    def __init__(self, error: CallError, ending: Ending) -> None:
        ending.code, ending.number = error.code.name, error.code.value
        self._said = _ended_by(error)

    def receive(self, piece: bytes, now: float) -> None:
        """Take what nobody reads."""

    def end(self, now: float) -> None:
        """Take what nobody waits for."""

    def say(self, now: float) -> Said:
        """Give its end."""
        del now
        return self._said

    def stop(self, *, replaced: bool) -> None:
        """Take what changes nothing."""

    def silent(self) -> Said:
        """Give its end, whatever else ends it."""
        return self._said

    old = fail = silent
