"""Effects of a response: delays, streamed bodies, aborts, shutdown.

Over both protocols, in simulated time.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from app.http.request import RESPONSE_OPTIONS_KEY, Environ, ResponseOptions
from app.server.memory_budget import MemoryBudget
from tests.unit.planned import (
    KIB,
    PLAIN,
    Over,
    OverHttp1,
    OverHttp2,
    Plan,
    Planned,
    Seen,
    endless,
    failing,
    of_stream,
    run,
)
from tests.unit.served import Served
from tests.unit.test_http2_session import Client, web_socket

Protocols = Callable[..., Over]


@pytest.fixture(params=[OverHttp1, OverHttp2], ids=["HTTP/1.1", "HTTP/2"])
def over(request: pytest.FixtureRequest) -> Protocols:
    """Return each of the protocols."""
    made: Protocols = request.param
    return made


# time


def test_a_delay_comes_before_the_first_byte_and_holds_up_nobody_else(over: Protocols) -> None:
    """A delay precedes the first byte, may exceed any timeout, and delays no other request."""
    slow = Plan(ResponseOptions(delay=100.0), lambda: [b"slow"], [("Content-Length", "4")])
    client = over(Planned(slow=slow))
    first = client.ask("/slow")
    assert client.seen(client.ask(PLAIN)).body == b"plain"
    client.served.after(99.9)
    assert client.seen(first) == Seen()
    assert client.seen(client.ask(PLAIN)).body == b"plain"
    client.served.after(0.1)
    answer = client.seen(first)
    assert (answer.status, answer.body, answer.ended) == (200, b"slow", True)
    assert answer.fields["content-length"] == "4"
    assert (client.served.timers, slow.closed) == ([], 1)


def test_many_may_wait_at_once(over: Protocols) -> None:
    """A thousand responses may be delayed at once, and none is delayed longer than requested."""
    client = over(Planned(slow=Plan(ResponseOptions(delay=5.0), lambda: [b"slow"])), streams=1000)
    asked = [client.ask("/slow") for _ in range(999)]
    assert len(client.served.pending()) <= len(asked)
    assert client.seen(client.ask(PLAIN)).body == b"plain"
    client.served.after(5)
    run(client)
    assert all(client.seen(each).ended for each in asked)
    assert client.served.pending() == []


@pytest.mark.parametrize("fields", [[("Content-Length", "13")], []], ids=["known length", "unknown length"])
def test_a_streamed_body_comes_piece_by_piece(over: Protocols, fields: list[tuple[str, str]]) -> None:
    """A streamed body is sent piece by piece: the first with the head, and each is requested when it is due."""
    plan = Plan(ResponseOptions(is_streamed=True, delay=3.0, interval=50.0), fields=fields)
    client = over(Planned(drip=plan))
    number = client.ask("/drip")
    assert (plan.asked, client.seen(number).status) == (0, None)
    client.served.after(3)
    for count, body in enumerate((b"one ", b"one two "), 1):
        assert (plan.asked, client.seen(number).body, client.seen(number).ended) == (count, body, False)
        client.served.after(49.9)
        assert (plan.asked, client.seen(number).body) == (count, body)
        client.served.after(0.1)
    if not fields:
        assert not client.seen(number).ended, "nobody knows yet that it was the last one"
        client.served.after(50)
    answer = client.seen(number)
    assert (answer.body, answer.ended, plan.closed) == (b"one two three", True, 1)
    assert answer.fields.get("content-length") == (fields[0][1] if fields else None)
    assert (client.served.pending(), client.served.reports) == ([], [])


def test_what_is_late_keeps_its_pace(over: Protocols) -> None:
    """A small delay is caught up; after a longer one, pieces still don't come all at once."""
    plan = Plan(ResponseOptions(is_streamed=True, interval=1.0), lambda: [b"%d" % number for number in range(9)])
    client = over(Planned(drip=plan))
    number = client.ask("/drip")
    client.connection(number).pause_writing()
    client.served.after(1.25)
    client.connection(number).resume_writing()
    run(client)
    assert plan.asked == 2
    client.served.after(0.75)
    assert plan.asked == 3, "two seconds after the first"
    client.connection(number).pause_writing()
    client.served.after(7)
    client.connection(number).resume_writing()
    run(client)
    assert plan.asked == 4
    client.served.after(0.9)
    assert plan.asked == 4


def test_a_piece_that_is_empty_ends_nothing(over: Protocols) -> None:
    """An empty piece is skipped, because an empty chunk would end the body (RFC 9112, 7.1)."""
    plan = Plan(ResponseOptions(is_streamed=True), lambda: (b"", b"a", b"", b"", b"b", b""))
    client = over(Planned(holes=plan))
    number = client.ask("/holes")
    run(client)
    answer = client.seen(number)
    assert (answer.body, answer.ended, plan.closed) == (b"ab", True, 1)


@pytest.mark.parametrize("pieces", [(), (b"",)], ids=["no piece", "an empty one"])
def test_a_body_without_anything_in_it_ends(over: Protocols, pieces: tuple[bytes, ...]) -> None:
    """A body without content is complete."""
    client = over(Planned(empty=Plan(pieces=lambda: pieces)))
    number = client.ask("/empty")
    run(client)
    answer = client.seen(number)
    assert (answer.status, answer.body, answer.ended) == (200, b"", True)


def test_what_was_written_at_once_comes_before_the_pieces(over: Protocols) -> None:
    """Data passed to PEP 3333's `write`, which old applications use, precedes the pieces."""

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[RESPONSE_OPTIONS_KEY] = ResponseOptions(is_streamed=True)
        start_response("200 OK", [])(b"written ")
        return iter([b"made"])

    client = over(application)
    number = client.ask("/")
    run(client)
    assert client.seen(number).body == b"written made"


def test_an_answer_that_begins_late_is_joined(over: Protocols) -> None:
    """A response whose head is only known with the first piece is sent whole.

    PEP 3333 allows `start_response` to wait for the first piece.
    """

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[RESPONSE_OPTIONS_KEY] = ResponseOptions(is_streamed=True, interval=5.0)

        def made() -> Iterator[bytes]:
            start_response("200 OK", [])
            yield b"one "
            yield b"two"

        return made()

    client = over(application)
    answer = client.seen(client.ask("/"))
    assert (answer.body, answer.fields["content-length"], answer.ended) == (b"one two", "7", True)


# amount and rate


def test_a_large_body_goes_out_a_bounded_part_a_turn(over: Protocols) -> None:
    """The loop serves others in between, and of 64 MiB at most 256 KiB are in memory."""
    count = 1024
    plan = Plan(pieces=lambda: (bytes(64 * KIB) for _ in range(count)), fields=[("Content-Length", str(count << 16))])
    client = over(Planned(large=plan))
    number = client.ask("/large")
    transport = client.served.transport if isinstance(client, OverHttp2) else client.asked[number][2]  # type: ignore[attr-defined]
    written = turns = 0
    while client.served.turns:
        written += len(transport.written)
        if isinstance(client, OverHttp2):
            client.client.receive()
            client.client.events.clear()
            client.client._read = 0  # noqa: SLF001 - what was written is thrown away here
        transport.written = b""
        assert plan.given - written <= 256 * KIB
        client.served.turn()
        assert len(transport.written) <= 256 * KIB
        turns += 1
    assert turns > 500
    assert plan.given == count << 16
    assert (plan.closed, client.served.reports) == (1, [])


def test_nothing_is_asked_for_while_the_client_does_not_read(over: Protocols) -> None:
    """No piece is requested while the client does not read; the response continues when it does."""
    plan = Plan(pieces=lambda: (bytes(64 * KIB) for _ in range(8)))
    client = over(Planned(large=plan))
    number = client.ask("/large")
    client.connection(number).pause_writing()
    asked = plan.asked
    run(client)
    client.served.after(29)
    run(client)
    assert plan.asked == asked <= 2
    client.connection(number).resume_writing()
    run(client)
    answer = client.seen(number)
    assert (len(answer.body), answer.ended, plan.closed) == (512 * KIB, True, 1)


def test_a_client_that_never_reads_is_dropped_and_its_body_closed(over: Protocols) -> None:
    """A client that never reads is dropped after the timeout of a body, and the body is closed."""
    plan = Plan(pieces=lambda: endless(KIB))
    client = over(Planned(large=plan))
    number = client.ask("/large")
    client.connection(number).pause_writing()
    client.served.after(30)
    assert client.connection(number).is_closing
    client.connection(number).connection_lost(None)
    run(client)
    assert (plan.closed, client.served.pending()) == (1, [])


# errors


@pytest.mark.parametrize("fields", [[("Content-Length", "100")], []], ids=["known length", "unknown length"])
def test_a_body_that_fails_is_seen_to_be_broken(over: Protocols, fields: list[tuple[str, str]]) -> None:
    """A body that fails is logged, and the client sees that it is incomplete."""
    plan = Plan(pieces=failing(b"one "), fields=fields)
    client = over(Planned(fails=plan))
    number = client.ask("/fails")
    run(client)
    answer = client.seen(number)
    assert (answer.status, answer.body, answer.ended, answer.broken) == (200, b"one ", False, True)
    assert plan.closed == 1
    (report,) = client.served.reports
    assert "on purpose" in report


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_body_that_fails_before_anything_was_sent_is_answered_500(over: Protocols, method: str) -> None:
    """A body that fails before anything was sent is a 500; for HEAD the body is not requested at all."""
    plan = Plan(ResponseOptions(is_streamed=True, delay=1.0), failing())
    client = over(Planned(fails=plan))
    number = client.ask("/fails", method)
    client.served.after(1)
    run(client)
    answer = client.seen(number)
    assert (answer.status, answer.ended, plan.closed) == (500 if method == "GET" else 200, True, 1)
    assert len(client.served.reports) == (method == "GET")


def test_a_piece_that_is_not_bytes_is_a_fault(over: Protocols) -> None:
    """A piece that is not bytes is an error that names its type."""
    client = over(Planned(text=Plan(pieces=lambda: (b"one ", "two"))))  # type: ignore[arg-type,return-value]
    number = client.ask("/text")
    run(client)
    assert client.seen(number).broken
    assert "a piece of a body is str, not bytes" in client.served.reports[0]


def test_a_body_that_fails_to_close_is_reported(over: Protocols) -> None:
    """A failure to close a body is reported, and the response is complete."""

    def close() -> Iterator[bytes]:
        try:
            yield b"all"
            yield b""
        finally:
            raise RuntimeError("on purpose")

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[RESPONSE_OPTIONS_KEY] = ResponseOptions(is_streamed=True)
        start_response("200 OK", [("Content-Length", "3")])
        return close()

    client = over(application)
    number = client.ask("/")
    run(client)
    assert (client.seen(number).body, client.seen(number).ended) == (b"all", True)
    assert "on purpose" in client.served.reports[0]


@pytest.mark.parametrize(
    ("length", "pieces", "body", "says"),
    [
        (13, (b"one ", b"two "), b"one two ", "response incomplete: 5 bytes fewer than its Content-Length of 13"),
        (6, (b"one ", b"two "), b"one tw", "response truncated: more bytes than its Content-Length of 6"),
        (8, (b"one ", b"two ", b"three"), b"one two ", "response truncated: more bytes than its Content-Length of 8"),
        (0, (b"one",), b"", "response truncated: more bytes than its Content-Length of 0"),
        (1, (), b"", "response incomplete: 1 bytes fewer than its Content-Length of 1"),
    ],
)
def test_a_body_is_never_longer_and_never_silently_shorter_than_its_length(
    over: Protocols, length: int, pieces: tuple[bytes, ...], body: bytes, says: str
) -> None:
    """Excess bytes are omitted, and a body that is too short is aborted; each is reported once."""
    plan = Plan(pieces=lambda: pieces, fields=[("Content-Length", str(length))])
    client = over(Planned(wrong=plan))
    number = client.ask("/wrong")
    run(client)
    answer = client.seen(number)
    whole = len(body) == length
    assert (answer.body, answer.ended, answer.broken) == (body, whole, not whole)
    (report,) = client.served.reports
    assert says in report
    assert plan.closed == 1


@pytest.mark.parametrize("value", ["-1", "1_0", "", "²", "٣", "9" * 19, "x"])
def test_a_length_that_is_none_is_not_told(over: Protocols, value: str) -> None:
    """An invalid Content-Length is not sent, and the body has its real length."""
    client = over(Planned(wrong=Plan(fields=[("Content-Length", value)])))
    number = client.ask("/wrong")
    run(client)
    answer = client.seen(number)
    assert (answer.body, answer.ended, answer.fields.get("content-length")) == (b"one two three", True, None)


# aborts


@pytest.mark.parametrize("streamed", [False, True])
def test_an_abort_before_the_head_sends_nothing(over: Protocols, *, streamed: bool) -> None:
    """After the delay nothing is sent, the body is not requested, and other requests are not affected."""
    plan = Plan(ResponseOptions(delay=2.0, abort="before", is_streamed=streamed))
    client = over(Planned(gone=plan))
    number, other = client.ask("/gone"), client.ask(PLAIN)
    client.served.after(1.9)
    assert not client.seen(number).broken
    client.served.after(0.1)
    assert client.seen(number) == Seen(broken=True)
    assert client.seen(other).ended
    assert (plan.asked, plan.closed) == (0 if streamed else 4, 1)


@pytest.mark.parametrize(
    ("effects", "fields", "body"),
    [
        (ResponseOptions(abort="middle", is_streamed=True), [], b"one two three"),
        (ResponseOptions(abort="middle", is_streamed=True), [("Content-Length", "20")], b"one two three"),
        (ResponseOptions(abort="middle", is_streamed=True), [("Content-Length", "13")], b"one two thre"),
        (ResponseOptions(abort="middle", is_streamed=True), [("Content-Length", "3")], b"on"),
        (ResponseOptions(abort="middle"), [], b"one two thre"),
        (ResponseOptions(abort="middle", trailers=((b"x-sum", b"1"),)), [], b"one two thre"),
    ],
    ids=["unknown length", "longer", "the same length", "shorter", "whole", "with trailers"],
)
def test_an_abort_in_the_middle_sends_all_there_is_but_no_end(
    over: Protocols, effects: ResponseOptions, fields: list[tuple[str, str]], body: bytes
) -> None:
    """An aborted body is never complete, whatever its length, and that is no error."""
    plan = Plan(effects, fields=fields)
    client = over(Planned(cut=plan))
    number = client.ask("/cut")
    run(client)
    answer = client.seen(number)
    assert (answer.status, answer.body, answer.ended, answer.broken) == (200, body, False, True)
    assert answer.trailers == {}
    assert (plan.closed, client.served.reports) == (1, [])


def test_an_abort_of_what_has_no_content_comes_behind_the_head() -> None:
    """The abort follows the head: HTTP/1.1 ends the connection, HTTP/2 resets the stream before it has ended."""
    for over in (OverHttp1, OverHttp2):
        client = over(Planned(cut=Plan(ResponseOptions(abort="middle"), fields=[("Content-Length", "5")])))
        number = client.ask("/cut", "HEAD")
        answer = client.seen(number)
        assert (answer.status, answer.fields["content-length"]) == (200, "5")
        if isinstance(client, OverHttp2):
            assert answer.broken
        else:
            assert client.asked[number][2].ended


# the end of bodies


@pytest.mark.parametrize(
    "end",
    [
        lambda client, number: client.give_up(number),
        lambda client, number: client.connection(number).connection_lost(None),
        lambda client, number: client.connection(number).connection_lost(OSError("reset")),
    ],
    ids=["the client gives up", "the connection ends", "the connection breaks"],
)
@pytest.mark.parametrize("delay", [0.0, 5.0], ids=["within the body", "within the delay"])
def test_a_body_that_nobody_waits_for_is_closed(
    over: Protocols, end: Callable[[Over, int], None], delay: float
) -> None:
    """An abandoned body is closed, as PEP 3333 requires, and no more pieces are requested."""
    plan = Plan(ResponseOptions(is_streamed=True, interval=5.0, delay=delay, is_endless=True), lambda: endless(1))
    client = over(Planned(drip=plan))
    number = client.ask("/drip")
    asked = plan.asked
    end(client, number)
    assert plan.closed == 1
    if client.connection(number).is_closing:
        assert client.served.pending() == []
    client.served.after(20)
    run(client)
    assert (plan.asked, plan.closed, client.served.pending()) == (asked, 1, [])


# statuses without content


@pytest.fixture(params=["GET", "HEAD"])
def asking(over: Protocols, request: pytest.FixtureRequest) -> tuple[Over, Planned, str]:
    """Return a client, its application, and a method."""
    application = Planned()
    return over(application), application, request.param


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        ("204 No Content", "13", None),
        ("204 No Content", None, None),
        ("205 Reset Content", "13", "0"),
        ("205 Reset Content", None, "0"),
        ("304 Not Modified", "13", "13"),
        ("304 Not Modified", None, None),
    ],
)
def test_a_status_without_content_has_none(
    asking: tuple[Over, Planned, str], status: str, said: str | None, told: str | None, *, streamed: bool
) -> None:
    """A status without content has no body, whatever the application returns (RFC 9110, 8.6 and 15.3.6).

    The next response starts where the client expects it.
    """
    client, application, method = asking
    fields = [("Content-Length", said)] if said else []
    plan = Plan(ResponseOptions(is_streamed=streamed, trailers=((b"x-sum", b"1"),) if streamed else ()), fields=fields)
    plan.status = status
    application.plans["/none"] = plan
    number = client.ask("/none", method)
    run(client)
    answer = client.seen(number)
    assert (answer.status, answer.body, answer.ended) == (int(status[:3]), b"", True)
    assert (answer.fields.get("content-length"), answer.fields.get("transfer-encoding")) == (told, None)
    assert plan.closed == 1
    if isinstance(client, OverHttp1):
        assert not client.asked[number][2].ended, "the connection is kept"


def test_an_interim_status_has_no_length() -> None:
    """An interim status has no Content-Length (RFC 9110, 8.6).

    It is no final response: returning one is the application's error.
    """
    served = Served(application=Planned(early=Plan(ResponseOptions(), status="103 Early Hints")))
    assert served.send(b"GET /early HTTP/1.1\r\nHost: a\r\n\r\n").endswith(b"GMT\r\n\r\n")


@pytest.mark.parametrize("fields", [[("Content-Length", "13")], []], ids=["known length", "unknown length"])
def test_head_is_answered_without_asking_for_anything(over: Protocols, fields: list[tuple[str, str]]) -> None:
    """The response to HEAD has the length of GET, if known (RFC 9110, 9.3.2), and no piece is requested."""
    plan = Plan(fields=fields)
    client = over(Planned(large=plan))
    answer = client.seen(client.ask("/large", "HEAD"))
    assert (answer.status, answer.body, answer.ended) == (200, b"", True)
    assert answer.fields.get("content-length") == (fields[0][1] if fields else None)
    assert (plan.asked, plan.closed) == (0, 1)


@pytest.mark.parametrize("fields", [[("Content-Length", "13")], []], ids=["known length", "unknown length"])
def test_trailers_come_behind_a_streamed_body(over: Protocols, fields: list[tuple[str, str]]) -> None:
    """Trailers follow a streamed body as they follow any other."""
    client = over(Planned(sum=Plan(ResponseOptions(is_streamed=True, trailers=((b"X-Sum", b"1"),)), fields=fields)))
    number = client.ask("/sum")
    run(client)
    answer = client.seen(number)
    assert (answer.body, answer.ended) == (b"one two three", True)
    assert {name.lower(): value for name, value in answer.trailers.items()} == {"x-sum": "1"}


# graceful shutdown


def test_a_stop_answers_what_was_accepted(over: Protocols) -> None:
    """A graceful shutdown sends delayed responses when due and streamed ones to their end, then closes connections."""
    application = Planned(
        slow=Plan(ResponseOptions(delay=3.0), lambda: [b"slow"]),
        drip=Plan(ResponseOptions(is_streamed=True, interval=2.0), fields=[("Content-Length", "13")]),
    )
    client = over(application)
    slow, drip = client.ask("/slow"), client.ask("/drip")
    client.served.service.begin_shutdown()
    client.served.service.close_idle()
    for _ in range(5):
        client.served.after(1)
        run(client)
        client.served.service.close_idle()
    for number, body in ((slow, b"slow"), (drip, b"one two three")):
        answer = client.seen(number) if client.name == "HTTP/1.1" else of_stream(client.served.transport, number)
        assert (answer.body, answer.ended) == (body, True)
    if isinstance(client, OverHttp1):
        assert client.seen(slow).fields["connection"] == "close"
        assert all(transport.ended for _, _, transport in client.asked)
    else:
        assert client.served.transport.ended


@pytest.mark.parametrize("when", ["before", "within the delay", "between pieces"])
def test_a_stop_ends_what_has_no_end_of_its_own(over: Protocols, when: str) -> None:
    """A graceful shutdown ends an endless response after the current piece.

    A rollout does not wait for it, and the client reconnects elsewhere.
    """
    delay = 5.0 if when == "within the delay" else 0.0
    effects = ResponseOptions(is_streamed=True, delay=delay, interval=60.0, is_endless=True)
    plan = Plan(effects, lambda: iter([b"event "] * 1000))
    client = over(Planned(events=plan))
    if when == "before":
        client.served.service.draining = True
    number = client.ask("/events")
    client.served.service.begin_shutdown()
    client.served.service.close_idle()
    client.served.after(delay)
    run(client)
    client.served.service.close_idle()
    answer = client.seen(number) if client.name == "HTTP/1.1" else of_stream(client.served.transport, number)
    assert (answer.body, answer.ended, answer.broken) == (b"event ", True, False)
    assert (plan.asked, plan.closed) == (1, 1)
    if isinstance(client, OverHttp1):
        assert answer.fields.get("connection") == (None if when == "between pieces" else "close")
        assert client.asked[number][2].ended


def test_a_stop_lets_what_has_an_end_come_to_it(over: Protocols) -> None:
    """A graceful shutdown completes a finite response of unknown length.

    Half of it would be taken for the whole.
    """
    plan = Plan(ResponseOptions(is_streamed=True, interval=2.0))
    client = over(Planned(coded=plan))
    number = client.ask("/coded")
    client.served.service.begin_shutdown()
    for _ in range(8):
        client.served.after(1)
        run(client)
        client.served.service.close_idle()
    answer = client.seen(number) if client.name == "HTTP/1.1" else of_stream(client.served.transport, number)
    assert (answer.body, answer.ended, answer.broken) == (b"one two three", True, False)


def test_a_stop_does_not_make_whole_what_is_to_be_broken(over: Protocols) -> None:
    """A graceful shutdown does not complete a response that is to be aborted in the middle."""
    plan = Plan(ResponseOptions(is_streamed=True, interval=60.0, abort="middle", is_endless=True), lambda: endless(1))
    client = over(Planned(cut=plan))
    number = client.ask("/cut")
    client.served.service.begin_shutdown()
    run(client)
    answer = client.seen(number) if client.name == "HTTP/1.1" else of_stream(client.served.transport, number)
    assert (answer.ended, answer.broken) == (False, True)


def test_a_web_socket_is_greeted_at_once(over: Protocols) -> None:
    """A WebSocket gets its greeting at once: only the body of the response counts, not its effects."""
    del over
    application = Planned(ws=Plan(ResponseOptions(delay=5.0, abort="middle"), lambda: [b"hello"]))
    client = Client(answer=application)
    stream, protocol = web_socket(client)
    protocol.receive_data(client.answer(stream))
    (frame,) = protocol.events_received()
    assert bytes(frame.data) == b"hello"  # type: ignore[union-attr]


# memory budget


@pytest.mark.parametrize("ending", ["its time", "the client goes"])
@pytest.mark.parametrize("how", ["a delay", "a drip"])
def test_what_waits_for_its_time_is_bounded_for_all_connections(over: Protocols, how: str, ending: str) -> None:
    """One response above the memory budget is rejected at once; after an earlier one ends, there is room again.

    A whole body that is sent piece by piece counts until its end.
    """
    large, request = 9000, 500  # part of a request is counted too, until it is answered
    plan = Plan(ResponseOptions(delay=5.0), lambda: [bytes(large)])
    if how == "a drip":
        plan = Plan(ResponseOptions(is_streamed=True, interval=1.0, buffered_bytes=large), lambda: [b"a"] * 5)
    client = over(Planned(large=plan, small=Plan(ResponseOptions(delay=5.0), lambda: [b"some"])), streams=8)
    client.served.service.memory_budget = MemoryBudget(4 * (large + request))
    waiting = [client.ask("/large") for _ in range(4)]
    begun = plan.closed
    refused = client.seen(client.ask("/large"))
    assert (refused.status, refused.ended) == (503, True)
    assert plan.closed == begun + 1, "the application is told that nothing is asked for"
    assert 0 <= client.served.service.memory_budget.used - large * len(waiting) < request * len(waiting)
    if ending == "its time":
        client.served.after(5)
    else:
        client.give_up(waiting[0])
        assert 0 <= client.served.service.memory_budget.used - large * (len(waiting) - 1) < request * len(waiting)
        for number in waiting[1:]:
            client.give_up(number)
    assert client.served.service.memory_budget.used == 0
    again = client.ask("/small")
    assert 0 <= client.served.service.memory_budget.used - len("some") < request
    client.give_up(again)
    assert client.served.service.memory_budget.used == 0
