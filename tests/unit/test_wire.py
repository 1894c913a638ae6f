"""Targets and bytes: the wire request, and its substitute from CGI."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config.settings import DEFAULT_MAX_DECODED
from app.http.body import Body
from app.http.request import (
    REQUEST_KEY,
    HttpRequest,
    decode_lossless,
    decode_path,
    parse_query,
    request_from_environ,
    split_target,
)
from tests.shown import turned_back


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/a/b?x=1&x=2", b"/a/b", b"x=1&x=2"),
        (b"//a", b"//a", b""),
        (b"/a?", b"/a", b""),
        (b"/a?b?c", b"/a", b"b?c"),
        (b"/a%2Fb;c", b"/a%2Fb;c", b""),
        (b"http://host:80/a?b", b"/a", b"b"),
        (b"http://host", b"/", b""),
        (b"http://host?b", b"/", b"b"),
        (b"host:443", b"host:443", b""),
        (b"*", b"*", b""),
    ],
)
def test_a_target_is_split_as_its_form_asks(target: bytes, path: bytes, query: bytes) -> None:
    """Origin-, absolute-, authority- and asterisk-form are split (RFC 9112, 3.2)."""
    assert split_target(target) == (path, query)


@pytest.mark.parametrize(
    ("target", "decoded"),
    [
        (b"/blah/blah", b"blah/blah"),
        (b"/", b""),
        (b"//a", b"/a"),
        (b"/%2e%2e/%00/%ff", b"../\x00/\xff"),
        (b"/%2541", b"%41"),
        (b"/%zz", b"%zz"),
        ("/ü".encode(), "ü".encode()),
    ],
)
def test_a_path_is_decoded_once_and_loses_one_slash(target: bytes, decoded: bytes) -> None:
    """The path shown in the bare response is decoded once and loses one slash."""
    assert decode_path(target) == decoded


def test_bytes_are_shown_as_utf_8_and_what_is_not_by_its_number() -> None:
    """Lossless text keeps every byte and never raises an error."""
    assert decode_lossless("ü€".encode()) == "ü€"
    assert decode_lossless(b"a\xffb") == r"a\xffb"
    assert decode_lossless(rb"a\b\x") == r"a\b\x"


@given(
    st.lists(st.sampled_from([*map(bytes, zip(range(256), strict=True)), b"\\x", b"\\xfF", "ü".encode()])).map(b"".join)
)
def test_what_is_shown_can_be_turned_back(raw: bytes) -> None:
    """Lossless text can be decoded by the README's rule."""
    assert turned_back(decode_lossless(raw)) == raw


def test_the_carriers_request_is_taken_as_it_is() -> None:
    """The request of our own server is used unchanged."""
    request = HttpRequest(b"GET", b"/", "HTTP/1.1", ((b"a_B", b"1"),))
    assert request_from_environ({REQUEST_KEY: request}, DEFAULT_MAX_DECODED) is request


def test_another_server_gives_what_cgi_keeps() -> None:
    """From another server's environ, case, order and number of headers are lost; the rest is there."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a b/\xc3\xbc",
        "QUERY_STRING": "x=%20",
        "SERVER_PROTOCOL": "HTTP/1.0",
        "HTTP_X_ONE": "1",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "3",
        "wsgi.input": io.BytesIO(b"abcd"),
    }
    fields = ((b"X-One", b"1"), (b"Content-Type", b"text/plain"), (b"Content-Length", b"3"))
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4's own example
    assert request_from_environ(environ, DEFAULT_MAX_DECODED) == HttpRequest(
        b"POST", b"/a%20b/%C3%BC?x=%20", "HTTP/1.0", fields, Body(3, digest, chunked=False, prefix=b"abc")
    )


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        (b"", ()),
        (b"a", ((b"a", b""),)),
        (b"a=&=b&a=1", ((b"a", b""), (b"", b"b"), (b"a", b"1"))),
        (b"a=b=c&&d", ((b"a", b"b=c"), (b"d", b""))),
        (b"a+b=%2B%3d%zz", ((b"a b", b"+=%zz"),)),
        (b"a;b=1", ((b"a;b", b"1"),)),
        (b"\xff=%ff", ((b"\xff", b"\xff"),)),
    ],
)
def test_a_query_is_its_pairs_in_their_order(query: bytes, pairs: tuple[tuple[bytes, bytes], ...]) -> None:
    """Pairs are in order and decoded once, with repeated and empty ones."""
    assert parse_query(query) == pairs
