"""Programs run as subprocesses, with a deadline and their full output.

The output is part of the error if a program fails.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]

Say = Callable[[str], None]


class CommandError(Exception):
    """A program failed or took too long; the message has the command and its output."""


def run(*command: str | Path, deadline: float = 120, environ: Mapping[str, str] | None = None) -> str:
    """Run a program in the root of the project; return its stdout.

    `deadline` is in seconds, `environ` is added to ours. Raise `CommandError` if it fails.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=deadline,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = b"".join(part for part in (error.stdout, error.stderr) if isinstance(part, bytes)).decode(
            errors="replace"
        )
        raise CommandError(f"{' '.join(words)}: not done after {deadline:.0f} s\n{said}") from error
    if done.returncode:
        raise CommandError(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def follow(*command: str | Path, say: Say, deadline: float = 3600, environ: Mapping[str, str] | None = None) -> str:
    """Run a program that takes long, forwarding each line that it writes to stderr; return its stdout.

    Raise `CommandError` if it fails. On Ctrl-C, terminate the program and its children, and wait for them.
    """
    words = [str(word) for word in command]
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # a shell script handles a signal only when its children end too
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        said: list[str] = []
        end = partial(os.killpg, process.pid, signal.SIGTERM)
        too_late = threading.Timer(deadline, end)
        too_late.start()
        try:
            for line in process.stderr:
                said.append(line)
                say(line.rstrip())
            output = process.stdout.read()
            code = process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                end()
            process.wait(60)
            raise
        finally:
            too_late.cancel()
    if code == -signal.SIGTERM:
        raise CommandError(f"{' '.join(words)}: not done after {deadline:.0f} s, or terminated\n{''.join(said)}")
    if code:
        raise CommandError(f"{' '.join(words)}: exit code {code}\n{''.join(said)}{output}")
    return output


def say_to_stderr(line: str) -> None:
    """Print a line to stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - its one purpose
