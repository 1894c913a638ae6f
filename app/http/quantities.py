"""Sizes and durations: one notation for settings and controls.

A plain number is in bytes or seconds. A size is a whole number; a duration is the float that is closest to the decimal
number, so that `100ms` equals `0.1s`.
"""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

# Regular expressions without anchors, in the syntax that Python, ECMAScript (OpenAPI) and RE2 (Helm) have in common.
# They have `[0-9]`, since `\d` matches digits of other scripts in Python. A number has no exponent.
NUMBER_PATTERN: Final = r"[0-9]{1,12}(?:\.[0-9]{1,18})?"
DURATION_PATTERN: Final = f"{NUMBER_PATTERN}(?:ms|s|m|us|µs)?"
SIZE_PATTERN: Final = "[0-9]{1,15}(?:[kKMG]i?)?[bB]?"

_DIGITS: Final = "0123456789"
_DURATION: Final = re.compile(DURATION_PATTERN)
_SIZE: Final = re.compile(SIZE_PATTERN)
_MICROSECONDS: Final = {"us": 1, "µs": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6}
_BYTES: Final = {
    "": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "ki": 1 << 10, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30,
}  # fmt: skip


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `1000`, `10kB` or `10MiB`. Raise `ValueError` if it is invalid."""
    if not _SIZE.fullmatch(text):
        raise ValueError("invalid size")
    unit = text.lstrip(_DIGITS)
    return int(text.removesuffix(unit)) * _BYTES[unit.rstrip("bB")]


def parse_duration(text: str, default_unit: str = "s") -> float:
    """Return the seconds of a duration such as `250ms`, `1.5s` or `2m`. Raise `ValueError` if it is invalid.

    `default_unit` is the unit of a plain number.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError("invalid duration")
    unit = duration_unit(text)
    digits, _, fraction = text.removesuffix(unit).partition(".")
    # A quotient of integers is rounded once. A product of floats would differ: 1.1 * 1e-3 is above 0.0011.
    seconds: float = int(digits + fraction) * _MICROSECONDS[unit or default_unit] / 10 ** (6 + len(fraction))
    return seconds


def duration_unit(text: str) -> str:
    """Return the unit of a valid duration, empty for a plain number."""
    return text.lstrip(_DIGITS + ".")


def format_size(size: int) -> str:
    """Return a size with the largest unit, up to GiB, of which it is a multiple: `10MiB`; `1000` for bytes."""
    for unit in ("Gi", "Mi", "Ki"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}B"
    return str(size)


def format_duration(seconds: float) -> str:
    """Return a duration in seconds, to the nanosecond: `1.5s`."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


class Quantity(NamedTuple):
    """Sizes or durations: name, notation as a noun phrase, examples, pattern, and the functions above."""

    name: str
    notation: str
    examples: str
    pattern: str
    parse: Callable[[str], float]
    format: Callable[[Any], str]


SIZE: Final = Quantity(
    "size",
    "a number of bytes, or a number with a unit: 512KiB, 10MiB, 1GiB (kB, MB and GB are powers of 1000)",
    "10kB, 10MiB",
    SIZE_PATTERN,
    parse_size,
    format_size,
)
DURATION: Final = Quantity(
    "duration",
    "a number of seconds, or a number with a unit: 250ms, 1.5s, 2m",
    "250ms, 1.5s",
    DURATION_PATTERN,
    parse_duration,
    format_duration,
)
