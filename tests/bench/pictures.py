"""The pictures of a run's curves: their names, and how the README shows those that are kept."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.bench.results import Curve

KEPT: Final = Path(__file__).parent / "measured"


def names(curve: Curve) -> tuple[str, str]:
    """Give the names of a curve's two pictures, of which a run has one pair for each axis: what is served, and CPU."""
    axis = curve.x.replace(" ", "-")
    return f"{axis}.svg", f"{axis}-cpu.svg"


def documented(curves: Iterable[Curve], root: Path) -> str:
    """Give the kept pictures as Markdown in a document at the root: those of a curve together."""
    where = KEPT.relative_to(root).as_posix()
    return "\n\n".join(
        f"![{curve.name}, by {curve.x}: requests a second and latency]({where}/{served})\n\n"
        f"![{curve.name}, by {curve.x}: CPU per request]({where}/{cpu})"
        for curve in curves
        for served, cpu in [names(curve)]
    )
