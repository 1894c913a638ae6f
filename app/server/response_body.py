"""Body of a response that takes time: delay, pieces, pace, end.

It does no I/O.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

from app.http.errors import failure
from app.server.response import Response, has_content, told_length
from app.server.state import Service

# Maximum lateness in seconds that is caught up with: timers fire late, and pieces may be close together.
_CAUGHT_UP: Final = 0.1

_Pieces = Iterator[object]  # the application may yield what it must not


def held(response: Response) -> int:
    """Return the bytes that a response keeps until its delay is over, or, if it is streamed, until its end."""
    effects = response.effects
    return effects.held + (len(response.body) if effects.delay else 0)


def close_pieces(pieces: object, report: Callable[[str], None]) -> None:
    """Close the application's iterable, if it has a `close` method (PEP 3333)."""
    close = getattr(pieces, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception as error:  # noqa: BLE001 - a fault of the application ends one response, not the worker
        report(failure(error))


class Outgoing:
    """Body being sent: `take` a piece when it is `due`, until it is `over`; `close` it, however it ends.

    Times are on the loop's clock. The application produces one piece at a time. Never more than the declared length is
    sent; a body that is too long or too short is reported, once.
    """

    def __init__(self, response: Response, service: Service, *, with_body: bool) -> None:
        effects = response.effects
        self._waiting = service.waiting
        self._held = held(response)
        self._waiting.size += self._held
        self.due = service.clock() + effects.delay
        self.sent = 0  # bytes of the body returned by `take`
        self.over = False  # nothing more follows
        self.broken = False  # the client must see that the body is incomplete
        self.failed = False  # because the application has raised an exception
        self.dropped = effects.abort == "before"  # nothing is to be sent at all
        self.streamed = response.pieces is not None
        self.has_content = has_content(response, with_body=with_body)
        self.trailers = effects.trailers if self.has_content else ()
        self.length = told_length(response, with_body=with_body)
        self._aborted = effects.abort == "middle"
        self._endless = effects.endless and self.streamed and self.has_content and self.length is None
        self._interval = effects.interval
        self._report = service.report
        self._begun = False
        self._stopping = service.draining
        self._made = response.pieces
        self._left = self.length if self.has_content else 0
        if self._aborted and self._left:
            self._left -= 1  # so that it never becomes complete
        whole = () if self.streamed and not response.body else (response.body,)
        self._pieces: _Pieces = chain(whole, response.pieces or ())
        if self.dropped or not self.has_content:
            self._pieces = iter(())
            self.close()

    @property
    def ending(self) -> bool:
        """Whether only the end of the body is still to be sent."""
        return self._begun and self._endless and self._stopping

    def take(self, now: float) -> bytes:
        """Return the next piece, which is empty if the application has none yet, or none any more."""
        if not self.streamed:
            self._release()  # from here on its sender counts it
        piece = b"" if self.ending else self._piece()
        self.sent += len(piece)
        self._begun = True
        if self.ending and not self.over:
            self._finish()
        # A piece that is slightly late does not delay the following ones.
        on_pace = self._interval and now - self.due < max(self._interval, _CAUGHT_UP)
        self.due = (self.due if on_pace else now) + self._interval
        return piece

    def stop(self, now: float) -> None:
        """End a body without a known end after the current piece, properly; leave others alone."""
        self._stopping = True
        if self.ending:
            self.due = min(self.due, now)

    def close(self) -> None:
        """Close the application's iterable: no more of it is needed (PEP 3333)."""
        self._release()
        made, self._made = self._made, None
        close_pieces(made, self._report)

    def _release(self) -> None:
        self._waiting.size -= self._held
        self._held = 0

    def _next(self) -> bytes | None:
        """Return the next piece of the application, or None after the last. Raise `TypeError` unless it is bytes."""
        piece = next(self._pieces, None)
        if not isinstance(piece, bytes | None):
            raise TypeError(f"a piece of a body is {type(piece).__name__}, not bytes")
        return piece

    def _piece(self) -> bytes:
        """Return the next piece, cut to the declared length; note if it was the last one, and how the body ends."""
        try:
            piece = self._next()
        except Exception as error:  # noqa: BLE001 - as in `close_pieces`
            self._report(failure(error))
            self.failed = True
            self._finish(broken=True)
            return b""
        if piece is None:
            self._end_short()
            return b""
        if self._left is None:
            return piece
        more = len(piece) > self._left
        piece = piece[: self._left]
        self._left -= len(piece)
        if not self._left:
            self._end_full(more=more)
        return piece

    def _end_short(self) -> None:
        if self._left and not self._aborted:
            self._report(
                f"response incomplete: {self._left} bytes fewer than its Content-Length of {self.length}; closing"
            )
        self._finish(broken=bool(self._left))

    def _end_full(self, *, more: bool) -> None:
        """End the body at its declared length; first let the application run past its last piece."""
        if not (more or self._aborted):
            try:
                more = bool(self._next())
            except Exception as error:  # noqa: BLE001 - the same; the announced length was sent
                self._report(failure(error))
        if more and not self._aborted:
            self._report(f"response truncated: more bytes than its Content-Length of {self.length}")
        self._finish()

    def _finish(self, *, broken: bool = False) -> None:
        self.over = True
        self.broken = broken or self._aborted
        self.close()
