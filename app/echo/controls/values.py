"""Parsers of texts in control values: durations, sizes, ranges, weighted lists.

Each parses a whole value, with or without white space around it, or raises `RefusedError` with a short reason. The
patterns are regular expressions without anchors, in the syntax of Python and ECMAScript.
"""

import re
from random import Random
from typing import Final, NamedTuple

from app.http.quantities import DURATION_PATTERN, NUMBER_PATTERN, duration_unit, parse_duration, parse_size

MOST_CHOICES: Final = 32  # maximum entries of a weighted list
MOST_WEIGHT: Final = 1_000_000.0

RANGE_PATTERN: Final = f"{DURATION_PATTERN}(?:-{DURATION_PATTERN})?"
_WHOLE: Final = re.compile("[0-9]{1,12}")
_WEIGHT: Final = re.compile(NUMBER_PATTERN)


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
    """Parse a duration as seconds; a plain number is in the given unit. Raise `RefusedError`."""
    try:
        return parse_duration(text.strip(), unit)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def span(text: str, unit: str = "s") -> Span:
    """Parse a duration, or a range such as `100-250ms`. Raise `RefusedError`.

    If the start of a range has no unit, it has the unit of the end.
    """
    first, dash, second = text.partition("-")
    if not dash:
        return Span(duration(first, unit), duration(first, unit))
    most = duration(second, unit)
    least = duration(first, duration_unit(second.strip()) or unit)
    if least > most:
        raise RefusedError("invalid range: its end is below its start")
    return Span(least, most)


def size(text: str) -> int:
    """Parse a size as bytes. Raise `RefusedError`."""
    try:
        return parse_size(text.strip())
    except ValueError as error:
        raise RefusedError(str(error)) from None


def whole(text: str) -> int:
    """Parse a whole number. Raise `RefusedError`."""
    if not _WHOLE.fullmatch(text):
        raise RefusedError("not a whole number")
    return int(text)


def choices_pattern(value: str) -> str:
    """Return the pattern of a weighted list of values with this pattern."""
    choice = f"{value}(?::{NUMBER_PATTERN})?"
    return f"{choice}(?:,{choice}){{0,{MOST_CHOICES - 1}}}"


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
    if not _WEIGHT.fullmatch(text) or float(text) > MOST_WEIGHT:
        raise RefusedError(f"invalid weight: must be a number from 0 to {MOST_WEIGHT:.0f}")
    return float(text)
