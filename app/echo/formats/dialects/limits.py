"""Limits and permissions of what a client requests in a dialect."""

from typing import Final

from app.config.policy import DialectLimits
from app.echo.formats.dialects.go_values import nanoseconds
from app.http.quantities import format_duration

_SECOND: Final = 10**9  # nanoseconds


class DialectError(ValueError):
    """A rejected request; the message is a short reason."""


def require_allowed(control: str, limits: DialectLimits) -> None:
    """Raise `DialectError` if the operator has disabled the control that does the same."""
    if control not in limits.allowed_controls:
        raise DialectError(f"disabled (ECHO_ALLOW_{control.upper()} or ECHO_CONTROLS)")


def parse_delay(text: str, limits: DialectLimits) -> float:
    """Parse a delay that is a Go duration; return it in seconds, 0 if it is empty or negative.

    Raise `ParseError` if it is malformed, `DialectError` if it is too long or disabled.
    """
    duration = max(0, nanoseconds(text)) if text else 0
    if duration:
        require_allowed("delay", limits)
    seconds = duration / _SECOND
    if seconds > limits.max_delay:
        raise DialectError(f"delay longer than {format_duration(limits.max_delay)} (ECHO_MAX_DELAY)")
    return seconds
