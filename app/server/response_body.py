"""One answer that takes time: its delay, the pieces of its body, the pace of them, and how it ends. Without I/O."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

from app.http.errors import failure
from app.server.response import Response, has_content, told_length
from app.server.state import Service

# Seconds by which a pace may be behind and is still caught up with: timers come late, and pieces may be close together.
_CAUGHT_UP: Final = 0.1

_Pieces = Iterator[object]  # the application may give what it must not


def held(response: Response) -> int:
    """Give the bytes that an answer keeps until its time has come, or, where it is streamed, until its end."""
    effects = response.effects
    return effects.held + (len(response.body) if effects.delay else 0)


def close_pieces(pieces: object, report: Callable[[str], None]) -> None:
    """Tell the application that no more pieces are asked for, if it wants to know (PEP 3333)."""
    close = getattr(pieces, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception as error:  # noqa: BLE001 - a fault of the application ends one answer, not the worker
        report(failure(error))


class Outgoing:
    """One answer on its way: `take` a piece when it is `due`, until it is `over`; `close` it, however it ends.

    Times are on the loop's clock. The application is asked for one piece at a time, and never gives more or less than
    the length that was told: what it does wrong is reported, once.
    """

    def __init__(self, response: Response, service: Service, *, with_body: bool) -> None:
        effects = response.effects
        self._waiting = service.waiting
        self._held = held(response)
        self._waiting.size += self._held
        self.due = service.clock() + effects.delay
        self.sent = 0  # bytes of the body, that were taken
        self.over = False  # nothing more comes
        self.broken = False  # and the client must see that what came is not whole
        self.failed = False  # since the application has raised
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
            self._left -= 1  # so that it never becomes whole
        whole = () if self.streamed and not response.body else (response.body,)
        self._pieces: _Pieces = chain(whole, response.pieces or ())
        if self.dropped or not self.has_content:
            self._pieces = iter(())
            self.close()

    @property
    def ending(self) -> bool:
        """Whether nothing but its end is still to be sent."""
        return self._begun and self._endless and self._stopping

    def take(self, now: float) -> bytes:
        """Give the next piece, which is empty where the application has none yet, or none any more."""
        if not self.streamed:
            self._release()  # it goes on to whom it is sent by
        piece = b"" if self.ending else self._piece()
        self.sent += len(piece)
        self._begun = True
        if self.ending and not self.over:
            self._finish()
        # What is a little late does not put off the others.
        on_pace = self._interval and now - self.due < max(self._interval, _CAUGHT_UP)
        self.due = (self.due if on_pace else now) + self._interval
        return piece

    def stop(self, now: float) -> None:
        """End behind the piece under way, in order, if there is no end that is worth waiting for."""
        self._stopping = True
        if self.ending:
            self.due = min(self.due, now)

    def close(self) -> None:
        """Tell the application that no more is asked for (PEP 3333)."""
        self._release()
        made, self._made = self._made, None
        close_pieces(made, self._report)

    def _release(self) -> None:
        self._waiting.size -= self._held
        self._held = 0

    def _next(self) -> bytes | None:
        """Ask for a piece; give None when there is none any more."""
        piece = next(self._pieces, None)
        if not isinstance(piece, bytes | None):
            raise TypeError(f"a piece of a body is {type(piece).__name__}, not bytes")
        return piece

    def _piece(self) -> bytes:
        """Give the next piece, of the length that was told; see whether it was the last one, and how it ends."""
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
        """End where the length was reached; what the application would still do is its last step."""
        if not (more or self._aborted):
            try:
                more = bool(self._next())
            except Exception as error:  # noqa: BLE001 - the same; what was told is whole
                self._report(failure(error))
        if more and not self._aborted:
            self._report(f"response truncated: more bytes than its Content-Length of {self.length}")
        self._finish()

    def _finish(self, *, broken: bool = False) -> None:
        self.over = True
        self.broken = broken or self._aborted
        self.close()
