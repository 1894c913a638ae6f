"""Controls of a gRPC call, from its x-echo-* metadata."""

import re
from typing import Any, Final

import msgspec

from app.config.settings import Settings
from app.echo.controls.definitions import BY_NAME as CONTROLS
from app.echo.controls.definitions import Control
from app.echo.controls.parse import FIELD, MOST
from app.echo.controls.values import RefusedError, Span
from app.grpc.status import BY_NAME, CallError, Code
from app.http.headers.allowed import NOT_BY_A_FIELD, is_for_caches
from app.http.request import Fields, shown
from app.http.text import shortened

_SHOWN: Final = 80  # maximum characters of a value in an error message
# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests: ASCII-Value
_ASCII: Final = re.compile(r"[\x20-\x7e]*")
_RESERVED: Final = "grpc-"


class Wishes(msgspec.Struct, frozen=True):
    """The controls of a call: its status code, the delay in seconds before its end, and response headers."""

    status: Code = Code.OK
    delay: Span = Span(0.0, 0.0)
    header: tuple[tuple[str, str], ...] = ()


NONE: Final = Wishes()


def read(fields: Fields, settings: Settings) -> Wishes:
    """Parse the controls in metadata. Raise `CallError` if one is invalid or disabled.

    Unknown controls are ignored.
    """
    asked = [(name[len(FIELD) :], value) for name, value in fields if name.startswith(FIELD)]
    if not asked:
        return NONE
    if len(asked) > MOST:
        raise CallError(Code.INVALID_ARGUMENT, f"more than {MOST} x-echo- headers")
    given: dict[str, Any] = {}
    for name, raw in asked:
        control = CONTROLS.get(name.decode("ascii").replace("-", "_"))
        if control is None:
            continue
        try:
            value = _value(control, raw, settings, again=control.field in given)
        except RefusedError as error:
            told = shortened(shown(raw), _SHOWN)
            raise CallError(
                Code.INVALID_ARGUMENT,
                f"x-echo-{name.decode('ascii')}: {told}: {error}; must be {_bound(control, settings)}",
            ) from None
        given[control.field] = (*given.get(control.field, ()), value) if control.repeatable else value
    return Wishes(**given)


def _value(control: Control, raw: bytes, settings: Settings, *, again: bool) -> Any:
    """Parse one value. Raise `RefusedError` if it is invalid, `CallError` if the control is disabled."""
    if control.field not in Wishes.__struct_fields__:
        raise RefusedError("not supported for gRPC")
    if again and not control.repeatable:
        raise RefusedError("given more than once")
    if not control.allowed(settings):
        setting = "CONTROLS" if settings.controls == "off" else control.permission.upper()
        raise CallError(Code.PERMISSION_DENIED, f"x-echo-{control.name} is disabled (ECHO_{setting})")
    if control.field == "status":
        return _status(raw)
    value = control.read(raw, settings)
    if control.field == "header":
        name, text = value
        if name.lower().startswith(_RESERVED):
            raise RefusedError("grpc- headers can't be set by a client")
        if is_for_caches(name):
            raise RefusedError(NOT_BY_A_FIELD)
        if not _ASCII.fullmatch(text):
            raise RefusedError("metadata must be printable ASCII")
    return value


def _status(raw: bytes) -> Code:
    code = BY_NAME.get(raw.decode("latin-1").strip().upper())
    if code is None:
        raise RefusedError("unknown gRPC status code")
    return code


def _bound(control: Control, settings: Settings) -> str:
    if control.field == "status":
        return "a name such as UNAVAILABLE, or a number from 0 to 16"
    if control.field not in Wishes.__struct_fields__:
        return "x-echo-status, x-echo-delay or x-echo-header"
    return control.bound(settings)
