"""Delayed and streamed responses on one HTTP/1.1 connection.

Pipelined requests behind them, and framing.
"""

import ssl

import pytest
from msgspec import structs

from app.http.request import ResponseOptions
from app.server import certificate_store
from app.server.state import LINGER, ConnectionPhase
from tests.support.tls_client import Client as TlsClient
from tests.support.tls_client import Files
from tests.unit.planned import NOTHING_MORE, Plan, Planned, Seen, endless, failing, seen
from tests.unit.served import Served

STREAMED = ResponseOptions(is_streamed=True)
PLAIN = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n"


def get(name: str, version: str = "1.1", more: bytes = b"") -> bytes:
    """Return a request for what is planned under a name."""
    return f"GET /{name} HTTP/{version}\r\nHost: a\r\n".encode() + more + b"\r\n"


def answers(served: Served) -> list[Seen]:
    """Return all responses on a connection in their order."""
    pieces = served.transport.written.split(b"HTTP/1.1 ")[1:]
    return [seen(b"HTTP/1.1 " + each, closed=served.transport.ended) for each in pieces]


def test_what_is_asked_behind_a_delayed_answer_waits_for_it() -> None:
    """Requests after a delayed one are not read until it is answered, then all are answered in order."""
    plain, slow = Plan(ResponseOptions(), lambda: [b"p"]), Plan(ResponseOptions(delay=5.0), lambda: [b"slow"])
    served = Served(application=Planned(slow=slow, p=plain))
    assert served.send(get("p") + get("slow") + get("p") + get("slow") + get("p")).endswith(b"\r\n\r\np")
    assert (plain.asked, served.transport.did) == (2, ["pause_reading"])
    served.after(4.9)
    served.send(get("p"))
    assert plain.asked == 2
    assert served.after(0.1) == [], "the next one is delayed, too"
    assert [each.body for each in answers(served)] == [b"p", b"slow", b"p"]
    assert served.after(5) == ["resume_reading"]
    assert [each.body for each in answers(served)] == [b"p", b"slow", b"p", b"slow", b"p", b"p"]
    assert served.connection.phase is ConnectionPhase.IDLE


@pytest.mark.parametrize(
    "plan",
    [
        Plan(STREAMED),
        Plan(STREAMED, fields=[("Content-Length", "13")]),
        Plan(STREAMED, fields=[("Content-Length", "3")]),
        Plan(STREAMED, lambda: (b"HTTP/1.1", b" 200 OK\r\n\r\n"), [("Content-Length", "0")]),
        Plan(STREAMED, status="204 No Content"),
        Plan(STREAMED, status="205 Reset Content"),
        Plan(STREAMED, status="304 Not Modified", fields=[("Content-Length", "13")]),
        Plan(ResponseOptions(trailers=((b"X-Sum", b"1"),))),
        Plan(ResponseOptions(delay=1.0), status="204 No Content"),
    ],
    ids=["chunked", "a length", "a length too short", "no length", "204", "205", "304", "trailers", "204, whole"],
)
def test_the_next_answer_begins_where_the_one_before_has_ended(plan: Plan) -> None:
    """The next response starts where the one before ends.

    Whatever the application did, a client must never read one response's body as another's head.
    """
    served = Served(application=Planned(odd=plan))
    served.send(get("odd") + PLAIN)
    served.turn(NOTHING_MORE)
    served.after(1)
    odd, plain = answers(served)
    assert (odd.ended, plain.status, plain.body) == (True, 200, b"plain")
    assert not served.transport.ended


def test_what_comes_within_an_answer_is_not_answered_there() -> None:
    """A request that arrives during a response is not answered before its end, not even by 100 Continue."""
    served = Served(application=Planned(drip=Plan(ResponseOptions(is_streamed=True, interval=1.0))))
    served.send(get("drip"))
    assert served.send(b"PUT /plain HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n") == b""
    served.after(3)
    assert served.transport.written.endswith(b"\r\n0\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
    assert served.send(b"x").endswith(b"\r\n\r\nplain")


def test_chunks_are_the_pieces() -> None:
    """Chunks are the pieces, byte for byte (RFC 9112, 7.1)."""
    plan = Plan(ResponseOptions(is_streamed=True, trailers=((b"X-Sum", b"1"),)), lambda: (b"0123456789", b"", b"\r\n"))
    served = Served(application=Planned(odd=plan))
    served.send(get("odd"))
    served.turn(NOTHING_MORE)
    head, _, body = served.transport.written.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[2:] == [b"Trailer: X-Sum", b"Transfer-Encoding: chunked"]
    assert body == b"a\r\n0123456789\r\n2\r\n\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"


def test_a_turn_takes_one_piece() -> None:
    """A turn requests one piece, however fast the client reads."""
    plan = Plan(STREAMED, lambda: endless(1024))
    served = Served(application=Planned(large=plan))
    served.send(get("large"))
    for asked in range(1, 50):
        assert plan.asked == asked
        served.turn()
    assert set(served.transport.did) == {"pause_reading"}


# HTTP/1.0


def test_http_1_0_is_told_the_end_by_the_connection() -> None:
    """The end of the connection ends the response.

    HTTP/1.0 knows no chunks and no trailers (RFC 9112, 6.3 and 7.1).
    """
    plan = Plan(ResponseOptions(is_streamed=True, trailers=((b"X-Sum", b"1"),)))
    served = Served(application=Planned(odd=plan))
    served.send(get("odd", "1.0", b"Connection: keep-alive\r\n"))
    served.turn(NOTHING_MORE)
    head, _, body = served.transport.written.partition(b"\r\n\r\n")
    assert head.split(b"\r\n")[2:] == [b"Connection: close"]
    assert body == b"one two three"
    assert served.transport.did == ["pause_reading", "resume_reading", "write_eof"]


def test_http_1_0_keeps_a_connection_when_the_length_is_known() -> None:
    """An HTTP/1.0 connection is kept if the length of the response is known."""
    served = Served(application=Planned(odd=Plan(STREAMED, fields=[("Content-Length", "13")])))
    served.send(get("odd", "1.0", b"Connection: keep-alive\r\n") + PLAIN)
    served.turn(NOTHING_MORE)
    odd, plain = answers(served)
    assert (odd.body, odd.fields["connection"], plain.body) == (b"one two three", "keep-alive", b"plain")


@pytest.mark.parametrize(
    "plan",
    [Plan(STREAMED, failing(b"one ")), Plan(ResponseOptions(is_streamed=True, abort="middle"), lambda: [b"one "])],
    ids=["fails", "is aborted"],
)
def test_http_1_0_sees_a_break_as_a_reset(plan: Plan) -> None:
    """An incomplete response ends with a reset, because the end of the connection would mean that it is complete."""
    served = Served(application=Planned(odd=plan))
    served.send(get("odd", "1.0"))
    served.turn(NOTHING_MORE)
    assert served.transport.written.endswith(b"\r\n\r\none ")
    assert served.transport.did[-2:] == ["reset", "close"]


# the connection


def test_an_abort_lets_what_came_before_it_arrive() -> None:
    """Data before an abort arrives: nothing written is dropped, and the client is read for a while to avoid a reset."""
    served = Served(application=Planned(gone=Plan(ResponseOptions(abort="before"))))
    assert served.send(PLAIN + get("gone") + PLAIN).endswith(b"\r\n\r\nplain")
    assert served.transport.written.count(b"plain") == 1
    assert served.transport.did == ["write_eof"]
    assert served.send(PLAIN) == b""
    assert served.after(LINGER) == ["write_eof", "abort"]


def test_what_is_still_sent_to_an_aborted_answer_is_read_over() -> None:
    """Reading, paused for a delayed response, resumes after its abort, so that the rest of the request is discarded."""
    served = Served(application=Planned(gone=Plan(ResponseOptions(abort="before", delay=1.0))))
    served.send(get("gone"))
    assert served.after(1) == ["pause_reading", "resume_reading", "write_eof"]
    assert not served.connection.eof_received()


def test_a_client_that_has_ended_its_side_gets_all_of_an_answer() -> None:
    """A half-closed client gets the whole response."""
    plan = Plan(ResponseOptions(is_streamed=True, delay=1.0, interval=1.0))
    served = Served(application=Planned(drip=plan))
    served.send(get("drip"))
    assert served.connection.eof_received()
    served.after(4)
    (answer,) = answers(served)
    assert (answer.body, answer.ended) == (b"one two three", True)
    assert served.transport.ended


def test_the_time_of_the_next_request_begins_behind_the_answer() -> None:
    """The timeout of the next request starts after the response: its delay does not count."""
    served = Served(application=Planned(slow=Plan(ResponseOptions(delay=70.0))))
    served.send(get("slow"))
    assert served.after(70 + 74.9)[-1] == "resume_reading"
    assert served.after(0.1) == ["close"]


def test_an_answer_whose_timer_is_lost_does_not_hold_a_connection() -> None:
    """A response whose timer is lost is dropped: every wait has a deadline, this one too."""
    plan = Plan(ResponseOptions(is_streamed=True, delay=5.0))
    served = Served(application=Planned(slow=plan))
    served.send(get("slow"))
    served.timers.clear()
    assert "abort" not in served.after(34.9)
    assert served.after(0.1) == ["abort"]
    served.connection.connection_lost(None)
    assert plan.closed == 1


def test_a_connection_ends_after_so_many_requests() -> None:
    """The last allowed response says Connection: close in its head, also if it is delayed."""
    served = Served(application=Planned(slow=Plan(ResponseOptions(delay=1.0))))
    served.service.limits = structs.replace(served.service.limits, requests_per_connection=2)
    served.send(PLAIN + get("slow") + PLAIN)
    served.after(1)
    assert [each.fields.get("connection") for each in answers(served)] == [None, "close"]
    assert served.transport.ended


def test_many_pipelined_answers_with_effects_come_in_turns_of_the_loop() -> None:
    """Many pipelined responses with effects take several turns, and others are served in between."""
    served = Served(application=Planned(sum=Plan(ResponseOptions(trailers=((b"X-Sum", b"1"),)))))
    served.send(get("sum") * 1000)
    assert served.turn(NOTHING_MORE) > 5
    assert len(answers(served)) == 1000
    assert all(each.ended for each in answers(served))


# TLS


def exchanged(served: Served, client: TlsClient) -> bytes:
    """Deliver what was written to the client; return its plaintext."""
    client.came.write(served.transport.written)
    served.transport.written = b""
    plain = b""
    while True:
        try:
            piece = client.tls.read(1 << 16)
        except ssl.SSLWantReadError:
            return plain
        if not piece:
            return plain + b"(close_notify)"
        plain += piece


@pytest.mark.parametrize(("name", "ends"), [("drip", b"three(close_notify)"), ("cut", b"three")])
def test_tls_is_told_an_end_where_there_is_one(files: Files, name: str, ends: bytes) -> None:
    """TLS sends close_notify only after a complete response.

    A body that ends with its connection would otherwise be taken for complete (RFC 8446, 6).
    """
    drip = ResponseOptions(is_streamed=True, delay=1.0, interval=1.0)
    application = Planned(drip=Plan(drip), cut=Plan(structs.replace(drip, abort="middle")))
    context = certificate_store.create_context(files.files())
    served = Served(application=application, get_ssl_context=lambda: context)
    client = TlsClient()
    served.send(client.begin())
    assert exchanged_hands(served, client)
    client.tls.write(get(name, "1.0"))
    served.send(client.goes.read())
    assert exchanged(served, client) == b""
    served.after(1)
    assert exchanged(served, client).endswith(b"\r\n\r\none ")
    served.after(1)
    assert exchanged(served, client) == b"two "
    did = served.after(1) + served.after(1)
    assert exchanged(served, client) == ends
    assert did[-1] == "write_eof"
    assert "reset" not in did


def exchanged_hands(served: Served, client: TlsClient) -> bool:
    """Complete the handshake."""
    client.came.write(served.transport.written)
    served.transport.written = b""
    done = client.step(client.tls.do_handshake)
    served.send(client.goes.read())
    return done
