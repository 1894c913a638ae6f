"""Durations and numbers as Go reads and writes them, with what Go says of those that it can't read.

https://pkg.go.dev/time#ParseDuration, https://pkg.go.dev/strconv
"""

import re
from decimal import Decimal
from typing import Final

import msgspec

from app.http.text import shortened

_SHOWN: Final = 80  # characters of a value that are shown
_MOST: Final = (1 << 63) - 1  # nanoseconds of a time.Duration, some 292 years
_MOST_DIGITS: Final = 40  # of a number that means something
_LONGEST: Final = 200  # characters of a duration that means something

_NANOSECONDS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_NUMBER: Final = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_TERM: Final = re.compile(rf"({_NUMBER})([^0-9.]*)")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_FLOAT: Final = re.compile(rf"[+-]?{_NUMBER}(?:[eE][+-]?[0-9]+)?")


class GoError(ValueError):
    """What Go says of a value."""


def quoted(text: str) -> str:
    """Give a value in quotes, shortened."""
    return msgspec.json.encode(shortened(text, _SHOWN)).decode()


def nanoseconds(text: str) -> int:
    """Read a duration as `1.5s`, `1h2m`, `-3ms`; gives nanoseconds. Raises `GoError` in time's words."""
    invalid = GoError(f"time: invalid duration {quoted(text)}")
    rest = text[1:] if text[:1] in {"+", "-"} else text
    if rest == "0":
        return 0
    if not rest or len(rest) > _LONGEST:
        raise invalid
    total, place = 0, 0
    while place < len(rest):
        term = _TERM.match(rest, place)
        if term is None or len(term[1]) > _MOST_DIGITS:
            raise invalid
        if not term[2]:
            raise GoError(f"time: missing unit in duration {quoted(text)}")
        if term[2] not in _NANOSECONDS:
            raise GoError(f"time: unknown unit {quoted(term[2])} in duration {quoted(text)}")
        total += int(Decimal(term[1]) * _NANOSECONDS[term[2]])
        place = term.end()
        if total > _MOST:
            raise invalid
    return -total if text[0] == "-" else total


def duration_or_seconds(text: str) -> int:
    """Read a duration, or a number alone in seconds; gives nanoseconds. Raises `GoError` in strconv's words."""
    try:
        return nanoseconds(text)
    except GoError:
        # To the millisecond, as go-httpbin has it.
        return int(number(text) * 1000) * 10**6


def number(text: str) -> float:
    """Read a number. Raises `GoError` in strconv's words."""
    if not _FLOAT.fullmatch(text):
        raise GoError(f"strconv.ParseFloat: parsing {quoted(text)}: invalid syntax")
    value = float(text[: _MOST_DIGITS + 1])
    if len(text) > _MOST_DIGITS or abs(value) > _MOST:
        raise GoError(f"strconv.ParseFloat: parsing {quoted(text)}: value out of range")
    return value


def integer(text: str) -> int:
    """Read a whole number. Raises `GoError` in strconv's words."""
    if not _INTEGER.fullmatch(text):
        raise GoError(f"strconv.Atoi: parsing {quoted(text)}: invalid syntax")
    if len(text) > _MOST_DIGITS or abs(int(text)) > _MOST:
        raise GoError(f"strconv.Atoi: parsing {quoted(text)}: value out of range")
    return int(text)


def duration_text(duration: int) -> str:
    """Write nanoseconds as Go does: `1m39s`, `1.5s`, `250ms`, `0s`."""
    sign, rest = ("-", -duration) if duration < 0 else ("", duration)
    if rest < _NANOSECONDS["s"]:
        unit = next((unit for unit in ("ms", "µs", "ns") if rest >= _NANOSECONDS[unit]), "")
        return f"{sign}{_decimal(rest, _NANOSECONDS[unit])}{unit}" if unit else "0s"
    minutes, seconds = divmod(rest, _NANOSECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(seconds, _NANOSECONDS['s'])}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = str(part).rjust(len(str(unit)) - 1, "0").rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)
