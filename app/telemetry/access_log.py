"""Access log: a line per request, as JSON or common log format."""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from app.http.controls_report import EMPTY_REPORT, ControlsReport
from app.http.headers.trace_context import Trace
from app.http.record import GrpcResponseInfo, RequestRecord
from app.http.request import HttpRequest, memoize
from app.http.text import shorten
from app.http.timestamp import format_rfc3339
from app.telemetry.log_fields import MAX_TARGET, LogFields, method_text, response_info
from app.telemetry.log_writer import MAX_LINE
from app.telemetry.metrics import REJECTION_FORMAT

_SHORT_LIMIT: Final = 64
# Characters that a terminal could interpret, or a log reader as the end of a line, including non-ASCII ones (C1,
# U+2028).
_NOT_PRINTABLE: Final = re.compile(r"[^ -~\n]")


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
    applied: ControlsReport = EMPTY_REPORT
    error: str = ""
    whole: bool = True
    grpc_status: str = ""


class AccessLog:
    """Formatter of access log lines, in JSON or common log format."""

    def __init__(self, kind: str, log_fields: LogFields, wall_time: Callable[[], float] = time.time) -> None:
        self.format_lines: Callable[[Sequence[RequestRecord]], bytes] = (
            self._format_json if kind == "json" else self._format_common
        )
        """Format the lines of requests, each with its line end, of at most `MAX_LINE` bytes."""
        self._log_fields = log_fields
        self._wall_time = wall_time

    def _format_json(self, records: Sequence[RequestRecord]) -> bytes:
        lines = [self._json_line(record) for record in records]
        text = _encode_lines(lines)
        if _is_printable_ascii(text) and (len(text) <= MAX_LINE or max(map(len, text.split(b"\n"))) < MAX_LINE):
            return text
        return b"".join(map(_encode_within_limit, lines))

    def _format_common(self, records: Sequence[RequestRecord]) -> bytes:
        return "".join(map(self._common_line, records)).encode("ascii")

    def _json_line(self, record: RequestRecord) -> _Line:
        request, info, log_fields = record.request, response_info(record), self._log_fields
        method, target, trace_id = memoize(request, self, self._request_values)
        return _Line(
            format_rfc3339(info.now if info else self._wall_time()),
            log_fields.client(record),
            method,
            target,
            record.protocol or request.version,
            _status_code(record.status),
            record.sent_bytes,
            record.received_bytes,
            int(record.seconds * 1e6 + 0.5) / 1e6,
            info.format if info else REJECTION_FORMAT,
            log_fields.id(info) if info else "",
            trace_id,
            log_fields.controls_report(info.controls_report)
            if info and info.controls_report != EMPTY_REPORT
            else EMPTY_REPORT,
            log_fields.error_text(record) if record.error else "",
            record.is_complete,
            info.call_status.code if isinstance(info, GrpcResponseInfo) else "",
        )

    def _request_values(self, request: HttpRequest) -> tuple[str, str, str]:
        """Return method, target and trace id of a request, redacted."""
        trace = self._log_fields.trace(request)
        return method_text(request), self._log_fields.target(request), _trace_id(trace) if trace else ""

    def _common_line(self, record: RequestRecord) -> str:
        """Return a line in common log format. https://httpd.apache.org/docs/current/logs.html#common."""
        request, info = record.request, response_info(record)
        request_line = "-"
        if request.target:
            target = shorten(
                _escape(self._log_fields.target(request)), 2 * MAX_TARGET
            )  # escaped, a character may be twelve
            request_line = f"{_escape(method_text(request))} {target} {request.version}"
        client = _escape(self._log_fields.client(record)).replace(" ", "_") or "-"
        timestamp = _clf_time(int(info.now if info else self._wall_time()))
        return f'{client} - - [{timestamp}] "{request_line}" {record.status[:3]} {record.sent_bytes or "-"}\n'


@lru_cache(maxsize=64)
def _status_code(status: str) -> int:
    return int(status[:3])


def _trace_id(trace: Trace) -> str:
    return trace.traceparent.trace_id if trace.traceparent else ""


def _is_printable_ascii(text: bytes) -> bool:
    """Return whether JSON is printable ASCII; JSON itself excludes all other control characters."""
    return text.isascii() and b"\x7f" not in text


def _encode_within_limit(line: _Line) -> bytes:
    """Return a line as JSON of printable ASCII, of at most `MAX_LINE` bytes."""
    text = _encode_ascii(line)
    if len(text) > MAX_LINE:
        target, error = shorten(line.target, _SHORT_LIMIT), shorten(line.error, _SHORT_LIMIT)
        text = _encode_ascii(msgspec.structs.replace(line, target=target, error=error, applied=EMPTY_REPORT))
    return text


def _encode_ascii(line: _Line) -> bytes:
    data = _encode_lines((line,))
    if _is_printable_ascii(data):
        return data
    text = _NOT_PRINTABLE.sub(lambda match: json.dumps(match[0])[1:-1].replace("\x7f", r"\u007f"), data.decode())
    return text.encode("ascii")


_encode_lines: Final = msgspec.json.Encoder().encode_lines

# As in Apache: characters that a terminal could interpret become \xHH of their UTF-8 bytes.
_QUOTED_CHARACTERS: Final[Mapping[str, str]] = {'"': r"\"", "\\": r"\\"}
_MUST_BE_ESCAPED: Final = re.compile(r'[^ -~]|["\\]')


def _escape(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text

    def escape_character(match: re.Match[str]) -> str:
        return _QUOTED_CHARACTERS.get(match[0]) or "".join(f"\\x{byte:02x}" for byte in match[0].encode())

    return _MUST_BE_ESCAPED.sub(escape_character, text)


@lru_cache(maxsize=2)
def _clf_time(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
