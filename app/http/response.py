"""Responses, media types and security headers."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from app.http.streamed_body import StreamedBody

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
YAML: Final = "application/yaml"
EVENT_STREAM: Final = "text/event-stream"

# Statuses of final responses without content (RFC 9110, 15.3.5, 15.3.6, 15.4.5).
BODILESS_STATUSES: Final = frozenset((204, 205, 304))

# Blocks loading and running anything, sending forms, and framing, even if a proxy has removed the media type. Not
# `sandbox`: it gives the document an opaque origin, in which browsers' JSON viewers can't load their resources.
# https://www.w3.org/TR/CSP3/; `default-src` does not cover the directives after it.
CSP: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

# No response is sniffed as another type, stored in a cache, or able to run scripts.
SECURITY_HEADERS: Final = (
    ("Content-Security-Policy", CSP),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
)


class RenderedResponse(msgspec.Struct, frozen=True):
    """Response before controls are applied: status, body, media type and additional headers.

    `delay` is the number of seconds before the first byte, `interval` that between the pieces of a body with several.
    """

    body: bytes | StreamedBody
    content_type: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    interval: float = 0.0


class Response(msgspec.Struct, frozen=True):
    """Response as sent: status, headers, and the body, whole or in pieces."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes | Iterable[bytes]


def with_security_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return the headers with the security headers added, except those that the response sets itself."""
    names = {name.lower() for name, _ in headers}
    return (*headers, *(field for field in SECURITY_HEADERS if field[0].lower() not in names))
