"""Pictures of a run's curves: names, axis labels, README section."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from tools.bench.results import Axis, Curve

KEPT: Final = Path(__file__).parent / "measured"
_BYTES: Final = ((1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))
_SECONDS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def names(curve: Curve) -> tuple[str, str]:
    """Return the names of a curve's two pictures, throughput and CPU; a run has one pair for each axis."""
    axis = curve.x.replace(" ", "-")
    return f"{axis}.svg", f"{axis}-cpu.svg"


def documented(curves: Iterable[Curve], root: Path) -> str:
    """Return the stored pictures as Markdown for a document at the root: those of a curve together."""
    where = KEPT.relative_to(root).as_posix()
    return "\n\n".join(
        f"![{curve.name}, by {curve.x}: requests a second and latency]({where}/{served})\n\n"
        f"![{curve.name}, by {curve.x}: CPU per request]({where}/{cpu})"
        for curve in curves
        for served, cpu in [names(curve)]
    )


def duration(seconds: float) -> str:
    """Format a time with its unit."""
    scale, unit = next((each for each in _SECONDS if seconds >= each[0] * 0.999), _SECONDS[-1])
    return f"{seconds / scale:.3g} {unit}"


def place(x: float, axis: Axis) -> str:
    """Format a place on an axis; a body size with its unit."""
    if axis != "body bytes":
        return f"{x:,.0f}"
    scale, unit = next((each for each in _BYTES if x >= each[0]), _BYTES[-1])
    return f"{x / scale:.3g} {unit}"


def steps(values: Collection[float]) -> tuple[float, ...]:
    """Return the ticks between two powers of ten: the closer the values, the more ticks."""
    spread = max(values) / min(values) if values else 1
    if spread <= 10:  # one power of ten
        return (1, 1.5, 2, 3, 5, 7)
    return (1, 2, 5) if spread <= 1000 else (1,)
