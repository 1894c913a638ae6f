"""Which trace a request belongs to by B3 (Zipkin): one field, or several. https://github.com/openzipkin/b3-propagation."""

import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from app.http.text import quoted

_B3: Final = "B3"
# By what they say: X-B3-TraceId and the others, as they are spelled here.
_X_B3: Final = {
    "trace_id": "X-B3-Traceid",
    "span_id": "X-B3-Spanid",
    "parent_span_id": "X-B3-Parentspanid",
    "sampled": "X-B3-Sampled",
    "flags": "X-B3-Flags",
}
B3_NAMES: Final = frozenset({_B3, *_X_B3.values()})
"""The fields that are looked at, by canonical name."""


_B3_SINGLE = re.compile(r"([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-([01d])(?:-([0-9a-f]{16}))?)?")
_B3_TRACE_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{16}")
_B3_SPAN_ID = re.compile(r"[0-9a-f]{16}")
# `true` and `false` are older than B3's description, and still to be taken.
_B3_SAMPLED: Final = {"1": True, "0": False, "true": True, "false": False, "d": True}


class B3(msgspec.Struct, frozen=True, rename="camel"):
    """The parent span by B3, of one field or several. https://github.com/openzipkin/b3-propagation."""

    trace_id: str | UnsetType = UNSET
    span_id: str | UnsetType = UNSET
    parent_span_id: str | UnsetType = UNSET
    sampled: bool | UnsetType = UNSET
    debug: bool | UnsetType = UNSET


def only(headers: dict[str, list[str]], name: str, invalid: dict[str, str]) -> str | None:
    """Give the value of a field that may come once, None where it did not come, or came more often."""
    values = headers.get(name, [])
    if len(values) > 1:
        invalid[name] = f"sent {len(values)} times; must be one header"
    return values[0] if len(values) == 1 else None


def b3_of(headers: dict[str, list[str]], invalid: dict[str, str]) -> B3 | UnsetType:
    """Give what B3 says; the one field wins over the several, as it does for tracers."""
    single = only(headers, _B3, invalid)
    found = _b3_single(single, invalid) if single is not None else UNSET
    several = _b3_several(headers, invalid)
    return several if found is UNSET else found


def _b3_single(value: str, invalid: dict[str, str]) -> B3 | UnsetType:
    if value in {"0", "1", "d"}:
        return B3(sampled=_B3_SAMPLED[value], debug=True if value == "d" else UNSET)
    match = _B3_SINGLE.fullmatch(value)
    if match is None:
        invalid[_B3] = "neither 0, 1, d, nor of the form traceid-spanid-sampled-parentspanid, in lower-case digits"
        return UNSET
    trace_id, span_id, sampled, parent_span_id = match.groups()
    return B3(
        trace_id,
        span_id,
        parent_span_id or UNSET,
        _B3_SAMPLED[sampled] if sampled else UNSET,
        True if sampled == "d" else UNSET,
    )


def _b3_several(headers: dict[str, list[str]], invalid: dict[str, str]) -> B3 | UnsetType:
    ids: dict[str, str] = {}
    for part, form in (("trace_id", _B3_TRACE_ID), ("span_id", _B3_SPAN_ID), ("parent_span_id", _B3_SPAN_ID)):
        value = only(headers, _X_B3[part], invalid)
        if value is None:
            continue
        if form.fullmatch(value):
            ids[part] = value
        else:
            invalid[_X_B3[part]] = "not 16 lower-case hexadecimal digits" + (" or 32" if part == "trace_id" else "")
    sampled = _choice(headers, "sampled", {key: said for key, said in _B3_SAMPLED.items() if key != "d"}, invalid)
    debug = _choice(headers, "flags", {"1": True, "0": UNSET}, invalid)
    found = B3(**ids, sampled=True if debug is True else sampled, debug=debug)
    return UNSET if found == B3() else found


def _choice(
    headers: dict[str, list[str]], part: str, choices: dict[str, bool | UnsetType], invalid: dict[str, str]
) -> bool | UnsetType:
    name = _X_B3[part]
    value = only(headers, name, invalid)
    if value is not None and value not in choices:
        invalid[name] = f"{quoted(value)} is none of {', '.join(choices)}"
    return choices.get(value, UNSET) if value is not None else UNSET
