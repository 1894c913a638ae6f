"""What go-httpbin tells of a request, in its JSON.

https://github.com/mccutchen/go-httpbin/blob/v2.26.0/httpbin/responses.go
"""

from typing import Any, Final

import msgspec

from app.echo.context import Context
from app.echo.formats.dialects import go_http
from app.echo.formats.dialects.httpbin_body import parsed
from app.http.response import Answer

_JSON: Final = "application/json; charset=utf-8"
# Who asks is told by these, the first of them that is there; else by X-Forwarded-For, else by the connection.
_ORIGINS: Final = ("Fly-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip", "True-Client-Ip")


class _NoBody(msgspec.Struct, frozen=True):
    args: go_http.Values
    headers: go_http.Values
    method: str
    origin: str
    url: str


class _Body(msgspec.Struct, frozen=True):
    args: go_http.Values
    headers: go_http.Values
    method: str
    origin: str
    url: str
    data: str
    files: go_http.Values
    form: go_http.Values
    json: Any


def json(value: Any) -> Answer:
    """Give a value in JSON, indented by two spaces."""
    return Answer(go_http.json(value, indent=2, html=False) + b"\n", _JSON)


def headers(context: Context) -> go_http.Values:
    """Give the header, with what Go keeps elsewhere."""
    request = context.request
    shown = go_http.shown(go_http.header(request)) | {"Host": [go_http.text(go_http.host(request))]}
    if go_http.is_chunked(request):
        shown["Transfer-Encoding"] = ["chunked"]
    return dict(sorted(shown.items()))


def origin(context: Context) -> str:
    """Give who asks, by the fields of proxies, whoever sent them, else by the connection."""
    header = go_http.header(context.request)
    if told := next((value for name in _ORIGINS if (value := go_http.first(header, name))), b""):
        return go_http.text(told)
    forwarded = go_http.first(header, "X-Forwarded-For")
    return go_http.text(forwarded.partition(b",")[0].strip()) if forwarded else context.connection.client.address


def url(context: Context) -> str:
    """Give the URL that was asked for, its scheme by the fields of proxies, whoever sent them."""
    header = go_http.header(context.request)
    told = go_http.first(header, "X-Forwarded-Proto") or go_http.first(header, "X-Forwarded-Protocol")
    secure = context.connection.tls or go_http.first(header, "X-Forwarded-Ssl") == b"on"
    scheme = told or (b"https" if secure else b"http")
    return go_http.text(scheme + b"://" + go_http.host(context.request) + go_http.path_and_query(context.request))


def no_body(context: Context) -> Answer:
    """Tell what came before the body."""
    method = go_http.text(context.request.method)
    return json(_NoBody(go_http.query(context.request), headers(context), method, origin(context), url(context)))


def with_body(context: Context) -> Answer:
    """Tell all of a request. Raises `BodyError` where its body is not what its type promises."""
    request = context.request
    content = parsed(request)
    return json(
        _Body(
            go_http.query(request),
            headers(context),
            go_http.text(request.method),
            origin(context),
            url(context),
            content.data,
            content.files,
            content.form,
            content.json,
        )
    )
