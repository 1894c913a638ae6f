"""Error responses: 400 for invalid controls, 406 for unavailable types."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from app.echo.context import Context
from app.echo.formats.renderers import media_types
from app.http.controls_report import ControlsReport, RejectedControl
from app.http.response import JSON, SECURITY_HEADERS, TEXT, RenderedResponse

_STATUS_LINE: Final = "400 Bad Request"
_SUMMARY: Final = "invalid control"

NOT_ACCEPTABLE: Final = RenderedResponse(
    "".join(
        f"{line}\n"
        for line in (
            "406 Not Acceptable: none of the types in Accept is available. Available:",
            *(f"  {media_type:<20} or ?echo_format={name}" for media_type, name in media_types()),
        )
    ).encode(),
    TEXT,
    HTTPStatus.NOT_ACCEPTABLE.value,
    SECURITY_HEADERS,
)


class _InvalidControls(msgspec.Struct, frozen=True):
    error: str
    applied: ControlsReport
    id: str


def invalid_controls_response(
    context: Context, rejected_controls: Sequence[RejectedControl], format_name: str | None
) -> RenderedResponse:
    """Return the 400 response to invalid controls: JSON if the response format is JSON, else lines of text."""
    status = HTTPStatus.BAD_REQUEST.value
    if format_name == "json":
        body = msgspec.json.encode(_InvalidControls(f"{_STATUS_LINE}: {_SUMMARY}", context.controls_report, context.id))
        pretty = msgspec.json.format(body, indent=2) if context.pretty else body
        return RenderedResponse(pretty + b"\n", JSON, status, SECURITY_HEADERS)
    lines = [f"{_STATUS_LINE}: {_SUMMARY}", *map(_line, rejected_controls)]
    return RenderedResponse("".join(f"{line}\n" for line in lines).encode(), TEXT, status, SECURITY_HEADERS)


def _line(control: RejectedControl) -> str:
    limit = f"; must be {control.bound}" if control.bound else ""
    # Encoded as JSON, so that no character of the value ends the line.
    value = msgspec.json.encode(control.value).decode()
    return f"  {control.name}={value}: {control.reason}{limit}"
