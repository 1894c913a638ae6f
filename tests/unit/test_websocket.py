"""WebSocket without I/O: rules of RFC 6455 and RFC 7692, one per row.

Each is tested in every delivery.
"""

import random
import tracemalloc
import zlib
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions import Extension

from app.http.errors import ProtocolError
from app.http.request import HeaderList, HttpRequest
from app.server.websocket.echo import WebSocketEcho
from app.server.websocket.handshake import AcceptedHandshake, accept_extended_connect, accept_upgrade

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MOST = 66_000
KEY = b"\x11\xa2\x3c\xf4"
TAIL = b"\x00\x00\xff\xff"


class Seen(NamedTuple):
    """A frame received from the echo."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """Return a client's frame (RFC 6455, 5.2), which may break the rules."""
    length = len(payload)
    short, extended = (
        (length, b"") if length < 126 else (126, length.to_bytes(2)) if length < 1 << 16 else (127, length.to_bytes(8))
    )
    head = bytes([fin << 7 | rsv << 4 | opcode, masked << 7 | short]) + extended
    if not masked:
        return head + payload
    key = (KEY * (length // 4 + 1))[:length]
    return head + KEY + (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(length)


def close(code: int, reason: bytes = b"") -> bytes:
    """Return the payload of a Close frame."""
    return code.to_bytes(2) + reason


def read_frames(data: bytes) -> list[Seen]:
    """Parse what a server sent: complete, unmasked frames."""
    seen = []
    while data:
        short = data[1]
        assert short < 128, "a server does not mask"
        size = {126: 2, 127: 8}.get(short, 0)
        length = int.from_bytes(data[2 : 2 + size]) if size else short
        payload, data, first = data[2 + size : 2 + size + length], data[2 + size + length :], data[0]
        assert len(payload) == length, "half a frame"
        seen.append(Seen(first & 0xF, payload, bool(first & 0x80), first >> 4 & 7))
    return seen


def echoed(
    pieces: Iterable[bytes], extensions: Sequence[Extension] = (), most: int = MOST
) -> tuple[list[Seen], WebSocketEcho]:
    """Return the frames sent back, and the echo itself."""
    echo = WebSocketEcho(extensions, most)
    out = bytearray()
    for piece in pieces:
        echo.echo_input(piece)
        while echo.has_pending_input:
            echo.echo_buffered()
        out += echo.data_to_send()
        if echo.is_finished:
            break
    return read_frames(bytes(out)), echo


def without_reason(seen: list[Seen]) -> list[Seen]:
    """Remove the reasons of Close frames, which are for people."""
    return [Seen(CLOSE, each.payload[:2]) if each.opcode == CLOSE else each for each in seen]


def cut(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Return the pieces between cuts."""
    places = sorted({place for place in cuts if 0 < place < len(data)})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


FAILED = Seen(CLOSE, close(1002))
NOT_UTF_8 = Seen(CLOSE, close(1007))
TOO_BIG = Seen(CLOSE, close(1009))
HI = frame(TEXT, b"hi")
ECHOED_HI = Seen(TEXT, b"hi")

# Bytes sent, and frames received, by name of the case. A received Close frame ends the connection.
Case = tuple[bytes, list[Seen]]
CASES: dict[str, Case] = {}

for kind, name in ((TEXT, "text"), (BINARY, "binary")):
    for length in (0, 1, 125, 126, 127, 128, 65_535, 65_536):
        CASES[f"{name} of {length} bytes"] = frame(kind, b"*" * length), [Seen(kind, b"*" * length)]

CASES |= {
    "binary that is no text": (frame(BINARY, bytes(range(256))), [Seen(BINARY, bytes(range(256)))]),
    "several messages": (HI + frame(BINARY, b"2") + HI, [ECHOED_HI, Seen(BINARY, b"2"), ECHOED_HI]),
    "a frame that is not masked": (HI + frame(TEXT, b"hi", masked=False), [ECHOED_HI, FAILED]),
    "an empty frame that is not masked": (frame(PING, masked=False), [FAILED]),
}

CASES |= {
    f"a ping of {size} bytes": (frame(PING, b"\xfe" * size), [Seen(PONG, b"\xfe" * size)]) for size in (0, 1, 125)
}
CASES |= {
    "a ping of 126 bytes": (frame(PING, bytes(126)), [FAILED]),
    "a pong of 126 bytes": (frame(PONG, bytes(126)), [FAILED]),
    "a fragmented ping": (frame(PING, b"a", fin=False), [FAILED]),
    "a fragmented pong": (frame(PONG, b"a", fin=False), [FAILED]),
    "a pong that nobody asked for": (frame(PONG, b"a") + HI, [ECHOED_HI]),
    "pings in a row": (
        b"".join(frame(PING, b"%d" % each) for each in range(10)),
        [Seen(PONG, b"%d" % each) for each in range(10)],
    ),
    "a ping between messages": (HI + frame(PING, b"a") + HI, [ECHOED_HI, Seen(PONG, b"a"), ECHOED_HI]),
}

for rsv in range(1, 8):
    for kind in (TEXT, BINARY, PING, PONG, CLOSE):
        CASES[f"reserved bits {rsv:03b} of opcode {kind}"] = HI + frame(kind, rsv=rsv) + HI, [ECHOED_HI, FAILED]
for kind in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
    CASES[f"reserved opcode {kind}"] = HI + frame(kind, b"hi") + frame(PING), [ECHOED_HI, FAILED]

FIRST = frame(TEXT, b"fragment 1", fin=False)
SEEN_FIRST = Seen(TEXT, b"fragment 1", fin=False)
LAST = frame(CONT, b"fragment 2")
SEEN_LAST = Seen(CONT, b"fragment 2")
CASES |= {
    "two fragments": (FIRST + LAST, [SEEN_FIRST, SEEN_LAST]),
    "binary fragments": (frame(BINARY, b"\xff", fin=False) + LAST, [Seen(BINARY, b"\xff", fin=False), SEEN_LAST]),
    "a ping between fragments": (FIRST + frame(PING, b"a") + LAST, [SEEN_FIRST, Seen(PONG, b"a"), SEEN_LAST]),
    "a pong between fragments": (FIRST + frame(PONG, b"a") + LAST, [SEEN_FIRST, SEEN_LAST]),
    "many fragments": (
        FIRST + 100 * frame(CONT, b"+", fin=False) + LAST,
        [SEEN_FIRST, *100 * [Seen(CONT, b"+", fin=False)], SEEN_LAST],
    ),
    "empty fragments": (
        frame(TEXT, fin=False) + frame(CONT, fin=False) + frame(CONT),
        [Seen(TEXT, fin=False), Seen(CONT, fin=False), Seen(CONT)],
    ),
    "fragments, then a whole message": (FIRST + LAST + HI, [SEEN_FIRST, SEEN_LAST, ECHOED_HI]),
    "a last fragment without a first": (LAST, [FAILED]),
    "a fragment without a first": (frame(CONT, b"a", fin=False) + HI, [FAILED]),
    "a fragment behind a whole message": (HI + LAST, [ECHOED_HI, FAILED]),
    "a fragment behind the last": (FIRST + LAST + LAST, [SEEN_FIRST, SEEN_LAST, FAILED]),
    "a message within a message": (FIRST + HI, [SEEN_FIRST, FAILED]),
    "another first within a message": (FIRST + FIRST, [SEEN_FIRST, FAILED]),
    "a reserved opcode between fragments": (FIRST + frame(3), [SEEN_FIRST, FAILED]),
}

GOOD_TEXTS = {
    "words": "Hello-µ@ßöäüàá-UTF-8!!",
    "kosme": "κόσμε",
    "each length, its first": "\x00\x80\u0800\U00010000",
    "each length, its last": "\x7f\u07ff\uffff\U0010ffff",
    "around the surrogates": "\ud7ff\ue000",
    "no characters": "\ufffe\U0001fffe\ufdd0",
    "a byte order mark": "\ufeffa",
}
for name, text in GOOD_TEXTS.items():
    raw = text.encode()
    CASES[f"UTF-8, {name}"] = frame(TEXT, raw), [Seen(TEXT, raw)]
    CASES[f"UTF-8, {name}, a byte a fragment"] = (
        b"".join(
            frame(CONT if place else TEXT, raw[place : place + 1], fin=place == len(raw) - 1)
            for place in range(len(raw))
        ),
        [Seen(CONT if place else TEXT, raw[place : place + 1], fin=place == len(raw) - 1) for place in range(len(raw))],
    )

BAD_TEXTS = {
    "a surrogate": b"\xce\xba\xed\xa0\x80edited",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "above the last": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "an overlong slash": b"\xc0\xaf",
    "an overlong NUL": b"\xe0\x80\x80",
    "an overlong four": b"\xf0\x80\x80\xaf",
    "a continuation alone": b"a\x80",
    "a start alone": b"\xc3a",
    "cut off": b"a\xe2\x82",
    "0xfe": b"\xfe",
    "0xff": b"\xff",
}
CASES |= {f"not UTF-8, {name}": (frame(TEXT, raw) + HI, [NOT_UTF_8]) for name, raw in BAD_TEXTS.items()}
CASES |= {
    "text that goes wrong in a later fragment": (
        FIRST + frame(CONT, b"\xff", fin=False) + LAST,
        [SEEN_FIRST, NOT_UTF_8],
    ),
    # RFC 6455, 8.1: the rest of the message is not waited for.
    "text that goes wrong in a first fragment": (frame(TEXT, b"a\xff", fin=False), [NOT_UTF_8]),
    "a character that two fragments can't make": (
        frame(TEXT, b"\xf4", fin=False) + frame(CONT, b"\x90", fin=False),
        [Seen(TEXT, b"\xf4", fin=False), NOT_UTF_8],
    ),
    "a surrogate in fragments": (
        frame(TEXT, b"\xed", fin=False) + frame(CONT, b"\xa0", fin=False),
        [Seen(TEXT, b"\xed", fin=False), NOT_UTF_8],
    ),
    "almost a surrogate in fragments": (
        frame(TEXT, b"\xed", fin=False) + frame(CONT, b"\x9f", fin=False) + frame(CONT, b"\xbf"),
        [Seen(TEXT, b"\xed", fin=False), Seen(CONT, b"\x9f", fin=False), Seen(CONT, b"\xbf")],
    ),
    "a character that the message leaves out": (
        frame(TEXT, b"\xe2\x82", fin=False) + frame(CONT),
        [Seen(TEXT, b"\xe2\x82", fin=False), NOT_UTF_8],
    ),
    "a ping that is not UTF-8 within a character": (
        frame(TEXT, b"\xc3", fin=False) + frame(PING, b"\xff") + frame(CONT, b"\xa4"),
        [Seen(TEXT, b"\xc3", fin=False), Seen(PONG, b"\xff"), Seen(CONT, b"\xa4")],
    ),
}

# RFC 6455, 7.4; the registry also has 1012 to 1014.
GOOD_CODES = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
BAD_CODES = (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
CASES |= {
    f"closed with {code}": (frame(CLOSE, close(code, b"bye")), [Seen(CLOSE, close(code, b"bye"))])
    for code in GOOD_CODES
}
CASES |= {f"closed with {code}, which none may": (frame(CLOSE, close(code)), [FAILED]) for code in BAD_CODES}
CASES |= {
    "closed without a code": (frame(CLOSE), [Seen(CLOSE)]),
    "closed with half a code": (frame(CLOSE, b"\x03"), [FAILED]),
    "closed with no more than a code": (frame(CLOSE, close(1000)), [Seen(CLOSE, close(1000))]),
    "closed with the longest reason": (
        frame(CLOSE, close(1000, b"*" * 123)),
        [Seen(CLOSE, close(1000, b"*" * 123))],
    ),
    "closed with too long a reason": (frame(CLOSE, close(1000, b"*" * 124)), [FAILED]),
    "closed with a reason in UTF-8": (
        frame(CLOSE, close(1000, "tschüß".encode())),
        [Seen(CLOSE, close(1000, "tschüß".encode()))],
    ),
    "closed with a reason that is not UTF-8": (frame(CLOSE, close(1000, b"\xff")), [NOT_UTF_8]),
    "a fragmented Close": (frame(CLOSE, close(1000), fin=False), [FAILED]),
    "a message and a Close": (HI + frame(CLOSE, close(1000)), [ECHOED_HI, Seen(CLOSE, close(1000))]),
    "a Close within a message": (FIRST + frame(CLOSE, close(1000)) + LAST, [SEEN_FIRST, Seen(CLOSE, close(1000))]),
    "a bad Close within a message": (FIRST + frame(CLOSE, close(1006)), [SEEN_FIRST, FAILED]),
    "a message behind a Close": (frame(CLOSE, close(1000)) + HI, [Seen(CLOSE, close(1000))]),
    "a ping behind a Close": (frame(CLOSE, close(1000)) + frame(PING), [Seen(CLOSE, close(1000))]),
    "a second Close": (2 * frame(CLOSE, close(1000)), [Seen(CLOSE, close(1000))]),
    "nonsense behind a Close": (frame(CLOSE, close(1000)) + b"\xff" * 20, [Seen(CLOSE, close(1000))]),
}

ALMOST = MOST - 2
CASES |= {
    "the largest message": (frame(BINARY, bytes(MOST)), [Seen(BINARY, bytes(MOST))]),
    "one byte more": (frame(BINARY, bytes(MOST + 1)), [TOO_BIG]),
    "a length that is far too large, before its payload": (frame(BINARY, bytes(2 * MOST))[:10], [TOO_BIG]),
    "the largest length of all": (b"\x82\xff" + b"\xff" * 8, [TOO_BIG]),
    "fragments of the largest message": (
        frame(BINARY, bytes(ALMOST), fin=False) + frame(CONT, b"ab"),
        [Seen(BINARY, bytes(ALMOST), fin=False), Seen(CONT, b"ab")],
    ),
    "fragments with one byte more": (
        frame(BINARY, bytes(ALMOST), fin=False) + frame(CONT, b"a", fin=False) + frame(CONT, b"bc"),
        [Seen(BINARY, bytes(ALMOST), fin=False), Seen(CONT, b"a", fin=False), TOO_BIG],
    ),
    "a ping within the largest message": (
        frame(BINARY, bytes(MOST), fin=False) + frame(PING, b"a" * 125) + frame(CONT),
        [Seen(BINARY, bytes(MOST), fin=False), Seen(PONG, b"a" * 125), Seen(CONT)],
    ),
    "as much, twice": (2 * frame(BINARY, bytes(MOST)), 2 * [Seen(BINARY, bytes(MOST))]),
}


def check(pieces: Iterable[bytes], expected: list[Seen]) -> None:
    """Compare what comes back; ignore the reason of a Close frame unless it is the client's own."""
    seen, echo = echoed(pieces)
    failed = bool(expected) and expected[-1] in (FAILED, NOT_UTF_8, TOO_BIG)
    assert (without_reason(seen) if failed else seen) == expected
    assert echo.is_finished == (bool(expected) and expected[-1].opcode == CLOSE)


@pytest.mark.parametrize(("sent", "expected"), CASES.values(), ids=CASES)
def test_what_comes_back(sent: bytes, expected: list[Seen]) -> None:
    """The result is the same for data sent at once and byte by byte."""
    check([sent], expected)
    check([sent[place : place + 1] for place in range(len(sent))], expected)


@given(case=st.sampled_from(list(CASES.values())), data=st.data())
def test_it_does_not_matter_how_it_is_cut(case: Case, data: st.DataObject) -> None:
    """The result does not depend on where the network cuts the data."""
    sent, expected = case
    check(cut(sent, data.draw(st.lists(st.integers(0, min(len(sent), 300)), max_size=8))), expected)


# Any frame, valid or not.
ANY_FRAME = st.builds(
    frame,
    st.one_of(st.sampled_from([CONT, TEXT, BINARY, CLOSE, PING, PONG]), st.integers(0, 15)),
    st.one_of(st.binary(max_size=140), st.text(max_size=9).map(str.encode), st.sampled_from([b"\xf2\x48\xcd\x07\x00"])),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 4, 4, 1]),
    masked=st.sampled_from([True, True, True, True, False]),
)


@given(
    sent=st.one_of(st.binary(), st.lists(ANY_FRAME).map(b"".join)),
    offer=st.sampled_from([b"", b"permessage-deflate", b"permessage-deflate; client_no_context_takeover"]),
)
def test_whatever_comes_is_answered_with_frames(sent: bytes, offer: bytes) -> None:
    """No input raises an error or makes the library fail (1011), and a Close frame is the last."""
    extensions = handshake((b"Sec-WebSocket-Extensions", offer)).extensions if offer else ()
    seen, echo = echoed([sent], extensions, most=100)
    echo.receive_eof()
    assert echo.data_to_send() == b""
    assert echo.is_finished
    assert [each for each in seen if each.opcode == CLOSE] in ([], seen[-1:])
    assert Seen(CLOSE, close(1011)) not in without_reason(seen)


def test_the_first_message_is_text_if_it_can_be() -> None:
    """A first message that is not UTF-8 is binary, because it may not be sent as text (RFC 6455, 8.1)."""
    for greeting, opcode in ((b"{}", TEXT), (b"\xff", BINARY), (b"", TEXT)):
        echo = WebSocketEcho((), MOST)
        echo.send_first_message(greeting)
        assert read_frames(echo.data_to_send()) == [Seen(opcode, greeting)]


def test_behind_its_own_close_it_echoes_no_more() -> None:
    """After its Close, the echo still replies to a ping, and the client's Close ends it (RFC 6455, 5.5.1)."""
    echo = WebSocketEcho((), MOST)
    echo.send_close(1001, "bye")
    echo.send_close(1000, "twice")
    echo.echo_input(HI + frame(PING, b"a"))
    assert read_frames(echo.data_to_send()) == [Seen(CLOSE, close(1001, b"bye")), Seen(PONG, b"a")]
    assert not echo.is_finished
    echo.echo_input(frame(CLOSE, close(1001)))
    assert echo.data_to_send() == b""
    assert echo.is_finished


@pytest.mark.parametrize(
    "sent", [HI[:1], HI[:-1], FIRST, b""], ids=["a byte", "half a frame", "half a message", "none"]
)
def test_an_end_without_a_close_is_an_end(sent: bytes) -> None:
    """If the client ends without a Close, none is sent: nobody would receive it (RFC 6455, 7.1.7)."""
    _, echo = echoed([sent])
    echo.receive_eof()
    assert echo.data_to_send() == b""
    assert echo.is_finished


@pytest.mark.parametrize("flood", [frame(PING), frame(TEXT), frame(PONG)], ids=["pings", "messages", "pongs"])
def test_a_flood_of_small_frames_is_taken_in_steps(flood: bytes) -> None:
    """A flood of frames is processed in steps, because each costs time, however small it is."""
    echo = WebSocketEcho((), MOST)
    echo.echo_input(5000 * flood)
    steps = 1
    while echo.has_pending_input:
        assert len(echo.data_to_send()) < 3000
        echo.echo_buffered()
        steps += 1
    assert steps > 5


def test_what_is_only_taken_waits() -> None:
    """Data that was only taken waits for a later step, if a client does not read."""
    echo = WebSocketEcho((), MOST)
    echo.buffer_input(HI)
    assert (echo.has_pending_input, echo.data_to_send()) == (True, b"")
    echo.echo_buffered()
    assert read_frames(echo.data_to_send()) == [ECHOED_HI]


# the handshake

GOOD: HeaderList = (
    (b"Host", b"a"),
    (b"Connection", b"keep-alive, Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"Sec-WebSocket-Version", b"13"),
)


def handshake(*more: tuple[bytes, bytes], fields: HeaderList = GOOD, method: bytes = b"GET") -> AcceptedHandshake:
    """Request a WebSocket, with these additional headers."""
    return accept_upgrade(HttpRequest(method, b"/", "HTTP/1.1", (*fields, *more)))


def replaced(name: bytes, *values: bytes) -> HeaderList:
    """Return the headers of a valid handshake with other values for one of them."""
    return (*(each for each in GOOD if each[0] != name), *((name, value) for value in values))


def test_a_handshake_is_answered_with_its_key() -> None:
    """The response has the key of the example in RFC 6455, 1.3."""
    response = handshake().response
    assert response.status == "101 Switching Protocols"
    assert response.headers == [("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        (replaced(b"Sec-WebSocket-Key"), 400, "Sec-WebSocket-Key"),
        (replaced(b"Sec-WebSocket-Key", b""), 400, "Sec-WebSocket-Key"),
        (replaced(b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ"), 400, "Sec-WebSocket-Key"),
        (replaced(b"Sec-WebSocket-Key", b"AAAA"), 400, "Sec-WebSocket-Key"),
        (replaced(b"Sec-WebSocket-Key", b"\xff" * 24), 400, "Sec-WebSocket-Key"),
        (replaced(b"Sec-WebSocket-Key", *2 * [b"dGhlIHNhbXBsZSBub25jZQ=="]), 400, "multiple values"),
        (replaced(b"Sec-WebSocket-Version"), 400, "0 Sec-WebSocket-Version headers; must be one"),
        (replaced(b"Sec-WebSocket-Version", b"13", b"13"), 400, "2 Sec-WebSocket-Version headers; must be one"),
        (replaced(b"Sec-WebSocket-Version", b"8"), 426, "unsupported WebSocket version '8'; must be 13"),
        (replaced(b"Sec-WebSocket-Version", b"13, 8"), 426, "unsupported WebSocket version '13, 8'; must be 13"),
        (replaced(b"Sec-WebSocket-Version", b"\xff"), 426, r"unsupported WebSocket version '\xff'; must be 13"),
        ((*GOOD, (b"Sec-WebSocket-Extensions", b"")), 400, "Sec-WebSocket-Extensions"),
        ((*GOOD, (b"Sec-WebSocket-Extensions", b"a;;b")), 400, "Sec-WebSocket-Extensions"),
        ((*GOOD, (b"Sec-WebSocket-Protocol", b"")), 400, "Sec-WebSocket-Protocol"),
        ((*GOOD, (b"Sec-WebSocket-Protocol", b"a b")), 400, "Sec-WebSocket-Protocol"),
        ((*GOOD, (b"Sec-WebSocket-Protocol", b"{" * 60_000)), 400, "Sec-WebSocket-Protocol"),
    ],
)
def test_a_handshake_that_breaks_a_rule_is_refused(fields: HeaderList, status: int, says: str) -> None:
    """An invalid handshake is rejected with a short line that says what was wrong (RFC 6455, 4.2.1)."""
    with pytest.raises(ProtocolError) as refused:
        handshake(fields=fields)
    assert (refused.value.status, says in refused.value.reason) == (status, True)
    assert len(refused.value.reason) < 1000


def test_another_version_is_told_the_one_that_is_spoken() -> None:
    """The response to an unsupported version lists the supported one (RFC 6455, 4.4)."""
    with pytest.raises(ProtocolError) as refused:
        handshake(fields=replaced(b"Sec-WebSocket-Version", b"8"))
    assert refused.value.status is HTTPStatus.UPGRADE_REQUIRED
    assert refused.value.headers == (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))


def test_a_handshake_is_a_get() -> None:
    """A handshake with another method than GET is rejected (RFC 6455, 4.1)."""
    with pytest.raises(ProtocolError, match="the method must be GET") as refused:
        handshake(method=b"POST")
    assert refused.value.status is HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("upgrade", [b"WebSocket", b"h2c, websocket", b"websocket, h2c"])
def test_websocket_may_be_one_of_several_wishes(upgrade: bytes) -> None:
    """Upgrade may list other protocols too, in any case (RFC 6455, 4.2.1; RFC 9110, 7.8)."""
    assert dict(handshake(fields=replaced(b"Upgrade", upgrade)).response.headers)["Upgrade"] == "websocket"


@pytest.mark.parametrize(
    ("offered", "taken"),
    [([b"chat"], "chat"), ([b"a, b"], "a"), ([b"b", b"a"], "b"), ([], None)],
)
def test_the_first_subprotocol_is_taken(offered: list[bytes], taken: str | None) -> None:
    """The first subprotocol, which the client prefers, is selected."""
    response = handshake(*((b"Sec-WebSocket-Protocol", each) for each in offered)).response
    assert dict(response.headers).get("Sec-WebSocket-Protocol") == taken


DEFLATE = "permessage-deflate; "


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ("permessage-deflate", DEFLATE + "server_max_window_bits=12"),
        (DEFLATE + "client_max_window_bits", DEFLATE + "server_max_window_bits=12; client_max_window_bits=12"),
        (DEFLATE + "client_max_window_bits=9", DEFLATE + "server_max_window_bits=12; client_max_window_bits=9"),
        (DEFLATE + 'server_max_window_bits="10"', DEFLATE + "server_max_window_bits=10"),
        (DEFLATE + "server_max_window_bits=15", DEFLATE + "server_max_window_bits=12"),
        (
            DEFLATE + "client_no_context_takeover",
            DEFLATE + "client_no_context_takeover; server_max_window_bits=12",
        ),
        (
            DEFLATE + "server_no_context_takeover",
            DEFLATE + "server_no_context_takeover; server_max_window_bits=12",
        ),
        # Unacceptable offers are ignored (RFC 7692, 5.1 and 7): the next offer is tried.
        ("x-unknown, " + DEFLATE + "tea, permessage-deflate", DEFLATE + "server_max_window_bits=12"),
        (DEFLATE + "server_max_window_bits=8", None),
        (DEFLATE + "server_max_window_bits=16", None),
        (DEFLATE + "server_no_context_takeover=1", None),
        (DEFLATE + "client_max_window_bits=10; client_max_window_bits=10", None),
        ("x-unknown", None),
    ],
)
def test_compression_is_agreed_on_as_offered(offered: str, agreed: str | None) -> None:
    """Compression is negotiated as RFC 7692, 7.1 says, the same over HTTP/2."""
    accepted = handshake((b"Sec-WebSocket-Extensions", offered.encode()))
    assert dict(accepted.response.headers).get("Sec-WebSocket-Extensions") == agreed
    assert len(accepted.extensions) == (agreed is not None)
    connected = extended_connect((b"sec-websocket-extensions", offered.encode()))
    assert dict(connected.response.headers).get("sec-websocket-extensions") == agreed


def extended_connect(*more: tuple[bytes, bytes], version: bytes = b"13") -> AcceptedHandshake:
    """Request a WebSocket over HTTP/2."""
    fields = ((b"sec-websocket-version", version), *more)
    return accept_extended_connect(HttpRequest(b"CONNECT", b"/", "HTTP/2.0", fields))


def test_an_extended_connect_needs_no_key() -> None:
    """Extended CONNECT has no key (RFC 8441, 5)."""
    response = extended_connect((b"sec-websocket-protocol", b"b, a")).response
    assert (response.status, response.headers) == ("200 OK", [("sec-websocket-protocol", "b")])


@pytest.mark.parametrize(
    ("version", "more", "status"),
    [
        (b"8", (), 400),
        (b"13", ((b"sec-websocket-version", b"13"),), 400),
        (b"13", ((b"sec-websocket-extensions", b";"),), 400),
        (b"13", ((b"sec-websocket-protocol", b","),), 400),
    ],
    ids=["another version", "two versions", "no extension", "no subprotocol"],
)
def test_an_extended_connect_that_breaks_a_rule_is_refused(version: bytes, more: HeaderList, status: int) -> None:
    """An invalid extended CONNECT is rejected as over HTTP/1.1."""
    with pytest.raises(ProtocolError) as refused:
        extended_connect(*more, version=version)
    assert refused.value.status == status


# compression


def extensions(parameters: str = "") -> Sequence[Extension]:
    """Return the negotiated extensions when compression is offered."""
    return handshake((b"Sec-WebSocket-Extensions", b"permessage-deflate" + parameters.encode())).extensions


class Deflater:
    """A client's compression with context takeover between messages (RFC 7692, 7.2.1)."""

    def __init__(self, bits: int = 15) -> None:
        self._deflate = zlib.compressobj(9, wbits=-bits)

    def message(self, raw: bytes) -> bytes:
        """Return the payload of a message."""
        packed = self._deflate.compress(raw) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        assert packed.endswith(TAIL)
        return packed[: -len(TAIL)]


def packed(raw: bytes) -> bytes:
    """Return a whole compressed message with its own context."""
    return frame(BINARY, Deflater().message(raw), rsv=4)


def unpacked(seen: Iterable[Seen], *, afresh: bool = False) -> list[bytes]:
    """Decompress messages, or fragments, each of which yields a part."""
    inflate, parts = zlib.decompressobj(wbits=-15), []
    for each in seen:
        if afresh and each.opcode != CONT:
            inflate = zlib.decompressobj(wbits=-15)
        assert each.rsv == (0 if each.opcode == CONT else 4)
        parts.append(inflate.decompress(each.payload + (TAIL if each.fin else b"")))
    return parts


WORDS = b"the quick brown fox jumps over the lazy dog"


def test_context_is_taken_over_both_ways() -> None:
    """With context takeover, a repeated message costs next to nothing, both ways."""
    client = Deflater()
    first, second = client.message(WORDS), client.message(WORDS)
    seen, _ = echoed([frame(TEXT, first, rsv=4) + frame(TEXT, second, rsv=4)], extensions())
    assert unpacked(seen) == [WORDS, WORDS]
    assert len(second) < len(first) / 3
    assert len(seen[1].payload) < len(seen[0].payload) / 3


def test_context_is_not_taken_over_where_that_was_agreed() -> None:
    """Without context takeover, each message can be decompressed independently."""
    agreed = extensions("; client_no_context_takeover; server_no_context_takeover")
    seen, _ = echoed([packed(WORDS), packed(WORDS), packed(b"")], agreed)
    assert unpacked(seen, afresh=True) == [WORDS, WORDS, b""]
    assert seen[0].payload == seen[1].payload


@given(
    messages=st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), max_size=5),
    bits=st.integers(9, 15),
    data=st.data(),
)
def test_compressed_messages_come_back_as_they_were(
    messages: list[list[bytes]], bits: int, data: st.DataObject
) -> None:
    """Compressed messages come back in their fragments, wherever they were cut, and with any negotiated window."""
    client, sent = Deflater(bits), b""
    whole = [b"".join(each) for each in messages]
    for message in whole:
        parts = cut(client.message(message), data.draw(st.lists(st.integers(0, 60), max_size=4)))
        for place, part in enumerate(parts):
            sent += frame(CONT if place else BINARY, part, fin=place == len(parts) - 1, rsv=0 if place else 4)
    agreed = extensions(f"; client_max_window_bits={bits}" if bits < 12 else "")
    seen, _ = echoed([sent], agreed)
    parts_seen = unpacked(seen)
    come = [b""]
    for each, part in zip(seen, parts_seen, strict=True):
        come[-1] += part
        if each.fin:
            come.append(b"")
    assert come == [*whole, b""]


def test_a_message_need_not_be_compressed() -> None:
    """Each message may be compressed or not, and control frames never are (RFC 7692, 6)."""
    seen, _ = echoed([frame(BINARY, b"a") + packed(b"b") + frame(PING, b"c")], extensions())
    assert unpacked(seen[:2]) == [b"a", b"b"]
    assert seen[2] == Seen(PONG, b"c")


FINAL = zlib.compressobj(wbits=-15)
FINAL_WORDS = FINAL.compress(WORDS) + FINAL.flush(zlib.Z_FINISH)


@pytest.mark.parametrize("padding", [b"\x00", b""], ids=["as the RFC has it", "without the byte behind it"])
@pytest.mark.parametrize("parameters", ["", "; client_no_context_takeover"])
def test_a_message_may_end_with_a_final_block(padding: bytes, parameters: str) -> None:
    """A message may end with a final block, and what follows is decompressed from the start (RFC 7692, 7.2.3.4)."""
    sent = frame(BINARY, FINAL_WORDS + padding, rsv=4)
    fragments = frame(BINARY, FINAL_WORDS, rsv=4, fin=False) + frame(CONT, padding)
    seen, _ = echoed([sent + sent + fragments + packed(b"more")], extensions(parameters))
    assert b"|".join(unpacked(seen)) == b"|".join([WORDS, WORDS, WORDS, b"", b"more"])


def test_what_is_behind_a_final_block_is_not_lost() -> None:
    """Data after a final block is part of the same message."""
    seen, _ = echoed([frame(BINARY, FINAL_WORDS + Deflater().message(b"more"), rsv=4)], extensions())
    assert unpacked(seen) == [WORDS + b"more"]


def test_what_is_behind_a_final_block_takes_no_memory() -> None:
    """Data after a final block takes no memory for the life of the connection; zlib would keep all of it."""
    echo = WebSocketEcho(extensions(), MOST)
    echo.echo_input(frame(BINARY, FINAL_WORDS + b"\x00", rsv=4))
    tracemalloc.start()
    for _ in range(100):
        echo.echo_input(frame(BINARY, Deflater().message(bytes(60_000)) + b"\x00" * 5, rsv=4))
        echo.echo_input(frame(BINARY, FINAL_WORDS + b"\x00", rsv=4))
        while echo.has_pending_input:
            echo.echo_buffered()
        echo.data_to_send()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 500_000


@pytest.mark.parametrize(
    "sent",
    [
        frame(BINARY, b"\xff\xff\xff", rsv=4),
        frame(BINARY, 2 * FINAL_WORDS + b"\x00", rsv=4),
        frame(BINARY, b"\x03\x00" * 30_000, rsv=4),
        frame(BINARY, b"\x00", rsv=4, fin=False) + frame(CONT, rsv=4),
        frame(CONT, b"a", rsv=4),
        frame(PING, b"a", rsv=4),
        frame(CLOSE, rsv=4),
        frame(BINARY, b"a", rsv=2),
        frame(BINARY, b"\x00", rsv=6),
    ],
    ids=[
        "nothing that was compressed",
        "two final blocks",
        "final blocks without end",
        "a mark on a continuation",
        "a mark on a continuation of nothing",
        "a mark on a ping",
        "a mark on a Close",
        "RSV2",
        "RSV2 on a compressed message",
    ],
)
def test_compression_that_breaks_a_rule_ends_it(sent: bytes) -> None:
    """Invalid compression closes with 1002 (RFC 7692, 6.1 and 7.2.2)."""
    seen, echo = echoed([packed(b"a"), sent], extensions())
    assert without_reason(seen)[-1] == FAILED
    assert unpacked(seen[:1]) == [b"a"]
    assert echo.is_finished


def test_references_to_what_a_final_block_has_ended_are_refused() -> None:
    """A reference to data before the first message is rejected, because the context is empty."""
    client = Deflater()
    lost = client.message(WORDS)
    assert lost
    seen, _ = echoed([frame(BINARY, client.message(WORDS), rsv=4)], extensions())
    assert without_reason(seen) == [FAILED]


def test_compressed_text_is_looked_at_as_text() -> None:
    """Compressed text that is not UTF-8 is rejected too."""
    seen, _ = echoed([frame(TEXT, Deflater().message(b"\xff"), rsv=4)], extensions())
    assert without_reason(seen) == [NOT_UTF_8]


@pytest.mark.parametrize(("size", "fits"), [(MOST, True), (MOST + 1, False), (100 * MOST, False)])
@pytest.mark.parametrize("raw", [b"a", b"ab", b"0123456789"])
def test_a_compressed_message_is_bounded_by_what_it_was(raw: bytes, size: int, *, fits: bool) -> None:
    """The limit applies to the decompressed size, and no more is decompressed than needed to detect the excess."""
    message = (raw * size)[:size]
    sent = packed(message)
    tracemalloc.start()
    seen, _ = echoed([sent], extensions())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * MOST
    if fits:
        assert unpacked(seen) == [message]
    else:
        assert without_reason(seen) == [TOO_BIG]


def test_a_bomb_behind_a_final_block_is_bounded() -> None:
    """Data after a final block is limited too, even if nothing more is allowed.

    For zlib, a limit of 0 means no limit.
    """
    full = MOST + MOST // 16 + 1024  # what the library accepts
    ending = zlib.compressobj(wbits=-15)
    before = ending.compress(bytes(full)) + ending.flush(zlib.Z_FINISH)
    sent = frame(BINARY, before + Deflater().message(bytes(300 * MOST)), rsv=4)
    tracemalloc.start()
    seen, _ = echoed([sent], extensions())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert without_reason(seen) == [TOO_BIG]
    assert peak < 10 * MOST


def test_compression_takes_little_memory() -> None:
    """Compression takes little memory, because each WebSocket has its own, and a pod has 128 MiB."""
    tracemalloc.start()
    seen, echo = echoed([packed(WORDS)], extensions())
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert unpacked(seen) == [WORDS]
    assert not echo.is_finished
    assert kept < 100_000


def test_the_largest_message_may_be_longer_on_the_wire() -> None:
    """The largest message is accepted if it is longer on the wire, as incompressible data is."""
    message = random.Random(1).randbytes(MOST)  # noqa: S311 - any bytes, the same ones each time
    sent = packed(message)
    assert len(sent) > MOST
    seen, _ = echoed([sent], extensions())
    assert unpacked(seen) == [message]


@given(size=st.integers(0, 60), places=st.lists(st.integers(0, 30), max_size=6))
def test_no_fragments_of_a_compressed_message_are_more_than_it_may_be(size: int, places: list[int]) -> None:
    """Fragments of a compressed message never exceed its limit in sum.

    This also holds if a fragment is cut in the middle of the data that it encodes.
    """
    parts = cut(Deflater().message(b"a" * size), places)
    sent = b"".join(
        frame(CONT if place else BINARY, part, fin=place == len(parts) - 1, rsv=0 if place else 4)
        for place, part in enumerate(parts)
    )
    seen, echo = echoed([sent], extensions(), most=30)
    come = b"".join(unpacked(each for each in seen if each.opcode != CLOSE))
    assert len(come) <= 30
    assert echo.is_finished == (size > 30)
    if not echo.is_finished:
        assert come == b"a" * size


def test_bombs_are_echoed_in_steps() -> None:
    """Small frames that each decompress to a large message are echoed in steps."""
    most = 1 << 20
    echo = WebSocketEcho(extensions(), most)
    echo.echo_input(50 * packed(bytes(most)))
    turns, messages = 1, len(read_frames(echo.data_to_send()))
    while echo.has_pending_input:
        echo.echo_buffered()
        come = read_frames(echo.data_to_send())
        assert len(come) <= 1
        turns, messages = turns + 1, messages + len(come)
    assert (turns, messages) == (50, 50)
