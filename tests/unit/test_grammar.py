"""The grammar of HTTP/1.1: what is taken, and what is refused with which status."""

from http import HTTPStatus

import pytest

from app.carrier.errors import ProtocolError
from app.carrier.http1 import End, Head, Limits, RequestReader

LIMITS = Limits(head=1024, fields=8, body=1000)


def read(data: bytes) -> Head:
    """Give the head of the one whole request."""
    reader = RequestReader(LIMITS)
    reader.receive(data)
    head, *_, end = reader.events()
    assert isinstance(end, End)
    assert isinstance(head, Head)
    return head


def framed(*lines: bytes) -> bytes:
    """Give a request with these field lines."""
    return b"POST / HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


REFUSED = {
    "no version (9112, 3)": (b"GET /\r\n\r\n", 400),
    "two spaces (9112, 3)": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space in the target (9112, 3.2)": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "NUL in the target (9112, 3.2)": (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "method that is no token (9110, 9.1)": (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "lower-case protocol (9112, 2.3)": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "HTTP/2.0 in words (9110, 15.6.6)": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "bare LF after the request line (9112, 2.2)": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare LF everywhere (9112, 2.2)": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "bare CR in a value (9112, 2.2)": (framed(b"Host: a", b"X: a\rb"), 400),
    "NUL in a value (9110, 5.5)": (framed(b"Host: a", b"X: a\x00b"), 400),
    "no Host (9112, 3.2)": (framed(), 400),
    "two Hosts (9112, 3.2)": (framed(b"Host: a", b"hOST: a"), 400),
    "Host with a slash (9112, 3.2)": (framed(b"Host: a/b"), 400),
    "space before the colon (9112, 5.1)": (framed(b"Host : a"), 400),
    "no name (9112, 5)": (framed(b"Host: a", b": b"), 400),
    "no colon (9112, 5)": (framed(b"Host: a", b"nonsense"), 400),
    "folded line (9112, 5.2)": (framed(b"Host: a", b"X: a", b" b"), 400),
    "bare LF within a field (9112, 2.2)": (framed(b"Host: a", b"X: a\nY: b"), 400),
    "folded first line (9112, 2.2)": (framed(b" X: a", b"Host: a"), 400),
    "too many fields (6585, 5)": (framed(b"Host: a", *[b"X: a"] * 8), 431),
    "head too large (6585, 5)": (framed(b"Host: a", b"X: " + b"a" * 1024), 431),
    "endless target (9110, 15.5.15)": (b"GET /" + b"a" * 2000, 414),
    "two lengths (9112, 6.3)": (framed(b"Host: a", b"Content-Length: 1", b"Content-Length: 1"), 400),
    "list of lengths (9112, 6.3)": (framed(b"Host: a", b"Content-Length: 1, 1"), 400),
    "signed length (9110, 8.6)": (framed(b"Host: a", b"Content-Length: +5"), 400),
    "empty length (9110, 8.6)": (framed(b"Host: a", b"Content-Length:"), 400),
    "hexadecimal length (9110, 8.6)": (framed(b"Host: a", b"Content-Length: 0x5"), 400),
    "length above the limit (9110, 15.5.14)": (framed(b"Host: a", b"Content-Length: 1001"), 413),
    "endless length (9110, 15.5.14)": (framed(b"Host: a", b"Content-Length: " + b"9" * 300), 413),
    "length and chunks (9112, 6.3)": (framed(b"Host: a", b"Content-Length: 1", b"Transfer-Encoding: chunked"), 400),
    "chunks in HTTP/1.0 (9112, 6.1)": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "chunked and identity (9112, 6.3)": (framed(b"Host: a", b"Transfer-Encoding: chunked, identity"), 400),
    "chunked twice (9112, 6.1)": (
        framed(b"Host: a", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        400,
    ),
    "xchunked (9112, 6.3)": (framed(b"Host: a", b"Transfer-Encoding: xchunked"), 400),
    "empty coding (9112, 6.3)": (framed(b"Host: a", b"Transfer-Encoding:"), 400),
    "vertical tab before chunked (9110, 5.5)": (framed(b"Host: a", b"Transfer-Encoding: \x0bchunked"), 400),
    "unknown coding (9112, 6.1)": (framed(b"Host: a", b"Transfer-Encoding: gzip, chunked"), 501),
    "unknown expectation (9110, 10.1.1)": (framed(b"Host: a", b"Expect: tea"), 417),
    "a TLS hello on a plain port (9112, 3)": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
}


@pytest.mark.parametrize("by", [10**6, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_read_is_refused(case: str, by: int) -> None:
    """Each with the status that its RFC asks for, however it arrives, and a line that says why."""
    data, status = REFUSED[case]
    reader = RequestReader(LIMITS)
    with pytest.raises(ProtocolError) as raised:
        for start in range(0, len(data), by):
            reader.receive(data[start : start + by])
            list(reader.events())
    assert raised.value.status == HTTPStatus(status)
    assert raised.value.reason.isprintable()
    assert len(raised.value.reason) < 250


def test_a_head_is_given_as_it_was() -> None:
    """Names in their case, values without the white space around them, in order, duplicates apart."""
    head = read(b"pURGE /a%2f?b HTTP/1.1\r\nhOsT:a\r\nx_Y: \t 1 \t\r\nX-y:\r\nx_Y: \xff\xfe\r\n\r\n")
    assert head.request.method == b"pURGE"
    assert head.request.target == b"/a%2f?b"
    assert head.request.version == "HTTP/1.1"
    assert head.request.fields == ((b"hOsT", b"a"), (b"x_Y", b"1"), (b"X-y", b""), (b"x_Y", b"\xff\xfe"))


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
    """RFC 9112, 9.3."""
    assert read(b"GET / HTTP/" + version + b"\r\nHost: a\r\n" + connection + b"\r\n").keep_alive is kept


@pytest.mark.parametrize(
    "target", [b"/", b"*", b"host:443", b"http://u@h/p?q", b"//", b"/;a%00%zz", "/ü".encode(), b"/\xff"]
)
def test_every_form_of_target_is_taken(target: bytes) -> None:
    """Also raw UTF-8 and bytes that are none: clients send them."""
    assert read(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n").request.target == target


def test_empty_lines_before_a_request_are_read_over() -> None:
    """RFC 9112, 2.2."""
    assert read(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").request.method == b"GET"


def test_old_clients_need_no_host() -> None:
    """HTTP/1.0 knew none."""
    assert read(b"GET / HTTP/1.0\r\n\r\n").request.fields == ()
