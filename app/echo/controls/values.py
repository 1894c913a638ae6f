"""Parsers of control values: durations, sizes, ranges, weighted lists.

Each parses a whole value, with or without white space around it, or raises `InvalidValueError` with a short reason. The
patterns are regular expressions without anchors, in the syntax of Python and ECMAScript.
"""

import re
from random import Random
from typing import Final, NamedTuple

from app.http import quantities
from app.http.quantities import DURATION_PATTERN, NUMBER_PATTERN, duration_unit

MAX_CHOICES: Final = 32  # maximum entries of a weighted list
MAX_WEIGHT: Final = 1_000_000.0

RANGE_PATTERN: Final = f"{DURATION_PATTERN}(?:-{DURATION_PATTERN})?"
_INTEGER: Final = re.compile("[0-9]{1,12}")
_WEIGHT: Final = re.compile(NUMBER_PATTERN)


class InvalidValueError(ValueError):
    """An invalid value; the message is a short reason."""


class DurationRange(NamedTuple):
    """A duration, or a range of durations, in seconds."""

    minimum: float
    maximum: float

    def choose(self, random: Random) -> float:
        """Return a random duration, uniformly distributed over the range."""
        return self.minimum if self.minimum == self.maximum else random.uniform(self.minimum, self.maximum)


class WeightedChoice(NamedTuple):
    """A choice of values, each with its weight."""

    values: tuple[int, ...]
    weights: tuple[float, ...]

    def choose(self, random: Random) -> int:
        """Return a random value, with a probability proportional to its weight."""
        return self.values[0] if len(self.values) == 1 else random.choices(self.values, self.weights)[0]


def parse_control_duration(text: str, unit: str = "s") -> float:
    """Parse a duration as seconds; a plain number is in the given unit. Raise `InvalidValueError`."""
    try:
        return quantities.parse_duration(text.strip(), unit)
    except ValueError as error:
        raise InvalidValueError(str(error)) from None


def parse_duration_range(text: str, unit: str = "s") -> DurationRange:
    """Parse a duration, or a range such as `100-250ms`. Raise `InvalidValueError`.

    If the start of a range has no unit, it has the unit of the end.
    """
    first, dash, second = text.partition("-")
    if not dash:
        duration = parse_control_duration(first, unit)
        return DurationRange(duration, duration)
    maximum = parse_control_duration(second, unit)
    minimum = parse_control_duration(first, duration_unit(second.strip()) or unit)
    if minimum > maximum:
        raise InvalidValueError("invalid range: its end is below its start")
    return DurationRange(minimum, maximum)


def parse_control_size(text: str) -> int:
    """Parse a size as bytes. Raise `InvalidValueError`."""
    try:
        return quantities.parse_size(text.strip())
    except ValueError as error:
        raise InvalidValueError(str(error)) from None


def parse_integer(text: str) -> int:
    """Parse a whole number. Raise `InvalidValueError`."""
    if not _INTEGER.fullmatch(text):
        raise InvalidValueError("not a whole number")
    return int(text)


def weighted_choice_pattern(value: str) -> str:
    """Return the pattern of a weighted list of values with this pattern."""
    weighted_value = f"{value}(?::{NUMBER_PATTERN})?"
    return f"{weighted_value}(?:,{weighted_value}){{0,{MAX_CHOICES - 1}}}"


def parse_weighted_choice(text: str, minimum: int, maximum: int) -> WeightedChoice:
    """Parse `503`, or a weighted list `500:10,200:90` of numbers. Raise `InvalidValueError`.

    Each number is from `minimum` to `maximum`. The default weight is 1.
    """
    elements = text.split(",")
    if len(elements) > MAX_CHOICES:
        raise InvalidValueError(f"more than {MAX_CHOICES} choices")
    values, weights = [], []
    for element in elements:
        value, colon, weight = element.partition(":")
        values.append(parse_integer(value.strip()))
        if not minimum <= values[-1] <= maximum:
            raise InvalidValueError(f"{values[-1]} is out of range")
        weights.append(_parse_weight(weight.strip()) if colon else 1.0)
    if not any(weights):
        raise InvalidValueError("all weights are 0")
    return WeightedChoice(tuple(values), tuple(weights))


def _parse_weight(text: str) -> float:
    if not _WEIGHT.fullmatch(text) or float(text) > MAX_WEIGHT:
        raise InvalidValueError(f"invalid weight: must be a number from 0 to {MAX_WEIGHT:.0f}")
    return float(text)
