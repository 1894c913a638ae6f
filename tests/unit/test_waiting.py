"""The memory budget of a worker: incomplete requests, unread output."""

import pytest

from app.config.settings import DEFAULT_MEMORY_BUDGET
from app.server.limits import RequestLimits
from app.server.memory_budget import MemoryBudget
from app.server.process.file_limits import connections_for_files
from app.server.state import MAX_REJECTED_CONNECTIONS
from tests.http import raw_http2
from tests.http.raw_websocket import HANDSHAKE
from tests.unit.served import Served

LIMITS = RequestLimits(head_size=65_536, header_count=100, body_size=1 << 20)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = [(b":method", b"PUT"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]
OPENING = raw_http2.PREFACE + raw_http2.frame("SETTINGS", 0, 0)


def data(size: int) -> bytes:
    """Return a piece of an unfinished body on stream 1."""
    return raw_http2.frame("DATA", 0, 1, bytes(size))


# By kind of incomplete data: bytes before it, the data, bytes that complete it, and the rejection of more of it.
HELD: dict[str, tuple[bytes, bytes, bytes, bytes]] = {
    "half a head": (b"", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 900, b"\r\n\r\n", b" 503 "),
    "half a body": (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n", b"y" * 899, b"y", b" 503 "),
    "half a chunk": (
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"400\r\n" + b"y" * 900,
        b"y" * 124 + b"\r\n0\r\n\r\n",
        b" 503 ",
    ),
    "half a body of HTTP/2": (
        OPENING + raw_http2.headers(1, PUT, ends=False),
        data(900),
        raw_http2.frame("DATA", 1, 1, b"y"),
        b"memory budget exhausted (ECHO_MEMORY_BUDGET)",
    ),
    "half a frame of HTTP/2": (OPENING, data(900)[:800], b"", b"memory budget exhausted (ECHO_MEMORY_BUDGET)"),
    "half a frame of a WebSocket": (HANDSHAKE, b"\x82\xfe\x03\x84" + bytes(800), bytes(104), b""),
}


@pytest.mark.parametrize("case", HELD)
def test_what_is_not_whole_is_counted_until_it_is(case: str) -> None:
    """Incomplete data is counted until it is complete, or the connection is gone; then nothing is counted."""
    first, held, end, _ = HELD[case]
    served = Served(limits=LIMITS)
    served.send(first)
    served.send(held)
    assert served.service.memory_budget.used >= 800
    if end:
        served.send(end)
        served.turn(100)
        assert served.service.memory_budget.used == 0
        served.send(held[:50])
    served.connection.connection_lost(None)
    assert served.service.memory_budget.used == 0


@pytest.mark.parametrize("case", HELD)
def test_who_would_have_too_much_held_is_refused(case: str) -> None:
    """A client above the memory budget is rejected, with a reason if possible, and nothing of it is kept.

    Small requests of others are answered.
    """
    first, held, _, refusal = HELD[case]
    served = Served(limits=LIMITS)
    served.send(first)
    waiting = served.service.memory_budget
    others = DEFAULT_MEMORY_BUDGET - 700 - waiting.used
    waiting.used += others
    answer = served.send(held)
    assert refusal in answer
    ended = {"half a body of HTTP/2": [], "half a frame of a WebSocket": ["abort"]}  # of the first, the stream alone
    assert served.after(0)[-1:] == ended.get(case, ["write_eof"])
    other, transport = served.connect()
    other.data_received(GET)
    assert transport.written.startswith(b"HTTP/1.1 200 ")
    served.connection.connection_lost(None)
    assert served.service.memory_budget.used == others


def test_what_a_client_does_not_read_is_counted_until_it_does() -> None:
    """Unread output is counted until it is read, and a client that exceeds the memory budget with it is dropped."""
    served = Served(limits=LIMITS)
    served.service.memory_budget = MemoryBudget(100_000)
    served.send(GET)
    served.transport.unread = 70_000
    served.connection.pause_writing()
    assert served.service.memory_budget.used == 70_000
    other, transport = served.connect()
    other.data_received(GET)
    transport.unread = 40_000
    other.pause_writing()
    assert transport.did[-1:] == ["abort"]
    other.connection_lost(None)
    assert served.service.memory_budget.used == 70_000
    served.transport.unread = 0
    served.connection.resume_writing()
    assert served.service.memory_budget.used == 0
    assert served.send(GET).startswith(b"HTTP/1.1 200 ")


def test_an_idle_connection_keeps_nothing_of_what_it_was_asked() -> None:
    """An idle connection keeps nothing of its requests, however large they were."""
    served = Served(limits=LIMITS)
    for _ in range(2):
        assert b" 200 " in served.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 60_000 + b"\r\n\r\n")
        session = served.connection._handler  # noqa: SLF001 - there is no other way to see what is kept
        assert session is not None
        assert (served.connection._sniffed, session.buffered_bytes) == (b"", 0)  # noqa: SLF001


def test_a_flood_of_connections_is_told_once_and_closed() -> None:
    """Of connections above the limit, a hundred get 503, and others are only closed, because each needs a descriptor.

    It is reported once.
    """
    served = Served(connections=3)
    serving = [served.transport] + [served.connect()[1] for _ in range(2)]
    refused = [served.connect()[1] for _ in range(MAX_REJECTED_CONNECTIONS)]
    closed = [served.connect()[1] for _ in range(10)]
    assert [transport.did for transport in serving] == [[]] * 3
    assert {transport.written.split(b"\r\n")[0] for transport in refused} == {b"HTTP/1.1 503 Service Unavailable"}
    assert [(transport.written, transport.did) for transport in closed] == [(b"", ["abort"])] * 10
    (told,) = served.reports
    assert told.startswith("connection limit reached: 3 open (ECHO_MAX_CONNECTIONS); rejecting new ones with 503")
    served.now += 61
    served.connect()
    assert len(served.reports) == 2, "it is said again after a while"


@pytest.mark.parametrize(("files", "fit"), [(1 << 20, (1 << 20) - 256), (1024, 768), (256, 192), (64, 32), (20, 1)])
def test_of_the_files_that_may_be_open_some_are_kept_back(files: int, fit: int) -> None:
    """Some file descriptors are reserved for listeners, probes and rejected connections."""
    assert connections_for_files(files) == fit


@pytest.mark.parametrize(("taken", "lives"), [(30, True), (29, False)], ids=["just fast enough", "too slow"])
def test_a_client_that_reads_slowly_is_not_taken_for_one_that_does_not_read(taken: int, *, lives: bool) -> None:
    """A client that reads at the minimum body rate is kept, even if it takes long until there is room for more."""
    served = Served(limits=LIMITS)
    served.send(GET)
    served.transport.unread = 70_000
    served.connection.pause_writing()
    for _ in range(4):
        served.transport.unread -= taken
        served.after(30)
    assert served.transport.ended is not lives


@pytest.mark.parametrize(("taken", "lives"), [(30, True), (0, False)], ids=["reads", "does not read"])
def test_a_client_may_take_its_time_for_the_last_of_an_answer_too(taken: int, *, lives: bool) -> None:
    """A connection closed after a response is not dropped before the client has received it."""
    served = Served(limits=LIMITS)
    served.transport.unread = 20_000
    served.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    did: list[str] = []
    for _ in range(4):
        served.transport.unread -= taken
        did += served.after(30)
    assert ("abort" in did) is not lives
    served.transport.unread = 0
    assert served.after(30)[-1:] == ["abort"], "it has all, and does not close"
