"""`python -m tools.fuzz [TARGET...]`: fuzz targets one by one.

FUZZ_SECONDS is the sum of all targets. It prints progress every few seconds, stops on Ctrl-C, and fails if something
was found.
"""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tools.commands import ROOT, Say, say_to_stderr
from tools.fuzz import corpus
from tools.fuzz.targets import TARGETS, Target

_WORK: Final = ROOT / ".fuzz"  # what a run leaves: inputs, findings, libFuzzer's output
_SECONDS: Final = "600"
_INPUT_SECONDS: Final = 10  # per input, many thousand times what it takes
_MEMORY: Final = 2048  # MiB
_TICK: Final = 10.0  # seconds between two progress lines
_LAST: Final = 30  # lines of libFuzzer's output that show what was found
# https://llvm.org/docs/LibFuzzer.html#output
_STATUS: Final = re.compile(r"#(\d+)\s.*\bcov: (\d+) ft: (\d+)")
_DONE: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


class Progress(NamedTuple):
    """Progress of a target: executions, and libFuzzer's features (what was reached, how often)."""

    executions: int = 0
    features: int = 0


def main(names: Sequence[str], environ: Mapping[str, str], say: Say) -> int:
    """Fuzz the named targets, or all if none is named. Return the exit code."""
    if importlib.util.find_spec("atheris") is None:
        say("atheris is missing here: `make fuzz` has it; it is published for CPython 3.11 to 3.14 on Linux, x86-64")
        return 2
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        say(f"not a target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
        return 2
    asked = environ.get("FUZZ_SECONDS") or _SECONDS
    if not asked.isdecimal():
        say(f"FUZZ_SECONDS={asked}: not a number of seconds")
        return 2
    chosen = names or tuple(TARGETS)
    seconds = max(1, int(asked) // len(chosen))
    failed = [name for name in chosen if not _fuzz(name, seconds, say)]
    for name in failed:
        say(f"{name}: found something, see above; python -m tools.fuzz.corpus {name} FILE keeps it for make test")
    return 1 if failed else 0


def _fuzz(name: str, seconds: int, say: Say) -> bool:
    """Fuzz one target; return whether nothing was found."""
    log = _WORK / f"{name}.log"
    inputs = _prepared(name, TARGETS[name])
    before = {*_findings(name)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.fuzz.one", name, *_options(name, seconds), inputs],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C is handled by this process
        )
        try:
            _follow(name, process, log, seconds, say)
        except BaseException:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            raise
    if process.returncode:
        say("\n".join(log.read_text(errors="replace").splitlines()[-_LAST:]))
        for file in sorted({*_findings(name)} - before):
            say(f"{name}: the input is {file.relative_to(ROOT)}")
    return not process.returncode


def _prepared(name: str, target: Target) -> str:
    """Write the initial inputs of a run; return their folder."""
    inputs = _WORK / "inputs" / name
    inputs.mkdir(parents=True, exist_ok=True)
    (_WORK / "findings").mkdir(exist_ok=True)
    for place, raw in enumerate((*target.seeds(), *corpus.read(name, corpus.FOUND, corpus.REACHED))):
        (inputs / f"begin-{place:04d}").write_bytes(raw)
    words = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    (_WORK / f"{name}.dict").write_text("".join(f'"{word}"\n' for word in words), encoding="ascii")
    return str(inputs)


def _options(name: str, seconds: int) -> Iterator[str]:
    yield f"-max_total_time={seconds}"
    yield f"-max_len={TARGETS[name].longest}"
    yield f"-timeout={_INPUT_SECONDS}"
    yield f"-rss_limit_mb={_MEMORY}"
    yield f"-dict={_WORK / f'{name}.dict'}"
    yield f"-artifact_prefix={_WORK / 'findings' / name}-"
    yield "-print_final_stats=1"


def _findings(name: str) -> Iterator[Path]:
    return (_WORK / "findings").glob(f"{name}-*")


def _follow(name: str, process: subprocess.Popen[bytes], log: Path, seconds: int, say: Say) -> None:
    begun = time.monotonic()
    while True:
        try:
            process.wait(_TICK)
        except subprocess.TimeoutExpired:
            now = _progress(log.read_text(errors="replace"))
            say(f"{name}: {time.monotonic() - begun:.0f} of {seconds} s, {now.executions:,} inputs tried")
        else:
            break
    now = _progress(log.read_text(errors="replace"))
    took = time.monotonic() - begun
    say(f"{name}: {now.executions:,} inputs tried in {took:.0f} s, {now.features:,} features reached")


def _progress(said: str) -> Progress:
    lines = _STATUS.findall(said)
    executions = _DONE.findall(said) or [line[0] for line in lines[-1:]]
    return Progress(int(executions[-1]) if executions else 0, int(lines[-1][2]) if lines else 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], os.environ, say_to_stderr))
    except KeyboardInterrupt:
        say_to_stderr("stopped")
        sys.exit(130)
