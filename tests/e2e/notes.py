"""The commands of a release's notes (NOTES.txt), run as a person would who copies them."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.commands import run
from tests.e2e.cluster import Cluster
from tests.http.process import DEADLINE, read_lines


def run_as_they_stand(cluster: Cluster, namespace: str, folder: Path) -> tuple[str, dict[str, str]]:
    """Run each command of the notes of the release `echo`, in order; give the notes, and what each command said.

    kubectl and helm are found on PATH, in `folder`, by the names that the notes have for them. What forwards a port
    goes on until the last command has ended. A command that fails raises `CommandError`.
    """
    notes = cluster.helm("get", "notes", "echo", "--namespace", namespace)
    for name, program in (("kubectl", cluster.tools.kubectl), ("helm", cluster.tools.helm)):
        (folder / name).symlink_to(program)
    environ = cluster.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "no_proxy": "127.0.0.1"}
    said = {}
    with ExitStack() as forwarding:
        for command in re.findall(r"^ {4}((?:kubectl|helm|curl) .*)$", notes, re.MULTILINE):
            if " port-forward " in command:
                said[command] = forwarding.enter_context(_kept_running(command, environ))
            else:
                said[command] = run("bash", "-c", command, deadline=180, environ=environ)
    return notes, said


@contextmanager
def _kept_running(command: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Run what goes on until Ctrl-C; give its first line, which says that the port of this machine is open."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    ) as process:
        try:
            assert process.stdout is not None
            (line,) = read_lines(process.stdout, 1)
            assert line.startswith("Forwarding from "), f"{command}: {line}"
            yield line
        finally:
            process.terminate()
            process.wait(DEADLINE)
