"""What one call of HTTP/2 says, in the place of an answer that takes time. Without I/O."""

from collections.abc import Callable
from math import inf
from typing import Final

from app.http.call import Call, Said
from app.http.errors import failure
from app.http.request import Fields
from app.server.state import Service


class Calling:
    """What a call says, as an answer that takes time: it is asked when that is due, and when something has come.

    Its names are those of `Outgoing`, whose part it takes.
    """

    dropped: Final = False
    failed: Final = False
    broken: Final = False
    streamed: Final = True
    has_content: Final = True
    length: Final = None

    def __init__(self, call: Call, service: Service) -> None:
        self.call = call
        self.over = False
        self.trailers: Fields = ()
        self.due = inf
        self._service = service
        self._begun = service.clock()
        self._old = self._begun + service.bounds.timeouts.websocket
        self._failed = False  # the application has, and the call is to end with that
        self._listen(self._begun)
        self._look()

    @property
    def ending(self) -> bool:
        """Whether nothing but its end is still to be sent."""
        now = self._service.clock()
        return self._failed or now >= self._old or self._is_silent(now) or self.call.bare

    def receive(self, piece: bytes) -> None:
        """Take bytes of the request."""
        self._came += len(piece)
        self._quiet = self._service.body_deadline(self._listens_since, self._came)
        self._let(lambda: self.call.receive(piece, self._now()))

    def end(self) -> None:
        """Take the end of the request."""
        self._let(lambda: self.call.end(self._now()))

    def take(self, now: float) -> bytes:
        """Give what is to be said now, which may be nothing."""
        try:
            said = self._say(now)
        except Exception as error:  # noqa: BLE001 - a fault of the application ends one call, not the worker
            self._service.report(failure(error))
            said = self.call.fail()
        return self._said(said, now)

    def stop(self, now: float) -> None:
        """Take it that the server stops."""
        del now
        self._let(lambda: self.call.stop(replaced=self._service.replaced))

    def close(self) -> None:
        """Let go of it: nobody listens any more."""
        self.over = True

    def _let(self, step: Callable[[], None]) -> None:
        """Let the call take something; a fault of its application ends it."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - a fault of the application ends one call, not the worker
            self._service.report(failure(error))
            self._failed = True
        self._look()

    def _say(self, now: float) -> Said:
        if self._failed:
            return self.call.fail()
        if now >= self._old:
            return self.call.old()
        if self._is_silent(now):
            return self.call.silent()
        due = self.call.due
        # When that has come by the sum of the two, it has come: their difference may be a hair less.
        return self.call.say(max(now - self._begun, due) if now >= self._begun + due else now - self._begun)

    def _said(self, said: Said, now: float) -> bytes:
        self.trailers = said.trailers
        self.over = bool(said.trailers)
        if said.body:
            self._listen(now)
        self._look()
        return said.body

    def _look(self) -> None:
        """See when it is to be asked next."""
        quiet = self._quiet if self.call.listens else inf
        self.due = self._begun if self._failed else min(self._begun + self.call.due, self._old, quiet)

    def _listen(self, now: float) -> None:
        """Begin the time in which the client has to say more, at the rate that is asked of a body."""
        self._listens_since, self._came = now, 0  # bytes since then
        self._quiet = self._service.body_deadline(now, 0)

    def _is_silent(self, now: float) -> bool:
        """Tell whether the client has said nothing for too long, since what came last."""
        return self.call.listens and now >= self._quiet

    def _now(self) -> float:
        return self._service.clock() - self._begun
