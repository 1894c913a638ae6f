"""As go-httpbin: its answers in JSON, by path.

https://github.com/mccutchen/go-httpbin/tree/v2.26.0/httpbin
"""

from collections.abc import Callable
from http import HTTPStatus
from random import Random
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from app.echo.context import Context
from app.echo.formats.dialects import go_http, go_values
from app.echo.formats.dialects.httpbin_body import BodyError
from app.echo.formats.dialects.httpbin_request import headers, json, no_body, origin, with_body
from app.echo.formats.dialects.httpbin_status import choose, special
from app.echo.formats.dialects.limits import WishError, bounded, permit
from app.http.response import TEXT, Answer

_ANY: Final[frozenset[bytes]] = frozenset()


class _Error(msgspec.Struct, frozen=True, omit_defaults=True):
    status_code: int
    error: str
    detail: str = ""


class _Route(NamedTuple):
    """One path, `{}` for any segment, and what is answered there to these methods, or to any."""

    path: str
    methods: frozenset[bytes]
    answer: Callable[[Context, str], Answer]


def httpbin(context: Context) -> Answer:
    """Answer as go-httpbin, by the path; what is not there is 404, what is not for this method 405."""
    if context.request.method == b"OPTIONS":
        # Without the fields by which go-httpbin lets every page read its answers: they may show what is not a page's.
        return Answer(b"", TEXT)
    segments = go_http.segments(context.request)
    found = [route for route in _ROUTES if _matches(route.path, segments)]
    for route in found:
        if not route.methods or context.request.method in route.methods:
            try:
                return route.answer(context, segments[-1])
            except (BodyError, WishError, go_values.GoError) as error:
                return _error(str(error))
    if not found:
        return Answer(b"404 page not found\n", TEXT, 404)
    allowed = sorted(method.decode() for route in found for method in route.methods)
    return Answer(b"Method Not Allowed\n", TEXT, 405, (("Allow", ", ".join(allowed)),))


def _matches(path: str, segments: list[str]) -> bool:
    pattern = path.split("/")
    if pattern[-1] == "*":
        return segments[: len(pattern) - 1] == pattern[:-1]
    return len(pattern) == len(segments) and all(
        segment if wanted == "{}" else wanted == segment for wanted, segment in zip(pattern, segments, strict=True)
    )


def _error(detail: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Answer:
    answer = json(_Error(status.value, status.phrase, detail))
    return msgspec.structs.replace(answer, status=status.value)


def _told(context: Context, _: str) -> Answer:
    return no_body(context)


def _told_with_body(context: Context, _: str) -> Answer:
    return with_body(context)


def _anything(context: Context, _: str) -> Answer:
    return (no_body if context.request.method == b"HEAD" else with_body)(context)


def _only_headers(context: Context, _: str) -> Answer:
    return json({"headers": headers(context)})


def _ip(context: Context, _: str) -> Answer:
    address = origin(context)
    if go_http.query(context.request).get("format", [""])[0] == "text":
        return Answer(f"{address}\n".encode(), TEXT)
    return json({"origin": address})


def _user_agent(context: Context, _: str) -> Answer:
    return json({"user-agent": go_http.text(go_http.first(go_http.header(context.request), "User-Agent"))})


def _random(context: Context) -> Random:
    """Give chance by the request and its time: an id that comes again, as a retry's does, is chosen for anew."""
    return Random(f"{context.id} {context.now}")  # noqa: S311 - no secret is made of it


def _uuid(context: Context, _: str) -> Answer:
    return json({"uuid": str(UUID(int=_random(context).getrandbits(128), version=4))})


def _status(context: Context, asked: str) -> Answer:
    status = choose(asked, _random(context))
    permit("status", context.policy.limits)
    return special(status)


def _delay(context: Context, asked: str) -> Answer:
    """Answer as /anything, after a while."""
    try:
        seconds = bounded(go_values.duration_or_seconds(asked), context.policy.limits)
    except (WishError, go_values.GoError) as error:
        raise WishError(f"invalid duration: {error}") from None
    timing = f'initial_delay;dur={seconds * 1000:.2f};desc="initial delay"'
    answer = with_body(context)
    return msgspec.structs.replace(answer, delay=seconds, fields=(("Server-Timing", timing),))


def _redirect(context: Context, asked: str) -> Answer:
    """Redirect so many times, then to /get. Always to a path: an absolute one would be the client's word."""
    try:
        count = go_values.integer(asked)
    except go_values.GoError as error:
        raise WishError(f"invalid redirect count: {error}") from None
    if count < 1:
        raise WishError("redirect count must be > 0")
    permit("redirect", context.policy.limits)
    location = f"/relative-redirect/{count - 1}" if count > 1 else "/get"
    return Answer(b"", TEXT, HTTPStatus.FOUND.value, (("Location", location),))


def _index(context: Context, _: str) -> Answer:
    """List what there is, where go-httpbin has a page."""
    del context
    return Answer("".join(f"/{route.path}\n" for route in _ROUTES).encode(), TEXT)


_GET: Final = frozenset((b"GET", b"HEAD"))
_ROUTES: Final = (
    _Route("", _GET, _index),
    _Route("anything", _ANY, _anything),
    _Route("anything/*", _ANY, _anything),
    _Route("delay/{}", _ANY, _delay),
    _Route("delete", frozenset((b"DELETE",)), _told_with_body),
    _Route("get", _GET, _told),
    _Route("head", frozenset((b"HEAD",)), _told),
    _Route("headers", _ANY, _only_headers),
    _Route("ip", _ANY, _ip),
    _Route("patch", frozenset((b"PATCH",)), _told_with_body),
    _Route("post", frozenset((b"POST",)), _told_with_body),
    _Route("put", frozenset((b"PUT",)), _told_with_body),
    _Route("redirect/{}", _ANY, _redirect),
    _Route("relative-redirect/{}", _ANY, _redirect),
    _Route("status/{}", _ANY, _status),
    _Route("user-agent", _ANY, _user_agent),
    _Route("uuid", _ANY, _uuid),
)
