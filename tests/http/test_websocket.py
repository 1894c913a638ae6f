"""WebSocket over real sockets, with the `websockets` library's client."""

import json
import random
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.http.process import DEADLINE, Echo, read_to_end, running
from tests.unit.test_websocket import BINARY, CLOSE, GOOD, HI, TEXT, close, frame, read_frames

RANDOM = random.Random(1)  # noqa: S311 - any bytes, the same ones each time
MESSAGES: dict[str, str | bytes] = {
    "empty text": "",
    "no bytes": b"",
    "text": "hello",
    "Unicode": "κόσμε \U0001f389 \x00 \uffff",
    "all bytes": bytes(range(256)),
    "64 KiB": b"*" * 65_536,
    "the largest": bytes(1 << 20),
    "the largest, at random": RANDOM.randbytes(1 << 20),
    "the largest text": "ä" * (1 << 19),
}


def opened(echo: Echo, path: str = "/", **options: Any) -> ClientConnection:
    """Open a WebSocket without the client's keepalive pings."""
    settings: dict[str, Any] = {
        "proxy": None,
        "ping_interval": None,
        "open_timeout": DEADLINE,
        "close_timeout": DEADLINE,
        "max_size": 1 << 21,  # counts compressed bytes, and incompressible messages become longer
    }
    client: ClientConnection = connect(f"ws://127.0.0.1:{echo.port}{path}", **settings | options)
    return client


def greeting(client: ClientConnection) -> dict[str, Any]:
    """Receive the first message, a reflection."""
    reflection = json.loads(client.recv(DEADLINE))
    assert isinstance(reflection, dict)
    return reflection


@pytest.fixture(params=["deflate", None], ids=["compressed", "as it is"])
def client(echo: Echo, request: pytest.FixtureRequest) -> Iterator[ClientConnection]:
    """Yield a client that has received the first message."""
    with opened(echo, compression=request.param) as client:
        greeting(client)
        yield client


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_every_message_comes_back_as_it_was(client: ClientConnection, message: str | bytes) -> None:
    """Every message is echoed unchanged, text as text and bytes as bytes."""
    client.send(message)
    assert client.recv(DEADLINE) == message


def test_messages_come_back_in_their_order(client: ClientConnection) -> None:
    """Messages are echoed in order, even if all were sent before the first was read."""
    messages = [RANDOM.randbytes(RANDOM.choice((0, 10, 1000, 10_000))) for _ in range(100)]
    for message in messages:
        client.send(message)
    assert [client.recv(DEADLINE) for _ in messages] == messages


@pytest.mark.parametrize("parts", [["a", "b", "c"], ["", ""], [b"\xff", b"", b"\x00" * 70_000]])
def test_fragments_come_back_one_by_one(client: ClientConnection, parts: list[Any]) -> None:
    """Fragments are echoed one by one, not joined."""
    client.send(iter(parts))
    come = list(client.recv_streaming())
    # The library ends a message from an iterator with an empty fragment.
    assert come == [*parts, type(parts[0])()]


def test_a_ping_is_answered(client: ClientConnection) -> None:
    """A ping gets a pong with its payload, for which the library waits."""
    assert client.ping(b"are you there?").wait(DEADLINE)


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1013, 3000, 4999])
def test_a_close_comes_back(client: ClientConnection, code: int) -> None:
    """A close is echoed with its code and reason."""
    client.close(code, "tschüß")
    assert (client.close_code, client.close_reason) == (code, "tschüß")
    assert client.protocol.close_rcvd == client.protocol.close_sent


def test_what_is_too_large_is_refused(client: ClientConnection) -> None:
    """A message above the limit closes the WebSocket with 1009 (RFC 6455, 7.4.1)."""
    with pytest.raises(ConnectionClosed):  # during the send, or after it
        client.send(b"*" * ((1 << 20) + 1))
        client.recv(DEADLINE)
    assert client.close_code == 1009


def test_the_first_message_shows_the_handshake(echo: Echo) -> None:
    """The first message reflects the handshake on any path, with its headers in the order sent."""
    with opened(echo, "/a%2Fb//c?d=%20&e", additional_headers={"X_Own": "1"}, origin="http://o.test") as client:
        reflection = greeting(client)
        assert client.request is not None
        sent = [[name, value] for name, value in client.request.headers.raw_items()]
    assert (reflection["path"], reflection["method"], reflection["proto"]) == ("/a%2Fb//c?d=%20&e", "GET", "HTTP/1.1")
    assert reflection["query"] == [["d", " "], ["e", ""]]
    assert reflection["received"] == sent
    names = [name for name, _ in sent]
    assert {"Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions", "X_Own"} < set(names)


@pytest.mark.parametrize(
    ("accept", "begins"),
    [("*/*", "{"), ("application/json", "{"), ("text/plain", "GET /a HTTP/1.1\r\n"), ("image/png, text/plain", "GET ")],
)
def test_accept_chooses_what_the_first_message_is(echo: Echo, accept: str, begins: str) -> None:
    """The first message has the type that Accept selects, JSON by default."""
    with opened(echo, "/a", additional_headers={"Accept": accept}) as client:
        first = client.recv(DEADLINE)
    assert isinstance(first, str)
    assert first.startswith(begins)


@pytest.mark.parametrize(("offered", "taken"), [(["chat", "b"], "chat"), (None, None)])
def test_the_first_subprotocol_is_taken(echo: Echo, offered: list[Subprotocol] | None, taken: str | None) -> None:
    """The first subprotocol offered, which the client prefers, is selected."""
    with opened(echo, subprotocols=offered) as client:
        assert client.subprotocol == taken


def test_compression_is_taken_when_it_is_offered(echo: Echo) -> None:
    """Compression is used only if the client offers it."""
    with opened(echo) as compressed, opened(echo, compression=None) as plain:
        assert [each.name for each in compressed.protocol.extensions] == ["permessage-deflate"]
        assert plain.protocol.extensions == []


def test_half_a_handshake_is_refused(echo: Echo) -> None:
    """An invalid handshake gets 400."""
    with pytest.raises(InvalidStatus) as refused:
        opened(echo, additional_headers={"Sec-WebSocket-Version": "8"})
    assert refused.value.response.status_code == 400


def test_a_hundred_are_served_at_once(echo: Echo) -> None:
    """A hundred simultaneous WebSockets each get their own messages."""
    with ExitStack() as stack:
        clients = [stack.enter_context(opened(echo, f"/{number}")) for number in range(100)]
        for number, client in enumerate(clients):
            client.send(f"from {number}")
        for number, client in enumerate(clients):
            assert greeting(client)["path"] == f"/{number}"
            assert client.recv(DEADLINE) == f"from {number}"


def raw(echo: Echo) -> socket.socket:
    """Open a WebSocket without a library, so that only the test reads from it."""
    sock = echo.connect()
    fields = b"".join(b"%s: %s\r\n" % field for field in GOOD)
    sock.sendall(b"GET / HTTP/1.1\r\n" + fields + b"\r\n")
    return sock


def send_until_it_is_not_read(sock: socket.socket, data: bytes) -> int:
    """Send until nothing more is accepted, or far more than all buffers hold; return the number of bytes."""
    sock.settimeout(1)  # seconds without progress; the echo may merely be slower than the test
    sent = 0
    while sent < 1 << 28:
        try:
            sent += sock.send(data[sent % len(data) :])
        except TimeoutError:
            return sent
    raise AssertionError(f"{sent} bytes were taken of a client that does not read")


def test_who_does_not_read_is_not_read(echo: Echo) -> None:
    """From a client that does not read, nothing more is read, so that its memory is bounded; others are served."""
    with raw(echo) as sock:
        send_until_it_is_not_read(sock, frame(BINARY, bytes(100_000)))
        with opened(echo) as client:
            greeting(client)
            client.send("hi")
            assert client.recv(DEADLINE) == "hi"


def test_who_never_reads_is_dropped() -> None:
    """A client that never reads is disconnected after ECHO_BODY_TIMEOUT."""
    with running(body_timeout=1) as echo, raw(echo) as sock, pytest.raises(ConnectionError):
        send_until_it_is_not_read(sock, frame(BINARY, bytes(100_000)))  # on a busy machine, it may be raised here
        sock.settimeout(DEADLINE)
        while True:
            sock.sendall(HI)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"idle_timeout": 1}, "idle timeout (ECHO_IDLE_TIMEOUT)"),
        ({"websocket_timeout": 1}, "maximum lifetime reached (ECHO_WEBSOCKET_TIMEOUT)"),
    ],
    ids=["idle", "too old"],
)
def test_its_time_is_bounded(settings: dict[str, int], says: str) -> None:
    """Both time limits close the WebSocket with 1001 and a reason, and nothing is logged."""
    with running(**settings) as echo:
        with opened(echo) as client:
            greeting(client)
            with pytest.raises(ConnectionClosed):
                client.recv(DEADLINE)
            assert (client.close_code, client.close_reason) == (1001, says)
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""


def test_nonsense_ends_one_connection_and_nothing_else() -> None:
    """Invalid data ends only its connection, with a Close frame for the reason, and nothing is logged."""
    with running() as echo:
        for nonsense in (b"\xff" * 100, frame(TEXT, b"\xff"), frame(3), frame(CLOSE, b"\x00"), HI[:3], b"\x82\xff" * 9):
            with raw(echo) as sock:
                sock.sendall(nonsense)
                sock.shutdown(socket.SHUT_WR)
                answered = read_to_end(sock)
            seen = read_frames(answered[answered.index(b"\r\n\r\n") + 4 :])
            assert seen[0].opcode == TEXT
            assert all(each.opcode == CLOSE and each.payload >= close(1002) for each in seen[1:])
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""
