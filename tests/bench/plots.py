"""A run's curves as pictures: `python -m tests.bench.plots [RESULTS.json [FOLDER]]`, by default those of the last run.

Of each curve two: requests a second and latency, and CPU per request; every subject is in both. The same results give
the same bytes. It is run by the Python that has matplotlib, which is not the one that has the tests' packages.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from tests.bench.pictures import names
from tests.bench.results import FILE, FOLDER, Axis, Curve, Point, Results, read

# The palette of Okabe and Ito, which those who see fewer colours can tell apart, without what is pale on white.
# https://jfly.uni-koeln.de/color/
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000")
_MARKERS: Final = "os^Dv*"
_STYLE: Final = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",  # else a dark page would shine through behind dark letters
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "svg.fonttype": "none",  # letters stay letters, which are smaller than their outlines
    "svg.hashsalt": "echo",  # else each picture would have names of its own
}
_MICROSECONDS: Final = 1e6
_X: Final[dict[Axis, str]] = {
    "body bytes": "body",
    "connections": "connections",
    "headers": "header fields",
    "workers": "workers",
}
_UNITS: Final = ((1 << 20, "MiB"), (1 << 10, "KiB"))
_SMALL: Final = ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))

_MANY: Final = 100  # marks, before matplotlib would leave some out
_SLANT: Final = 30  # degrees, by which long marks keep apart

Value = Callable[[Point], float]


def draw(results: Results, folder: Path) -> tuple[Path, ...]:
    """Draw every curve into the folder; give the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        return tuple(path for curve in results.curves for path in _drawn(curve, folder))


def _drawn(curve: Curve, folder: Path) -> Iterator[Path]:
    rate, latency, cpu = _rate(), _latency(), _cpu()
    for name, panels in zip(names(curve), ([rate, latency], [cpu]), strict=True):
        yield _written(_figure(curve, panels), folder / name)


class Panel:
    """One pair of axes: what stands above it, what it shows of a point, each by its style of line, and its unit."""

    def __init__(self, title: str, lines: dict[str, Value], shown: Callable[[float, object], str]) -> None:
        self.title = title
        self.lines = lines
        self.shown = shown


def _rate() -> Panel:
    return Panel("requests a second", {"-": lambda point: point.requests_per_second}, lambda value, _: f"{value:,.0f}")


def _latency() -> Panel:
    return Panel(
        "latency: p50, and p99 (dashed)",
        {"-": lambda point: point.p50, "--": lambda point: point.p99},
        lambda value, _: duration(value),
    )


def _cpu() -> Panel:
    return Panel(
        "CPU per request, µs",
        {"-": lambda point: point.cpu_per_request * _MICROSECONDS},
        lambda value, _: f"{value:,.0f}",
    )


def duration(seconds: float) -> str:
    """Show a time with its unit."""
    for scale, unit in reversed(_SMALL):
        if seconds >= scale * 0.999:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / _SMALL[0][0]:.2g} {_SMALL[0][1]}"


def place(x: float, axis: Axis) -> str:
    """Show a place on an axis; of a body, with its unit."""
    if axis != "body bytes":
        return f"{x:,.0f}"
    for scale, unit in _UNITS:
        if x >= scale:
            return f"{x / scale:.3g} {unit}"
    return f"{x:.0f} B"


def _steps(low: float, high: float) -> Sequence[float]:
    """Give what is marked between two powers of ten: the more, the nearer the values are to each other."""
    if high <= low * 10:
        return (1, 1.5, 2, 3, 5, 7)
    return (1, 2, 5) if high <= low * 1000 else (1,)


def _figure(curve: Curve, panels: Sequence[Panel]) -> Figure:
    # A panel takes five inches of width, of 72 of SVG's points each: two of them fill the width of a README.
    figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
    figure.suptitle(curve.name)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _plot(axes, curve, panel)
    handles, subjects = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, subjects, loc="outside lower center", ncols=2 * len(panels))
    return figure


def _plot(axes: Any, curve: Curve, panel: Panel) -> None:
    for number, series in enumerate(curve.series):
        looks = {"color": _COLOURS[number % len(_COLOURS)], "marker": _MARKERS[number % len(_MARKERS)], "markersize": 4}
        for style, value in panel.lines.items():
            axes.plot(
                [point.x for point in series.points],
                [value(point) for point in series.points],
                linestyle=style,
                label=series.subject if style == "-" else None,
                **looks,
            )
    axes.set_title(panel.title, fontsize=10)
    points = [point for series in curve.series for point in series.points]
    places = sorted({point.x for point in points})
    # Zero has no logarithm: it stands one step before the first place that has one.
    axes.set_xscale("symlog", base=2, linthresh=min((place for place in places if place), default=1))
    axes.set_xlabel(_X[curve.x])
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: place(value, curve.x)))
    axes.tick_params(axis="x", rotation=_SLANT if curve.x == "body bytes" else 0)
    axes.set_yscale("log")
    values = [value(point) for value in panel.lines.values() for point in points]
    axes.yaxis.set_major_locator(LogLocator(10, subs=_steps(min(values), max(values)), numticks=_MANY))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(panel.shown))


def _written(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path


def main(arguments: Sequence[str]) -> int:
    """Draw what a run has written, and say where."""
    file, folder = (*map(Path, arguments), *(FILE, FOLDER)[len(arguments) :])
    for path in draw(read(file), folder):
        print(path)  # noqa: T201 - it speaks to a person
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
