"""Access log: a line per request, as JSON or common log format."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from app.http.controls_report import NOTHING, Applied
from app.http.grpc_record import Called
from app.http.headers.trace_context import Trace
from app.http.record import Answered
from app.http.request import WireRequest, once
from app.http.text import shortened
from app.http.timestamp import time_of
from app.telemetry.log_fields import TARGET, Facts, about_of, method
from app.telemetry.log_writer import LONGEST
from app.telemetry.metrics import REFUSAL

_SHORT: Final = 64
# Characters that a terminal could interpret, or a log reader as the end of a line, including non-ASCII ones (C1,
# U+2028).
_NOT_PLAIN: Final = re.compile(r"[^ -~\n]")


class _Line(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """JSON log line; the names are our own where no standard name exists."""

    time: str
    client: str
    method: str
    target: str
    protocol: str
    status: int
    bytes: int
    received: int
    duration: float
    format: str
    id: str = ""
    trace_id: str = ""
    applied: Applied = NOTHING
    error: str = ""
    whole: bool = True
    grpc_status: str = ""


class AccessLog:
    """Formatter of access log lines, in JSON or common log format."""

    def __init__(self, kind: str, facts: Facts, wall: Callable[[], float] = time.time) -> None:
        self.lines: Callable[[Sequence[Answered]], bytes] = self._json if kind == "json" else self._common
        """Format the lines of requests, each with its line end, of at most `LONGEST` bytes."""
        self._facts = facts
        self._wall = wall

    def _json(self, answered: Sequence[Answered]) -> bytes:
        lines = [self._line(each) for each in answered]
        text = _encode_lines(lines)
        if _is_plain(text) and (len(text) <= LONGEST or max(map(len, text.split(b"\n"))) < LONGEST):
            return text
        return b"".join(map(_fitting, lines))

    def _common(self, answered: Sequence[Answered]) -> bytes:
        return "".join(map(self._common_line, answered)).encode("ascii")

    def _line(self, answered: Answered) -> _Line:
        request, about, facts = answered.request, about_of(answered), self._facts
        asked, target, trace_id = once(request, self, self._said)
        return _Line(
            time_of(about.now if about else self._wall()),
            facts.client(answered),
            asked,
            target,
            answered.protocol or request.version,
            _code(answered.status),
            answered.sent,
            answered.received,
            int(answered.seconds * 1e6 + 0.5) / 1e6,
            about.form if about else REFUSAL,
            facts.id(about) if about else "",
            trace_id,
            facts.applied(about.applied) if about and about.applied is not NOTHING else NOTHING,
            facts.why(answered) if answered.why else "",
            answered.whole,
            about.ending.code if isinstance(about, Called) else "",
        )

    def _said(self, request: WireRequest) -> tuple[str, str, str]:
        """Return method, target and trace id of a request, redacted."""
        trace = self._facts.trace(request)
        return method(request), self._facts.target(request), _trace_id(trace) if trace else ""

    def _common_line(self, answered: Answered) -> str:
        """Return a line in common log format. https://httpd.apache.org/docs/current/logs.html#common."""
        request, about = answered.request, about_of(answered)
        asked = "-"
        if request.target:
            target = shortened(_escaped(self._facts.target(request)), 2 * TARGET)  # escaped, a character may be twelve
            asked = f"{_escaped(method(request))} {target} {request.version}"
        client = _escaped(self._facts.client(answered)).replace(" ", "_") or "-"
        when = _clf_time(int(about.now if about else self._wall()))
        return f'{client} - - [{when}] "{asked}" {answered.status[:3]} {answered.sent or "-"}\n'


@lru_cache(maxsize=64)
def _code(status: str) -> int:
    return int(status[:3])


def _trace_id(trace: Trace) -> str:
    return trace.traceparent.trace_id if trace.traceparent else ""


def _is_plain(text: bytes) -> bool:
    """Return whether JSON is printable ASCII; JSON itself excludes all other control characters."""
    return text.isascii() and b"\x7f" not in text


def _fitting(line: _Line) -> bytes:
    """Return a line as JSON of printable ASCII, of at most `LONGEST` bytes."""
    text = _plain(line)
    if len(text) > LONGEST:
        target, error = shortened(line.target, _SHORT), shortened(line.error, _SHORT)
        text = _plain(msgspec.structs.replace(line, target=target, error=error, applied=NOTHING))
    return text


def _plain(line: _Line) -> bytes:
    data = _encode_lines((line,))
    if _is_plain(data):
        return data
    text = _NOT_PLAIN.sub(lambda found: json.dumps(found[0])[1:-1].replace("\x7f", r"\u007f"), data.decode())
    return text.encode("ascii")


_encode_lines: Final = msgspec.json.Encoder().encode_lines

# As in Apache: characters that a terminal could interpret become \xHH of their UTF-8 bytes.
_QUOTES: Final[Mapping[str, str]] = {'"': r"\"", "\\": r"\\"}
_NOT_IN_QUOTES: Final = re.compile(r'[^ -~]|["\\]')


def _escaped(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text

    def escape(found: re.Match[str]) -> str:
        return _QUOTES.get(found[0]) or "".join(f"\\x{byte:02x}" for byte in found[0].encode())

    return _NOT_IN_QUOTES.sub(escape, text)


@lru_cache(maxsize=2)
def _clf_time(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
