"""The shortcut around Bottle's response handling: same output as Bottle."""

from collections.abc import Iterable, Iterator
from typing import Any

import bottle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.echo.bottle_app import FastBottle
from app.http.request import Environ
from app.http.response import Response

FIELDS = (("Content-Type", "text/plain; charset=utf-8"), ("X-Name", "a value"), ("X-Other", "é, \U0001f600"))
_NAME = st.from_regex(r"X-[A-Z][a-z]{1,8}", fullmatch=True)
_VALUE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)


def asked(application: bottle.Bottle, method: str = "GET", path: str = "/a/b") -> tuple[str, list[Any], bytes]:
    """Send a request by WSGI; return status, headers by lower-case name in order of these, and body."""
    told: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path}
    body = b"".join(application(environ, lambda status, fields, *_: told.append((status, fields))))
    status, fields = told[0]
    return status, sorted((name.lower(), value) for name, value in fields), body


def both(sent: Response) -> tuple[FastBottle, bottle.Bottle]:
    """Return two applications that send the same response, ours and Bottle's own."""
    ours, theirs = FastBottle(), bottle.Bottle()
    ours.add_handler("/<:path>", "ANY", lambda _: sent)
    theirs.route("/<:path>", "ANY", lambda: bottle.HTTPResponse(sent.body, sent.status, list(sent.headers)))
    return ours, theirs


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("status", [200, 201, 204, 205, 302, 304, 404, 418, 503, 599])
@pytest.mark.parametrize("body", [b"", b"some bytes"])
def test_each_status_is_sent_as_bottle_sends_it(status: int, method: str, body: bytes) -> None:
    """Phrase, forbidden headers, length and absent bodies are the same as Bottle's."""
    ours, theirs = both(Response(status, FIELDS, body))
    assert asked(ours, method) == asked(theirs, method)


@given(fields=st.dictionaries(_NAME, _VALUE, max_size=5), body=st.binary(max_size=30))
def test_any_fields_are_sent_as_bottle_sends_them(fields: dict[str, str], body: bytes) -> None:
    """Headers with any values are the same as Bottle's, except values that would end a line."""
    ours, theirs = both(Response(200, [("Content-Type", "text/plain"), *fields.items()], body))
    assert asked(ours) == asked(theirs)


@pytest.mark.parametrize("control", ["\r", "\n", "\0"])
def test_no_value_ends_its_line(control: str) -> None:
    """A handler that sets a control character in a header fails, as with Bottle."""
    for application in both(Response(200, [("X-Name", f"a{control}b")], b"")):
        application.catchall = False
        with pytest.raises(ValueError, match="control character"):
            asked(application)


def test_names_are_sent_as_they_are_written() -> None:
    """Header names keep their spelling, which Bottle would change."""
    ours, _ = both(Response(200, [("x-MY-name", "v")], b""))
    told: list[Any] = []
    ours({"REQUEST_METHOD": "GET", "PATH_INFO": "/a"}, lambda _, fields: told.extend(fields))
    assert told == [("x-MY-name", "v"), ("Content-Length", "0")]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_pieces_are_handed_over_and_closed(method: str) -> None:
    """Pieces are passed on and closed by their consumer, or at once if there is none."""
    closed = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    begun: Iterable[bytes] = pieces()
    next(iter(begun))
    ours, _ = both(Response(200, FIELDS, begun))
    environ: Environ = {"REQUEST_METHOD": method, "PATH_INFO": "/a"}
    out = ours(environ, lambda *_: None)
    assert bool(closed) == (method == "HEAD")
    assert b"".join(out) == (b"" if method == "HEAD" else b"b")
