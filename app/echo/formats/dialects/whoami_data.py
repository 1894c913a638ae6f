"""whoami's /data: a constant text of the requested size."""

from collections.abc import Iterator
from typing import Final

from app.echo.context import Context
from app.echo.formats.dialects import go_http, go_values
from app.echo.formats.dialects.limits import DialectError, require_allowed
from app.http.response import TEXT, RenderedResponse
from app.http.streamed_body import StreamedBody

_DATA: Final = b"-ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PIECE: Final = _DATA * 2048
_UNITS: Final = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}
_TRUE: Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))


def render_data(context: Context) -> RenderedResponse:
    """Return `size` bytes, or that many of a `unit`, generated while they are sent; a download if `attachment` is true.

    Raise `DialectError` if the size is above the limit, or disabled.
    """
    values = go_http.query(context.request)
    try:
        size = max(0, go_values.integer(values.get("size", "")))
    except go_values.ParseError:
        size = 1
    size *= _UNITS.get(values.get("unit", "").lower(), 1)
    limits = context.policy.dialect_limits
    require_allowed("size", limits)
    if size > limits.max_size:
        raise DialectError(f"size {size} exceeds {limits.max_size} bytes (ECHO_MAX_SIZE)")
    headers = (("Content-Disposition", "Attachment"),) if values.get("attachment", "") in _TRUE else ()
    length = size if size > 1 else 0  # as in whoami
    return RenderedResponse(StreamedBody(length, _pieces(length)), TEXT, headers=headers)


def _pieces(length: int) -> Iterator[bytes]:
    """Yield so many bytes: the alphabet repeated, between two `|`."""
    for start in range(0, length, len(_PIECE)):
        piece = _PIECE[: length - start]
        if not start:
            piece = b"|" + piece[1:]
        yield piece[:-1] + b"|" if start + len(piece) == length else piece
