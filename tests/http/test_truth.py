"""What was sent is what is seen: random requests over real sockets, in every delivery."""

import hashlib
import json
import socket

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.wire import query_pairs, shown, split_target
from tests.http.process import Echo, read_answer
from tests.requests import deliveries, requests

JSON = b"accEPT: application/json\r\n"


# The echo is the same for all examples: it keeps nothing of a request.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(sent=requests(), data=st.data())
def test_the_reflection_is_what_was_sent(
    echo: Echo,
    sent: tuple[bytes, tuple[bytes, bytes, tuple[tuple[bytes, bytes], ...], bytes, object]],
    data: st.DataObject,
) -> None:
    """Target, method, every field, query, body and trailers; the same whole, byte by byte and cut at random.

    As plain text, the head is what was sent, byte for byte.
    """
    raw, (method, target, fields, body, trailers) = sent
    line, _, rest = raw.partition(b"\r\n")
    wire = line + b"\r\n" + JSON + rest
    answers = []
    for pieces in data.draw(deliveries(wire)):
        with echo.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                sock.sendall(piece)
            answer, told = read_answer(sock) if method != b"HEAD" else (None, b"")
        if answer is not None:
            assert answer.status == 200
            answers.append(json.loads(told))
    plain = b"%s\r\naccept: text/plain\r\n%s" % (line, rest)
    with echo.connect() as sock:
        sock.sendall(plain)
        if method != b"HEAD":
            assert read_answer(sock)[1] == plain.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body
    for told in answers:
        assert told["method"] == shown(method)
        assert told["path"] == shown(target)
        assert told["received"] == [["accEPT", "application/json"], *_shown(fields)]
        assert told["query"] == _shown(query_pairs(split_target(target)[1]))
        assert told["trailers"] == _shown(trailers)
        assert told["body"]["length"] == len(body)
        assert told["body"]["sha256"] == hashlib.sha256(body).hexdigest()
        assert told | {"client": None} == answers[0] | {"client": None}, "but for the port, each came by its own"


def _shown(pairs: object) -> list[list[str]]:
    assert isinstance(pairs, tuple)
    return [[shown(name), shown(value)] for name, value in pairs]
