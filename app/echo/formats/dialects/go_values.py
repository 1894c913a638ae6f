"""Durations and integers, parsed as Go parses them.

https://pkg.go.dev/time#ParseDuration, https://pkg.go.dev/strconv#Atoi
"""

import re
from decimal import Decimal
from typing import Final

from app.http.text import quote_excerpt

_MAX_INT64: Final = (1 << 63) - 1  # as nanoseconds some 292 years
_MAX_LENGTH: Final = 200  # characters of a duration; Go has no limit

_NANOSECONDS: Final = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_TERM: Final = re.compile(rf"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)({'|'.join(_NANOSECONDS)})")
_DURATION: Final = re.compile(rf"[+-]?(?:0|(?:{_TERM.pattern})+)")
# Go accepts leading zeros, so the limit on digits is looser than the limit on the value.
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}")


class ParseError(ValueError):
    """A value that Go can't parse."""


def nanoseconds(text: str) -> int:
    """Parse a duration such as `1.5s`, `1h2m` or `-3ms`. Raise `ParseError` if it is malformed or out of range."""
    total = 0
    valid = len(text) <= _MAX_LENGTH and _DURATION.fullmatch(text)
    if valid:
        total = sum(int(Decimal(number) * _NANOSECONDS[unit]) for number, unit in _TERM.findall(text))
    if not valid or total > _MAX_INT64:
        raise ParseError(f"invalid duration {quote_excerpt(text)}: must be numbers with units, such as 250ms or 1m30s")
    return -total if text[0] == "-" else total


def integer(text: str) -> int:
    """Parse an integer of 64 bits. Raise `ParseError` if it is malformed or out of range."""
    if not _INTEGER.fullmatch(text) or abs(int(text)) > _MAX_INT64:
        raise ParseError(f"invalid integer {quote_excerpt(text)}")
    return int(text)
