"""Adapter from a streaming (gRPC) call to a response that takes time.

It does no I/O.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from app.http.call import CallOutput, StreamingCall
from app.http.errors import format_app_error
from app.http.request import HeaderList
from app.server.state import ServerState


class GrpcStream:
    """Output of a call, as a body that takes time: the call is queried when output is due, and after each input.

    It has the interface of `ResponseBody`, which it replaces.
    """

    aborts_before_head: Final = False
    application_failed: Final = False
    is_truncated: Final = False
    is_streamed: Final = True
    has_content: Final = True
    length: Final = None

    def __init__(self, call: StreamingCall, state: ServerState) -> None:
        self.call = call
        self.is_finished = False
        self.trailers: HeaderList = ()
        self.next_piece_at = inf
        self._state = state
        self._started_at = state.now()
        self._expires_at = self._started_at + state.limits.timeouts.websocket
        self._has_failed = False  # the application has raised an exception, and the call is to end with that
        self._restart_input_timeout(self._started_at)
        self._reschedule()

    @property
    def is_ending(self) -> bool:
        """Whether only the end is still to be sent."""
        now = self._state.now()
        return self._has_failed or now >= self._expires_at or self._is_input_overdue(now) or self.call.trailers_only

    def pass_data(self, piece: bytes) -> None:
        """Process bytes of the request."""
        self._awaited_bytes += len(piece)
        self._input_deadline = self._state.body_deadline(self._awaiting_since, self._awaited_bytes)
        self._pass_input(lambda: self.call.receive_data(piece, self._elapsed()))

    def pass_end(self) -> None:
        """Process the end of the request."""
        self._pass_input(lambda: self.call.receive_end(self._elapsed()))

    def next_piece(self, now: float) -> bytes:
        """Return the output that is due, which may be empty."""
        try:
            output = self._next_output(now)
        except Exception as error:  # noqa: BLE001 - a fault of the application ends one call, not the worker
            self._state.report(format_app_error(error))
            output = self.call.end_failed()
        return self._apply_output(output, now)

    def on_shutdown(self, now: float) -> None:
        """Notify the call that the server stops."""
        del now
        self._pass_input(self.call.on_shutdown)

    def close(self) -> None:
        """Drop the call: no client reads it any more."""
        self.is_finished = True

    def _pass_input(self, step: Callable[[], None]) -> None:
        """Pass input to the call; an exception of the application ends it."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - a fault of the application ends one call, not the worker
            self._state.report(format_app_error(error))
            self._has_failed = True
        self._reschedule()

    def _next_output(self, now: float) -> CallOutput:
        if self._has_failed:
            return self.call.end_failed()
        if now >= self._expires_at:
            return self.call.end_expired()
        if self._is_input_overdue(now):
            return self.call.end_idle()
        due = self.call.next_output_at
        # If the time has come by this sum, it has come: the difference may be slightly less because of rounding.
        return self.call.next_output(
            max(now - self._started_at, due) if now >= self._started_at + due else now - self._started_at
        )

    def _apply_output(self, output: CallOutput, now: float) -> bytes:
        self.trailers = output.trailers
        self.is_finished = bool(output.trailers)
        if output.body:
            self._restart_input_timeout(now)
        self._reschedule()
        return output.body

    def _reschedule(self) -> None:
        """Compute when the call is to be queried next."""
        input_deadline = self._input_deadline if self.call.awaits_input else inf
        self.next_piece_at = (
            self._started_at
            if self._has_failed
            else min(self._started_at + self.call.next_output_at, self._expires_at, input_deadline)
        )

    def _restart_input_timeout(self, now: float) -> None:
        """Restart the timeout for the client's next data, with the minimum rate of a body."""
        self._awaiting_since, self._awaited_bytes = now, 0  # bytes since then
        self._input_deadline = self._state.body_deadline(now, 0)

    def _is_input_overdue(self, now: float) -> bool:
        """Return whether the client has exceeded the body timeout."""
        return self.call.awaits_input and now >= self._input_deadline

    def _elapsed(self) -> float:
        return self._state.now() - self._started_at
