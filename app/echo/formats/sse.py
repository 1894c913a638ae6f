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
from app.http.response import EVENTS, HARMLESS, Answer
from app.http.streamed_body import Content

DEFAULT_COUNT: Final = 5
INTERVAL: Final = 1.0  # seconds
_COPIES: Final = 4  # of a request's headers: the text of the head, the parsed headers, and two lists in the reflection
# Asks proxies such as nginx to forward each event at once, without buffering.
# https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering
_UNBUFFERED: Final = ("X-Accel-Buffering", "no")


def events(context: Context, clock: Callable[[], float], count: int) -> Answer:
    """Return the events up to number `count`; 204, which ends reconnecting, if the client has received all of them."""
    first = _after_last_event(context)
    if first >= count:
        return Answer(b"", EVENTS, HTTPStatus.NO_CONTENT, HARMLESS)
    body = Content(None, _events(context, clock, first, count), endless=True, held=_held(context))
    return Answer(body, EVENTS, fields=(*HARMLESS, _UNBUFFERED), interval=INTERVAL)


def _events(context: Context, clock: Callable[[], float], first: int, count: int) -> Iterator[bytes]:
    reflection = reflect(context)  # once, as only the time differs between events
    for number in range(first + 1, count + 1):
        now = structs.replace(context, now=clock())
        told = msgspec.json.encode(structs.replace(reflection, time=now.time))
        yield b"id: %d\nevent: reflection\ndata: %s\n\n" % (number, told)


def _held(context: Context) -> int:
    """Return the number of bytes buffered for the events: the request and its reflection, in several copies."""
    request = context.request
    fields = sum(len(name) + len(value) for name, value in request.fields)
    return _COPIES * (fields + len(request.target) + len(request.body.kept))


def _after_last_event(context: Context) -> int:
    """Return the number of the last event that the client received, from Last-Event-ID; 0 if absent or invalid."""
    for name, value in context.request.fields:
        if name.lower() == b"last-event-id" and value.isdigit() and len(value) <= 9:  # noqa: PLR2004 - of an int
            return int(value)
    return 0
