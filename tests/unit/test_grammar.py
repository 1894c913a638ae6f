"""The grammar of HTTP/1.1: accepted syntax.

Rejected requests, and the responses to them, are in tests/http/cases.
"""

import pytest

from app.server.http1.events import RequestHead
from app.server.http1.parser import RequestEnd, RequestParser
from app.server.limits import RequestLimits

LIMITS = RequestLimits(head_size=1024, header_count=8, body_size=1000)


def read(data: bytes) -> RequestHead:
    """Return the head of the only request, which is complete."""
    reader = RequestParser(LIMITS)
    reader.feed(data)
    head, *rest = iter(reader.next_event, None)
    assert isinstance(head, RequestHead)
    assert head.has_no_body is not (bool(rest) and isinstance(rest[-1], RequestEnd))
    return head


def test_a_head_is_given_as_it_was() -> None:
    """Headers keep case, order and duplicates, and lose the white space around values."""
    head = read(b"pURGE /a%2f?b HTTP/1.1\r\nhOsT:a\r\nx_Y: \t 1 \t\r\nX-y:\r\nx_Y: \xff\xfe\r\n\r\n")
    assert head.request.method == b"pURGE"
    assert head.request.target == b"/a%2f?b"
    assert head.request.version == "HTTP/1.1"
    assert head.request.headers == ((b"hOsT", b"a"), (b"x_Y", b"1"), (b"X-y", b""), (b"x_Y", b"\xff\xfe"))


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: Upgrade, CLOSE\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: Keep-Alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_a_connection_is_kept_as_its_version_says(version: bytes, connection: bytes, kept: bool) -> None:  # noqa: FBT001 - a column
    """A connection is kept as its version and Connection header say (RFC 9112, 9.3)."""
    assert read(b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + connection + b"\r\n").keep_alive is kept


@pytest.mark.parametrize(
    ("version", "headers", "websocket"),
    [
        (b"1.1", b"Connection: Upgrade\r\nUpgrade: WebSocket\r\n", True),
        (b"1.1", b"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n", True),
        (b"1.1", b"Connection: Upgrade\r\nUpgrade: h2c\r\n", False),
        (b"1.1", b"Upgrade: websocket\r\n", False),
        (b"1.0", b"Connection: Upgrade\r\nUpgrade: websocket\r\n", False),
    ],
)
def test_only_upgrade_to_websocket_is_recognized(version: bytes, headers: bytes, websocket: bool) -> None:  # noqa: FBT001 - a column
    """Other protocols are ignored, and so is an upgrade that Connection does not name (RFC 9110, 7.8)."""
    assert read(b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + headers + b"\r\n").upgrades_to_websocket is websocket


@pytest.mark.parametrize(
    "target", [b"/", b"*", b"host:443", b"http://u@h/p?q", b"//", b"/;a%00%zz", "/ü".encode(), b"/\xff"]
)
def test_every_form_of_target_is_taken(target: bytes) -> None:
    """Every form of request target is accepted, also raw UTF-8 and invalid UTF-8, because clients send them."""
    assert read(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n").request.target == target


def test_empty_lines_before_a_request_are_read_over() -> None:
    """Empty lines before a request are skipped (RFC 9112, 2.2)."""
    assert read(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").request.method == b"GET"


def test_old_clients_need_no_host() -> None:
    """An HTTP/1.0 request needs no Host header."""
    assert read(b"GET / HTTP/1.0\r\n\r\n").request.headers == ()
