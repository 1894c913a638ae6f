"""The forms in which a request is shown: for each, its name, its media type, and how it is written."""

from collections.abc import Callable
from functools import lru_cache
from html import escape
from typing import Final

import msgspec

from app.echo.context import Context
from app.echo.formats.dialects.registry import DIALECTS
from app.echo.formats.html import document
from app.echo.formats.yaml import yaml_text
from app.echo.reflection.model import reflect
from app.http.headers.accept import ANY, preferred
from app.http.request import decoded_path, wire_head
from app.http.response import HARMLESS, HTML, JSON, TEXT, YAML, Answer, harmless

BARE: Final = "bare"
EVENTS: Final = "events"
ECHO: Final = "echo"  # in the place of a dialect

_PAGE_FIELDS: Final = harmless(document.FIELDS)


def bare(context: Context) -> Answer:
    """Give the bare answer: the decoded path in bold, harmless in HTML, bytes that are not UTF-8 as U+FFFD."""
    path = decoded_path(context.request.target).decode("utf-8", "replace")
    return Answer(b"<b>Got: %b</b>!" % escape(path).encode(), HTML, 200, HARMLESS)


def html(context: Context) -> Answer:
    """Give the reflection as a page for browsers."""
    return Answer(document.page(context), HTML, fields=_PAGE_FIELDS)


def json(context: Context) -> Answer:
    """Give the reflection as JSON, indented by two spaces where it is for people."""
    text = msgspec.json.encode(reflect(context))
    return Answer((msgspec.json.format(text, indent=2) if context.pretty else text) + b"\n", JSON, fields=HARMLESS)


def yaml(context: Context) -> Answer:
    """Give the reflection as YAML."""
    text = msgspec.json.encode(reflect(context))
    return Answer(yaml_text(text, msgspec.json.decode(text)), YAML, fields=HARMLESS)


def text(context: Context) -> Answer:
    """Give the request as it was on the wire, byte for byte: its head, an empty line, and what is kept of its body."""
    return Answer(wire_head(context.request) + context.request.body.kept, TEXT, fields=HARMLESS)


def _harmless(dialect: Callable[[Context], Answer]) -> Callable[[Context], Answer]:
    """Give a dialect whose answers have what makes ours harmless, where they have no such field of their own."""

    def answer(context: Context) -> Answer:
        told = dialect(context)
        return msgspec.structs.replace(told, fields=harmless(told.fields))

    return answer


# By name; those that have a media type are offered by it, in this order. Server-sent events are beside them.
WRITE: Final[dict[str, Callable[[Context], Answer]]] = {
    BARE: bare,
    "html": html,
    "json": json,
    "text": text,
    "yaml": yaml,
} | {name: _harmless(dialect) for name, dialect in DIALECTS.items()}
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
    """Give the media types that there are, each with the name of its form."""
    return tuple(_NAMES.items())


def negotiated(accept: str, default: str) -> str | None:
    """Give the name of the form that an Accept field prefers: the `default` for who takes any, None for none."""
    return _remembered(accept, default) if len(accept) <= _LONGEST_REMEMBERED else _negotiated(accept, default)


def _negotiated(accept: str, default: str) -> str | None:
    media_type = preferred(accept, _OFFERS, _MEDIA_TYPES[default])
    return default if media_type == ANY else media_type and _NAMES[media_type]


# The same few fields come with every request; a client that makes them up can't fill the memory.
_LONGEST_REMEMBERED: Final = 256
_remembered = lru_cache(maxsize=256)(_negotiated)
