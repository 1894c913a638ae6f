"""Bottle with a shorter way out: it routes and calls, and what a handler gives is sent as it is.

Bottle's own way makes two response objects for each request, spells every name anew and copies all from one to the
other, which was a third of all that a bare answer cost. What it gives is the same, and a test compares the two; but
names of fields keep their case and order, and a path its bytes that are no UTF-8, which Bottle leaves out.
https://bottlepy.org/docs/0.13/api.html#bottle.Bottle.wsgi
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import bottle

from app.http.request import Environ
from app.http.response import Sent

Handler = Callable[[Environ], Sent]

_STATUS_LINES: Final = {code: f"{code} {phrase}" for code, phrase in bottle.HTTP_CODES.items()}
_LEFT_OUT: Final = bottle.BaseResponse.bad_headers  # names of fields by the status that has none of them
_WITHOUT_BODY: Final = frozenset((204, 304))
_CONTROLS: Final = ("\r", "\n", "\0")


class Routed(bottle.Bottle):  # type: ignore[misc]  # Bottle has no types
    """An application whose handlers take the environ and give what is sent."""

    def handle(self, rule: str, method: str, handler: Handler) -> None:
        """Let a handler answer what a route's rule and method fit."""
        self.route(rule, method, handler, skip=True)  # plugins look at what other handlers give

    def wsgi(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request by WSGI. What a handler raises goes through to the server, which logs it and answers."""
        route, _ = self.router.match(environ)
        answer: Sent = route.call(environ)
        status, body, fields = answer.status, answer.body, list(answer.fields)
        values = "".join([value for _, value in fields])
        if not (values.isascii() and values.isprintable()):
            fields = [(name, _on_the_wire(value)) for name, value in fields]
        if isinstance(body, bytes):
            fields.append(("Content-Length", str(len(body))))
            body = (body,)
        if status in _LEFT_OUT:
            fields = [field for field in fields if field[0] not in _LEFT_OUT[status]]
        start_response(_STATUS_LINES.get(status) or f"{status} Unknown", fields)
        if environ["REQUEST_METHOD"] == "HEAD" or status in _WITHOUT_BODY:
            return _closed(body)
        return body


def _on_the_wire(value: str) -> str:
    """Give a value that is not plain ASCII as WSGI has it, its UTF-8 as Latin-1 (PEP 3333).

    Raises `ValueError` for one that would end its line: nobody may put another field or answer behind it.
    """
    if any(control in value for control in _CONTROLS):
        raise ValueError(f"a field value with a control character: {value!r}")
    return value.encode().decode("latin-1")


def _closed(body: Iterable[bytes]) -> Iterable[bytes]:
    close = getattr(body, "close", None)
    if close is not None:
        close()
    return ()
