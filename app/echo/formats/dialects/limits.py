"""What a client may ask for in the other echoes' own ways: bounded, and only where the operator allows it."""

from typing import Final

from app.config.policy import Limits
from app.echo.formats.dialects.go_values import duration_text, nanoseconds

SECOND: Final = 10**9  # nanoseconds


class WishError(ValueError):
    """Why a wish is not met, in a few words."""


def permit(control: str, limits: Limits) -> None:
    """Raise `WishError` where the operator does not allow the control that does the same."""
    if control not in limits.allowed:
        raise WishError(f"disabled (ECHO_ALLOW_{control.upper()} or ECHO_CONTROLS)")


def delay(asked: str, limits: Limits) -> float:
    """Give the delay that is asked for by a duration of Go's, in seconds; 0 where there is none, or it is negative.

    Raises `GoError` where it can't be read, `WishError` where it is too long or not allowed.
    """
    return bounded(max(0, nanoseconds(asked)), limits) if asked else 0.0


def bounded(duration: int, limits: Limits) -> float:
    """Give nanoseconds of delay in seconds. Raises `WishError` where they are out of bounds or not allowed."""
    if duration < 0:
        raise WishError(f"duration {duration_text(duration)} shorter than 0s")
    if duration:
        permit("delay", limits)
    most = int(limits.max_delay * SECOND)
    if duration > most:
        raise WishError(f"duration {duration_text(duration)} longer than {duration_text(most)}")
    return duration / SECOND
