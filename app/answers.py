"""The answers that there are: for each media type, what it shows of a request, and the headers that go with it."""

from collections.abc import Callable
from html import escape
from typing import Final

import msgspec

from app.identity import Identity
from app.reflection import reflect
from app.wire import ConnectionInfo, WireRequest, decoded_path, wire_head

HTML: Final = "text/html"
JSON: Final = "application/json"
TEXT: Final = "text/plain"

# No answer is taken for another type than it says, kept by anybody, or let run anything.
_HARMLESS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
HEADERS: Final = {
    HTML: {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "default-src 'none'", **_HARMLESS},
    JSON: {"Content-Type": "application/json", **_HARMLESS},
    TEXT: {"Content-Type": "text/plain; charset=utf-8", **_HARMLESS},
}


Answer = Callable[[WireRequest, ConnectionInfo, Identity], bytes]


def bare(request: WireRequest, connection: ConnectionInfo, identity: Identity) -> bytes:
    """Give the bare answer: the decoded path in bold, harmless in HTML, bytes that are not UTF-8 as U+FFFD."""
    del connection, identity  # it does not say who asks, or who answers
    return f"<b>Got: {escape(decoded_path(request.target).decode('utf-8', 'replace'))}</b>!".encode()


def pretty_json(request: WireRequest, connection: ConnectionInfo, identity: Identity) -> bytes:
    """Give the reflection as JSON for people, indented by two spaces."""
    return msgspec.json.format(msgspec.json.encode(reflect(request, connection, identity)), indent=2) + b"\n"


def wire_text(request: WireRequest, connection: ConnectionInfo, identity: Identity) -> bytes:
    """Give the request as it was on the wire, byte for byte: its head, an empty line, and what is kept of its body."""
    del connection, identity  # they are not of the request
    return wire_head(request) + request.body.kept


# By media type; the first is for who has no preference.
ANSWERS: Final[dict[str, Answer]] = {HTML: bare, JSON: pretty_json, TEXT: wire_text}
