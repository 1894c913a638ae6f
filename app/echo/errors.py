"""Error responses: 400 for invalid controls, 406 for unavailable types."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from app.echo.context import Context
from app.echo.formats.renderers import media_types
from app.http.controls_report import Applied, Refused
from app.http.response import HARMLESS, JSON, TEXT, Answer

_BAD: Final = "400 Bad Request"
_UNDONE: Final = "invalid control"

NOT_ACCEPTABLE: Final = Answer(
    "".join(
        f"{line}\n"
        for line in (
            "406 Not Acceptable: none of the types in Accept is available. Available:",
            *(f"  {media_type:<20} or ?echo_format={name}" for media_type, name in media_types()),
        )
    ).encode(),
    TEXT,
    HTTPStatus.NOT_ACCEPTABLE.value,
    HARMLESS,
)


class _Mistaken(msgspec.Struct, frozen=True):
    error: str
    applied: Applied
    id: str


def mistaken(context: Context, mistakes: Sequence[Refused], form: str | None) -> Answer:
    """Return the 400 response to invalid controls: JSON if the response format is JSON, else lines of text."""
    status = HTTPStatus.BAD_REQUEST.value
    if form == "json":
        body = msgspec.json.encode(_Mistaken(f"{_BAD}: {_UNDONE}", context.applied, context.id))
        pretty = msgspec.json.format(body, indent=2) if context.pretty else body
        return Answer(pretty + b"\n", JSON, status, HARMLESS)
    lines = [f"{_BAD}: {_UNDONE}", *map(_line, mistakes)]
    return Answer("".join(f"{line}\n" for line in lines).encode(), TEXT, status, HARMLESS)


def _line(mistake: Refused) -> str:
    bound = f"; must be {mistake.bound}" if mistake.bound else ""
    # Encoded as JSON, so that no character of the value ends the line.
    value = msgspec.json.encode(mistake.value).decode()
    return f"  {mistake.name}={value}: {mistake.reason}{bound}"
