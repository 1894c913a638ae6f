"""The access log: contents of lines, redaction, and writing without delay."""

import itertools
import json
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import downward_api, policy
from app.config.settings import Settings
from app.http.connection_info import Endpoint
from app.http.controls_report import EMPTY_REPORT, AppliedControl, ControlsReport, RejectedControl
from app.http.record import RequestRecord, ResponseInfo
from app.http.request import ConnectionInfo, HttpRequest, decode_lossless
from app.telemetry.access_log import AccessLog
from app.telemetry.log_fields import LogFields
from app.telemetry.log_writer import MAX_LINE, LogWriter, split_lines

TRACE = "0af7651916cd43dd8448eb211c80319c"
CONNECTION = ConnectionInfo(Endpoint("192.0.2.1", 1234), Endpoint("192.0.2.2", 80))
NOW = 1_700_000_000.125
DEADLINE = 20.0


def request(target: bytes = b"/a?b=c", method: bytes = b"GET", **fields: str) -> HttpRequest:
    """Return a request with these headers."""
    named = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in fields.items())
    head = b"\r\n".join((b"%s %s HTTP/1.1" % (method, target), *(b"%s: %s" % each for each in named), b"", b""))
    return HttpRequest(method, target, "HTTP/1.1", named, head=head)


def answered(asked: HttpRequest, applied: ControlsReport = EMPTY_REPORT, **facts: Any) -> RequestRecord:
    """Return this request as answered."""
    given: dict[str, Any] = {
        "status": "200 OK",
        "response_info": ResponseInfo("json", "some-id", NOW, applied),
        "seconds": 0.0123456789,
        "sent_bytes": 5,
    }
    return RequestRecord(asked, CONNECTION, **({"received_bytes": 7} | given | facts))


def log(kind: str = "json", **settings: Any) -> AccessLog:
    """Return an access log for an echo with these settings."""
    return AccessLog(
        kind,
        LogFields(policy.build_policy(Settings(**settings), downward_api.read_pod_info({}))),
        wall_time=lambda: NOW,
    )


def line(asked: HttpRequest, applied: ControlsReport = EMPTY_REPORT, **settings: Any) -> dict[str, Any]:
    """Return the parsed JSON line of a request."""
    told = log(**settings).format_lines([answered(asked, applied)])
    assert told.endswith(b"\n")
    read: dict[str, Any] = json.loads(told)
    return read


def test_a_line_says_what_was_asked_and_what_came_of_it() -> None:
    """A JSON line describes request and response under self-explanatory names."""
    assert line(request(traceparent=f"00-{TRACE}-b7ad6b7169203331-01")) == {
        "time": "2023-11-14T22:13:20.125Z",
        "client": "192.0.2.1",
        "method": "GET",
        "target": "/a?b=c",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 5,
        "received": 7,
        "duration": 0.012346,
        "format": "json",
        "id": "some-id",
        "trace_id": TRACE,
    }


def test_a_line_of_the_common_format() -> None:
    """A line in the common format is like that of Apache's httpd and nginx, for tools that read their logs."""
    told = log("common").format_lines([answered(request())])
    assert told == b'192.0.2.1 - - [14/Nov/2023:22:13:20 +0000] "GET /a?b=c HTTP/1.1" 200 5\n'
    nothing = log("common").format_lines([answered(request(), sent_bytes=0, status="204 No Content")])
    assert nothing.endswith(b'" 204 -\n')


def test_what_was_applied_is_told() -> None:
    """A line lists applied controls, and rejected controls with the reason."""
    wishes = ControlsReport(
        (AppliedControl("delay", "1s", "query", 1.0),), (RejectedControl("status", "x", "header", "no number"),)
    )
    assert line(request(), wishes)["applied"] == {
        "granted": [{"name": "delay", "value": "1s", "source": "query", "done": 1.0}],
        "refused": [{"name": "status", "value": "x", "source": "header", "reason": "no number", "bound": ""}],
    }


def test_a_refusal_says_why() -> None:
    """The line of a request that could not be parsed has no target, but has the error."""
    unread = HttpRequest(b"", b"", "HTTP/1.1", ())
    told = json.loads(
        log().format_lines(
            [answered(unread, response_info=None, status="400", error="no Host field", is_complete=False)]
        )
    )
    assert (told["format"], told["error"], told["whole"], told["time"]) == (
        "refusal",
        "no Host field",
        False,
        "2023-11-14T22:13:20.125Z",
    )
    assert b'] "-" 400 ' in log("common").format_lines([answered(unread, response_info=None, status="400")])


@pytest.mark.parametrize(
    ("fields", "trace_id"),
    [
        ({"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
        ({"TraceParent": f"00-{TRACE}-b7ad6b7169203331-01"}, TRACE),
        ({"traceparent": "junk"}, None),
        ({}, None),
    ],
)
def test_the_trace_is_told(fields: dict[str, str], trace_id: str | None) -> None:
    """The trace ID is that of a valid traceparent, whatever the case of the header's name."""
    assert line(request(b"/", b"GET", **fields)).get("trace_id") == trace_id


def test_the_client_is_who_is_believed() -> None:
    """The client is the one that trusted proxies report; otherwise it is the peer address."""
    asked = request(X_Forwarded_For="203.0.113.9, 192.0.2.1")
    assert line(asked)["client"] == "192.0.2.1"
    assert line(asked, trusted_proxies="192.0.2.0/24")["client"] == "203.0.113.9"


HIDDEN: dict[str, tuple[str, HttpRequest, ControlsReport]] = {
    "the target": (":path", request(b"/SECRET"), EMPTY_REPORT),
    "the trace": ("Traceparent", request(traceparent=f"00-{TRACE}-5EC5E75EC5E75EC5-01"), EMPTY_REPORT),
    "the client": ("X-Forwarded-For", request(X_Forwarded_For="SECRET"), EMPTY_REPORT),
    "a wish": (
        "X-Echo-Header",
        request(),
        ControlsReport(
            (AppliedControl("header", "X-A:SECRET", "header"),), (RejectedControl("header", "SECRET", "header", "no"),)
        ),
    ),
    "a wish of the target": (
        ":path",
        request(),
        ControlsReport(
            (AppliedControl("body", "SECRET", "query"),), (RejectedControl("cookie", "SECRET", "query", "no"),)
        ),
    ),
    "the target of a CONNECT": (
        "Host",
        HttpRequest(b"CONNECT", b"SECRET:1", "HTTP/2.0", (), pseudo=((b":method", b"CONNECT"),), authority=b"SECRET:1"),
        EMPTY_REPORT,
    ),
    "a wish of two words": (
        "X-Echo-Fail-First",
        request(),
        ControlsReport((AppliedControl("fail_first", "SECRET", "header"),)),
    ),
}


@pytest.mark.parametrize("kind", ["json", "common"])
@pytest.mark.parametrize("what", HIDDEN)
def test_what_is_hidden_is_not_told(what: str, kind: str) -> None:
    """A line contains no value derived from a header that `ECHO_REDACT` names."""
    name, asked, applied = HIDDEN[what]
    told = log(kind, redact=name, trusted_proxies="192.0.2.0/24").format_lines([answered(asked, applied)])
    assert b"SECRET" not in told
    assert b"5EC5" not in told
    assert TRACE.encode() not in told


@pytest.mark.parametrize(
    ("name", "why", "told"),
    [
        (":path", "invalid request line: 'GET /SECRET\\x01 HTTP/1.1'", "invalid request line: ***"),
        ("Host", "invalid host: 'SECRET'", "invalid host: ***"),
        (":authority", "invalid host: 'SECRET'", "invalid host: ***"),
        ("Sec-WebSocket-Key", "invalid WebSocket handshake: SECRET", "invalid WebSocket handshake: ***"),
        (":path", "no Host field", "no Host field"),
        ("Cookie", "invalid host: 'a b'", "invalid host: 'a b'"),
    ],
)
def test_a_refusal_quotes_nothing_that_is_hidden(name: str, why: str, told: str) -> None:
    """An error message masks redacted values and still says what was wrong."""
    refused = answered(HttpRequest(b"", b"", "HTTP/1.1", ()), response_info=None, status="400", error=why)
    assert json.loads(log(redact=name).format_lines([refused]))["error"] == told


def test_no_field_is_told_unless_the_line_is_made_of_it() -> None:
    """Headers not used by the line are never logged, whatever `ECHO_REDACT` says.

    An ID that came in a redacted header is masked.
    """
    asked = request(Authorization="Basic SECRET", Cookie="SECRET", User_Agent="SECRET")
    assert b"SECRET" not in log(redact="").format_lines([answered(asked)])
    assert line(request(), redact="X-Request-Id")["id"] == "***"


HOSTILE = st.binary(max_size=2000) | st.text(max_size=600).map(lambda text: text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("kind", ["json", "common"])
@given(target=HOSTILE, method=HOSTILE, value=st.text(max_size=300), address=st.text(max_size=80))
def test_whatever_comes_it_is_one_line_of_printable_ascii(
    kind: str, target: bytes, method: bytes, value: str, address: str
) -> None:
    """No byte from a client ends a line or controls a terminal, and a line fits in one atomic write to a pipe."""
    wishes = ControlsReport((AppliedControl("body", value, "query"),) * 3)
    entry = RequestRecord(
        HttpRequest(method, target, "HTTP/1.1", ()),
        ConnectionInfo(Endpoint(address, 1), Endpoint("", 1)),
        "200 OK",
        ResponseInfo("json", "id", NOW, wishes),
        1.0,
        1,
        1,
        error=value,
    )
    told = log(kind).format_lines([entry])
    assert len(told) <= MAX_LINE
    assert told.endswith(b"\n")
    assert all(0x20 <= byte < 0x7F for byte in told[:-1])
    if kind == "json":
        assert decode_lossless(target).startswith(json.loads(told)["target"].removesuffix("..."))
    else:
        assert told.count(b'"') - told.count(rb"\"") == 2


@given(st.lists(st.tuples(st.sampled_from([0, 100, 3000, 5000]), st.integers(0, 300), st.booleans()), max_size=20))
def test_lines_are_the_same_together_as_alone(sizes: list[tuple[int, int, bool]]) -> None:
    """Lines written together are the same as lines written one by one, for any number and length, plain or not."""
    whys = ["x" * (size + more) + ("a" if plain else "\u2028") for size, more, plain in sizes]
    entries = [answered(request(), error=why) for why in whys]
    together = log("json").format_lines(entries)
    assert together == b"".join(log("json").format_lines([each]) for each in entries)
    assert all(len(line) <= MAX_LINE for line in together.splitlines(keepends=True))


@given(st.lists(st.integers(1, 300) | st.integers(1, MAX_LINE), min_size=1))
def test_a_piece_is_of_whole_lines(sizes: list[int]) -> None:
    """A piece is made of whole lines, as many as a pipe accepts in one atomic write."""
    lines = b"".join(b"x" * (size - 1) + b"\n" for size in sizes)
    cut = list(split_lines(lines))
    assert b"".join(cut) == lines
    assert all(len(piece) <= MAX_LINE and piece.endswith(b"\n") for piece in cut)
    assert all(len(one) + behind.index(b"\n") + 1 > MAX_LINE for one, behind in itertools.pairwise(cut))


def never(_seconds: float, _call: Callable[[], None]) -> None:
    """Never call anything."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Yield the two ends of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


def read_lines(end: int, count: int) -> list[bytes]:
    """Return this many lines from a pipe."""
    data = b""
    while data.count(b"\n") < count:
        ready, _, _ = select.select([end], [], [], DEADLINE)
        assert ready, data[-100:]
        data += os.read(end, 1 << 16)
    return data.splitlines(keepends=True)


def test_a_pipe_that_has_room_takes_lines_at_once(pipe: tuple[int, int]) -> None:
    """A pipe with room is written to without a thread.

    Its blocking mode is unchanged, so other users of the same pipe as stdout still wait for it as before.
    """
    threads = threading.active_count()
    lines = LogWriter(pipe[1], never, pytest.fail)
    lines.write_lines(b"a\nb\n")
    assert select.select([pipe[0]], [], [], 0)[0]
    assert read_lines(pipe[0], 2) == [b"a\n", b"b\n"]
    assert threading.active_count() == threads
    assert os.get_blocking(pipe[1])
    lines.close(DEADLINE)


@pytest.mark.parametrize("blocking", [True, False])
def test_lines_are_written_in_order(pipe: tuple[int, int], *, blocking: bool) -> None:
    """Lines are written in order, also if a pipe is full for a while, and if its descriptor is non-blocking."""
    os.set_blocking(pipe[1], blocking)
    calls = list[Callable[[], None]]()
    lines = LogWriter(pipe[1], lambda _seconds, call: calls.append(call), pytest.fail)
    sent = [b"%06d %b\n" % (number, b"x" * (number % 900)) for number in range(1000)]
    for _ in range(3):
        for each in sent:
            lines.write_lines(each)
        came = b""
        while len(came) < sum(map(len, sent)):
            assert select.select([pipe[0]], [], [], DEADLINE)[0], came[-100:]
            came += os.read(pipe[0], 1 << 16)
            if calls:
                calls.pop()()  # now there is room
        assert came == b"".join(sent)
    lines.close(DEADLINE)
    assert lines.dropped_lines == 0


def test_a_file_has_all_lines_at_the_end(tmp_path: Path) -> None:
    """A file is written by a thread, because a disk may block, and has all lines at the end."""
    with (tmp_path / "log").open("wb") as file:
        lines = LogWriter(file.fileno(), never, pytest.fail)
        sent = [b"%06d %b\n" % (number, b"x" * (number % 900)) for number in range(1000)]
        for each in sent:
            lines.write_lines(each)
        lines.close(DEADLINE)
    assert (tmp_path / "log").read_bytes() == b"".join(sent)


def test_nobody_waits_for_who_does_not_read(pipe: tuple[int, int]) -> None:
    """Excess lines are dropped and counted; earlier lines are written when they are read."""
    lines = LogWriter(pipe[1], never, pytest.fail)
    line = b"x" * 1023 + b"\n"
    for _ in range(10_000):
        lines.write_lines(2 * line)
    assert 8_000 < lines.dropped_lines < 13_000
    lines.close(0.01)
    assert read_lines(pipe[0], 20_000 - lines.dropped_lines) == [line] * (20_000 - lines.dropped_lines)


def test_what_can_not_be_written_any_more_is_said_once(pipe: tuple[int, int]) -> None:
    """If the reader of the pipe is gone, it is reported once: the log ends, and the echo continues."""
    reports = list[str]()
    lines = LogWriter(pipe[1], never, reports.append)
    os.close(pipe[0])
    lines.write_lines(b"a\n")
    lines.close(DEADLINE)
    lines.write_lines(b"b\nc\n")
    assert reports == ["failed to write the access log to stdout: Broken pipe; access log stopped"]
    assert lines.dropped_lines == 2
