"""An answer, before it is known what else the client has asked of it."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from app.http.streamed_body import Content

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
YAML: Final = "application/yaml"
EVENTS: Final = "text/event-stream"

# Statuses of final answers that have no content (RFC 9110, 15.3.5, 15.3.6, 15.4.5).
BODILESS: Final = frozenset((204, 205, 304))

# Nothing is loaded or run, nothing is sent, nobody frames it: also where what stands between has lost an answer's type.
# Not `sandbox`: in an origin of their own, browsers' viewers for JSON would have to do without what they load.
# https://www.w3.org/TR/CSP3/; `default-src` is silent on what follows it.
POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

# No answer is taken for another type than it says, kept by anybody, or let run anything.
HARMLESS: Final = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
)


class Answer(msgspec.Struct, frozen=True):
    """A status, a content and its type, and more fields where they are needed.

    `delay` seconds pass before the first byte, `interval` seconds between the pieces of a content that has some.
    """

    body: bytes | Content
    content_type: str
    status: int = 200
    fields: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    interval: float = 0.0


class Sent(msgspec.Struct, frozen=True):
    """What is sent: the status, the fields, and the body, whole or in pieces."""

    status: int
    fields: Sequence[tuple[str, str]]
    body: bytes | Iterable[bytes]


def harmless(fields: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Give fields with those that make an answer harmless, where it has no such field of its own."""
    names = {name.lower() for name, _ in fields}
    return (*fields, *(field for field in HARMLESS if field[0].lower() not in names))
