"""Response formats: the name, media type and renderer of each."""

from collections.abc import Callable
from functools import lru_cache
from html import escape
from typing import Final

import msgspec

from app.config.formats import BARE, EVENTS
from app.echo.context import Context
from app.echo.formats.dialects.registry import DIALECTS
from app.echo.formats.html import document
from app.echo.formats.yaml import yaml_text
from app.echo.reflection.model import reflect
from app.http.headers.accept import ANY, preferred
from app.http.request import decoded_path, wire_head
from app.http.response import HARMLESS, HTML, JSON, TEXT, YAML, Answer, harmless

_PAGE_FIELDS: Final = harmless(document.FIELDS)


def bare(context: Context) -> Answer:
    """Return the bare response: the decoded path in bold, HTML-escaped, with U+FFFD for bytes that are not UTF-8."""
    path = decoded_path(context.request.target).decode("utf-8", "replace")
    return Answer(b"<b>Got: %b</b>!" % escape(path).encode(), HTML, 200, HARMLESS)


def html(context: Context) -> Answer:
    """Return the reflection as an HTML page."""
    return Answer(document.page(context), HTML, fields=_PAGE_FIELDS)


def json(context: Context) -> Answer:
    """Return the reflection as JSON, indented by two spaces if `pretty` is on."""
    text = msgspec.json.encode(reflect(context))
    return Answer((msgspec.json.format(text, indent=2) if context.pretty else text) + b"\n", JSON, fields=HARMLESS)


def yaml(context: Context) -> Answer:
    """Return the reflection as YAML."""
    text = msgspec.json.encode(reflect(context))
    return Answer(yaml_text(text, msgspec.json.decode(text)), YAML, fields=HARMLESS)


def text(context: Context) -> Answer:
    """Return the request as it was on the wire, byte for byte: head, empty line, and the kept part of the body."""
    return Answer(wire_head(context.request) + context.request.body.kept, TEXT, fields=HARMLESS)


def _harmless(dialect: Callable[[Context], Answer]) -> Callable[[Context], Answer]:
    """Return a dialect whose responses also have the security headers, except those that it sets itself."""

    def answer(context: Context) -> Answer:
        told = dialect(context)
        return msgspec.structs.replace(told, fields=harmless(told.fields))

    return answer


# Renderers by format name. Server-sent events have none here, as they also need a clock and a count.
WRITE: Final[dict[str, Callable[[Context], Answer]]] = {
    BARE: bare,
    "html": html,
    "json": json,
    "text": text,
    "yaml": yaml,
} | {name: _harmless(dialect) for name, dialect in DIALECTS.items()}
# The formats that can be negotiated by Accept, offered in this order.
_NAMES: Final = {
    "text/html": "html",
    "application/json": "json",
    "text/plain": "text",
    "application/yaml": "yaml",
    "text/event-stream": EVENTS,
}
_MEDIA_TYPES: Final = {name: media_type for media_type, name in _NAMES.items()} | {BARE: "text/html"}
_OFFERS: Final = tuple(_NAMES)


def media_types() -> tuple[tuple[str, str], ...]:
    """Return the available media types, each with the name of its format."""
    return tuple(_NAMES.items())


def negotiated(accept: str, default: str) -> str | None:
    """Return the name of the format that Accept prefers: `default` if it accepts any type, None if no type matches."""
    return _remembered(accept, default) if len(accept) <= _LONGEST_REMEMBERED else _negotiated(accept, default)


def _negotiated(accept: str, default: str) -> str | None:
    media_type = preferred(accept, _OFFERS, _MEDIA_TYPES[default])
    return default if media_type == ANY else media_type and _NAMES[media_type]


# Most requests have one of few Accept headers; the limits keep a client that generates others from filling the memory.
_LONGEST_REMEMBERED: Final = 256
_remembered = lru_cache(maxsize=256)(_negotiated)
