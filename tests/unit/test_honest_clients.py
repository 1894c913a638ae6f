"""Clients of HTTP/2 that are slow, have much under way, or measure the network: nobody is refused for that."""

import h2.events

from app.carrier.waiting import MOST
from tests.unit.test_http2_session import LARGE, Client

ANSWERS = 4


def test_who_reads_one_answer_after_the_other_gets_all_of_them() -> None:
    """The window of a connection is that of all its streams: the last answer waits longer than one may take."""
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
    """What is let through of one answer lets the others wait only at the rate that is asked for."""
    client = Client(initial_window_size=1 << 20)
    streams = [client.ask("/large") for _ in range(ANSWERS)]
    for _ in range(20):
        client.served.after(5)
        client.receive()
        client.h2.increment_flow_control_window(4)
        client.exchange()
    assert [len(client.of(stream, h2.events.StreamReset)) for stream in streams] == [0, 1, 1, 1]


def test_a_worker_that_holds_much_answers_one_request_after_the_other() -> None:
    """It makes no more answers at once than there is room for; each is there when those before it are read."""
    client = Client(initial_window_size=1 << 20)
    waiting = client.served.service.waiting
    waiting.size = others = MOST - 300_000
    streams = [client.ask("/large") for _ in range(ANSWERS)]
    assert waiting.size <= MOST, "more would have cost the client its connection"
    while not client.ended(streams[-1]):
        client.h2.increment_flow_control_window(20_000)
        before = len(client.events)
        client.exchange()
        assert len(client.events) > before
    assert [client.answer(stream) for stream in streams] == [LARGE] * ANSWERS
    assert (client.went_away(), waiting.size) == ([], others)
