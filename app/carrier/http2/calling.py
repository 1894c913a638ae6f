"""What one call of HTTP/2 says, in the place of an answer that takes time. Without I/O."""

from math import inf
from typing import Final

from app.calls import Call, Said
from app.carrier.errors import failure
from app.carrier.service import Service
from app.wire import Fields


class Calling:
    """What a call says, as an answer that takes time: it is asked when that is due, and when something has come.

    Its names are those of `Outgoing`, whose part it takes.
    """

    dropped: Final = False
    failed: Final = False
    broken: Final = False
    ending: Final = False
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
        self._listens_since = self._begun  # how long the client takes counts from what was said before
        self._came = 0  # bytes since then
        self._look()

    def receive(self, piece: bytes) -> None:
        """Take bytes of the request."""
        self._came += len(piece)
        self.call.receive(piece, self._now())
        self._look()

    def end(self) -> None:
        """Take the end of the request."""
        self.call.end(self._now())
        self._look()

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
        self.call.stop(replaced=self._service.replaced)
        self._look()

    def close(self) -> None:
        """Let go of it: nobody listens any more."""
        self.over = True

    def _say(self, now: float) -> Said:
        if now >= self._old:
            return self.call.old()
        if self.call.listens and now >= self._silent():
            return self.call.silent()
        return self.call.say(now - self._begun)

    def _said(self, said: Said, now: float) -> bytes:
        self.trailers = said.trailers
        self.over = bool(said.trailers)
        if said.body:
            self._listens_since, self._came = now, 0
        self._look()
        return said.body

    def _look(self) -> None:
        """See when it is to be asked next."""
        self.due = min(self._begun + self.call.due, self._old, self._silent() if self.call.listens else inf)

    def _silent(self) -> float:
        """Give the time by which more of the request must have come, as it must of a body."""
        return self._service.body_deadline(self._listens_since, self._came)

    def _now(self) -> float:
        return self._service.clock() - self._begun
