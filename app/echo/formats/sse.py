"""Server-sent events: one reflection per second.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import structs

from app.echo.context import Context
from app.echo.reflection.model import reflect
from app.http.response import EVENT_STREAM, SECURITY_HEADERS, RenderedResponse
from app.http.streamed_body import StreamedBody

DEFAULT_COUNT: Final = 5
INTERVAL: Final = 1.0  # seconds
_COPIES: Final = 4  # of a request's headers: the text of the head, the parsed headers, and two lists in the reflection
# Asks proxies such as nginx to forward each event at once, without buffering.
# https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering
_UNBUFFERED: Final = ("X-Accel-Buffering", "no")


def render_events(context: Context, clock: Callable[[], float], count: int) -> RenderedResponse:
    """Return the events up to number `count`; 204, which ends reconnecting, if the client has received all of them."""
    first = _last_event_id(context)
    if first >= count:
        return RenderedResponse(b"", EVENT_STREAM, HTTPStatus.NO_CONTENT, SECURITY_HEADERS)
    body = StreamedBody(
        None, _generate_events(context, clock, first, count), is_endless=True, buffered_bytes=_buffered_bytes(context)
    )
    return RenderedResponse(body, EVENT_STREAM, headers=(*SECURITY_HEADERS, _UNBUFFERED), interval=INTERVAL)


def _generate_events(context: Context, clock: Callable[[], float], first: int, count: int) -> Iterator[bytes]:
    reflection = reflect(context)  # once, as only the time differs between events
    for number in range(first + 1, count + 1):
        event_context = structs.replace(context, now=clock())
        event_data = msgspec.json.encode(structs.replace(reflection, time=event_context.time))
        yield b"id: %d\nevent: reflection\ndata: %s\n\n" % (number, event_data)


def _buffered_bytes(context: Context) -> int:
    """Return the number of bytes buffered for the events: the request and its reflection, in several copies."""
    request = context.request
    header_bytes = sum(len(name) + len(value) for name, value in request.headers)
    return _COPIES * (header_bytes + len(request.target) + len(request.body.prefix))


def _last_event_id(context: Context) -> int:
    """Return the number of the last event that the client received, from Last-Event-ID; 0 if absent or invalid."""
    for name, value in context.request.headers:
        if name.lower() == b"last-event-id" and value.isdigit() and len(value) <= 9:  # noqa: PLR2004 - of an int
            return int(value)
    return 0
