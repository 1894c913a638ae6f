"""Body of a response that takes time: delay, pieces, pace, end.

It does no I/O.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Final

from app.http.errors import format_app_error
from app.server.response import WsgiResponse, has_content, length_to_send
from app.server.state import ServerState

# Maximum lateness in seconds that is caught up with: timers fire late, and pieces may be close together.
_MAX_LATENESS: Final = 0.1

_Pieces = Iterator[object]  # the application may yield what it must not


def buffered_size(response: WsgiResponse) -> int:
    """Return the bytes that a response keeps until its delay is over, or, if it is streamed, until its end."""
    options = response.options
    return options.buffered_bytes + (len(response.body) if options.delay else 0)


def close_pieces(pieces: object, report: Callable[[str], None]) -> None:
    """Close the application's iterable, if it has a `close` method (PEP 3333)."""
    close = getattr(pieces, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception as error:  # noqa: BLE001 - a fault of the application ends one response, not the worker
        report(format_app_error(error))


class ResponseBody:
    """Body being sent.

    Call `next_piece` at the time `next_piece_at`, until `is_finished`; call `close` however it ends.

    Times are on the loop's clock. The application produces one piece at a time. Never more than the declared length is
    sent; a body that is too long or too short is reported, once.
    """

    def __init__(self, response: WsgiResponse, state: ServerState, *, with_body: bool) -> None:
        options = response.options
        self._memory_budget = state.memory_budget
        self._counted_bytes = buffered_size(response)
        self._memory_budget.used += self._counted_bytes
        self.next_piece_at = state.now() + options.delay
        self.sent_bytes = 0  # bytes of the body returned by `next_piece`
        self.is_finished = False  # nothing more follows
        self.is_truncated = False  # the client must see that the body is incomplete
        self.application_failed = False  # because the application has raised an exception
        self.aborts_before_head = options.abort == "before"  # nothing is to be sent at all
        self.is_streamed = response.pieces is not None
        self.has_content = has_content(response, with_body=with_body)
        self.trailers = options.trailers if self.has_content else ()
        self.length = length_to_send(response, with_body=with_body)
        self._aborts_within_body = options.abort == "middle"
        self._is_endless = options.is_endless and self.is_streamed and self.has_content and self.length is None
        self._interval = options.interval
        self._report = state.report
        self._has_started = False
        self._is_shutting_down = state.draining
        self._iterable = response.pieces
        self._remaining = self.length if self.has_content else 0
        if self._aborts_within_body and self._remaining:
            self._remaining -= 1  # so that it never becomes complete
        first_pieces = () if self.is_streamed and not response.body else (response.body,)
        self._pieces: _Pieces = chain(first_pieces, response.pieces or ())
        if self.aborts_before_head or not self.has_content:
            self._pieces = iter(())
            self.close()

    @property
    def is_ending(self) -> bool:
        """Whether only the end of the body is still to be sent."""
        return self._has_started and self._is_endless and self._is_shutting_down

    def next_piece(self, now: float) -> bytes:
        """Return the next piece, which is empty if the application has none yet, or none any more."""
        if not self.is_streamed:
            self._release_budget()  # from here on its sender counts it
        piece = b"" if self.is_ending else self._next_limited_piece()
        self.sent_bytes += len(piece)
        self._has_started = True
        if self.is_ending and not self.is_finished:
            self._finish()
        # A piece that is slightly late does not delay the following ones.
        on_pace = self._interval and now - self.next_piece_at < max(self._interval, _MAX_LATENESS)
        self.next_piece_at = (self.next_piece_at if on_pace else now) + self._interval
        return piece

    def on_shutdown(self, now: float) -> None:
        """End a body without a known end after the current piece, properly; leave others alone."""
        self._is_shutting_down = True
        if self.is_ending:
            self.next_piece_at = min(self.next_piece_at, now)

    def close(self) -> None:
        """Close the application's iterable: no more of it is needed (PEP 3333)."""
        self._release_budget()
        iterable, self._iterable = self._iterable, None
        close_pieces(iterable, self._report)

    def _release_budget(self) -> None:
        self._memory_budget.used -= self._counted_bytes
        self._counted_bytes = 0

    def _next_from_application(self) -> bytes | None:
        """Return the next piece of the application, or None after the last. Raise `TypeError` unless it is bytes."""
        piece = next(self._pieces, None)
        if not isinstance(piece, bytes | None):
            raise TypeError(f"a piece of a body is {type(piece).__name__}, not bytes")
        return piece

    def _next_limited_piece(self) -> bytes:
        """Return the next piece, cut to the declared length; note if it was the last one, and how the body ends."""
        try:
            piece = self._next_from_application()
        except Exception as error:  # noqa: BLE001 - as in `close_pieces`
            self._report(format_app_error(error))
            self.application_failed = True
            self._finish(truncated=True)
            return b""
        if piece is None:
            self._end_of_pieces()
            return b""
        if self._remaining is None:
            return piece
        is_too_long = len(piece) > self._remaining
        piece = piece[: self._remaining]
        self._remaining -= len(piece)
        if not self._remaining:
            self._end_at_length(is_too_long=is_too_long)
        return piece

    def _end_of_pieces(self) -> None:
        if self._remaining and not self._aborts_within_body:
            self._report(
                f"response incomplete: {self._remaining} bytes fewer than its Content-Length of {self.length}; closing"
            )
        self._finish(truncated=bool(self._remaining))

    def _end_at_length(self, *, is_too_long: bool) -> None:
        """End the body at its declared length; first let the application run past its last piece."""
        if not (is_too_long or self._aborts_within_body):
            try:
                is_too_long = bool(self._next_from_application())
            except Exception as error:  # noqa: BLE001 - the same; the announced length was sent
                self._report(format_app_error(error))
        if is_too_long and not self._aborts_within_body:
            self._report(f"response truncated: more bytes than its Content-Length of {self.length}")
        self._finish()

    def _finish(self, *, truncated: bool = False) -> None:
        self.is_finished = True
        self.is_truncated = truncated or self._aborts_within_body
        self.close()
