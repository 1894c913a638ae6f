"""Server-sent events: a reflection a second.

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
_COPIES: Final = 4  # of what a request has: the head's text, the fields, the reflection's two lists of them
# Asks proxies not to wait for more before they send on what has come, as nginx does.
# https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering
_UNBUFFERED: Final = ("X-Accel-Buffering", "no")


def events(context: Context, clock: Callable[[], float], count: int) -> Answer:
    """Give so many events; where the client has had all of them before, 204, which tells it not to come again."""
    first = _after_last_event(context)
    if first >= count:
        return Answer(b"", EVENTS, HTTPStatus.NO_CONTENT, HARMLESS)
    body = Content(None, _events(context, clock, first, count), endless=True, held=_held(context))
    return Answer(body, EVENTS, fields=(*HARMLESS, _UNBUFFERED), interval=INTERVAL)


def _events(context: Context, clock: Callable[[], float], first: int, count: int) -> Iterator[bytes]:
    reflection = reflect(context)  # once: all but the time is the same
    for number in range(first + 1, count + 1):
        now = structs.replace(context, now=clock())
        told = msgspec.json.encode(structs.replace(reflection, time=now.time))
        yield b"id: %d\nevent: reflection\ndata: %s\n\n" % (number, told)


def _held(context: Context) -> int:
    """Give the bytes that are kept for the events: the request, and of it what is reflected, each more than once."""
    request = context.request
    fields = sum(len(name) + len(value) for name, value in request.fields)
    return _COPIES * (fields + len(request.target) + len(request.body.kept))


def _after_last_event(context: Context) -> int:
    """Give the number of the last event that a client has had, by its Last-Event-ID; 0 for none."""
    for name, value in context.request.fields:
        if name.lower() == b"last-event-id" and value.isdigit() and len(value) <= 9:  # noqa: PLR2004 - of an int
            return int(value)
    return 0
