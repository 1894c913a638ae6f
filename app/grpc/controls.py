"""Controls of a gRPC call, from its x-echo-* metadata."""

import re
from typing import Any, Final

import msgspec

from app.config.settings import Settings
from app.echo.controls.definitions import CONTROLS_BY_NAME as CONTROLS
from app.echo.controls.definitions import Control
from app.echo.controls.parse import HEADER_PREFIX, MAX_CONTROLS
from app.echo.controls.values import DurationRange, InvalidValueError
from app.grpc.status import CODES_BY_NAME, CallError, StatusCode
from app.http.headers.allowed import QUERY_ONLY_REASON, is_caching_header
from app.http.request import HeaderList, decode_lossless
from app.http.text import shorten

_MAX_EXCERPT: Final = 80  # maximum characters of a value in an error message
# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests: ASCII-Value
_ASCII: Final = re.compile(r"[\x20-\x7e]*")
_RESERVED_PREFIX: Final = "grpc-"


class CallControls(msgspec.Struct, frozen=True):
    """The controls of a call: its status code, the delay in seconds before its end, and response headers."""

    status: StatusCode = StatusCode.OK
    delay: DurationRange = DurationRange(0.0, 0.0)
    header: tuple[tuple[str, str], ...] = ()


NO_CALL_CONTROLS: Final = CallControls()


def parse_controls(headers: HeaderList, settings: Settings) -> CallControls:
    """Parse the controls in metadata. Raise `CallError` if one is invalid or disabled.

    Unknown controls are ignored.
    """
    raw_controls = [(name[len(HEADER_PREFIX) :], value) for name, value in headers if name.startswith(HEADER_PREFIX)]
    if not raw_controls:
        return NO_CALL_CONTROLS
    if len(raw_controls) > MAX_CONTROLS:
        raise CallError(StatusCode.INVALID_ARGUMENT, f"more than {MAX_CONTROLS} x-echo- headers")
    values: dict[str, Any] = {}
    for name, raw in raw_controls:
        control = CONTROLS.get(name.decode("ascii").replace("-", "_"))
        if control is None:
            continue
        try:
            value = _parse_value(control, raw, settings, is_repeated=control.param_name in values)
        except InvalidValueError as error:
            value_text = shorten(decode_lossless(raw), _MAX_EXCERPT)
            raise CallError(
                StatusCode.INVALID_ARGUMENT,
                f"x-echo-{name.decode('ascii')}: {value_text}: {error}; must be {_accepted_values(control, settings)}",
            ) from None
        values[control.param_name] = (*values.get(control.param_name, ()), value) if control.repeatable else value
    return CallControls(**values)


def _parse_value(control: Control, raw: bytes, settings: Settings, *, is_repeated: bool) -> Any:
    """Parse one value. Raise `InvalidValueError` if it is invalid, `CallError` if the control is disabled."""
    if control.param_name not in CallControls.__struct_fields__:
        raise InvalidValueError("not supported for gRPC")
    if is_repeated and not control.repeatable:
        raise InvalidValueError("given more than once")
    if not control.is_allowed(settings):
        setting = "CONTROLS" if settings.controls == "off" else control.permission.upper()
        raise CallError(StatusCode.PERMISSION_DENIED, f"x-echo-{control.name} is disabled (ECHO_{setting})")
    if control.param_name == "status":
        return _parse_status(raw)
    value = control.parse_value(raw, settings)
    if control.param_name == "header":
        name, text = value
        if name.lower().startswith(_RESERVED_PREFIX):
            raise InvalidValueError("grpc- headers can't be set by a client")
        if is_caching_header(name):
            raise InvalidValueError(QUERY_ONLY_REASON)
        if not _ASCII.fullmatch(text):
            raise InvalidValueError("metadata must be printable ASCII")
    return value


def _parse_status(raw: bytes) -> StatusCode:
    code = CODES_BY_NAME.get(raw.decode("latin-1").strip().upper())
    if code is None:
        raise InvalidValueError("unknown gRPC status code")
    return code


def _accepted_values(control: Control, settings: Settings) -> str:
    if control.param_name == "status":
        return "a name such as UNAVAILABLE, or a number from 0 to 16"
    if control.param_name not in CallControls.__struct_fields__:
        return "x-echo-status, x-echo-delay or x-echo-header"
    return control.describe_limit(settings)
