"""Slow but legitimate HTTP/2 clients are not rejected.

They have many requests in flight, or measure the network.
"""

import h2.events
import pytest

from app.config.settings import DEFAULT_MEMORY_BUDGET
from app.server.http2.flood_guard import FloodGuard
from app.server.http2.frames import ErrorCode, Http2ConnectionError
from app.server.limits import RequestLimits
from tests.http import raw_http2
from tests.unit.served import Served
from tests.unit.test_http2_session import LARGE, Client

ANSWERS = 4


def test_who_reads_one_answer_after_the_other_gets_all_of_them() -> None:
    """A client that reads responses one after another gets all of them.

    The connection's window is shared by its streams, so the last response waits longer than its own timeout.
    """
    client = Client(initial_window_size=1 << 20)
    streams = [client.ask("/large") for _ in range(ANSWERS)]
    for _ in range((ANSWERS * len(LARGE) - 65_535) // 20_000 + 1):
        client.served.after(5)
        client.receive()
        client.h2.increment_flow_control_window(20_000)
        client.exchange()
    assert [client.of(stream, h2.events.StreamReset) for stream in streams] == [[]] * ANSWERS
    assert [client.answer(stream) for stream in streams] == [LARGE] * ANSWERS


def test_who_reads_too_slowly_keeps_none_of_the_others_either() -> None:
    """Reading one response extends the timeout of the others only at the minimum rate."""
    client = Client(initial_window_size=1 << 20)
    streams = [client.ask("/large") for _ in range(ANSWERS)]
    for _ in range(20):
        client.served.after(5)
        client.receive()
        client.h2.increment_flow_control_window(4)
        client.exchange()
    assert [len(client.of(stream, h2.events.StreamReset)) for stream in streams] == [0, 1, 1, 1]


def test_a_worker_that_holds_much_answers_one_request_after_the_other() -> None:
    """A worker near its memory budget generates a response only if there is room, after earlier ones are read."""
    client = Client(initial_window_size=1 << 20)
    waiting = client.served.service.memory_budget
    waiting.used = others = DEFAULT_MEMORY_BUDGET - 300_000
    streams = [client.ask("/large") for _ in range(ANSWERS)]
    assert waiting.used <= DEFAULT_MEMORY_BUDGET, "more would have cost the client its connection"
    while not client.ended(streams[-1]):
        client.h2.increment_flow_control_window(20_000)
        before = len(client.events)
        client.exchange()
        assert len(client.events) > before
    assert [client.answer(stream) for stream in streams] == [LARGE] * ANSWERS
    assert (client.went_away(), waiting.used) == ([], others)


def test_a_ping_behind_what_was_answered_is_no_nuisance() -> None:
    """PING frames are accepted in proportion to sent data, for clients that measure bandwidth; others are limited."""
    patience = FloodGuard(lambda: 0.0)
    for _ in range(10_000):
        patience.useful_bytes += 1024
        patience.count_ping()
    for _ in range(1000):
        patience.count_ping()
    with pytest.raises(Http2ConnectionError, match="too many PING frames") as raised:
        patience.count_ping()
    assert raised.value.code is ErrorCode.ENHANCE_YOUR_CALM


def test_requests_may_be_cancelled_for_long_with_a_ping_for_each() -> None:
    """A client may cancel forty requests a second for a minute, with a PING for each.

    Go's client does so when it has time for few of its requests.
    """
    client = Client(limits=RequestLimits(1024, 10, 100))
    for _ in range(60):
        client.served.after(1)
        for _ in range(40):
            stream = client.ask("/", method="PUT", end=False)
            client.h2.reset_stream(stream)
            client.h2.ping(bytes(8))
            client.exchange()
            client.events.clear()
    assert client.status(client.ask("/a")) == 200


def test_a_turn_that_comes_behind_the_end_counts_nothing() -> None:
    """A turn after the end of a connection counts nothing.

    A transport may report unsent bytes when its connection is already lost.
    """
    served = Served(limits=RequestLimits(1024, 10, 1 << 20))
    served.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(70_000))
    assert served.turns, "one turn was asked for"
    served.transport.unread = 50_000
    served.connection.pause_writing()
    served.transport.unread = 60_000
    served.connection.connection_lost(None)
    served.turn(10)
    assert served.service.memory_budget.used == 0


def test_what_is_told_behind_a_preface_is_taken() -> None:
    """Priority frames of both kinds, which browsers send with each request, are accepted."""
    client = Client()
    for number in range(200):
        client.served.after(0.1)
        stream = client.ask(f"/{number}")
        client.send(raw_http2.frame("PRIORITY", 0, stream + 2, bytes(5)))
        client.send(raw_http2.frame(0x10, 0, 0, stream.to_bytes(4) + b"u=3, i"))
        assert client.status(stream) == 200
    assert client.went_away() == []
