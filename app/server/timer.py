"""One call that is to come, at the earliest time that was asked for."""

from collections.abc import Callable
from typing import Final

from app.server.clock import Timer
from app.server.state import Service

_NEVER: Final = float("inf")


def _nobody() -> None:
    """Take a call that nobody takes any more."""


class Alarm:
    """Calls back once, at the earliest of the times that it was `set` to. It never holds more than one timer."""

    __slots__ = ("_at", "_call", "_service", "_timer")

    def __init__(self, service: Service, call: Callable[[], None]) -> None:
        self._service = service
        self._call = call
        self._at = _NEVER
        self._timer: Timer | None = None

    def set(self, at: float) -> None:
        """Call at a time on the loop's clock; at once is the next turn but one of the loop.

        A turn's calls come before its reading: whoever goes on in each turn would never see what has come.
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
        """Call nobody any more, and keep nobody: who has an alarm that calls it would else keep itself."""
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
