"""`python -m tools.bench`: benchmark echo beside other servers.

`--help` lists the options.
"""

import os
import platform
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

from tools.bench import curves, instructions, kept, report
from tools.bench.choosing import COUNTS, KNOWN, chosen, missing, options
from tools.bench.figures import FIGURES
from tools.bench.measuring import Bench
from tools.bench.peers import ENVIRONMENT, OURS
from tools.bench.processes import ProcessError
from tools.bench.results import FOLDER, Figure, Instructions, Machine, Results, Unmeasured, write
from tools.bench.rounds import measure
from tools.commands import ROOT, CommandError, Say, run, say_to_stderr
from tools.toolchain.__main__ import ToolError

_BAD_USAGE: Final = 2
_INTERRUPTED: Final = 130


def machine() -> Machine:
    """Return a description of this machine."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        cpu=found[1] if found else platform.machine(),
        python=run(OURS, "-c", "import platform; print(platform.python_version())").strip(),
        kernel=platform.release(),
        load=os.getloadavg()[0],
    )


def main(arguments: Sequence[str], environ: Mapping[str, str], say: Say) -> int:
    """Measure, write the results and print them.

    Return the exit code: 1 if a limit is broken or a response was wrong.
    """
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
    counts, uncounted = count(say) if COUNTS in figures else ([], [])
    with Bench(say, environ) as bench:
        told = [*measure(bench, [FIGURES[key] for key in figures if key != COUNTS], parsed.rounds, parsed.seconds)]
        drawn = [*curves.measure(bench, lines, max(1, parsed.rounds // 2), max(1, parsed.seconds // 2))]
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
    """Count instructions, or return why they can't be counted."""
    say("counting instructions ...")
    try:
        return [*instructions.measured()], []
    except instructions.UncountableError as error:
        return [], [Unmeasured("instructions a request", str(error))]


def finish(results: Results, faults: Sequence[str], keep: str | None, say: Say) -> int:
    """Write the results, draw the curves and print the report. Return the exit code."""
    write(results)
    (FOLDER / "results.md").write_text(report.markdown(results), encoding="utf-8")
    draw()
    if keep:
        write(results, kept.file(keep))
        draw(kept.file(kept.drawn()), kept.FOLDER)
    print(report.coloured(results) if sys.stdout.isatty() else report.markdown(results))  # noqa: T201 - the result
    for name in report.broken(results):
        say(f"bench: does not hold: {name}")
    for fault in faults:
        say(f"bench: wrong response: {fault}")
    say(f"bench: written to {FOLDER.relative_to(ROOT)}")
    return 1 if faults or report.broken(results) else 0


def draw(*of: Path) -> None:
    """Draw the curves of results (this run's by default) into a folder, with the Python that has matplotlib."""
    run(ENVIRONMENT / "bin" / "python", "-m", "tools.bench.plots", *of)


def _end(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)  # servers are stopped then, too
    try:
        sys.exit(main(sys.argv[1:], os.environ, say_to_stderr))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except (CommandError, ProcessError, ToolError) as error:
        say_to_stderr(f"bench: {error}")
        sys.exit(1)
