"""Options of the benchmark, and a check that its programs are there."""

import argparse
import shutil
from collections.abc import Collection, Mapping
from typing import Final

from tools.bench import kept
from tools.bench.curves import CURVES
from tools.bench.figures import FIGURES
from tools.bench.peers import ENVIRONMENT
from tools.commands import ROOT

# Programs that the benchmark runs, and what provides each.
_BROUGHT_BY: Final = {
    "go": "Go 1.26 or newer, https://go.dev/dl",
    "h2load": "apt-get install nghttp2-client",
    "node": "apt-get install nodejs",
    "npm": "apt-get install npm",
    "sha256sum": "apt-get install coreutils",
    "taskset": "apt-get install util-linux",
    "wrk": "apt-get install wrk",
}
COUNTS: Final = "instructions"  # selected as figures are, but without rounds: the count is the same each time
KNOWN: Final = (*FIGURES, COUNTS)
_ROUNDS: Final = "5"
_SECONDS: Final = "2"


def options(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser of the options; the Makefile's variables are the defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench",
        description="Measures the echo beside others, and writes what it has seen to .bench/.",
    )
    defaults = {"FIGURES": "all", "CURVES": "all", "ROUNDS": _ROUNDS, "SECONDS": _SECONDS, **environ}
    parser.add_argument(
        "--figures", default=defaults["FIGURES"], help=f"all, none, or some of: {' '.join(KNOWN)}; FIGURES sets it, too"
    )
    parser.add_argument(
        "--curves", default=defaults["CURVES"], help=f"all, none, or some of: {' '.join(CURVES)}; CURVES sets it, too"
    )
    parser.add_argument(
        "--rounds",
        type=_count,
        default=defaults["ROUNDS"],
        help="how often all is measured; curves, and what has no goal, half as often",
    )
    parser.add_argument(
        "--seconds", type=_count, default=defaults["SECONDS"], help="of each load; half of it for curves"
    )
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
    """Return the selected names. Raise `ValueError` if one is unknown."""
    if asked in {"all", "none"}:
        return [*known] if asked == "all" else []
    names = asked.split()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"not known: {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def missing(environ: Mapping[str, str]) -> list[str]:
    """Return, for each program that the benchmark needs and that is missing, how to install it."""
    told = [
        f"{name} is missing: {how}"
        for name, how in _BROUGHT_BY.items()
        if not shutil.which(name, path=environ.get("PATH"))
    ]
    if not (ENVIRONMENT / "bin" / "gunicorn").exists():
        told.append(f"httpbin is missing in {ENVIRONMENT.relative_to(ROOT)}: make bench puts it there")
    return told
