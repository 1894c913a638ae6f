"""Pictures of a run's curves, drawn by matplotlib.

`python -m tools.bench.plots [RESULTS.json [FOLDER]]`, by default the results of the last run. Each curve has two
pictures: requests per second and latency, and CPU per request; every subject is in both. The same results produce the
same bytes. The Python that runs it is the one that has matplotlib, not the one that has the tests' packages.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from msgspec import Struct

from tools.bench.pictures import duration, names, place, steps
from tools.bench.results import FILE, FOLDER, Axis, Curve, Point, Results, read

# The palette of Okabe and Ito, which colour-blind people can distinguish, without the colours that are pale on white.
# https://jfly.uni-koeln.de/color/
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000")
_MARKERS: Final = "os^Dv*"
_STYLE: Final = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",  # else a dark page would show through behind dark letters
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "svg.fonttype": "none",  # letters stay letters, which are smaller than their outlines
    "svg.hashsalt": "echo",  # else each picture would have element ids of its own
}
_X: Final[dict[Axis, str]] = {
    "body bytes": "body",
    "connections": "connections",
    "headers": "header fields",
    "workers": "workers",
}
_MANY: Final = 100  # ticks, above which matplotlib would omit some
_SLANT: Final = 30  # degrees, so that long tick labels do not overlap

Looks = dict[str, dict[str, Any]]


class Panel(Struct, frozen=True):
    """One pair of axes: its title, the value of a point in each line style, and the format of a value."""

    title: str
    lines: dict[str, Callable[[Point], float]]
    told: Callable[[float], str]


_RATE: Final = Panel("requests a second", {"-": lambda point: point.requests_per_second}, "{:,.0f}".format)
_LATENCY: Final = Panel(
    "latency: p50, and p99 (dashed)", {"-": lambda point: point.p50, "--": lambda point: point.p99}, duration
)
_CPU: Final = Panel("CPU per request", {"-": lambda point: point.cpu_per_request}, duration)


def draw(results: Results, folder: Path) -> tuple[Path, ...]:
    """Draw every curve into the folder; return the paths of the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    looks = _looks(results.curves)
    with mpl.rc_context(_STYLE):
        return tuple(path for curve in results.curves for path in _drawn(curve, looks, folder))


def _looks(curves: Iterable[Curve]) -> Looks:
    """Return the style of each subject, the same in every picture."""
    subjects = dict.fromkeys(series.subject for curve in curves for series in curve.series)
    return {
        subject: {
            "color": _COLOURS[number % len(_COLOURS)],
            "marker": _MARKERS[number % len(_MARKERS)],
            "markersize": 4,
        }
        for number, subject in enumerate(subjects)
    }


def _drawn(curve: Curve, looks: Looks, folder: Path) -> Iterator[Path]:
    for name, panels in zip(names(curve), ((_RATE, _LATENCY), (_CPU,)), strict=True):
        yield _written(_figure(curve, looks, panels), folder / name)


def _figure(curve: Curve, looks: Looks, panels: Sequence[Panel]) -> Figure:
    # A panel is five inches wide, with 72 of SVG's points each: two of them fill the width of a README.
    figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
    figure.suptitle(curve.name)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _plot(axes, curve, looks, panel)
    handles, subjects = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, subjects, loc="outside lower center", ncols=2 * len(panels))
    return figure


def _plot(axes: Any, curve: Curve, looks: Looks, panel: Panel) -> None:
    values: list[float] = []
    for series in curve.series:
        for style, value in panel.lines.items():
            # A value of zero was not measured: a tool reports it for loads without a complete response.
            shown = {point.x: value(point) for point in series.points if value(point) > 0}
            values += shown.values()
            label = series.subject if style == "-" else None
            axes.plot([*shown], [*shown.values()], linestyle=style, label=label, **looks[series.subject])
    axes.set_title(panel.title, fontsize=10)
    _scale_x(axes, curve)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(10, subs=steps(values), numticks=_MANY))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: panel.told(value)))


def _scale_x(axes: Any, curve: Curve) -> None:
    places = sorted({point.x for series in curve.series for point in series.points})
    # Zero has no logarithm: it is placed one step before the first place that has one.
    axes.set_xscale("symlog", base=2, linthresh=min((place for place in places if place), default=1))
    axes.set_xlabel(_X[curve.x])
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: place(value, curve.x)))
    axes.tick_params(axis="x", rotation=_SLANT if curve.x == "body bytes" else 0)


def _written(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path


def main(arguments: Sequence[str]) -> int:
    """Draw the results of a run, and print the paths."""
    file, folder = (*map(Path, arguments), *(FILE, FOLDER)[len(arguments) :])
    for path in draw(read(file), folder):
        print(path)  # noqa: T201 - it speaks to a person
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
