"""Parser of `traceparent`: the trace of a request (W3C Trace Context)."""

import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

_TRACEPARENT: Final = "Traceparent"

# Trace Context, 3.2: a later version may have more after the flags.
_TRACEPARENT_VALUE = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_SAMPLED: Final = 0x01
_RANDOM: Final = 0x02  # Trace Context level 2, 3.2.2.5


class TraceParent(msgspec.Struct, frozen=True, rename="camel"):
    """Parent span of a request.

    https://www.w3.org/TR/trace-context-2/#traceparent-header. `random` is the level 2 flag for a random trace id.
    """

    version: str
    trace_id: str
    parent_id: str
    sampled: bool
    random: bool = False


class Trace(msgspec.Struct, frozen=True):
    """Trace of a request: the parsed `traceparent`.

    If the header is malformed, `invalid` has the reason, by the header's name.
    """

    traceparent: TraceParent | UnsetType = UNSET
    invalid: dict[str, str] | UnsetType = UNSET


def parse_trace(headers: dict[str, list[str]]) -> Trace | UnsetType:
    """Parse the `traceparent` of a request (values by canonical header name); return `UNSET` if there is none."""
    values = headers.get(_TRACEPARENT)
    if not values:
        return UNSET
    parent = _parse_traceparent(values[0]) if len(values) == 1 else f"sent {len(values)} times; must be one header"
    return Trace(parent) if isinstance(parent, TraceParent) else Trace(invalid={_TRACEPARENT: parent})


def _parse_traceparent(value: str) -> TraceParent | str:
    """Parse a value, or return why it is invalid."""
    match = _TRACEPARENT_VALUE.fullmatch(value)
    if match is None:
        if _TRACEPARENT_VALUE.fullmatch(value.lower()):
            return "its digits must be lower-case"
        return "not of the form version-traceid-parentid-flags: 2, 32, 16 and 2 hexadecimal digits"
    version, trace_id, parent_id, flags, suffix = match.groups()
    checks = {
        "ff is no version": version == "ff",
        "version 00 has nothing behind its flags": version == "00" and suffix is not None,
        "its trace id is all zeros": not trace_id.strip("0"),
        "its parent id is all zeros": not parent_id.strip("0"),
    }
    error = next((error for error, applies in checks.items() if applies), None)
    if error:
        return error
    bits = int(flags, 16)
    return TraceParent(version, trace_id, parent_id, bool(bits & _SAMPLED), bool(bits & _RANDOM))
