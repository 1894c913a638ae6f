"""Runs whose results are in the repository, and the README's table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.bench import report
from tools.bench.results import Figure, Results, read

FOLDER: Final = Path(__file__).parent / "measured"
NAMES: Final = ("quiet", "busy")  # the machine's state: without other work on it, or with


def file(name: str) -> Path:
    """Return the path of a stored run's results."""
    return FOLDER / f"{name}.json"


def runs() -> dict[str, Results]:
    """Return the stored runs, by the machine's state."""
    return {name: read(file(name)) for name in NAMES if file(name).exists()}


def drawn() -> str:
    """Return the name of the run whose curves are stored as pictures: the first that has any, or that exists."""
    told = runs()
    return next((name for name, run in told.items() if run.curves), next(iter(told)))


def documented(told: dict[str, Results]) -> str:
    """Return a sentence for each run, and one table: the measurements of each, with medians for the first."""
    sentences = [f"On a {name} machine: {_first_small(report.machine(run))}" for name, run in told.items()]
    return "\n\n".join(["\n".join(f"- {each}" for each in sentences), "\n".join(_table(told))])


def _first_small(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _table(told: dict[str, Results]) -> Iterator[str]:
    first = next(iter(told))
    figures = {name: {each.name: each for each in run.figures} for name, run in told.items()}
    missing = {each.name: each.why for run in told.values() for each in run.unmeasured}
    names = dict.fromkeys([name for each in figures.values() for name in each] + [*missing])
    head = ("figure", f"ours : theirs, {first}", *told, "goal", "must hold", first)
    rows = []
    for name in names:
        found = [each.get(name) for each in figures.values()]
        known = next((each for each in found if each), None)
        if known is None:
            rows.append((name, *[""] * (len(told) + 3), f"not measured: {missing[name]}"))
            continue
        _, values, *_, goal, bound, verdict = report.cells(known)
        rows.append((name, values, *map(_ratio, found), goal, bound, verdict))
    return report.table(head, rows)


def _ratio(figure: Figure | None) -> str:
    if figure is None:
        return ""
    _, _, ratio, rounds, *_ = report.cells(figure)
    return f"{ratio} ({rounds})"
