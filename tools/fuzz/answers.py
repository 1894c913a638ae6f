"""Fuzz target: responses of the whole server.

On one connection in simulated time, each request receives one well-formed and harmless response. An input is what the
client sends.
"""

import re
from collections.abc import Iterator
from typing import Final

import h11
import msgspec

from app.config import downward_api, policy
from app.config.settings import Settings
from app.echo.controls.definitions import CONTROLS
from app.echo.handler import EchoHandler
from app.echo.routes import echo_app
from app.http.errors import ProtocolError
from app.http.response import EVENT_STREAM, HTML, JSON, TEXT, YAML
from app.server.head_cache import HeadCache
from app.server.http1.events import RequestHead
from app.server.http1.parser import RequestEnd, RequestParser
from app.server.http2 import frames
from app.server.limits import RequestLimits
from tests.unit.served import Served
from tools.fuzz import contexts
from tools.fuzz.cutting import Pieces, deliveries

LONGEST: Final = 2048
_TYPES: Final = {HTML, JSON, TEXT, YAML, EVENT_STREAM}
_LIMITS: Final = RequestLimits(head_size=2048, header_count=64, body_size=4096)
# Without aborts, because an aborted client receives an incomplete response.
_SETTINGS: Final = Settings(allow_abort="off", max_size=100_000, max_delay=2.0, max_events=3, seed="fuzz")
_POLICY: Final = policy.build_policy(_SETTINGS, downward_api.read_pod_info({}))
_LONGER: Final = 3600.0  # seconds: longer than any timeout or delay
_TURNS: Final = 100_000
_GET: Final = b"GET /a?"
_HOST: Final = b" HTTP/1.1\r\nHost: a\r\n"
WORDS: Final = (
    *contexts.WORDS, _GET, _HOST + b"\r\n", b"Accept: application/json\r\n", b"Accept: text/html\r\n", b"HEAD ",
    b"CONNECT ",     b"Accept: application/yaml\r\n", b"Accept: text/event-stream\r\n", b"Accept: text/plain\r\n",
    b"\r\nConnection: close",
    b"Content-Length: 1\r\n\r\nx", *(f"echo_{control.name}={control.example}&".encode() for control in CONTROLS),
    b"echo_format=whoami&", b"echo_format=echoserver&", b"echo_format=gateway-api&",
)  # fmt: skip


def check(data: bytes) -> None:
    """Send the input in several deliveries.

    The responses to each are the same, and byte for byte as before if their request heads are received again.
    """
    methods, refused = _asked(data)
    if methods is None:
        return  # responses of other protocols have targets of their own
    whole, cut, *_ = deliveries(data)
    kept: HeadCache[bytes, RequestHead] = HeadCache()
    written, *again = [_written(whole, kept) for _ in range(3)]
    for other in again:
        assert other == written
    statuses, others = list(_statuses(written, methods)), list(_statuses(_written(cut, HeadCache()), methods))
    if refused:  # by the first fault that is detected, which may differ
        assert statuses.pop() >= 400
        assert others.pop() >= 400
    assert others == statuses


def seeds() -> Iterator[bytes]:
    """Yield each control, format and dialect, and the requests of the reflection."""
    for control in CONTROLS:
        example = control.example.encode().replace(b" ", b"%20")
        yield _GET + b"echo_%b=%b" % (control.name.encode(), example) + _HOST + b"X-Request-Id: a\r\n\r\n"
    for form in ("bare", "html", "json", "yaml", "text", "events", "gateway-api", "whoami", "echoserver"):
        yield _GET + b"echo_format=" + form.encode() + _HOST + b"\r\n" + b"HEAD /" + _HOST + b"\r\n"
    yield from contexts.seeds()


def _asked(data: bytes) -> tuple[list[bytes] | None, bool]:
    """Return the methods of the requests to respond to, and whether the last is rejected; None for another protocol."""
    reader, methods = RequestParser(_LIMITS), list[bytes]()
    if data.startswith(frames.PREFACE):
        return None, False
    reader.feed(data)
    kept = True
    try:
        for event in iter(reader.next_event, None):
            if isinstance(event, RequestHead):
                if event.upgrades_to_websocket:
                    return None, False
                kept = event.keep_alive
            if isinstance(event, RequestEnd) or (isinstance(event, RequestHead) and event.has_no_body):
                methods.append(reader.method)
                if not kept:
                    return methods, False
    except ProtocolError:
        return [*methods, reader.method], True
    # An incomplete request is rejected after its timeout.
    return ([*methods, reader.method], True) if reader.is_within_request else (methods, False)


def _written(pieces: Pieces, kept: HeadCache[bytes, RequestHead]) -> bytes:
    """Return what a new server sends if it has these request heads cached."""
    answering = EchoHandler(_SETTINGS, _POLICY, clock=lambda: 1_700_000_000.25)
    answering._request_ids.generate = lambda: "0" * 32  # type: ignore[method-assign]  # noqa: SLF001 - which else are random
    served = Served(application=echo_app(answering), limits=_LIMITS)
    served.service.http1_head_cache = kept
    for piece in pieces:
        if served.transport.ended:
            break
        served.connection.data_received(piece)
    assert served.turn(_TURNS) < _TURNS
    served.after(_LONGER)
    assert not served.reports
    assert served.transport.ended, "nothing is waited for any longer"
    return served.transport.written


def _statuses(written: bytes, methods: list[bytes]) -> Iterator[int]:
    """Parse the responses by h11, one to each of these methods, and nothing after them."""
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    client.receive_data(written)
    client.receive_data(b"")
    for method in methods:
        if client.our_state is h11.DONE:
            client.start_next_cycle()
        client.send(h11.Request(method=method or b"GET", target="/", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        event = client.next_event()
        while isinstance(event, h11.InformationalResponse):
            assert event.status_code == 100
            event = client.next_event()
        assert isinstance(event, h11.Response), event
        yield event.status_code
        _check_answer(client, event)
    assert client.trailing_data == (b"", True)


def _check_answer(client: h11.Connection, head: h11.Response) -> None:
    fields = {bytes(name): bytes(value).decode("latin-1") for name, value in head.headers}
    assert head.status_code != 500 or b"x-request-id" in fields, "requested, not a fault"
    assert fields[b"content-type"] in _TYPES or fields.get(b"content-type", "").startswith(("text/", "application/"))
    assert fields[b"x-content-type-options"] == "nosniff"
    assert b"set-cookie" not in fields
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage | h11.ConnectionClosed), event
    assert len(body) < 400_000
    if fields[b"content-type"] == HTML:
        assert "content-security-policy" in {name.decode() for name in fields}
        assert not re.search(rb"<(?:script|img|svg|iframe|object|link)\b", body, re.IGNORECASE)
    if fields[b"content-type"] == JSON and body and b"content-encoding" not in fields:
        msgspec.json.decode(body)
