"""Values of controls: durations, ranges, sizes and weighted lists."""

import re
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.echo.controls import values
from app.echo.controls.values import DurationRange, InvalidValueError, WeightedChoice
from app.http.status import MAX_STATUS, MIN_STATUS, STATUS_PATTERN


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("1.5s", 1.5), ("0", 0), ("2", 2), ("1m", 60), (" 3s ", 3), ("10us", 1e-5), ("0.5", 0.5)],
)
def test_a_duration_is_a_number_and_its_unit(text: str, seconds: float) -> None:
    """A duration without a unit is in seconds."""
    assert values.parse_control_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "-1", "1h", "s", "1e9", "nan", "inf", "1.s", ".5s", "1 s x", "9" * 13, "\u0661s", "1ms\n2", "0x1"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """An invalid duration is rejected; nothing is guessed."""
    with pytest.raises(InvalidValueError, match="invalid duration"):
        values.parse_control_duration(text)


def test_peers_write_milliseconds_without_a_unit() -> None:
    """A duration without a unit can be in milliseconds, as in peers' controls; a unit is respected."""
    assert values.parse_control_duration("250", "ms") == pytest.approx(0.25)
    assert values.parse_control_duration("2s", "ms") == pytest.approx(2)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("100ms-2s", DurationRange(0.1, 2)),
        ("1s-1s", DurationRange(1, 1)),
        ("100-200ms", DurationRange(0.1, 0.2)),
        ("3", DurationRange(3, 3)),
        ("1s - 2s", DurationRange(1, 2)),
    ],
)
def test_a_range_takes_the_unit_of_its_end(text: str, span: DurationRange) -> None:
    """The start of a range without a unit has the unit of its end."""
    assert values.parse_duration_range(text) == pytest.approx(span)


@pytest.mark.parametrize("text", ["2s-1s", "1-", "-", "1s-2s-3s", "a-b"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    """An invalid range is rejected, also one that ends before it begins."""
    with pytest.raises(InvalidValueError):
        values.parse_duration_range(text)


def test_a_range_is_exact() -> None:
    """Limits are compared with the exact duration, whatever its unit: 1.1 * 1e-3 would be above 0.0011."""
    assert values.parse_duration_range("1.1-1.1ms") == DurationRange(0.0011, 0.0011)
    assert values.parse_duration_range("0.1s-100ms") == DurationRange(0.1, 0.1)


def test_any_duration_of_a_range_is_chosen_alike() -> None:
    """Durations of a range are uniformly distributed: each quarter gets a quarter, within statistical limits."""
    random = Random(1)  # noqa: S311 - a test's
    quarters = Counter(int(DurationRange(1, 3).choose(random) * 2) for _ in range(4000))
    assert set(quarters) == {2, 3, 4, 5}
    assert all(850 < count < 1150 for count in quarters.values())


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", 0),
        ("10", 10),
        ("10B", 10),
        ("1k", 1000),
        ("2kB", 2000),
        ("1KiB", 1024),
        ("10MiB", 10 << 20),
        ("1GB", 10**9),
    ],
)
def test_a_size_is_a_number_of_bytes(text: str, length: int) -> None:
    """Kilo is a thousand, kibi 1024."""
    assert values.parse_control_size(text) == length


@pytest.mark.parametrize("text", ["", "-1", "1.5MB", "1TB", "MB", "1 0", "1e3", "9" * 16, "²"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """An invalid size is rejected; nothing is guessed."""
    with pytest.raises(InvalidValueError, match="invalid size"):
        values.parse_control_size(text)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("503", WeightedChoice((503,), (1.0,))),
        ("500:10,200:90", WeightedChoice((500, 200), (10.0, 90.0))),
        ("200:0.5, 404", WeightedChoice((200, 404), (0.5, 1.0))),
        ("200:0,500:1", WeightedChoice((200, 500), (0.0, 1.0))),
    ],
)
def test_a_weighted_list_has_a_weight_for_each_value(text: str, choices: WeightedChoice) -> None:
    """The default weight is 1."""
    assert values.parse_weighted_choice(text, 200, 599) == choices


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a whole number"),
        ("abc", "not a whole number"),
        ("200,", "not a whole number"),
        ("+200", "not a whole number"),
        ("\uff12\uff10\uff10", "not a whole number"),
        ("100", "100 is out of range"),
        ("200:1,600:1", "600 is out of range"),
        ("200:-1", "invalid weight"),
        ("200:nan", "invalid weight"),
        ("200:1e9", "invalid weight"),
        ("200:9999999", "invalid weight"),
        ("200:0", "all weights are 0"),
        (",".join(["200"] * 33), "more than 32"),
    ],
)
def test_what_is_no_status_is_refused_with_a_reason(text: str, reason: str) -> None:
    """An invalid status is rejected with a short reason; nothing is omitted silently."""
    with pytest.raises(InvalidValueError, match=reason):
        values.parse_weighted_choice(text, 200, 599)


def test_the_pattern_of_a_status_is_its_range() -> None:
    """The pattern in documents matches the same status codes that a control accepts, and nothing else."""
    codes = [f"{number:03}" for number in range(1000)]
    assert [code for code in codes if re.fullmatch(STATUS_PATTERN, code)] == [
        str(number) for number in range(MIN_STATUS, MAX_STATUS + 1)
    ]
    assert not re.fullmatch(STATUS_PATTERN, "2000")


def test_a_weighted_list_is_fair() -> None:
    """A tenth of 10,000 is 1000, plus or minus four standard deviations (30 each)."""
    random = Random(2)  # noqa: S311 - a test's
    counts = Counter(values.parse_weighted_choice("500:10,200:90", 200, 599).choose(random) for _ in range(10_000))
    assert set(counts) == {500, 200}
    assert abs(counts[500] - 1000) < 120


@given(st.text(max_size=40))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    """Any text is parsed or rejected, and nothing else is raised."""
    for read in (
        values.parse_control_duration,
        values.parse_duration_range,
        values.parse_control_size,
        values.parse_integer,
        lambda each: values.parse_weighted_choice(each, 200, 599),
    ):
        try:
            read(text)
        except InvalidValueError as error:
            assert str(error)  # noqa: PT017 - most texts are refused, and a few are not
