"""Sizes and durations: notation, exactness and limits."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http import quantities
from app.http.quantities import (
    DURATION,
    DURATION_PATTERN,
    SIZE,
    SIZE_PATTERN,
    Quantity,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)

UNITS = {"": Fraction(1), "s": Fraction(1), "ms": Fraction(1, 1000), "m": Fraction(60)} | dict.fromkeys(
    ("us", "µs"), Fraction(1, 10**6)
)
MULTIPLES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "ki": 1 << 10, "Ki": 1 << 10, "Mi": 1 << 20}
INVALID = {
    "empty": "",
    "a unit alone": "s",
    "a negative number": "-1",
    "a sign": "+1",
    "an exponent": "1e3",
    "an exponent beyond a float": "1e400",
    "not a number": "nan",
    "infinity": "inf",
    "hexadecimal": "0x10",
    "grouped digits": "1_000",
    "Arabic digits": "\u0661\u0662",
    "fullwidth digits": "\uff11\uff12",
    "a superscript": "1\u00b2",
    "white space around": " 1",
    "white space inside": "1 0",
    "a line after it": "1\n",
    "a NUL after it": "1\0",
    "a comma": "1,5",
    "too many digits": "9" * 16,
    "a list": "1-2",
}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("007", 7),
        ("10B", 10),
        ("10b", 10),
        ("1k", 1000),
        ("2kB", 2000),
        ("2KB", 2000),
        ("1KiB", 1024),
        ("1kib", 1024),
        ("512Ki", 512 << 10),
        ("10MB", 10**7),
        ("10MiB", 10 << 20),
        ("1G", 10**9),
        ("1GiB", 1 << 30),
        ("999999999999999GiB", 999_999_999_999_999 << 30),
    ],
)
def test_a_size_is_a_whole_number_of_bytes(text: str, size: int) -> None:
    """Kilo is 1000, kibi 1024; no size overflows."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("2", 2.0),
        ("75.0", 75.0),
        ("0.30000000000000004", 0.30000000000000004),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("2m", 120.0),
        ("0.5m", 30.0),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("999999999999m", 59_999_999_999_940.0),
    ],
)
def test_a_duration_is_in_seconds(text: str, seconds: float) -> None:
    """The result is the same float as that of the literal."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "same"), [("100ms", "0.1s"), ("1.1ms", "0.0011s"), ("0.1m", "6s"), ("4.35m", "261"), ("300000us", "0.3")]
)
def test_a_duration_does_not_depend_on_its_unit(text: str, same: str) -> None:
    """A product of floats would differ: 1.1 * 1e-3 is above 0.0011, and 4.35 * 60 below 261."""
    assert parse_duration(text) == parse_duration(same) == float(same.removesuffix("s"))


@given(
    whole=st.integers(0, 10**12 - 1),
    fraction=st.text("0123456789", min_size=1, max_size=18),
    unit=st.sampled_from(list(UNITS)),
)
def test_a_duration_is_rounded_once(whole: int, fraction: str, unit: str) -> None:
    """Any duration is the float that is closest to the exact number."""
    assert parse_duration(f"{whole}.{fraction}{unit}") == float(Fraction(f"{whole}.{fraction}") * UNITS[unit])


@given(number=st.integers(0, 10**15 - 1), unit=st.sampled_from(list(MULTIPLES)), end=st.sampled_from(["", "b", "B"]))
def test_a_size_is_exact(number: int, unit: str, end: str) -> None:
    """Also above 2**53, where floats are not."""
    assert parse_size(f"{number}{unit}{end}") == number * MULTIPLES[unit]


def test_a_plain_duration_can_be_in_another_unit() -> None:
    """A unit in the text takes precedence."""
    assert parse_duration("250", "ms") == 0.25
    assert parse_duration("250.5", "ms") == 0.2505
    assert parse_duration("2s", "ms") == 2.0


@pytest.mark.parametrize("quantity", [SIZE, DURATION], ids=lambda quantity: quantity.name)
@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
def test_what_is_not_in_the_notation_is_invalid(quantity: Quantity, text: str) -> None:
    """Nothing is guessed, and the pattern that documents have does not match either."""
    with pytest.raises(ValueError, match=f"^invalid {quantity.name}$"):
        quantity.parse(text)
    assert not re.fullmatch(quantity.pattern, text)


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        *((SIZE, text) for text in ("1.5MB", "1TB", "MB", "1iB", "1Bk", "1BB", "1MIB", "1mib", "1bit", "1ms")),
        *((DURATION, text) for text in ("1h", "1.s", ".5s", "1 s", "1m30s", "1S", "1sm", "1ns", "1MiB", "9" * 13)),
        (DURATION, "1." + "0" * 19),
    ],
)
def test_a_unit_that_is_unknown_is_invalid(quantity: Quantity, text: str) -> None:
    """A size has no fraction, and a duration one unit; the case of a unit matters."""
    with pytest.raises(ValueError, match=f"^invalid {quantity.name}$"):
        quantity.parse(text)


@given(st.from_regex(SIZE_PATTERN, fullmatch=True))
def test_the_pattern_of_sizes_is_that_of_the_parser(text: str) -> None:
    """Every text that matches is a size."""
    assert parse_size(text) >= 0


@given(st.from_regex(DURATION_PATTERN, fullmatch=True))
def test_the_pattern_of_durations_is_that_of_the_parser(text: str) -> None:
    """Every text that matches is a duration."""
    assert 0 <= parse_duration(text) < 10**14


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0"), (1, "1"), (1000, "1000"), (1024, "1KiB"), (65_536, "64KiB"), (24 << 20, "24MiB"), (1 << 40, "1024GiB")],
)
def test_a_size_is_shown_with_a_unit(size: int, text: str) -> None:
    """The unit is the largest of which it is a multiple."""
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.1, "0.1s"), (0.1 + 0.2, "0.3s"), (60.0, "60s"), (1e-7, "0.0000001s"), (604_800.0, "604800s")],
)
def test_a_duration_is_shown_in_seconds(seconds: float, text: str) -> None:
    """It has no exponent and no digits of rounding errors."""
    assert format_duration(seconds) == text


@given(st.integers(0, 1 << 40))
def test_a_shown_size_can_be_set(size: int) -> None:
    """A size that is shown as a limit or default is accepted, and is the same."""
    assert parse_size(format_size(size)) == size


@given(st.integers(0, 604_800 * 10**6))
def test_a_shown_duration_can_be_set(microseconds: int) -> None:
    """A duration that is shown as a limit or default is accepted, and is the same."""
    assert parse_duration(format_duration(microseconds / 10**6)) == microseconds / 10**6


@pytest.mark.parametrize("quantity", [SIZE, DURATION], ids=lambda quantity: quantity.name)
def test_the_examples_are_accepted(quantity: Quantity) -> None:
    """Every example that error messages and documents have is valid."""
    examples = [*quantity.examples.split(", "), *re.findall(r"\b[0-9][\w.]*[a-zA-Z]\b", quantity.notation)]
    assert len(examples) > 3
    assert all(quantity.parse(text) for text in examples)


def test_the_unit_of_a_duration_is_that_of_its_text() -> None:
    """A plain number has none."""
    assert [quantities.duration_unit(text) for text in ("1", "1.5", "1.5s", "2ms", "3µs")] == ["", "", "s", "ms", "µs"]
