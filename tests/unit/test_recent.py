"""The cache of repeated request heads: parsed once, no visible effect."""

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import downward_api, policy
from app.config.settings import Settings
from app.echo import routes
from app.echo.handler import EchoHandler
from app.http.observer import NULL_OBSERVER
from app.server.head_cache import HeadCache
from app.server.http1.events import RequestHead
from app.server.http1.parser import RequestParser
from app.server.limits import RequestLimits
from tests.unit.served import Served

LIMITS = RequestLimits(head_size=16_384, header_count=20, body_size=100)
HEAD = b"GET /a HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\n\r\n"


def read(recent: HeadCache[bytes, RequestHead], raw: bytes) -> RequestHead:
    """Return the head as the reader of another connection returns it."""
    reader = RequestParser(LIMITS, recent)
    reader.feed(raw)
    head = reader.next_event()
    assert isinstance(head, RequestHead)
    assert reader.method == (b"HEAD" if raw.startswith(b"HEAD") else head.request.method)
    return head


@pytest.mark.parametrize("raw", [HEAD, HEAD.replace(b"GET", b"HEAD"), HEAD.replace(b"X-A: b", b"Connection: close")])
def test_a_head_is_kept_when_it_comes_again(raw: bytes) -> None:
    """A head is cached the second time, and derived values are cached with it from then on."""
    recent: HeadCache[bytes, RequestHead] = HeadCache()
    once, twice, thrice = (read(recent, raw) for _ in range(3))
    assert once == RequestHead(once.request, keep_alive=b"close" not in raw)
    assert once.request.memo is None
    assert twice.request.memo == {}
    assert (twice.request.head, twice.request.headers) == (once.request.head, once.request.headers)
    assert twice.keep_alive == once.keep_alive
    assert thrice is twice


def test_a_long_head_is_not_kept() -> None:
    """A long head is never cached, however often it is repeated."""
    recent: HeadCache[bytes, RequestHead] = HeadCache()
    for _ in range(4):
        assert read(recent, HEAD.replace(b"X-A: b", b"X-A: " + b"b" * 8192)).request.memo is None
    assert not recent


@pytest.mark.parametrize(
    ("field", "bodies"),
    [
        (b"Content-Length: 2", (b"ab", b"cd", b"ef", b"gh")),
        (b"Content-Length: 2\r\nContent-Type: application/json", (b"11", b"22", b"{}", b"[]")),
        (b"Content-Length: 2\r\nExpect: 100-continue", (b"ab", b"cd", b"ef", b"gh")),
        (b"Transfer-Encoding: chunked", tuple(b"1\r\n%c\r\n0\r\nX-B: %c\r\n\r\n" % (at, at) for at in b"abcd")),
    ],
)
def test_each_body_is_its_own(field: bytes, bodies: tuple[bytes, ...]) -> None:
    """Requests with the same head have their own bodies: nothing of a body is cached."""
    raw = HEAD.replace(b"X-A: b", b"Accept: application/json\r\n" + field)
    served = serving()
    for body in bodies:
        assert told(served, raw + body) == told(serving(), raw + body)
    assert len(served.service.http1_head_cache) == 1


def test_one_byte_more_is_another_head() -> None:
    """Heads that differ by one byte are different heads."""
    recent: HeadCache[bytes, RequestHead] = HeadCache()
    for _ in range(3):
        assert read(recent, HEAD).request.headers[1] == (b"X-A", b"b")
        assert read(recent, HEAD.replace(b"b\r", b"B\r")).request.headers[1] == (b"X-A", b"B")


def test_as_many_are_kept_as_may_be() -> None:
    """The number of cached heads is limited, even if each is repeated."""
    recent: HeadCache[bytes, RequestHead] = HeadCache()
    for number in range(1000):
        for _ in range(2):
            read(recent, HEAD.replace(b"b\r", b"%d\r" % number))
        assert len(recent) <= 128


@pytest.mark.parametrize("size", [1900, 8000])
def test_long_heads_are_kept_by_their_size(size: int) -> None:
    """Long heads count by size, because derived values may be a hundred times as large.

    A head that is too long evicts nothing.
    """
    recent: HeadCache[bytes, RequestHead] = HeadCache()
    for number in range(50):
        for _ in range(2):
            read(recent, HEAD.replace(b"X-A: b", b"X-A: %d" % number + b"b" * size))
        assert sum(map(len, recent)) <= 32_768
    kept = len(recent)
    for _ in range(3):
        read(recent, HEAD.replace(b"X-A: b", b"X-A: " + b"b" * 8192))
    assert len(recent) == kept > 1


def told(served: Served, raw: bytes, *, hidden: str = "") -> dict[str, Any]:
    """Return the response on a new connection, except what differs each time."""
    connection, transport = served.connect()
    connection.data_received(raw)
    written = transport.written.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not hidden or hidden.encode() not in written
    body: dict[str, Any] = json.loads(written.partition(b"\r\n\r\n")[2])
    connection.connection_lost(None)
    return {name: value for name, value in body.items() if name not in {"id", "time"}}


def serving(**settings: Any) -> Served:
    """Return a server of the echo."""
    shown = policy.build_policy(Settings(**settings), downward_api.read_pod_info({}))
    numbers = count()
    echo = EchoHandler(Settings(), shown, clock=lambda: float(next(numbers)))
    return Served(application=routes.echo_app(echo), limits=LIMITS, connections=10, observer=NULL_OBSERVER)


FIELDS = st.lists(
    st.sampled_from(
        (
            b"X-Forwarded-For: 192.0.2.1, 10.0.0.1:80",
            b"Forwarded: for=192.0.2.7;proto=https",
            b"Cookie: a=b; c=d",
            b"Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            b"Authorization: Basic YTpi",
            b"x-a:  b ",
            b"X-A: \xff",
            b"Connection: keep-alive",
            b"X-Echo-Header: X-B: c",
        )
    ),
    max_size=6,
)


@given(asked=st.lists(st.tuples(st.sampled_from((b"/", b"/a?b=c&d", b"/%41?echo_count=2")), FIELDS), max_size=4))
def test_an_answer_is_the_same_each_time(asked: list[tuple[bytes, list[bytes]]]) -> None:
    """Responses are the same as on a server that has never seen the heads, whatever was requested in between."""
    served = serving(trusted_proxies="10.0.0.0/8")
    heads = [
        b"\r\n".join((b"GET %s HTTP/1.1" % target, b"Host: a", b"Accept: application/json", *fields, b"", b""))
        for target, fields in asked
    ]
    first = [told(serving(trusted_proxies="10.0.0.0/8"), raw) for raw in heads]
    for _ in range(3):
        assert [told(served, raw) for raw in heads] == first


def test_what_nobody_may_see_is_never_shown() -> None:
    """Redacted values are never shown, even from the cache."""
    served = serving(redact="X-A", redact_responses="on")
    for _ in range(4):
        raw = HEAD.replace(b"X-A: b", b"Accept: application/json\r\nX-A: secret")
        assert told(served, raw, hidden="secret")["headers"]["X-A"] == ["***"]
