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
from app.echo.formats.yaml import encode_yaml
from app.echo.reflection.model import reflect
from app.http.headers.accept import ANY, negotiate_media_type
from app.http.request import decode_path, raw_head
from app.http.response import HTML, JSON, SECURITY_HEADERS, TEXT, YAML, RenderedResponse, with_security_headers

_PAGE_HEADERS: Final = with_security_headers(document.PAGE_HEADERS)


def render_bare(context: Context) -> RenderedResponse:
    """Return the bare response: the decoded path in bold, HTML-escaped, with U+FFFD for bytes that are not UTF-8."""
    path = decode_path(context.request.target).decode("utf-8", "replace")
    return RenderedResponse(b"<b>Got: %b</b>!" % escape(path).encode(), HTML, 200, SECURITY_HEADERS)


def render_html(context: Context) -> RenderedResponse:
    """Return the reflection as an HTML page."""
    return RenderedResponse(document.render_page(context), HTML, headers=_PAGE_HEADERS)


def render_json(context: Context) -> RenderedResponse:
    """Return the reflection as JSON, indented by two spaces if `pretty` is on."""
    text = msgspec.json.encode(reflect(context))
    return RenderedResponse(
        (msgspec.json.format(text, indent=2) if context.pretty else text) + b"\n", JSON, headers=SECURITY_HEADERS
    )


def render_yaml(context: Context) -> RenderedResponse:
    """Return the reflection as YAML."""
    text = msgspec.json.encode(reflect(context))
    return RenderedResponse(encode_yaml(text, msgspec.json.decode(text)), YAML, headers=SECURITY_HEADERS)


def render_text(context: Context) -> RenderedResponse:
    """Return the request as it was on the wire, byte for byte: head, empty line, and the kept part of the body."""
    return RenderedResponse(raw_head(context.request) + context.request.body.prefix, TEXT, headers=SECURITY_HEADERS)


def _secure_renderer(dialect: Callable[[Context], RenderedResponse]) -> Callable[[Context], RenderedResponse]:
    """Return a dialect whose responses also have the security headers, except those that it sets itself."""

    def render(context: Context) -> RenderedResponse:
        rendered_response = dialect(context)
        return msgspec.structs.replace(rendered_response, headers=with_security_headers(rendered_response.headers))

    return render


# Renderers by format name. Server-sent events have none here, as they also need a clock and a count.
RENDERERS: Final[dict[str, Callable[[Context], RenderedResponse]]] = {
    BARE: render_bare,
    "html": render_html,
    "json": render_json,
    "text": render_text,
    "yaml": render_yaml,
} | {name: _secure_renderer(dialect) for name, dialect in DIALECTS.items()}
# The formats that can be negotiated by Accept, offered in this order.
_FORMAT_BY_MEDIA_TYPE: Final = {
    "text/html": "html",
    "application/json": "json",
    "text/plain": "text",
    "application/yaml": "yaml",
    "text/event-stream": EVENTS,
}
_MEDIA_TYPE_BY_FORMAT: Final = {name: media_type for media_type, name in _FORMAT_BY_MEDIA_TYPE.items()} | {
    BARE: "text/html"
}
_OFFERS: Final = tuple(_FORMAT_BY_MEDIA_TYPE)


def media_types() -> tuple[tuple[str, str], ...]:
    """Return the available media types, each with the name of its format."""
    return tuple(_FORMAT_BY_MEDIA_TYPE.items())


def negotiate_format(accept: str, default: str) -> str | None:
    """Return the name of the format that Accept prefers: `default` if it accepts any type, None if no type matches."""
    return (
        _negotiate_cached(accept, default)
        if len(accept) <= _MAX_CACHED_LENGTH
        else _negotiate_uncached(accept, default)
    )


def _negotiate_uncached(accept: str, default: str) -> str | None:
    media_type = negotiate_media_type(accept, _OFFERS, _MEDIA_TYPE_BY_FORMAT[default])
    return default if media_type == ANY else media_type and _FORMAT_BY_MEDIA_TYPE[media_type]


# Most requests have one of few Accept headers; the limits keep a client that generates others from filling the memory.
_MAX_CACHED_LENGTH: Final = 256
_negotiate_cached = lru_cache(maxsize=256)(_negotiate_uncached)
