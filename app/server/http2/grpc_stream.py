"""Adapter from a streaming (gRPC) call to a response that takes time.

It does no I/O.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from app.http.call import Call, Said
from app.http.errors import failure
from app.http.request import Fields
from app.server.state import Service


class Calling:
    """Output of a call, as a body that takes time: the call is queried when output is due, and after each input.

    It has the interface of `Outgoing`, which it replaces.
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
        self._failed = False  # the application has raised an exception, and the call is to end with that
        self._listen(self._begun)
        self._look()

    @property
    def ending(self) -> bool:
        """Whether only the end is still to be sent."""
        now = self._service.clock()
        return self._failed or now >= self._old or self._is_silent(now) or self.call.bare

    def receive(self, piece: bytes) -> None:
        """Process bytes of the request."""
        self._came += len(piece)
        self._quiet = self._service.body_deadline(self._listens_since, self._came)
        self._let(lambda: self.call.receive(piece, self._now()))

    def end(self) -> None:
        """Process the end of the request."""
        self._let(lambda: self.call.end(self._now()))

    def take(self, now: float) -> bytes:
        """Return the output that is due, which may be empty."""
        try:
            said = self._say(now)
        except Exception as error:  # noqa: BLE001 - a fault of the application ends one call, not the worker
            self._service.report(failure(error))
            said = self.call.fail()
        return self._said(said, now)

    def stop(self, now: float) -> None:
        """Notify the call that the server stops."""
        del now
        self._let(self.call.stop)

    def close(self) -> None:
        """Drop the call: no client reads it any more."""
        self.over = True

    def _let(self, step: Callable[[], None]) -> None:
        """Pass input to the call; an exception of the application ends it."""
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
        # If the time has come by this sum, it has come: the difference may be slightly less because of rounding.
        return self.call.say(max(now - self._begun, due) if now >= self._begun + due else now - self._begun)

    def _said(self, said: Said, now: float) -> bytes:
        self.trailers = said.trailers
        self.over = bool(said.trailers)
        if said.body:
            self._listen(now)
        self._look()
        return said.body

    def _look(self) -> None:
        """Compute when the call is to be queried next."""
        quiet = self._quiet if self.call.listens else inf
        self.due = self._begun if self._failed else min(self._begun + self.call.due, self._old, quiet)

    def _listen(self, now: float) -> None:
        """Restart the timeout for the client's next data, with the minimum rate of a body."""
        self._listens_since, self._came = now, 0  # bytes since then
        self._quiet = self._service.body_deadline(now, 0)

    def _is_silent(self, now: float) -> bool:
        """Return whether the client has exceeded the body timeout."""
        return self.call.listens and now >= self._quiet

    def _now(self) -> float:
        return self._service.clock() - self._begun
