"""Reports of a run: Markdown tables, and with colours for a terminal."""

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Final

from tools.bench.instructions import risen
from tools.bench.results import Curve, Figure, Results

_RED, _PLAIN = "\x1b[31m", "\x1b[0m"
_POWERS: Final = {
    "B": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")),
}


def measure_of(value: float, unit: str) -> str:
    """Format a value with the power of its unit that fits: `132 µs/request`."""
    base, slash, per = unit.partition("/")
    for power, name in _POWERS.get(base, ()):
        if value >= power:
            return f"{value / power:.3g} {name}{slash}{per}"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _limit(figure: Figure, limit: float | None) -> str:
    if limit is None:
        return ""
    sign = "≤" if figure.better == "less" else "≥"
    return f"{sign} {_ratio(figure, limit)}"


def _ratio(figure: Figure, value: float) -> str:
    return f"{value:.2f}" if len(figure.subjects) > 1 else measure_of(value, figure.unit)


def verdict(figure: Figure) -> str:
    """Return in a word how a figure compares with its goal and its limit."""
    if not figure.asked:
        return ""
    if not figure.holds:
        return "broken"
    return "met" if figure.met else "holds"


def cells(figure: Figure) -> tuple[str, ...]:
    """Return the cells of a figure's row."""
    values = " : ".join(measure_of(median(each), figure.unit) for each in figure.subjects.values())
    low, high = (_ratio(figure, each) for each in (figure.ratio.low, figure.ratio.high))
    return (
        figure.name,
        values if len(figure.subjects) > 1 else "",
        f"**{_ratio(figure, figure.ratio.median)}**",
        f"{low} to {high}",
        _limit(figure, figure.goal),
        _limit(figure, figure.bound),
        verdict(figure),
    )


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    head = list(head)
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def figures(results: Results) -> str:
    """Return the table of the figures, in Markdown."""
    head = ("figure", "medians, ours : theirs", "ratio or value", "rounds", "goal", "must hold", "")
    told = [cells(each) for each in results.figures]
    told += [(each.name, "", "", "", "", "", f"not measured: {each.why}") for each in results.unmeasured]
    return "\n".join(table(head, told))


def curve(told: Curve) -> str:
    """Return a curve as a Markdown table: requests per second, p50 and p99, CPU per request, of each server."""
    places = sorted({point.x for series in told.series for point in series.points})
    head = (told.x, *(series.subject for series in told.series))
    rows = []
    for x in places:
        row = [f"{x:,.0f}"]
        for series in told.series:
            found = [point for point in series.points if point.x == x]
            row += [
                f"{point.requests_per_second:,.0f}/s, {measure_of(point.p50, 's')}, {measure_of(point.p99, 's')},"
                f" {measure_of(point.cpu_per_request, 's')}"
                for point in found
            ] or [""]
        rows.append(row)
    return "\n".join(table(head, rows))


def instructions(results: Results) -> str:
    """Return the table of instructions per request, in Markdown."""
    rows = [
        (
            each.request,
            f"{each.kept:,}" if each.kept else "",
            f"{each.now:,}",
            f"{each.now / each.kept - 1:+.1%}" if each.kept else "",
        )
        for each in results.instructions
    ]
    return "\n".join(table(("request", "instructions kept", "now", "change"), rows))


def machine(results: Results) -> str:
    """Return a sentence about the machine and the time of the run."""
    where = results.machine
    return (
        f"Measured on {results.began[:10]}: {where.cores} cores of {where.cpu}, Linux {where.kernel},"
        f" Python {where.python}, load average {where.load:.2f} at the beginning."
    )


def markdown(results: Results) -> str:
    """Return all of a run as a document."""
    parts = [machine(results)]
    if results.figures or results.unmeasured:
        parts.append(figures(results))
    if results.instructions:
        parts.append(instructions(results))
    parts += [
        f"{each.name} (requests a second, p50, p99, CPU per request):\n\n{curve(each)}" for each in results.curves
    ]
    return "\n\n".join(parts) + "\n"


def broken(results: Results) -> list[str]:
    """Return the names of the figures whose limit is exceeded."""
    return [each.name for each in results.figures if not each.holds]


def coloured(results: Results) -> str:
    """Return the document for a terminal: broken limits and increased counts are red."""
    red = {f"| {each} |" for each in broken(results)}
    red |= {f"| {each.request} |" for each in results.instructions if risen(each)}
    lines = markdown(results).splitlines()
    return "\n".join(f"{_RED}{line}{_PLAIN}" if any(map(line.startswith, red)) else line for line in lines)
