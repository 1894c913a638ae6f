"""One-shot timer that fires at the earliest requested time."""

from collections.abc import Callable
from typing import Final

from app.server.clock import TimerHandle
from app.server.state import ServerState

_NEVER: Final = float("inf")


def _noop() -> None:
    """Do nothing; the callback of an ended timer."""


class Timer:
    """Timer that calls back once, at the earliest of the times passed to `schedule`.

    It never holds more than one timer of the loop.
    """

    __slots__ = ("_callback", "_fires_at", "_handle", "_state")

    def __init__(self, state: ServerState, callback: Callable[[], None]) -> None:
        self._state = state
        self._callback = callback
        self._fires_at = _NEVER
        self._handle: TimerHandle | None = None

    def schedule(self, at: float) -> None:
        """Request a call at a time on the loop's clock; a time that has passed means the loop's next turn but one.

        A turn runs its callbacks before its reading: a callback in every next turn would never see newly arrived data.
        """
        now = self._state.now()
        at = max(at, now)
        if at >= self._fires_at:
            return
        self._clear()
        self._fires_at = at
        if at > now:
            self._handle = self._state.call_later(at - now, self._fire)
        else:
            self._state.call_soon(self._fire_next_turn)

    def cancel(self) -> None:
        """Cancel the timer and drop the callback: an owner referenced by its own timer would keep itself alive."""
        self._clear()
        self._callback = _noop

    def _clear(self) -> None:
        self._fires_at = _NEVER
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire_next_turn(self) -> None:
        self._state.call_soon(self._fire)

    def _fire(self) -> None:
        self._clear()
        self._callback()
