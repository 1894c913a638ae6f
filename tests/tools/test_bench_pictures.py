"""Stored pictures of the curves, and their section of the README."""

from typing import Final
from xml.etree import ElementTree as ET

import pytest

from tools.bench import kept, pictures
from tools.bench.results import Axis, Curve, Point, Series
from tools.commands import ROOT

_LARGEST: Final = 60_000  # bytes
_CURVES: Final = kept.runs()[kept.drawn()].curves


def test_the_pictures_that_are_kept_are_those_of_the_kept_curves_small_and_legible_anywhere() -> None:
    """There is none too many or missing; each names every subject, has a background for dark pages, and has no date."""
    curves = {name: curve for curve in _CURVES for name in pictures.names(curve)}
    assert {path.name for path in pictures.KEPT.glob("*.svg")} == curves.keys()
    for name, curve in curves.items():
        text = (pictures.KEPT / name).read_text(encoding="utf-8")
        words = {"".join(each.itertext()).strip() for each in ET.fromstring(text).iter()}  # noqa: S314 - ours
        assert {series.subject for series in curve.series} <= words, name
        assert "fill: #ffffff" in text, name
        assert "dc:date" not in text, name
        assert len(text) < _LARGEST, name


@pytest.mark.parametrize(
    ("axis", "name"),
    [("connections", "connections"), ("body bytes", "body-bytes"), ("headers", "headers"), ("workers", "workers")],
)
def test_a_curve_is_shown_by_two_pictures(axis: Axis, name: str) -> None:
    """They show throughput and cost per request, each with a text for readers who can't see it."""
    told = pictures.documented([Curve("GET", axis, [Series("echo", [Point(1, 1, 1, 1, 1)])])], ROOT)
    assert told == (
        f"![GET, by {axis}: requests a second and latency](tools/bench/measured/{name}.svg)\n\n"
        f"![GET, by {axis}: CPU per request](tools/bench/measured/{name}-cpu.svg)"
    )


@pytest.mark.parametrize(
    ("seconds", "told"), [(2.0, "2 s"), (1.0, "1 s"), (0.25, "250 ms"), (1.5e-4, "150 µs"), (5e-7, "0.5 µs")]
)
def test_a_time_is_told_in_the_largest_unit_of_which_there_is_one(seconds: float, told: str) -> None:
    """Below the smallest unit there is none."""
    assert pictures.duration(seconds) == told


@pytest.mark.parametrize(
    ("x", "axis", "told"),
    [
        (0, "body bytes", "0 B"),
        (512, "body bytes", "512 B"),
        (1 << 14, "body bytes", "16 KiB"),
        (1 << 26, "body bytes", "64 MiB"),
        (4096, "connections", "4,096"),
    ],
)
def test_a_place_has_a_unit_where_it_is_a_bodys_size(x: float, axis: Axis, told: str) -> None:
    """Connections have none, although there may be 4,096 of them."""
    assert pictures.place(x, axis) == told


@pytest.mark.parametrize(("values", "marks"), [((), 6), ((1, 9), 6), ((1, 11), 3), ((1, 10_000), 1)])
def test_an_axis_has_marks_enough_to_be_read_and_not_more(values: tuple[float, ...], marks: int) -> None:
    """The fewer powers of ten an axis has, the more values between them are ticks."""
    assert len(pictures.steps(values)) == marks
