"""Reflections equal what was sent: random requests in every delivery."""

import hashlib
import json
import socket
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.http.request import parse_query, split_target
from tests.http.process import Echo
from tests.requests import deliveries, requests
from tests.shown import turned_back

JSON = b"accEPT: application/json\r\n"
OWN = dict.fromkeys(("client", "id", "time"))  # values that differ for each request
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


# The echo may be shared by all examples, because it keeps no state of a request.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(sent=requests(), data=st.data())
def test_the_reflection_is_what_was_sent(
    echo: Echo,
    sent: tuple[bytes, tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...], bytes, object]],
    data: st.DataObject,
) -> None:
    """Method, target, headers, query, body and trailers of the reflection, decoded to bytes, equal those sent.

    The request is sent whole, byte by byte, cut at random, and pipelined, followed by the beginning of another. As
    plain text, the head is what was sent, byte for byte.
    """
    raw, (method, target, fields, body, trailers) = sent
    line, _, rest = raw.partition(b"\r\n")
    wire = line + b"\r\n" + JSON + rest
    told = [each for pieces in data.draw(deliveries(wire)) for each in answers(echo, pieces, 1)]
    told += answers(echo, [NEXT + wire + wire + NEXT[:9], NEXT[9:]], 4)[1:3]
    for answer in told:
        seen = json.loads(answer)
        assert turned_back(seen["method"]) == method
        assert turned_back(seen["path"]) == target
        assert pairs(seen["received"]) == ((b"accEPT", b"application/json"), *fields)
        assert pairs(seen["query"]) == parse_query(split_target(target)[1])
        assert pairs(seen["trailers"]) == trailers
        assert seen["body"]["length"] == len(body)
        assert seen["body"]["sha256"] == hashlib.sha256(body).hexdigest()
        assert seen | OWN == json.loads(told[0]) | OWN, "but for its port, id and time, as the first"
    plain = b"%s\r\naccept: text/plain\r\n%s" % (line, rest)
    (text,) = answers(echo, [plain], 1)
    assert text == plain.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body


def answers(echo: Echo, pieces: list[bytes], count: int) -> list[bytes]:
    """Send pieces on a connection of their own; return the bodies of so many responses."""
    with echo.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sock.sendall(piece)
        stream = sock.makefile("rb")
        return [next_body(stream) for _ in range(count)]


def next_body(stream: Any) -> bytes:
    """Return the body of the next response, whose status must be 200."""
    assert stream.readline() == b"HTTP/1.1 200 OK\r\n"
    fields = dict(line.lower().split(b": ") for line in iter(stream.readline, b"\r\n"))
    body: bytes = stream.read(int(fields[b"content-length"]))
    return body


def pairs(shown: list[list[str]]) -> tuple[tuple[bytes, ...], ...]:
    """Decode shown pairs to bytes."""
    return tuple(tuple(turned_back(text) for text in pair) for pair in shown)
