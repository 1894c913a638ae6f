"""Redacted request data for logs and traces.

Nothing here is derived from a header in ECHO_REDACT.
"""

import re
from typing import Final, TypeVar

from msgspec import UNSET, UnsetType, structs

from app.config.policy import Policy
from app.http.controls_report import AppliedControl, ControlsReport, RejectedControl
from app.http.headers.client_address import client_from_headers
from app.http.headers.names import canonical_name
from app.http.headers.trace_context import Trace, parse_trace
from app.http.record import RequestRecord, ResponseInfo
from app.http.redaction import MASK
from app.http.request import HttpRequest, decode_lossless
from app.http.text import shorten
from app.telemetry.metrics import METHODS

MAX_TARGET: Final = 1024  # maximum characters of a logged request target
_MAX_ADDRESS: Final = 64
_ID: Final = b"x-request-id"
_PATH: Final = b":path"
_AUTHORITY: Final = frozenset((b":authority", b"host"))  # the same header (RFC 9113, 8.3.1)
# Headers whose values a rejection reason quotes; it may also quote a line that is not HTTP, which may hold the value of
# any pseudo-header.
_HEADERS_IN_ERRORS: Final = _AUTHORITY | {_PATH, b":method", b":scheme", b"content-length", b"te"}
_HEADER_PREFIX_IN_ERRORS: Final = b"sec-websocket-"
# Headers that other values are derived from.
_CLIENT_HEADERS: Final = frozenset((b"x-forwarded-for", b"forwarded", b"x-real-ip"))
_TRACE_HEADERS: Final = frozenset((b"traceparent",))
# The first letter is matched in both cases: a search that ignores case from the start examines each byte.
_find_traceparent: Final = re.compile(rb"\n[tT](?i:raceparent)").search
_CONTROL_HEADER_PREFIX: Final = "x-echo-"

_ReportedControl = TypeVar("_ReportedControl", AppliedControl, RejectedControl)


class LogFields:
    """Redacted data of requests, as the policy allows."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._redacted_names = policy.redacted_in_logs
        self._path_visible = _PATH not in self._redacted_names
        self._authority_visible = not _AUTHORITY & self._redacted_names
        self._id_visible = _ID not in self._redacted_names
        self._errors_visible = not any(
            name in _HEADERS_IN_ERRORS or name.startswith(_HEADER_PREFIX_IN_ERRORS) for name in self._redacted_names
        )
        self._trace_headers = _TRACE_HEADERS - self._redacted_names
        self._client_headers = _CLIENT_HEADERS - self._redacted_names if policy.trusted_proxies else frozenset()

    def is_redacted(self, name: bytes) -> bool:
        """Return whether a header (in lower case) is redacted."""
        return name in self._redacted_names

    def target(self, request: HttpRequest) -> str:
        """Return the request target as lossless text, shortened if it is long."""
        # The target of an HTTP/2 CONNECT is `:authority`.
        if self._path_visible and (
            self._authority_visible or not request.authority or request.target != request.authority
        ):
            target = decode_lossless(request.target)
            return target if len(target) <= MAX_TARGET else shorten(target, MAX_TARGET)
        return MASK

    def error_text(self, record: RequestRecord) -> str:
        """Return the reason of a rejection, without the text it quotes if that may be a redacted value."""
        sentence, colon, _ = record.error.partition(": ")
        return record.error if self._errors_visible or not colon else f"{sentence}: {MASK}"

    def id(self, info: ResponseInfo) -> str:
        """Return the request id."""
        return info.id if self._id_visible else MASK

    def client(self, record: RequestRecord) -> str:
        """Return the address of the client, according to the headers of trusted proxies if there are any."""
        address = record.connection.client.address
        if self._client_headers:
            headers = _values(record.request, self._client_headers)
            address = client_from_headers(headers, record.connection, self._policy.trusted_proxies).effective
        return address if len(address) <= _MAX_ADDRESS else shorten(address, _MAX_ADDRESS)

    def trace(self, request: HttpRequest) -> Trace | UnsetType:
        """Return the parsed traceparent of the request; `UNSET` if there is none, or if it is redacted."""
        if request.head and not _find_traceparent(request.head):  # most requests
            return UNSET
        headers = _values(request, self._trace_headers)
        return parse_trace(headers) if headers else UNSET

    def controls_report(self, report: ControlsReport) -> ControlsReport:
        """Return the controls report with redacted values."""
        return ControlsReport(
            tuple(map(self._redact_control, report.granted)), tuple(map(self._redact_control, report.refused))
        )

    def _redact_control(self, control: _ReportedControl) -> _ReportedControl:
        names = (f"{_CONTROL_HEADER_PREFIX}{control.name}", f"{_CONTROL_HEADER_PREFIX}{control.name.replace('_', '-')}")
        sources = [name.encode() for name in names] if control.source == "header" else [_PATH]
        is_redacted = any(name in self._redacted_names for name in sources)
        return structs.replace(control, value=MASK) if is_redacted else control


def method_text(request: HttpRequest) -> str:
    """Return the method as lossless text, shortened if it is long."""
    return METHODS.get(request.method) or shorten(decode_lossless(request.method))


def response_info(record: RequestRecord) -> ResponseInfo | None:
    """Return the application's information about a response, or None if the application was not called."""
    return record.response_info if isinstance(record.response_info, ResponseInfo) else None


def _values(request: HttpRequest, names: frozenset[bytes]) -> dict[str, list[str]]:
    """Return the values of these headers as lossless text, by canonical name."""
    values: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name.lower() in names:
            values.setdefault(canonical_name(name), []).append(decode_lossless(value))
    return values
