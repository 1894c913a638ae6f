"""`python -m tests.bench` measures the echo beside others; `--help` says what can be chosen."""

import argparse
import os
import platform
import re
import shutil
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

from tests.bench import curves, instructions, kept, report
from tests.bench.figures import FIGURES
from tests.bench.measuring import Bench
from tests.bench.peers import ENVIRONMENT
from tests.bench.processes import ProcessError
from tests.bench.results import FOLDER, Figure, Instructions, Machine, Results, Unmeasured, write
from tests.bench.rounds import measure
from tests.commands import ROOT, CommandError, Say, run, say_to_stderr
from tests.toolchain.__main__ import ToolError

# What the bench runs, and what brings it.
_BROUGHT_BY: Final = {
    "go": "Go 1.26 or newer, https://go.dev/dl",
    "h2load": "apt-get install nghttp2-client",
    "node": "apt-get install nodejs",
    "npm": "apt-get install npm",
    "sha256sum": "apt-get install coreutils",
    "taskset": "apt-get install util-linux",
    "wrk": "apt-get install wrk",
}
_COUNTS: Final = "instructions"  # chosen as figures are, but there are no rounds of it: it is the same each time
KNOWN: Final = (*FIGURES, _COUNTS)
_ROUNDS: Final = "5"
_SECONDS: Final = "2"
_BAD_USAGE: Final = 2
_INTERRUPTED: Final = 130


def options(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Give what can be chosen; the Makefile's variables are the defaults."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--figures",
        default=environ.get("FIGURES", "all"),
        help=f"all, none, or some of: {' '.join(KNOWN)}",
    )
    parser.add_argument(
        "--curves", default=environ.get("CURVES", "all"), help=f"all, none, or some of: {' '.join(curves.CURVES)}"
    )
    parser.add_argument(
        "--rounds",
        type=_count,
        default=environ.get("ROUNDS", _ROUNDS),
        help="how often all is measured; the curves half as often",
    )
    parser.add_argument("--seconds", type=_count, default=environ.get("SECONDS", _SECONDS), help="of each load")
    parser.add_argument(
        "--keep",
        default=environ.get("KEEP"),
        choices=kept.NAMES,
        help=f"keep the results in {kept.FOLDER.relative_to(ROOT)}, as those of a machine that was so",
    )
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: a number from 1 on is wanted")
    return int(text)


def chosen(asked: str, known: Collection[str]) -> list[str]:
    """Give the names that are asked for. Raises `ValueError`."""
    if asked in {"all", "none"}:
        return [*known] if asked == "all" else []
    names = asked.split()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"not known: {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def missing(environ: Mapping[str, str]) -> list[str]:
    """Say of each program that the bench runs and that is not there how it is had."""
    told = [
        f"{name} is missing: {how}"
        for name, how in _BROUGHT_BY.items()
        if not shutil.which(name, path=environ.get("PATH"))
    ]
    if not (ENVIRONMENT / "bin" / "gunicorn").exists():
        told.append(f"httpbin is missing in {ENVIRONMENT.relative_to(ROOT)}: make bench puts it there")
    return told


def machine() -> Machine:
    """Say where this runs."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        cpu=found[1] if found else platform.machine(),
        python=platform.python_version(),
        kernel=platform.release(),
        load=os.getloadavg()[0],
    )


def main(arguments: Sequence[str], environ: Mapping[str, str], say: Say) -> int:
    """Measure, write it down, and tell it. Gives the exit code: 1 where a bound is broken or an answer was wrong."""
    parsed = options(environ).parse_args(arguments)
    try:
        figures, lines = chosen(parsed.figures, KNOWN), chosen(parsed.curves, curves.CURVES)
    except ValueError as error:
        say(f"bench: {error}")
        return _BAD_USAGE
    if lacks := missing(environ):
        say("\n".join(f"bench: {each}" for each in lacks))
        return _BAD_USAGE
    where, began = machine(), datetime.now(UTC).isoformat(timespec="seconds")
    counts, uncounted = count(say) if _COUNTS in figures else ([], [])
    with Bench(say, environ) as bench:
        told = [*measure(bench, [FIGURES[key] for key in figures if key != _COUNTS], parsed.rounds, parsed.seconds)]
        drawn = [*curves.measure(bench, lines, max(1, parsed.rounds // 2), parsed.seconds)]
        faults = bench.faults
    results = Results(
        machine=where,
        began=began,
        figures=[each for each in told if isinstance(each, Figure)],
        unmeasured=[*(each for each in told if isinstance(each, Unmeasured)), *uncounted],
        curves=drawn,
        instructions=counts,
    )
    return finish(results, faults, parsed.keep, say)


def count(say: Say) -> tuple[list[Instructions], list[Unmeasured]]:
    """Count instructions, or say why they can't be counted."""
    say("counting instructions ...")
    try:
        return [*instructions.measured()], []
    except instructions.UncountableError as error:
        return [], [Unmeasured("instructions a request", str(error))]


def finish(results: Results, faults: Sequence[str], keep: str | None, say: Say) -> int:
    """Write down what was measured, draw it, and tell it. Gives the exit code."""
    write(results)
    (FOLDER / "results.md").write_text(report.markdown(results), encoding="utf-8")
    draw()
    if keep:
        write(results, kept.file(keep))
        draw(kept.file(kept.drawn()), kept.FOLDER)
    print(report.coloured(results) if sys.stdout.isatty() else report.markdown(results))  # noqa: T201 - what was asked for
    for name in report.broken(results):
        say(f"bench: does not hold: {name}")
    for fault in faults:
        say(f"bench: a wrong answer: {fault}")
    say(f"bench: written to {FOLDER.relative_to(ROOT)}")
    return 1 if faults or report.broken(results) else 0


def draw(*of: Path) -> None:
    """Draw the curves of results into a folder, by default those of this run; by the Python that has matplotlib."""
    run(ENVIRONMENT / "bin" / "python", "-m", "tests.bench.plots", *of)


def _end(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)  # servers are ended then, too
    try:
        sys.exit(main(sys.argv[1:], os.environ, say_to_stderr))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except (CommandError, ProcessError, ToolError) as error:
        say_to_stderr(f"bench: {error}")
        sys.exit(1)
