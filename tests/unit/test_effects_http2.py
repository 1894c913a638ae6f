"""Delayed and streamed responses on one HTTP/2 connection.

Windows, turns, memory, and how streams affect each other.
"""

from itertools import groupby

import h2.events
import pytest
from h2.errors import ErrorCodes

from app.http.request import ResponseOptions
from app.server.http2 import frames
from app.server.http2.handler import Http2Handler
from app.server.limits import RequestLimits
from tests.unit.planned import KIB, NOTHING_MORE, PLAIN, OverHttp2, Plan, Planned, endless, failing, run
from tests.unit.test_http2_session import Client, receive_window
from tests.unit.written import written_frames

STREAMED = ResponseOptions(is_streamed=True)
MIB = 1 << 20


def test_nothing_is_asked_for_without_room_for_it() -> None:
    """Pieces are requested only if the stream's window has room.

    The head is sent all the same, and one piece at most waits.
    """
    plan = Plan(STREAMED, lambda: [b"0123456789"] * 3)
    client = Client(answer=Planned(large=plan), initial_window_size=0)
    stream = client.ask("/large")
    client.served.turn(NOTHING_MORE)
    client.receive()
    assert (client.status(stream), plan.asked) == (200, 0)
    for room, asked in ((4, 1), (6, 1), (1, 2), (8, 2), (1, 2), (10, 3)):
        client.h2.increment_flow_control_window(room, stream)
        client.exchange()
        client.served.turn(NOTHING_MORE)
        client.receive()
        assert plan.asked == asked
    assert (len(client.answer(stream)), client.ended(stream)) == (30, False)
    client.h2.increment_flow_control_window(1, stream)
    client.exchange()
    client.served.turn(NOTHING_MORE)
    client.receive()
    assert client.ended(stream)


def test_the_end_needs_no_room() -> None:
    """END_STREAM needs no room in the window if Content-Length shows which piece is the last."""
    plan = Plan(STREAMED, lambda: [b"0123456789"], [("Content-Length", "10")])
    client = Client(answer=Planned(large=plan), initial_window_size=10)
    assert client.ended(client.ask("/large"))


def test_the_answer_to_head_needs_no_room() -> None:
    """The response to HEAD ends with its head, and needs no room in the window."""
    client = Client(answer=Planned(large=Plan(STREAMED)), initial_window_size=0)
    assert client.ended(client.ask("/large", method="HEAD"))


def test_a_stop_ends_a_stream_without_room() -> None:
    """A graceful shutdown ends a stream without room: END_STREAM takes none (RFC 9113, 6.9)."""
    plan = Plan(ResponseOptions(is_streamed=True, is_endless=True), lambda: endless(10))
    client = Client(answer=Planned(large=plan), initial_window_size=10)
    stream = client.ask("/large")
    assert (len(client.answer(stream)), client.ended(stream)) == (10, False)
    before = len(client.served.transport.written)
    client.served.service.begin_shutdown()
    client.served.turn(NOTHING_MORE)
    written = written_frames(client.served.transport.written[before:])
    told = [(each.type, each.flags, each.payload) for each in written if each.stream_id == stream]
    assert told == [(frames.DATA, frames.END_STREAM, b"")]
    assert plan.closed == 1


def test_a_client_that_lets_nothing_through_is_not_waited_for_for_ever() -> None:
    """A stream whose client opens no window is reset after the timeout of a body; a delayed stream is not."""
    large, slow = Plan(STREAMED, lambda: endless(10)), Plan(ResponseOptions(delay=200.0), lambda: [b"slow"])
    client = Client(answer=Planned(large=large, slow=slow), initial_window_size=4)
    streams = client.ask("/large"), client.ask("/slow")
    client.served.after(30)
    client.receive()
    assert [each.error_code for each in client.of(streams[0], h2.events.StreamReset)] == [ErrorCodes.CANCEL]
    assert (large.asked, large.closed) == (1, 1)
    client.served.after(170)
    client.receive()
    assert (client.answer(streams[1]), client.ended(streams[1])) == (b"slow", True)


def test_a_client_that_reads_slowly_is_waited_for() -> None:
    """Each window update extends the timeout by what its bytes may take at the minimum body rate."""
    plan = Plan(STREAMED, lambda: [b"0123456789" * 29], [("Content-Length", "290")])
    client = Client(answer=Planned(large=plan), initial_window_size=29)
    stream = client.ask("/large")
    for _ in range(9):
        client.served.after(29)
        client.h2.increment_flow_control_window(29, stream)
        client.exchange()
    assert (client.answer(stream), client.ended(stream)) == (b"0123456789" * 29, True)


def test_what_was_given_up_does_not_count_any_more() -> None:
    """Abandoned responses no longer count as unsent, or later requests would wait forever."""
    plan = Plan(ResponseOptions(delay=1.0), lambda: [bytes(2 * MIB)])
    client = Client(answer=Planned(slow=plan), initial_window_size=10)
    for _ in range(3):
        stream = client.ask("/slow")
        client.served.after(1)
        client.receive()
        assert len(client.answer(stream)) == 10
        client.h2.reset_stream(stream)
        client.exchange()
        assert client.ended(client.ask(PLAIN))


def test_large_bodies_share_the_connection() -> None:
    """Large bodies share the connection: their frames are mixed, and none gets much more than another."""
    plan = Plan(STREAMED, lambda: (bytes(64 * KIB) for _ in range(16)))
    client = OverHttp2(Planned(large=plan))
    streams = [client.ask("/large") for _ in range(3)]
    while client.served.turns:
        given = plan.given
        client.served.turn()
        assert plan.given - given <= 128 * KIB
    client.client.receive()
    came = [each.stream_id for each in client.client.events if isinstance(each, h2.events.DataReceived)]
    assert {each: came.count(each) for each in streams} == dict.fromkeys(streams, 64 + 1)
    together = came[came.index(streams[2]) : -100]
    assert max(len(list(group)) for _, group in groupby(together)) <= 4
    first_half = came[: len(came) // 2]
    assert min(first_half.count(each) for each in streams) > 20


def test_a_fast_body_holds_up_no_request_of_the_same_connection() -> None:
    """A fast body never pauses reading, and other requests are answered at once."""
    plan = Plan(STREAMED, lambda: endless(64 * KIB))
    client = OverHttp2(Planned(large=plan))
    large = client.ask("/large")
    for _ in range(20):
        client.served.turn(4)
        assert client.seen(client.ask(PLAIN)).ended
    assert client.served.transport.did == []
    assert 20 <= plan.asked <= 60, "it goes on itself"
    client.give_up(large)
    run(client)
    assert plan.closed == 1


def test_a_body_that_fills_the_wire_lets_the_client_be_heard() -> None:
    """After the client has read, it is read before the next piece is requested: a large body must not block it."""
    plan = Plan(STREAMED, lambda: endless(64 * KIB))
    client = OverHttp2(Planned(large=plan))
    client.ask("/large")
    for _ in range(5):
        client.served.connection.pause_writing()
        run(client)
        asked = plan.asked
        client.served.connection.resume_writing()
        assert client.served.transport.did[-1] == "resume_reading"
        client.served.turn()
        assert plan.asked == asked, "a turn's calls come before its reading"
        client.served.turn()
        assert plan.asked == asked + 1


def test_tiny_pieces_are_asked_for_a_bounded_number_of_times_a_turn() -> None:
    """Tiny pieces are limited to a hundred per turn, because each costs time, however short it is."""
    plan = Plan(STREAMED, lambda: [b"x"] * 3)
    client = OverHttp2(Planned(tiny=plan), streams=1000)
    for _ in range(300):
        client.ask("/tiny")
    before = plan.asked
    while client.served.turns:
        client.served.turn()
        assert plan.asked - before <= 100
        before = plan.asked
    assert plan.closed == 300


def test_what_is_only_held_up_is_bounded() -> None:
    """Delayed bodies are in memory, so later requests wait when they are too large.

    All are answered and none is rejected.
    """
    size = MIB
    plan = Plan(ResponseOptions(delay=40.0), lambda: [bytes(size)])
    client = OverHttp2(Planned(slow=plan), streams=100)
    streams = [client.ask("/slow") for _ in range(11)]
    streams.append(client.ask(PLAIN))
    client.served.after(39.9)
    assert plan.given == 9 * size
    client.served.after(0.1)
    run(client)
    assert plan.given == 11 * size
    assert [client.seen(each).ended for each in streams] == [True] * 9 + [False, False, True]
    client.served.after(40)
    assert all(client.seen(each).ended for each in streams)


def test_small_answers_may_all_be_held_up() -> None:
    """As many small responses as there are streams may be delayed, and another one is answered at once."""
    plan = Plan(ResponseOptions(delay=40.0), lambda: [bytes(16 * KIB)])
    client = OverHttp2(Planned(slow=plan), streams=200)
    streams = [client.ask("/slow") for _ in range(199)]
    assert client.seen(client.ask(PLAIN)).ended
    assert len(client.served.pending()) == 1, "one timer for all of them"
    client.served.after(40)
    run(client)
    assert all(client.seen(each).ended for each in streams)


def test_what_waits_for_the_client_still_keeps_others_from_being_made() -> None:
    """A body that is due but waits for the windows delays other requests, also after a delay of its own."""
    plan = Plan(ResponseOptions(delay=1.0), lambda: [bytes(2 * MIB)])
    client = Client(answer=Planned(slow=plan), initial_window_size=0)
    client.ask("/slow")
    client.served.after(1)
    plain = client.ask(PLAIN)
    assert client.of(plain, h2.events.ResponseReceived) == []
    client.h2.increment_flow_control_window(2 * MIB, 1)
    client.h2.increment_flow_control_window(2 * MIB)
    client.exchange()
    assert client.status(plain) == 200


def test_the_earliest_is_waited_for_first() -> None:
    """The earliest response is sent first, whatever the order of requests; an abandoned one does not delay others."""
    plans = {f"d{seconds}": Plan(ResponseOptions(delay=float(seconds)), lambda: [b"x"]) for seconds in (5, 1, 3)}
    client = OverHttp2(Planned(**plans))
    five, one, three = (client.ask(f"/{name}") for name in plans)
    client.give_up(one)
    for second, ended in ((1, [False, False]), (3, [False, True]), (5, [True, True])):
        client.served.after(second - (client.served.now - 1000))
        assert [client.seen(each).ended for each in (five, three)] == ended
    assert client.served.pending() == []


def test_what_was_uploaded_to_a_delayed_answer_is_given_back() -> None:
    """The connection's window is restored for uploads to delayed responses, also if more arrives than expected."""
    slow = Plan(ResponseOptions(delay=50.0, abort="before"))
    application = Planned(slow=slow)
    application.plans["b.test:443"] = slow
    client = Client(answer=application, limits=RequestLimits(1024, 10, MIB))
    before = receive_window(client)
    whole = client.ask("/slow", method="PUT", end=False)
    client.body(whole, bytes(10_000))
    tunnel = client.h2.get_next_available_stream_id()
    client.h2.send_headers(tunnel, [(":method", "CONNECT"), (":authority", "b.test:443")])
    client.exchange()
    client.body(tunnel, bytes(10_000), end=False)
    assert receive_window(client) == before
    client.served.after(50)
    client.receive()
    for stream in (whole, tunnel):
        assert [e.error_code for e in client.of(stream, h2.events.StreamReset)] == [ErrorCodes.INTERNAL_ERROR]
    assert receive_window(client) == before


def test_a_failure_behind_a_head_that_waited_is_a_reset() -> None:
    """A failure after the head was sent is a reset, because a 500 is no longer possible."""
    plan = Plan(STREAMED, failing())
    client = Client(answer=Planned(fails=plan), initial_window_size=0)
    stream = client.ask("/fails")
    client.h2.increment_flow_control_window(10, stream)
    client.exchange()
    client.served.turn(NOTHING_MORE)
    client.receive()
    assert client.status(stream) == 200
    assert [each.error_code for each in client.of(stream, h2.events.StreamReset)] == [ErrorCodes.INTERNAL_ERROR]


def test_a_failure_is_told_as_far_as_the_client_lets_it() -> None:
    """The body of a 500 waits for room in the window like any other."""
    client = Client(
        answer=Planned(fails=Plan(ResponseOptions(is_streamed=True, delay=1.0), failing())), initial_window_size=3
    )
    stream = client.ask("/fails")
    client.served.after(1)
    client.served.turn(NOTHING_MORE)
    client.receive()
    assert (client.status(stream), client.answer(stream)) == (500, b"500")
    client.h2.increment_flow_control_window(100, stream)
    client.exchange()
    assert client.ended(stream)


@pytest.mark.parametrize("wait", [True, False], ids=["all at once", "as the windows let it"])
def test_an_abort_in_the_middle_comes_behind_all_data(*, wait: bool) -> None:
    """The reset follows all data, because it would discard what the client has not read yet."""
    plan = Plan(ResponseOptions(abort="middle"), lambda: [bytes(100 * KIB + 1)])
    client = OverHttp2(Planned(cut=plan), window=10 if wait else 1 << 30)
    stream = client.ask("/cut")
    run(client)
    if wait:
        assert (len(client.seen(stream).body), client.seen(stream).broken) == (10, False)
        client.client.h2.increment_flow_control_window(MIB, stream)
        client.client.h2.increment_flow_control_window(MIB)
        client.client.exchange()
    assert (len(client.seen(stream).body), client.seen(stream).broken) == (100 * KIB, True)


def test_nothing_is_left_of_what_was_answered() -> None:
    """Nothing is kept of finished or abandoned responses, because a connection may live for days."""
    plans = {
        "slow": Plan(ResponseOptions(delay=5.0), lambda: [b"slow"]),
        "drip": Plan(ResponseOptions(is_streamed=True, interval=1.0)),
        "fails": Plan(STREAMED, failing(b"one")),
        "gone": Plan(ResponseOptions(abort="before")),
    }
    client = OverHttp2(Planned(**plans), streams=100)
    for give_up in (False, True):
        streams = [client.ask(f"/{name}") for name in plans]
        if give_up:
            for stream in (streams[0], streams[1]):
                client.give_up(stream)
        client.served.after(10)
        run(client)
    session = client.served.connection._handler  # noqa: SLF001 - a client would not notice
    assert isinstance(session, Http2Handler)
    answers = session._sender  # noqa: SLF001
    left = (
        answers.exchanges,
        answers._exchanges_with_output,  # noqa: SLF001
        answers.schedule.due_times,
        answers.queued_bytes,
        answers.delayed_bytes,
    )
    assert left == ({}, {}, {}, 0, 0)
    assert (client.served.pending(), list(client.served.turns)) == ([], [])
