"""A WebSocket on its own connection, in simulated time.

Handshake, timeouts, shutdown and steps.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.http.request import WEBSOCKET_KEY, Environ
from app.server.limits import RequestLimits
from tests.unit.served import Served
from tests.unit.test_websocket import (
    BINARY,
    CASES,
    CLOSE,
    CONT,
    ECHOED_HI,
    FAILED,
    GOOD,
    HI,
    PING,
    PONG,
    TEXT,
    Case,
    Seen,
    close,
    cut,
    frame,
    packed,
    read_frames,
    replaced,
    unpacked,
    without_reason,
)

LIMITS = RequestLimits(4096, 20, 100)


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond with the path, and whether it becomes a WebSocket's first message."""
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode("latin-1"), b" greets" if environ.get(WEBSOCKET_KEY) else b""]


GREETING = Seen(TEXT, b"/ws greets")


def head(
    fields: Iterable[tuple[bytes, bytes]] = GOOD, line: bytes = b"GET /ws HTTP/1.1", *more: tuple[bytes, bytes]
) -> bytes:
    """Return the bytes of a handshake."""
    return b"\r\n".join([line, *(b": ".join(each) for each in (*fields, *more)), b"", b""])


def answer_to(sent: bytes) -> bytes:
    """Return everything that a new connection sends in response."""
    return Served(application=application, limits=LIMITS).send(sent)


class Client:
    """A client with an open WebSocket."""

    def __init__(self, *more: tuple[bytes, bytes], behind: bytes = b"") -> None:
        self.served = Served(application=application, limits=LIMITS)
        self.served.send(head(GOOD, b"GET /ws HTTP/1.1", *more) + behind)
        self._read = self.served.transport.written.index(b"\r\n\r\n") + 4
        self.first = self.read()

    def read(self) -> list[Seen]:
        """Return the frames received since the last check."""
        written = self.served.transport.written[self._read :]
        self._read += len(written)
        return read_frames(written)

    def send(self, data: bytes) -> list[Seen]:
        """Send bytes; return the frames received."""
        self.served.connection.data_received(data)
        return self.read()

    def turns(self) -> list[Seen]:
        """Run turns of the loop until nothing is left to do; return the frames received."""
        while self.served.turns:
            self.served.turn()
        return self.read()

    def did(self) -> list[str]:
        """Return the transport's calls since the last check, except those for reading."""
        return [each for each in self.served.after(0) if not each.endswith("reading")]


@pytest.fixture
def client() -> Client:
    """Return a client that has received its greeting."""
    client = Client()
    assert client.first == [GREETING]
    return client


# the handshake


def test_the_first_message_is_what_would_have_been_the_answer(client: Client) -> None:
    """The first message follows the handshake's response, which has a date and no body."""
    written = client.served.transport.written
    assert written.startswith(
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        b"Upgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"Connection: Upgrade\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (head(), b"101 Switching Protocols"),
        (head(replaced(b"Connection", b"upgrade")), b"101 Switching Protocols"),
        (head(replaced(b"Upgrade", b"tea, WebSocket")), b"101 Switching Protocols"),
        (head(GOOD, b"GET /ws HTTP/1.1", (b"Content-Length", b"2")) + b"hi", b"101 Switching Protocols"),
        (head(GOOD, b"GET /ws HTTP/1.0"), b"200 OK"),
        (head(replaced(b"Connection", b"keep-alive")), b"200 OK"),
        (head(replaced(b"Connection")), b"200 OK"),
        (head(replaced(b"Upgrade")), b"200 OK"),
        (head(replaced(b"Upgrade", b"tea")), b"200 OK"),
        (head(GOOD, b"POST /ws HTTP/1.1"), b"400 Bad Request"),
        (head(replaced(b"Sec-WebSocket-Key")), b"400 Bad Request"),
        (head(replaced(b"Sec-WebSocket-Key", b"AAAA")), b"400 Bad Request"),
        (head(GOOD, b"GET /ws HTTP/1.1", GOOD[3]), b"400 Bad Request"),
        (head(replaced(b"Sec-WebSocket-Version")), b"400 Bad Request"),
        (head(replaced(b"Sec-WebSocket-Version", b"8")), b"426 Upgrade Required"),
    ],
    ids=[
        "good",
        "nothing but Upgrade in Connection",
        "one of two wishes",
        "with a body",
        "HTTP/1.0",
        "no Upgrade in Connection",
        "no Connection",
        "no Upgrade",
        "another Upgrade",
        "POST",
        "no key",
        "a short key",
        "two keys",
        "no version",
        "another version",
    ],
)
def test_a_handshake_is_answered_as_it_deserves(sent: bytes, answered: bytes) -> None:
    """An upgrade that does not apply is ignored, and the request is echoed (RFC 9110, 7.8).

    An incomplete handshake is rejected.
    """
    answer = answer_to(sent)
    assert answer.startswith(b"HTTP/1.1 " + answered + b"\r\n")
    assert answer.endswith({b"101": b"/ws greets", b"200": b"\r\n\r\n/ws"}.get(answered[:3], b"\n"))
    byte_by_byte = Served(application=application, limits=LIMITS)
    assert b"".join(byte_by_byte.send(sent[place : place + 1]) for place in range(len(sent))) == answer


def test_what_comes_behind_the_handshake_is_echoed() -> None:
    """Frames in the same segment as the handshake are echoed."""
    assert Client(behind=HI + HI).first == [GREETING, ECHOED_HI, ECHOED_HI]


def test_a_refused_version_is_told_the_one_that_is_spoken() -> None:
    """An unsupported version gets the headers that RFC 9110, 15.5.22 and RFC 6455, 4.4 require."""
    lines = answer_to(head(replaced(b"Sec-WebSocket-Version", b"8"))).split(b"\r\n")
    assert {b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"} <= set(lines)


def test_a_refused_handshake_closes_the_connection() -> None:
    """A rejected handshake closes the connection, because the client may already have sent frames after it."""
    served = Served(application=application, limits=LIMITS)
    served.send(head(replaced(b"Sec-WebSocket-Key")) + HI)
    assert b"\r\nConnection: close\r\n" in served.transport.written
    assert served.after(0) == ["write_eof"]


# frames


@given(case=st.sampled_from(list(CASES.values())), data=st.data())
def test_the_connection_gives_what_the_frames_ask_for(case: Case, data: st.DataObject) -> None:
    """The connection sends the expected frames and is closed after a Close frame, in every delivery."""
    sent, expected = case
    assume(len(sent) < 1000)  # the limit of a message here
    client = Client()
    seen = []
    for piece in cut(sent, data.draw(st.lists(st.integers(0, len(sent)), max_size=5))):
        seen += client.send(piece)
        seen += client.turns()
    assert len(seen) == len(expected)
    assert without_reason(seen)[:-1] == without_reason(expected)[:-1]
    closed = bool(seen) and seen[-1].opcode == CLOSE
    assert client.did() == (["write_eof"] if closed else [])


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_whatever_comes_it_does_not_fail(pieces: list[bytes]) -> None:
    """No input raises an error, and nothing is reported."""
    client = Client((b"Sec-WebSocket-Extensions", b"permessage-deflate"))
    for piece in pieces:
        client.send(piece)
        client.turns()
    client.served.connection.eof_received()
    client.turns()
    assert client.served.reports == []
    assert client.served.connection.is_closing


def test_a_message_is_bounded_by_the_setting(client: Client) -> None:
    """A message above the limit closes with 1009 (RFC 6455, 7.4.1)."""
    assert client.send(frame(TEXT, b"a" * 1000)) == [Seen(TEXT, b"a" * 1000)]
    assert without_reason(client.send(frame(TEXT, b"a" * 1001))) == [Seen(CLOSE, close(1009))]
    assert client.did() == ["write_eof"]
    assert client.send(HI) == []


# time


def test_an_idle_web_socket_is_closed(client: Client) -> None:
    """An idle WebSocket is closed with 1001, and dropped if the client does not reply."""
    assert client.served.after(74) == []
    client.send(frame(PONG))
    assert client.served.after(74) == []
    assert client.served.after(1) == []
    assert client.read() == [Seen(CLOSE, close(1001, b"idle timeout (ECHO_IDLE_TIMEOUT)"))]
    assert client.served.after(1.9) == []
    assert client.served.after(0.1) == ["abort"]


def test_a_web_socket_lives_only_so_long(client: Client) -> None:
    """A WebSocket has a maximum lifetime, whatever is received."""
    for _ in range(199):
        assert client.send(HI) == [ECHOED_HI]
        assert client.served.after(1) == []
    assert client.served.after(1) == []
    assert client.read() == [Seen(CLOSE, close(1001, b"maximum lifetime reached (ECHO_WEBSOCKET_TIMEOUT)"))]


def test_its_life_ends_with_what_comes_when_it_is_over(client: Client) -> None:
    """A message sent just before the end of its lifetime is echoed, then the WebSocket is closed."""
    client.served.now += 200
    assert client.send(HI) == [
        ECHOED_HI,
        Seen(CLOSE, close(1001, b"maximum lifetime reached (ECHO_WEBSOCKET_TIMEOUT)")),
    ]


def test_who_goes_on_sending_is_not_waited_for_longer(client: Client) -> None:
    """Only the client's Close is waited for, and other data does not extend the timeout."""
    client.served.after(75)
    client.read()
    for _ in range(3):
        assert client.send(HI) == []
        assert client.served.after(0.5) == []
    client.send(HI)
    assert client.served.after(0.5) == ["abort"]


def test_the_clients_answer_to_a_close_ends_it(client: Client) -> None:
    """When both sides have sent a Close frame, the server closes the connection (RFC 6455, 7.1.1)."""
    client.served.after(75)
    client.read()
    assert client.send(frame(CLOSE, close(1001))) == []
    assert client.did() == ["write_eof"]


# the end


def test_the_end_of_what_the_client_sends_is_the_end(client: Client) -> None:
    """When the client ends its side, the connection is closed, because there is nothing to wait for."""
    assert client.served.connection.eof_received()
    assert client.read() == []
    assert client.did() == ["close"]


def test_what_came_before_the_end_is_echoed() -> None:
    """Data before the client's end is echoed, also if that takes several turns of the loop."""
    client = Client((b"Sec-WebSocket-Extensions", b"permessage-deflate"))
    seen = client.send(2000 * packed(bytes(1000)) + frame(CLOSE, close(1000)))
    client.served.connection.eof_received()
    assert client.did() == []
    seen += client.turns()
    assert seen[-1] == Seen(CLOSE, close(1000))
    assert unpacked(seen[:-1]) == 2000 * [bytes(1000)]
    assert client.did() == ["close"]


def test_a_stop_closes_it(client: Client) -> None:
    """A graceful shutdown closes with 1001, and drops the connection if the client does not reply."""
    client.served.service.begin_shutdown()
    assert client.read() == [Seen(CLOSE, close(1001, b"server is shutting down"))]
    client.served.service.close_idle()
    assert client.read() == []
    assert client.served.after(1.9) == []
    assert client.served.after(0.1) == ["abort"]


def test_a_stop_comes_behind_what_was_sent_before() -> None:
    """Received data is echoed before the Close of a graceful shutdown."""
    client = Client(behind=3000 * HI)
    assert len(client.first) < 3001
    client.served.service.begin_shutdown()
    seen = client.first + client.turns()
    assert seen == [GREETING, *3000 * [ECHOED_HI], Seen(CLOSE, close(1001, b"server is shutting down"))]


def test_a_stop_comes_also_within_a_message(client: Client) -> None:
    """The Close of a graceful shutdown may be sent between fragments (RFC 6455, 5.4)."""
    client.send(frame(TEXT, b"a", fin=False))
    client.served.service.begin_shutdown()
    assert client.read() == [Seen(CLOSE, close(1001, b"server is shutting down"))]
    assert client.send(frame(CONT, b"b") + frame(CLOSE, close(1001))) == []
    assert client.did() == ["write_eof"]


def test_a_close_within_a_message_answers_a_stop(client: Client) -> None:
    """A client may reply to a shutdown with Close within a message, which it abandons."""
    client.send(frame(TEXT, b"a", fin=False))
    client.served.service.begin_shutdown()
    client.read()
    assert client.send(frame(CLOSE, close(1001))) == []
    assert client.did() == ["write_eof"]


def test_who_comes_while_it_stops_is_greeted_and_closed() -> None:
    """A WebSocket opened during a graceful shutdown is greeted and closed at once, or it would delay it."""
    served = Served(application=application, limits=LIMITS)
    served.service.begin_shutdown()
    written = served.send(head())
    seen = read_frames(written[written.index(b"\r\n\r\n") + 4 :])
    assert seen == [GREETING, Seen(CLOSE, close(1001, b"server is shutting down"))]


# others are served in between


@pytest.mark.parametrize("flood", [frame(PING), HI], ids=["pings", "messages"])
def test_a_flood_is_echoed_in_turns(flood: bytes) -> None:
    """A flood is echoed in several turns, between which nothing more of it is read, and others are served."""
    client = Client()
    seen = client.send(3000 * flood)
    assert client.served.after(0) == ["pause_reading"]
    other, transport = client.served.connect()
    other.data_received(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
    assert transport.written.endswith(b"/other")
    assert 0 < len(seen) < 1000
    turns = 0
    while client.served.turns:
        client.served.turn()
        seen += client.read()
        turns += 1
    assert turns > 3
    assert len(seen) == 3000
    assert client.served.after(0)[-1] == "resume_reading"


def test_what_comes_between_turns_waits_for_its_own() -> None:
    """Data received between turns waits for its own turn: a transport may have read it already."""
    client = Client(behind=3000 * HI)
    assert client.send(HI) == []
    assert len(client.first + client.turns()) == 3002


def test_a_client_that_does_not_read_is_not_read() -> None:
    """Nothing is echoed to a client that does not read until it reads, and it is dropped if it never does."""
    client = Client()
    client.served.connection.pause_writing()
    assert client.served.after(0) == ["pause_reading"]
    assert client.send(HI) == []
    assert client.served.after(29) == []
    client.served.connection.resume_writing()
    assert client.read() == [ECHOED_HI]
    assert client.served.after(0) == ["resume_reading"]
    client.served.connection.pause_writing()
    assert client.served.after(30) == ["pause_reading", "abort"]


def test_a_client_that_stops_reading_within_a_flood_is_waited_for() -> None:
    """If a client stops reading within a flood, the next turn does nothing for it, and it continues later."""
    client = Client(behind=3000 * HI)
    client.served.connection.pause_writing()
    assert client.turns() == []
    client.served.connection.resume_writing()
    assert len(client.first + client.read() + client.turns()) == 3001


def test_a_stop_waits_for_a_client_that_does_not_read() -> None:
    """A graceful shutdown waits for a client that does not read, which then has the timeout of a Close reply."""
    client = Client(behind=HI)
    client.served.connection.pause_writing()
    client.send(HI)
    client.served.service.begin_shutdown()
    assert client.served.after(5) == ["pause_reading"]
    client.served.connection.resume_writing()
    assert client.turns() == [ECHOED_HI, Seen(CLOSE, close(1001, b"server is shutting down"))]
    client.served.after(1.9)
    assert client.send(frame(CLOSE, close(1001))) == []
    assert client.did() == ["write_eof"]


def test_a_stop_waits_also_where_nothing_is_to_be_echoed(client: Client) -> None:
    """The timeout of the Close reply starts when the client reads again, even if nothing is to be echoed."""
    client.served.connection.pause_writing()
    client.served.service.begin_shutdown()
    client.served.after(5)
    client.served.connection.resume_writing()
    assert client.read() == [Seen(CLOSE, close(1001, b"server is shutting down"))]
    assert client.served.after(1.9) == ["resume_reading"]
    assert client.served.after(0.1) == ["abort"]


def test_bombs_are_bounded_and_echoed_in_turns() -> None:
    """A decompressed message above the limit closes the WebSocket; many within it are spread over turns."""
    offer = (b"Sec-WebSocket-Extensions", b"permessage-deflate")
    client = Client(offer)
    seen = client.send(1000 * packed(bytes(1000)))
    turns = 0
    while client.served.turns:
        client.served.turn()
        turns += 1
    seen += client.read()
    assert turns > 3
    assert unpacked(seen) == 1000 * [bytes(1000)]
    assert without_reason(client.send(packed(bytes(1001)))) == [Seen(CLOSE, close(1009))]
    assert without_reason(Client(offer, behind=frame(BINARY, b"\xff", rsv=4)).first)[1:] == [FAILED]
