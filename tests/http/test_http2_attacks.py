"""Attacks on HTTP/2 over a real socket, while other clients are served.

Each row is one attack: what is sent after the opening, how the connection ends, and the limit that applies. The clients
do no more than the published attacks do: CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2024-27316, CVE-2025-8671 and
similar ones.
"""

import struct
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.http.process import DEADLINE, Echo, read_answer, running
from tests.http.raw_http2 import FLAGS, Client, Stream, frame, headers, opening, request

CALM: Final = "ENHANCE_YOUR_CALM"
MOST_GROWTH: Final = 16 << 20  # bytes by which one attack may grow the worker's memory, most of it the allocator's
SECONDS: Final = 0.4  # timeout of the echo for a body, or for a client that does not read
MANY: Final = 1500  # above the number of nuisances accepted at once and in ten further seconds
_WINDOW: Final = struct.Struct(">I")
_SETTING: Final = struct.Struct(">HI")
_TABLE, _INITIAL_WINDOW = 1, 4  # RFC 9113, 6.5.2
_SLOW: Final = b"/?echo_delay=60s"
_SMALL_BLOCK: Final = b"\x82\x86\x84\x41\x01a"  # GET http / a (RFC 7541, A)


class Attack(NamedTuple):
    """The frames, the error code of the GOAWAY that ends the connection (None: it stays open), and the limit.

    `stream` is how stream 1 ends if the connection stays open: a status, or the error code of its reset.
    """

    sends: Callable[[], Iterator[bytes] | list[bytes]]
    goaway: str | None
    bound: str
    stream: int | str | None = None


def window(stream: int, more: int) -> bytes:
    """Return a WINDOW_UPDATE frame."""
    return frame("WINDOW_UPDATE", 0, stream, _WINDOW.pack(more))


def settings(*pairs: tuple[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame("SETTINGS", 0, 0, b"".join(_SETTING.pack(*pair) for pair in pairs))


@cache
def _asked(path: bytes) -> bytes:
    return request(path, 0)


@cache
def _begun(fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    pseudo = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")]
    return headers(0, [*pseudo, *fields], ends=False)


def on(stream: int, one: bytes) -> bytes:
    """Return a frame, moved to another stream (RFC 9113, 4.1)."""
    return one[:5] + _WINDOW.pack(stream) + one[9:]


def ask(path: bytes, stream: int) -> bytes:
    """Return a plain request, encoded once."""
    return on(stream, _asked(path))


def post(stream: int, *fields: tuple[bytes, bytes]) -> bytes:
    """Return the headers of a request whose body follows, encoded once."""
    return on(stream, _begun(fields))


def block(payload: bytes, stream: int = 1) -> bytes:
    """Return a header block, in as many frames as it needs."""
    pieces = [payload[start : start + 16_384] for start in range(0, len(payload), 16_384)]
    kinds = ["HEADERS", *["CONTINUATION"] * (len(pieces) - 1)]
    flags = [FLAGS["END_STREAM"], *[0] * (len(pieces) - 1)]
    flags[-1] |= FLAGS["END_HEADERS"]
    return b"".join(frame(kind, flag, stream, piece) for kind, flag, piece in zip(kinds, flags, pieces, strict=True))


def on_streams(make: Callable[[int], bytes], count: int = MANY) -> Callable[[], Iterator[bytes]]:
    """Send the same on one stream after the other."""
    return lambda: (make(stream) for stream in range(1, 2 * count, 2))


def behind(first: bytes, piece: bytes, count: int) -> Callable[[], list[bytes]]:
    """Send something once, then something else many times."""
    return lambda: [first + piece, *[piece * 100] * (count // 100)]


def made_reset(provoke: Callable[[int], bytes]) -> Callable[[], Iterator[bytes]]:
    """Send requests for slow responses, and make the server reset them (CVE-2025-8671)."""
    return on_streams(lambda stream: ask(_SLOW, stream) + provoke(stream))


def dribble() -> Iterator[bytes]:
    """Request a large response, and open its window byte by byte (CVE-2019-9511)."""
    yield settings((_INITIAL_WINDOW, 0)) + request(b"/?echo_size=10MiB", 1)
    yield from [(window(1, 1) + window(0, 1)) * 100] * 250


NUISANCES = "1,000 frames that only cost, and 50 a second (flood_guard.py)"
IDLE_BYTES = "eight bytes of other frames for each of heads and bodies, and 256 KiB (flood_guard.py)"
BLOCK = "256 KiB, 64 CONTINUATION frames, of a header block (header_blocks.py)"

ATTACKS = {
    "rapid reset": Attack(
        on_streams(lambda stream: ask(b"/", stream) + frame("RST_STREAM", 0, stream, _WINDOW.pack(8))),
        CALM,
        NUISANCES,
    ),
    "rapid reset of what takes time": Attack(
        on_streams(lambda stream: ask(_SLOW, stream) + frame("RST_STREAM", 0, stream, _WINDOW.pack(8))),
        CALM,
        NUISANCES,
    ),
    "made reset by a window of nothing": Attack(made_reset(lambda stream: window(stream, 0)), CALM, NUISANCES),
    "made reset by a window too large": Attack(
        made_reset(lambda stream: window(stream, (1 << 31) - 1)), CALM, NUISANCES
    ),
    "made reset by DATA behind the end": Attack(
        made_reset(lambda stream: frame("DATA", 0, stream, b"a")), CALM, NUISANCES
    ),
    "made reset by HEADERS behind the end": Attack(made_reset(post), CALM, NUISANCES),
    "made reset by a PRIORITY cut": Attack(
        made_reset(lambda stream: frame("PRIORITY", 0, stream, b"1234")), CALM, NUISANCES
    ),
    "made reset by a PRIORITY of itself": Attack(
        made_reset(lambda stream: frame("PRIORITY", 0, stream, _WINDOW.pack(stream) + b"\0")), CALM, NUISANCES
    ),
    "made reset by a body of another length": Attack(
        on_streams(lambda stream: post(stream, (b"content-length", b"1")) + frame("DATA", 1, stream, b"ab")),
        CALM,
        NUISANCES,
    ),
    "made reset by trailers that do not end": Attack(
        on_streams(lambda stream: post(stream) + headers(stream, [(b"a", b"b")], ends=False)), CALM, NUISANCES
    ),
    "malformed requests": Attack(on_streams(lambda stream: block(b"\x82", stream)), CALM, NUISANCES),
    "streams that are never finished": Attack(on_streams(post), CALM, "100 streams; each more is refused, a nuisance"),
    "as many streams as may be, never finished": Attack(
        on_streams(post, 100), None, "the time of a body: 408", stream=408
    ),
    "windows of nothing and large answers": Attack(
        lambda: [settings((_INITIAL_WINDOW, 0)), *(request(b"/?echo_size=10MiB", n) for n in range(1, 200, 2))],
        None,
        "the time of an answer that is not read",
        stream="CANCEL",
    ),
    "an answer byte by byte": Attack(dribble, CALM, IDLE_BYTES),
    "WINDOW_UPDATE by one": Attack(behind(b"", window(0, 1), 40_000), CALM, IDLE_BYTES),
    "WINDOW_UPDATE with an increment of 0": Attack(behind(b"", window(0, 0), 100), "PROTOCOL_ERROR", "RFC 9113, 6.9"),
    "WINDOW_UPDATE too large": Attack(
        behind(b"", window(0, (1 << 31) - 1), 100), "FLOW_CONTROL_ERROR", "RFC 9113, 6.9.1"
    ),
    "PING": Attack(behind(b"", frame("PING", 0, 0, bytes(8)), MANY), CALM, NUISANCES),
    "PING acknowledged": Attack(behind(b"", frame("PING", 1, 0, bytes(8)), 40_000), CALM, IDLE_BYTES),
    "SETTINGS": Attack(behind(b"", settings(), MANY), CALM, NUISANCES),
    "SETTINGS acknowledged": Attack(behind(b"", frame("SETTINGS", 1, 0), 60_000), CALM, IDLE_BYTES),
    "SETTINGS of many tables": Attack(
        lambda: [*[settings(*[(_TABLE, 0), (_TABLE, 4096)] * 1365)] * 100, request(b"/", 1)],
        None,
        "a head tells two sizes of its table (frame_writer.py)",
        stream=200,
    ),
    "SETTINGS of many windows": Attack(
        lambda: [
            *(post(stream) for stream in range(1, 200, 2)),
            *[settings(*[(_INITIAL_WINDOW, 0), (_INITIAL_WINDOW, 1)] * 1365)] * 100,
        ],
        None,
        "the windows of streams are moved once a frame",
        stream=408,
    ),
    "PRIORITY": Attack(behind(b"", frame("PRIORITY", 0, 3, bytes(5)), MANY), CALM, NUISANCES),
    "unknown frames": Attack(behind(b"", frame(0x77, 0, 0), 60_000), CALM, IDLE_BYTES),
    "unknown frames, large": Attack(lambda: [frame(0x77, 0, 0, bytes(16_384))] * 100, CALM, IDLE_BYTES),
    "DATA without data": Attack(behind(post(1), frame("DATA", 0, 1), MANY), CALM, NUISANCES),
    "DATA all padding": Attack(behind(post(1), frame("DATA", 8, 1, b"\xff" + bytes(255)), MANY), CALM, NUISANCES),
    "DATA of a byte and padding": Attack(
        behind(post(1), frame("DATA", 8, 1, b"\xff" + bytes(256)), 2000), CALM, IDLE_BYTES
    ),
    "CONTINUATION without fields": Attack(
        behind(frame("HEADERS", 0, 1), frame("CONTINUATION", 0, 1), MANY), CALM, BLOCK
    ),
    "CONTINUATION without end": Attack(
        lambda: [frame("HEADERS", 0, 1), *[frame("CONTINUATION", 0, 1, b"\x82" * 16_384)] * 100], CALM, BLOCK
    ),
    "CONTINUATION without HEADERS": Attack(
        behind(b"", frame("CONTINUATION", 4, 1), 100), "PROTOCOL_ERROR", "RFC 9113, 6.10"
    ),
    "HPACK: indexed fields": Attack(lambda: [block(_SMALL_BLOCK + b"\x82" * 200_000)], CALM, "256 KiB of fields"),
    "HPACK: a large entry, many times": Attack(
        lambda: [block(_SMALL_BLOCK + b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 15_000)],
        CALM,
        "256 KiB of fields",
    ),
    "HPACK: sizes of the table": Attack(
        lambda: [block(b"\x20" * 200_000 + _SMALL_BLOCK)], "COMPRESSION_ERROR", "two sizes (RFC 7541, 4.2)"
    ),
    "HPACK: much that is Huffman coded": Attack(
        lambda: [block(_SMALL_BLOCK + b"\x00\x01x\xff\x81\xf0\x04" + bytes(80_000))],
        None,
        "a head of 64 KiB",
        stream=431,
    ),
    "PUSH_PROMISE": Attack(
        behind(post(1), frame("PUSH_PROMISE", 4, 1, _WINDOW.pack(2) + _SMALL_BLOCK), 100),
        "PROTOCOL_ERROR",
        "RFC 9113, 8.4",
    ),
}


@pytest.fixture(scope="module")
def hasty() -> Iterator[Echo]:
    """Yield an echo with short timeouts."""
    with running(body_timeout=SECONDS) as echo:
        echo.get("/")  # its worker is running, and has loaded what it needs
        yield echo
        assert echo.process.poll() is None, "it has lived through all of it"


def memory(echo: Echo) -> int:
    """Return the memory of an echo's workers in bytes."""
    workers = echo.workers()
    assert workers
    said = [Path(f"/proc/{worker}/status").read_text() for worker in workers]
    return sum(int(text.partition("VmRSS:")[2].split()[0]) * 1024 for text in said)


def send(client: Client, attack: Attack) -> None:
    """Send the frames of an attack while the connection lasts."""
    for piece in attack.sends():
        client.send(piece)


def ended(client: Client, attack: Attack) -> bool:
    """Return whether an attack has ended, as far as the client has received it."""
    if client.goaway is not None:
        return True
    return attack.goaway is None and client.streams.get(1, Stream()).over


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_ends_and_others_are_served(hasty: Echo, attack: Attack) -> None:
    """An attack ends with its GOAWAY code or with its streams; others are served, and memory stays bounded."""
    before = memory(hasty)
    with hasty.connect() as sock, hasty.connect() as other:
        client = Client(sock)
        client.send(opening())
        client.hear(lambda: bool(client.frames))  # its SETTINGS are acknowledged: from here on, one thread sends
        sender = threading.Thread(target=send, args=(client, attack))
        listener = threading.Thread(target=client.hear, args=(lambda: ended(client, attack),))
        sender.start()
        listener.start()
        served = 0
        while listener.is_alive() or sender.is_alive() or not served:
            other.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % served)
            answer, body = read_answer(other)
            assert (answer.status, body) == (200, b"<b>Got: %d</b>!" % served)
            served += 1
        assert client.goaway == attack.goaway
        if attack.goaway is None:
            first = client.streams[1]
            assert attack.stream in {first.status, first.reset}
            client.send(request(b"/after", 9999))
            client.hear(lambda: client.over(9999))
            assert client.streams[9999].status == 200
        else:
            client.hear()  # until it is closed: RFC 9113, 5.4.1
    assert memory(hasty) - before < MOST_GROWTH


def test_a_client_that_never_reads_is_dropped(hasty: Echo) -> None:
    """A timeout disconnects a client that never reads, and sends while responses wait (CVE-2019-9517)."""
    before = memory(hasty)
    with hasty.connect() as sock:
        sock.settimeout(DEADLINE)
        sock.sendall(opening() + b"".join(request(b"/?echo_size=100MiB", stream) for stream in range(1, 200, 2)))
        with pytest.raises(ConnectionError):
            for _ in iter(int, 1):
                sock.sendall(frame("PING", 0, 0, bytes(8)))
    assert memory(hasty) - before < MOST_GROWTH
