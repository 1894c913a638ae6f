"""Fuzz target: controls.

A control is applied within its limits, rejected, or invalid; and applying it harms nobody. An input is a query, then a
header per line.
"""

import re
from collections.abc import Iterator
from random import Random
from typing import Final
from urllib.parse import urljoin, urlsplit

from app.config.settings import Settings
from app.echo.controls import parse
from app.echo.controls.apply import apply_controls
from app.echo.controls.attempts import AttemptCounter
from app.echo.controls.definitions import CONTROLS
from app.echo.controls.params import ControlParams
from app.echo.controls.parse import MAX_CONTROLS, ParsedControls
from app.echo.controls.resolve import resolve_controls
from app.http.headers import allowed
from app.http.request import HttpRequest
from app.http.response import JSON, SECURITY_HEADERS, RenderedResponse
from tools.fuzz.cutting import field_lines

LONGEST: Final = 2048
_SETTINGS: Final = (
    Settings(max_size=100_000, max_delay=2.0),
    Settings(max_size=100_000, max_delay=2.0, allow_cookie="on", allow_redirect="any"),
    Settings(controls="off"),
)
WORDS: Final = (
    *(f"echo_{control.name}={control.example}".encode() for control in CONTROLS),
    *(f"\nX-Echo-{control.name}: {control.example}".encode() for control in CONTROLS),
    *(
        b"&",
        b"%0d%0a",
        b"%00",
        b"%5c",
        b"//",
        b"\\",
        b"javascript:",
        b"Set-Cookie:",
        b"Location:",
        b"http://",
        b"Content-",
    ),
)
_HERE: Final = "http://echo.test/a/b"
_UNSEEN: Final = re.compile(r"[\x00-\x20]")


def check(data: bytes) -> None:
    """Parse the requested controls, whatever sets them, and apply them."""
    query, *lines = data.split(b"\n")
    target = b"/a?" + re.sub(rb"[\x00-\x20\x7f]", b"", query)  # the reader accepts no others
    fields = field_lines([re.sub(rb"[\x00-\x08\x0b-\x1f\x7f]", b"", line) for line in lines])
    request = HttpRequest(b"GET", target, "HTTP/1.1", fields)
    for settings in _SETTINGS:
        asked = parse.parse_controls(request, settings)
        _check_asked(asked)
        _check_wishes(asked.params, settings)
        _check_done(asked.params)


def seeds() -> Iterator[bytes]:
    """Yield every control by its example, in the query and as a header, and some that are rejected."""
    for control in CONTROLS:
        example = control.example.encode().replace(b" ", b"%20")
        yield b"echo_" + control.name.encode() + b"=" + example
        yield b"\nX-Echo-" + control.name.encode() + b": " + example
    yield b"echo_redirect=//evil.test&echo_redirect=/%5cevil.test&echo_redirect=https:evil.test"
    yield b"echo_header=Set-Cookie:a%3Db&echo_header=X:a%0d%0aY:b&echo_cookie=a=b;Domain=x"
    yield b"echo_status=500:10,200:90&echo_delay=2s-1s&echo_size=9999999MiB&echo_drip=1e9"
    yield b"%65cho%5fstatus=418&echo-size=10kB&echo_unknown=1&echo_body=%3Cscript%3E"


def _check_asked(asked: ParsedControls) -> None:
    granted, refused = asked.report.granted, asked.report.refused
    if asked.invalid_controls:
        assert not granted
        assert {*asked.invalid_controls} <= {*refused}
        assert asked.params == ControlParams(format=asked.params.format, pretty=asked.params.pretty)
    assert len(granted) + len(refused) <= 2 * MAX_CONTROLS
    if asked.params != ControlParams():
        assert granted or asked.invalid_controls
    for name, value in [(each.name, each.value) for each in granted] + [(each.name, each.value) for each in refused]:
        assert len(name) <= 80
        assert len(value) <= 80
    assert all(len(each.reason) < 300 for each in refused)


def _check_wishes(wishes: ControlParams, settings: Settings) -> None:
    if wishes.status:
        assert all(200 <= status <= 599 for status in wishes.status.values)
        assert sum(wishes.status.weights) > 0
    if wishes.delay:
        assert 0 <= wishes.delay.minimum <= wishes.delay.maximum <= settings.max_delay
    assert 0 <= wishes.drip <= settings.max_delay
    assert 0 <= (wishes.size or 0) <= settings.max_size
    assert 0 <= wishes.fail_first <= 1000
    assert 0 <= wishes.count <= settings.max_events
    if wishes.redirect and settings.allow_redirect != "any":
        _check_redirect(wishes.redirect)


def _check_redirect(target: str) -> None:
    """Follow the redirect as urllib does, and as browsers do, which ignore white space and read a backslash as `/`."""
    for seen in (target, _UNSEEN.sub("", target).replace("\\", "/")):
        assert urlsplit(urljoin(_HERE, seen))[:2] == ("http", "echo.test")


def _check_done(wishes: ControlParams) -> None:
    choice = resolve_controls(wishes, Random(1), AttemptCounter(), "id", "br, gzip")  # noqa: S311 - no secret is made of it
    outcome = apply_controls(RenderedResponse(b"{}\n", JSON, headers=SECURITY_HEADERS), wishes, choice)
    assert 200 <= outcome.status <= 599
    names = [name.lower() for name, _ in outcome.headers]
    assert names.count("content-type") == 1
    assert ("X-Content-Type-Options", "nosniff") in outcome.headers
    for name, value in outcome.headers:
        assert re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name)
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value)
    for name, value in wishes.header:
        assert not allowed.rejection_reason(name, value, allow_cookies=True)
    if not isinstance(outcome.body, bytes):
        length = sum(map(len, outcome.body))
        told = [int(value) for name, value in outcome.headers if name == "Content-Length"]
        assert length <= 200_000
        assert not told or wishes.abort or told == [length]
