"""Parsers of control values: durations, sizes, weighted lists.

Each parses a whole value, or raises `RefusedError` with a short reason.
"""

import re
from random import Random
from typing import Final, NamedTuple

MOST_CHOICES: Final = 32  # maximum entries of a weighted list
MOST_WEIGHT: Final = 1_000_000.0

_NUMBER: Final = r"[0-9]{1,12}(?:\.[0-9]{1,9})?"
_DURATION: Final = re.compile(rf"({_NUMBER})(ms|s|m|us|µs)?")
_SIZE: Final = re.compile(r"([0-9]{1,15})([kKMG]i?)?[bB]?")
_SECONDS: Final = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_BYTES: Final = {
    None: 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "ki": 1 << 10, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30,
}  # fmt: skip


class RefusedError(ValueError):
    """An invalid value; the message is a short reason."""


class Span(NamedTuple):
    """A duration, or a range of durations, in seconds."""

    least: float
    most: float

    def choose(self, random: Random) -> float:
        """Return a random duration, uniformly distributed over the range."""
        return self.least if self.least == self.most else random.uniform(self.least, self.most)


class Choices(NamedTuple):
    """A choice of values, each with its weight."""

    values: tuple[int, ...]
    weights: tuple[float, ...]

    def choose(self, random: Random) -> int:
        """Return a random value, with a probability proportional to its weight."""
        return self.values[0] if len(self.values) == 1 else random.choices(self.values, self.weights)[0]


def duration(text: str, unit: str = "s") -> float:
    """Parse `250ms`, `1.5s`, `2m`, or a plain number in the given unit, as seconds. Raise `RefusedError`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise RefusedError("invalid duration")
    return float(match[1]) * _SECONDS[match[2] or unit]


def span(text: str, unit: str = "s") -> Span:
    """Parse a duration, or a range such as `100-250ms`. Raise `RefusedError`.

    If the start of a range has no unit, it has the unit of the end.
    """
    first, dash, second = text.partition("-")
    if not dash:
        return Span(duration(first, unit), duration(first, unit))
    most = duration(second, unit)
    least = duration(first, _DURATION.fullmatch(second.strip())[2] or unit)  # type: ignore[index] # it was read above
    if least > most:
        raise RefusedError("invalid range: its end is below its start")
    return Span(least, most)


def size(text: str) -> int:
    """Parse `1000`, `10kB` or `10MiB` as bytes. Raise `RefusedError`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise RefusedError("invalid size")
    return int(match[1]) * _BYTES[match[2]]


def whole(text: str) -> int:
    """Parse a whole number. Raise `RefusedError`."""
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise RefusedError("not a whole number")
    return int(text)


def choices(text: str, least: int, most: int) -> Choices:
    """Parse `503`, or a weighted list `500:10,200:90` of numbers from `least` to `most`. Raise `RefusedError`.

    The default weight is 1.
    """
    elements = text.split(",")
    if len(elements) > MOST_CHOICES:
        raise RefusedError(f"more than {MOST_CHOICES} choices")
    values, weights = [], []
    for element in elements:
        value, colon, weight = element.partition(":")
        values.append(whole(value.strip()))
        if not least <= values[-1] <= most:
            raise RefusedError(f"{values[-1]} is out of range")
        weights.append(_weight(weight.strip()) if colon else 1.0)
    if not any(weights):
        raise RefusedError("all weights are 0")
    return Choices(tuple(values), tuple(weights))


def _weight(text: str) -> float:
    if not re.fullmatch(_NUMBER, text) or float(text) > MOST_WEIGHT:
        raise RefusedError(f"invalid weight: must be a number from 0 to {MOST_WEIGHT:.0f}")
    return float(text)
