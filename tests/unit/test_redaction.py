"""Redaction: masked values in all parts of a response, the rest unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json, structs

from app.config.downward_api import read_pod_info
from app.config.policy import Policy
from app.echo.context import Context
from app.echo.reflection.model import reflect
from app.http.connection_info import Endpoint
from app.http.errors import ProtocolError
from app.http.redaction import MASK, parse_header_names, redact
from app.http.request import ConnectionInfo, HttpRequest, raw_head
from app.server.http1.parser import RequestParser
from app.server.http2 import request_parser
from app.server.limits import RequestLimits

SECRET = b"c2VjcmV0"
HEAD = (
    b"GET /a?b HTTP/1.1\r\n"
    b"Host: echo.test\r\n"
    b"authorization:\t Basic c2VjcmV0 \t\r\n"
    b"X-Other: authorization: kept\r\n"
    b"COOKIE:c2VjcmV0\r\n"
    b"cookie:a=c2VjcmV0; b=2\r\n"
    b"\r\n"
)
REQUEST = HttpRequest(
    b"GET",
    b"/a?b",
    "HTTP/1.1",
    (
        (b"Host", b"echo.test"),
        (b"authorization", b"Basic c2VjcmV0"),
        (b"X-Other", b"authorization: kept"),
        (b"COOKIE", b"c2VjcmV0"),
        (b"cookie", b"a=c2VjcmV0; b=2"),
    ),
    trailers=((b"Cookie", b"late=c2VjcmV0"), (b"X-Sum", b"1")),
    head=HEAD,
)
HTTP2 = HttpRequest(
    b"GET",
    b"/a?b",
    "HTTP/2.0",
    ((b"cookie", b"a=1"), (b"cookie", b"b=2")),
    pseudo=((b":method", b"GET"), (b":authority", b"echo.test"), (b":path", b"/a?b")),
    authority=b"echo.test",
)


def test_a_value_is_masked_wherever_it_stands() -> None:
    """Values are masked in headers, trailers and the head, whatever the case of the name.

    Every other byte of the head is unchanged.
    """
    masked = redact(REQUEST, parse_header_names("Authorization, Cookie"))
    assert [value for _, value in masked.headers] == [b"echo.test", b"***", b"authorization: kept", b"***", b"***"]
    assert [name for name, _ in masked.headers] == [name for name, _ in REQUEST.headers]
    assert masked.trailers == ((b"Cookie", b"***"), (b"X-Sum", b"1"))
    assert masked.head == (
        b"GET /a?b HTTP/1.1\r\n"
        b"Host: echo.test\r\n"
        b"authorization:\t *** \t\r\n"
        b"X-Other: authorization: kept\r\n"
        b"COOKIE:***\r\n"
        b"cookie:***\r\n"
        b"\r\n"
    )


def test_nothing_that_is_made_of_it_shows_the_value() -> None:
    """Neither the reflection, with cookies and credentials, nor the text of the wire shows the value."""
    masked = redact(REQUEST, parse_header_names("Authorization,Cookie"))
    end = Endpoint("192.0.2.1", 1)
    shown = json.encode(reflect(Context(masked, ConnectionInfo(end, end), Policy(read_pod_info({})), "id", 0.0)))
    assert SECRET not in shown
    assert SECRET not in raw_head(masked)
    assert b'"credentials"' not in shown  # `***` is not a scheme


@pytest.mark.parametrize("chosen", ["", "X-Api-Key", "X-Api-Key,:path"])
def test_a_request_without_such_a_field_is_the_same_object(chosen: str) -> None:
    """A request without a redacted header is the same object, not a copy."""
    assert redact(REQUEST, parse_header_names(chosen)) is REQUEST


@pytest.mark.parametrize("chosen", ["Host", ":authority"])
def test_host_and_authority_are_one(chosen: str) -> None:
    """One name redacts both Host and `:authority`, because HTTP/2 uses the latter for the former."""
    masked = redact(HTTP2, parse_header_names(chosen))
    assert masked.authority == b"***"
    assert masked.pseudo == ((b":method", b"GET"), (b":authority", b"***"), (b":path", b"/a?b"))
    assert masked.target == HTTP2.target
    assert redact(REQUEST, parse_header_names(chosen)).headers[0] == (b"Host", b"***")


def test_the_path_is_hidden_where_it_is_named() -> None:
    """Values derived from a pseudo-header are redacted with it.

    The target is redacted with `:path`, and that of CONNECT with the authority.
    """
    assert redact(HTTP2, parse_header_names(":path")).target == b"***"
    connect = structs.replace(HTTP2, method=b"CONNECT", target=b"echo.test", pseudo=((b":authority", b"echo.test"),))
    assert redact(connect, parse_header_names("Host")).target == b"***"


def test_names_are_read_from_a_list() -> None:
    """Names are separated by commas, in any case, with any white space."""
    assert parse_header_names(" Authorization,X-API-Key ,, :Path") == {b"authorization", b"x-api-key", b":path"}


@pytest.mark.parametrize("text", ["Authorization;Cookie", "X Key", "a:b", "Größe", "a,b\r\n,c d", "x" * 100 + " y"])
def test_what_is_no_name_is_told(text: str) -> None:
    """The error names the invalid part, shortened, and shows a valid example."""
    with pytest.raises(ValueError, match="is not a header name, such as Authorization") as refusal:
        parse_header_names(text)
    assert len(str(refusal.value)) < 100


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Basic c2VjcmV0\x00",
        b"Authorization : Basic c2VjcmV0",
        b"Authorization Basic user:c2VjcmV0",
        b"Cookie: a=1;\r\n b=c2VjcmV0",
        b"Cookie: a=1;\r\nb=c2VjcmV0",
        b"Cookie: a=1;\rb=c2VjcmV0",
        b"c2VjcmV0: a\x7f" + SECRET,
    ],
)
def test_what_is_no_field_line_is_refused_without_its_value(line: bytes) -> None:
    """An invalid header line is rejected without quoting its value, which may be secret in a response or log."""
    reader = RequestParser(RequestLimits(head_size=1000, header_count=10, body_size=10))
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n")
    with pytest.raises(ProtocolError, match=r"invalid header line|obsolete line folding|CRLF") as refusal:
        list(iter(reader.next_event, None))
    assert SECRET.decode() not in refusal.value.reason.removeprefix("invalid header line: 'c2VjcmV0:'")


@pytest.mark.parametrize("value", [b"Basic c2VjcmV0\x00", b" Basic c2VjcmV0", b"c2VjcmV0\r\nX: y"])
def test_what_is_no_value_in_http2_is_refused_without_it(value: bytes) -> None:
    """An invalid HTTP/2 value is rejected without quoting it: the name is enough to find it."""
    pseudo = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a"))
    with pytest.raises(ProtocolError, match="invalid value of 'authorization'") as refusal:
        request_parser.parse_request(
            (*pseudo, (b"authorization", value)), RequestLimits(head_size=1000, header_count=10, body_size=10)
        )
    assert SECRET.decode() not in refusal.value.reason


NAMES = st.sampled_from([b"Cookie", b"cOOKIE", b"X-A", b"Cookie2", b"X-Cookie"])
VALUES = st.from_regex(rb"[^\x00-\x1f\x7f]*", fullmatch=True).map(lambda value: b"v" + value.strip(b" \t") + b"v")
LINES = st.lists(st.tuples(NAMES, st.sampled_from([b"", b" ", b"\t  "]), VALUES, st.sampled_from([b"", b" \t"])))


@given(lines=LINES)
def test_the_head_stays_as_it_was_but_for_the_values(lines: list[tuple[bytes, bytes, bytes, bytes]]) -> None:
    """Only redacted values change in the head, whatever the values and the white space around them."""

    def head(mask: bytes | None) -> bytes:
        values = (mask if mask and name.lower() == b"cookie" else value for name, _, value, _ in lines)
        field_lines = (
            name + b":" + before + value + after for (name, before, _, after), value in zip(lines, values, strict=True)
        )
        return b"\r\n".join((b"GET /cookie:x HTTP/1.1", *field_lines, b"", b""))

    fields = tuple((name, value) for name, _, value, _ in lines)
    masked = redact(
        HttpRequest(b"GET", b"/cookie:x", "HTTP/1.1", fields, head=head(None)), parse_header_names("cookie")
    )
    assert masked.head == head(MASK.encode())
    assert all(value == b"***" for name, value in masked.headers if name.lower() == b"cookie")
