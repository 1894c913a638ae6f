"""Bottle with a shorter response path: a handler's response is sent as is.

Bottle's own `wsgi` builds two response objects for each request, respells every header name and copies all headers
from one to the other. That was measured as a third of the cost of a bare response. A test compares the two results.
They differ in two ways: header names keep their case and order, and a path keeps bytes that are not UTF-8, which
Bottle drops. https://bottlepy.org/docs/0.13/api.html#bottle.Bottle.wsgi
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import bottle

from app.http.request import Environ
from app.http.response import Response

Handler = Callable[[Environ], Response]

_STATUS_LINES: Final = {code: f"{code} {phrase}" for code, phrase in bottle.HTTP_CODES.items()}
_OMITTED_HEADERS: Final = bottle.BaseResponse.bad_headers  # names of the headers that a status must not have
_BODILESS_STATUSES: Final = frozenset((204, 304))
_LINE_ENDS: Final = ("\r", "\n", "\0")


class FastBottle(bottle.Bottle):  # type: ignore[misc]  # Bottle has no types
    """A Bottle application whose handlers return a response for an environ."""

    def add_handler(self, rule: str, method: str, handler: Handler) -> None:
        """Add a route: requests that match its rule and method go to the handler."""
        self.route(rule, method, handler, skip=True)  # plugins convert the return values of ordinary handlers

    def wsgi(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Handle a request by WSGI. Exceptions of a handler reach the server, which logs them and sends a response."""
        route, _ = self.router.match(environ)
        response: Response = route.call(environ)
        status, body, headers = response.status, response.body, list(response.headers)
        values = "".join([value for _, value in headers])
        if not (values.isascii() and values.isprintable()):
            headers = [(name, _encode_wsgi_value(value)) for name, value in headers]
        if isinstance(body, bytes):
            headers.append(("Content-Length", str(len(body))))
            body = (body,)
        if status in _OMITTED_HEADERS:
            headers = [field for field in headers if field[0] not in _OMITTED_HEADERS[status]]
        start_response(_STATUS_LINES.get(status) or f"{status} Unknown", headers)
        if environ["REQUEST_METHOD"] == "HEAD" or status in _BODILESS_STATUSES:
            return _close_body(body)
        return body


def _encode_wsgi_value(value: str) -> str:
    """Encode a header value that is not plain ASCII for WSGI: its UTF-8 bytes as Latin-1 (PEP 3333).

    Raise `ValueError` if it would end its line, as that allows header injection and response splitting.
    """
    if any(control in value for control in _LINE_ENDS):
        raise ValueError(f"a field value with a control character: {value!r}")
    return value.encode().decode("latin-1")


def _close_body(body: Iterable[bytes]) -> Iterable[bytes]:
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return ()
