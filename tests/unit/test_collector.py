"""Ended connections are freed at once, without Python's collector.

A connection that keeps itself alive until then lies between memory freed before it and memory requested after it.
malloc can neither use such memory well nor return it.
"""

import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from app.bootstrap import grpc_handler
from app.config.downward_api import read_pod_info as read_identity
from app.config.policy import Policy
from app.config.settings import Settings
from app.echo import routes
from app.echo.handler import EchoHandler
from tests.http import raw_http2
from tests.http.raw_websocket import HANDSHAKE
from tests.unit.served import Served

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
HTTP2 = raw_http2.opening()
CALL = [
    (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/grpc.health.v1.Health/Watch"), (b":authority", b"a"),
    (b"content-type", b"application/grpc"), (b"te", b"trailers"),
]  # fmt: skip
SENT = {
    "nothing": b"",
    "half a head": GET[:-2],
    "a request": GET,
    "two requests": GET * 2,
    "an answer that waits": GET.replace(b"/a", b"/?echo_delay=9s"),
    "an answer that drips": GET.replace(b"/a", b"/?echo_drip=9s&echo_size=1000"),
    "an answer that breaks": GET.replace(b"/a", b"/?echo_abort=middle&echo_size=1000"),
    "what is refused": GET.replace(b"1.1", b"9.9"),
    "half a chunk": CHUNKED + b"9\r\nabc",
    "chunks": CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
    "chunks that are broken": CHUNKED + b"x\r\n",
    "a coded body": CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + b"9\r\nabcdefghi\r\n",
    "HTTP/2": HTTP2 + raw_http2.request(b"/a", 1),
    "HTTP/2 that is broken": HTTP2 + raw_http2.frame("DATA", 0, 0, b"a"),
    "HTTP/2 that is refused": HTTP2 + raw_http2.request(b"/a b", 1),
    "a malformed request over HTTP/2": HTTP2 + raw_http2.headers(1, CALL[::-1], ends=True),
    "an answer that waits over HTTP/2": HTTP2 + raw_http2.request(b"/?echo_delay=9s", 1),
    "an answer that drips over HTTP/2": HTTP2 + raw_http2.request(b"/?echo_drip=9s&echo_size=1000", 1),
    "a call that goes on": HTTP2 + raw_http2.headers(1, CALL, ends=False) + raw_http2.frame("DATA", 1, 1, bytes(5)),
    "a call that is broken": HTTP2 + raw_http2.headers(1, CALL, ends=False) + raw_http2.frame("DATA", 1, 1, b"\2\3"),
    "a WebSocket": HANDSHAKE + b"\x82\x83\0\0\0\0abc",
}


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def ours() -> Counter[str]:
    """Count the objects of the echo's classes that the collector tracks."""
    return Counter(type(each).__qualname__ for each in gc.get_objects() if type(each).__module__.startswith("app."))


def come_and_go(served: Served, sent: bytes) -> None:
    """Open a connection, send, and lose it."""
    connection, _ = served.connect()
    connection.data_received(sent)
    served.after(0.1)
    connection.connection_lost(None)
    served.after(100)


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("what", SENT)
def test_a_connection_that_is_over_is_freed_at_once(what: str) -> None:
    """A connection is freed at once, whatever was in progress on it.

    The first two rounds fill the caches of repeated request heads.
    """
    settings, policy = Settings(), Policy(read_identity({}))
    served = Served(application=routes.echo_app(EchoHandler(settings, policy), grpc_handler(settings, policy)))
    for _ in range(2):
        come_and_go(served, SENT[what])
    before = ours()
    come_and_go(served, SENT[what])
    assert ours() == before
