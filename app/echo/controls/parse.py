"""Parser of the controls in a request: applied, ignored and invalid ones."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final, Literal, NamedTuple

from msgspec import structs

from app.config.settings import Settings
from app.echo.controls.definitions import CONTROLS_BY_NAME, Control
from app.echo.controls.params import NO_CONTROLS, ControlParams
from app.echo.controls.values import InvalidValueError
from app.http.controls_report import EMPTY_REPORT, AppliedControl, ControlsReport, RejectedControl
from app.http.headers import allowed
from app.http.request import HttpRequest, decode_lossless, parse_query
from app.http.status import REDIRECTION_CLASS, SUCCESS_CLASS
from app.http.text import shorten

PARAMETER_PREFIXES: Final = ("echo_", "echo-")  # prefixes of the query parameters that are controls
HEADER_PREFIX: Final = b"x-echo-"
MAX_CONTROLS: Final = 64  # maximum number of controls in one request
_MAX_EXCERPT: Final = 80  # maximum characters of a name or value in the report

# The prefix of a control after `&`, with its characters percent-encoded or not.
_CONTROL_PARAMETER: Final = re.compile(
    b"&" + b"".join(b"(?:%c|%%%02x|%%%02X)" % (byte, byte, byte) for byte in b"echo") + rb"(?:[_-]|%5[fF]|%2[dD])"
)

ControlSource = Literal["query", "header"]


class ParsedControls(NamedTuple):
    """The controls of a request.

    With `invalid_controls` the response is 400, and only its format controls are applied.
    """

    params: ControlParams = NO_CONTROLS
    report: ControlsReport = EMPTY_REPORT
    invalid_controls: tuple[RejectedControl, ...] = ()

    def drop(self, name: str, reason: str) -> "ParsedControls":
        """Return a copy in which this control, if it was requested, is ignored and reported with the reason."""
        matching_controls = [control for control in self.report.granted if control.name == name]
        if not matching_controls:
            return self
        rejected_controls = _reject_applied(matching_controls, reason)
        applied_controls = tuple(control for control in self.report.granted if control.name != name)
        params = structs.replace(self.params, **{name: getattr(NO_CONTROLS, name)})
        return ParsedControls(params, ControlsReport(applied_controls, (*self.report.refused, *rejected_controls)))

    def reject(self, names: Sequence[str], reason: str) -> "ParsedControls":
        """Return a copy in which these controls, if they were requested, are rejected as mistakes."""
        matching_controls = [control for control in self.report.granted if control.name in names]
        rejected_controls = _reject_applied(matching_controls, reason)
        return _invalid_result(self.params, self.report.refused, rejected_controls) if rejected_controls else self


NO_PARSED_CONTROLS: Final = ParsedControls()


def _reject_applied(controls: Sequence[AppliedControl], reason: str) -> list[RejectedControl]:
    """Return applied controls as rejected ones, by their names in the request."""
    return [
        RejectedControl(_name_in_request(control.name, control.source), control.value, control.source, reason)
        for control in controls
    ]


class _RawControl(NamedTuple):
    """One control as received, from a query parameter or a header."""

    name: str  # without echo_ or X-Echo-, in lower case, its words separated by _
    original_name: str
    value: bytes
    source: ControlSource


def parse_controls(request: HttpRequest, settings: Settings, *, is_websocket: bool = False) -> ParsedControls:
    """Parse the controls in the query and the headers of a request.

    The query takes precedence over headers. Invalid controls are mistakes. Disabled and unknown controls are ignored:
    the response is sent all the same, and reports them.
    """
    raw_controls = _find_raw_controls(request)
    return _validate(request, raw_controls, settings, is_websocket=is_websocket) if raw_controls else NO_PARSED_CONTROLS


def _find_raw_controls(request: HttpRequest) -> list[_RawControl]:
    # Most requests have no controls: one search of the whole head, or of the target, is enough to detect that.
    raw_controls = []
    if not request.head or HEADER_PREFIX in request.head.lower():
        raw_controls = [
            _RawControl(
                _normalize_name(name[len(HEADER_PREFIX) :].decode("latin-1")), name.decode("latin-1"), value, "header"
            )
            for name, value in request.headers
            if name[:7].lower() == HEADER_PREFIX
        ]
    query = request.target.partition(b"?")[2]
    if query and _CONTROL_PARAMETER.search(b"&" + query):
        for raw, value in parse_query(query):
            name = decode_lossless(raw)
            if name.startswith(PARAMETER_PREFIXES):
                raw_controls.append(_RawControl(_normalize_name(name[5:]), name, value, "query"))
    return raw_controls


def _name_in_request(name: str, source: ControlSource) -> str:
    """Return the name of the query parameter or header that sets a control."""
    return f"echo_{name}" if source == "query" else f"X-Echo-{name.title().replace('_', '-')}"


def _normalize_name(name: str) -> str:
    return name.lower().replace("-", "_")


def _validate(
    request: HttpRequest, raw_controls: list[_RawControl], settings: Settings, *, is_websocket: bool
) -> ParsedControls:
    values: dict[str, Any] = {}
    applied_controls: list[AppliedControl] = []
    rejected_controls: list[RejectedControl] = []
    invalid_controls: list[RejectedControl] = []
    query_params = {_param_name(raw_control) for raw_control in raw_controls if raw_control.source == "query"}
    for raw_control in raw_controls[:MAX_CONTROLS]:
        control = CONTROLS_BY_NAME.get(raw_control.name)
        if control is None or (
            reason := _ignore_reason(control, raw_control, settings, query_params, is_websocket=is_websocket)
        ):
            rejected_controls.append(
                _reject_control(raw_control, reason if control else _unknown_reason(raw_control.name))
            )
            continue
        try:
            value = _parse_value(control, raw_control, settings, is_repeated=control.param_name in values)
        except InvalidValueError as error:
            invalid_controls.append(_reject_control(raw_control, str(error), control.describe_limit(settings)))
            continue
        values[control.param_name] = (*values.get(control.param_name, ()), value) if control.repeatable else value
        applied_controls.append(
            AppliedControl(control.name, shorten(decode_lossless(raw_control.value), _MAX_EXCERPT), raw_control.source)
        )
    if len(raw_controls) > MAX_CONTROLS:
        invalid_controls.append(
            _reject_control(raw_controls[MAX_CONTROLS], "too many", f"at most {MAX_CONTROLS} in one request")
        )
    invalid_controls += _contradictions(values, raw_controls, is_connect=request.method == b"CONNECT")
    params = ControlParams(**values)
    return (
        _invalid_result(params, rejected_controls, invalid_controls)
        if invalid_controls
        else ParsedControls(params, ControlsReport(tuple(applied_controls), tuple(rejected_controls)))
    )


def _parse_value(control: Control, raw_control: _RawControl, settings: Settings, *, is_repeated: bool) -> Any:
    """Parse the value of a control. Raise `InvalidValueError` if it is invalid or repeated."""
    if is_repeated and not control.repeatable:
        raise InvalidValueError("given more than once")
    value = control.parse_value(raw_control.value, settings)
    if control.name == "header" and raw_control.source == "header" and allowed.is_caching_header(value[0]):
        raise InvalidValueError(allowed.QUERY_ONLY_REASON)
    return value


def _invalid_result(
    params: ControlParams, rejected_controls: Sequence[RejectedControl], invalid_controls: Sequence[RejectedControl]
) -> ParsedControls:
    format_params = ControlParams(format=params.format, pretty=params.pretty)
    return ParsedControls(
        format_params, ControlsReport((), (*rejected_controls, *invalid_controls)), tuple(invalid_controls)
    )


def _ignore_reason(
    control: Control, raw_control: _RawControl, settings: Settings, query_params: set[str], *, is_websocket: bool
) -> str:
    """Return why a control is ignored, even if its value is valid; an empty string if it is not ignored."""
    if raw_control.source == "header" and control.param_name in query_params:
        return "overridden by the query"
    if not control.is_allowed(settings):
        return f"disabled (ECHO_{'CONTROLS' if settings.controls == 'off' else control.permission.upper()})"
    if is_websocket and control.permission:
        return "not supported for WebSocket"
    return ""


def _param_name(raw_control: _RawControl) -> str:
    control = CONTROLS_BY_NAME.get(raw_control.name)
    return control.param_name if control else ""


def _unknown_reason(name: str) -> str:
    suggestions = get_close_matches(name[:_MAX_EXCERPT], CONTROLS_BY_NAME, n=1)
    return "unknown control" + (f"; did you mean {suggestions[0]}?" if suggestions else "")


def _reject_control(raw_control: _RawControl, reason: str, limit: str = "") -> RejectedControl:
    return RejectedControl(
        shorten(raw_control.original_name, _MAX_EXCERPT),
        shorten(decode_lossless(raw_control.value), _MAX_EXCERPT),
        raw_control.source,
        reason,
        limit,
    )


def _contradictions(
    values: dict[str, Any], raw_controls: list[_RawControl], *, is_connect: bool
) -> Iterator[RejectedControl]:
    """Yield controls that can't be combined, or that a response to CONNECT can't have."""

    def conflict(param_name: str, reason: str) -> RejectedControl:
        return _reject_control(
            next(raw_control for raw_control in raw_controls if _param_name(raw_control) == param_name), reason
        )

    status_classes = {status // 100 for status in values["status"].values} if "status" in values else set()
    if "body" in values and "size" in values:
        yield conflict("size", "body and size can't be combined")
    if "compress" in values and "drip" in values:
        yield conflict("drip", "compress and drip can't be combined")
    if "redirect" in values and status_classes - {REDIRECTION_CLASS}:
        yield conflict("status", "a redirect needs a status from 300 to 399")
    if is_connect and SUCCESS_CLASS in status_classes:
        yield conflict("status", "a 2xx response to CONNECT would open a tunnel (RFC 9110, 9.3.6)")
