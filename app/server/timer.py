"""One-shot timer that fires at the earliest requested time."""

from collections.abc import Callable
from typing import Final

from app.server.clock import Timer
from app.server.state import Service

_NEVER: Final = float("inf")


def _nobody() -> None:
    """Do nothing; the callback of an ended timer."""


class Alarm:
    """Timer that calls back once, at the earliest of the times passed to `set`.

    It never holds more than one timer of the loop.
    """

    __slots__ = ("_at", "_call", "_service", "_timer")

    def __init__(self, service: Service, call: Callable[[], None]) -> None:
        self._service = service
        self._call = call
        self._at = _NEVER
        self._timer: Timer | None = None

    def set(self, at: float) -> None:
        """Request a call at a time on the loop's clock; a time that has passed means the loop's next turn but one.

        A turn runs its callbacks before its reading: a callback in every next turn would never see newly arrived data.
        """
        now = self._service.clock()
        at = max(at, now)
        if at >= self._at:
            return
        self._unset()
        self._at = at
        if at > now:
            self._timer = self._service.later(at - now, self._ring)
        else:
            self._service.soon(self._next_turn)

    def end(self) -> None:
        """Cancel the timer and drop the callback: an owner referenced by its own timer would keep itself alive."""
        self._unset()
        self._call = _nobody

    def _unset(self) -> None:
        self._at = _NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next_turn(self) -> None:
        self._service.soon(self._ring)

    def _ring(self) -> None:
        self._unset()
        self._call()
