"""The commands of the release notes (NOTES.txt), run unchanged."""

import os
import re
from contextlib import ExitStack
from pathlib import Path

from tests.e2e.cluster import Cluster
from tests.e2e.reaching import forwarding
from tools.commands import run

_UNINSTALL = " uninstall "


def run_as_they_stand(cluster: Cluster, namespace: str, folder: Path) -> tuple[str, dict[str, str]]:
    """Run each command of the notes of the release `echo`, in order; return the notes, and the output of each command.

    kubectl and helm are found on PATH, in `folder`, by the names that the notes have for them. Port forwards run until
    the last command has ended. The command that uninstalls is left to `uninstall_as_it_stands`. Raise `CommandError` if
    a command fails.
    """
    notes = cluster.helm("get", "notes", "echo", "--namespace", namespace)
    for name, program in (("kubectl", cluster.tools.kubectl), ("helm", cluster.tools.helm)):
        (folder / name).symlink_to(program)
    environ = _environ(cluster, folder)
    said = {}
    with ExitStack() as open_ways:
        for command in re.findall(r"^ {4}((?:kubectl|helm|curl) .*)$", notes, re.MULTILINE):
            if _UNINSTALL in command:
                continue
            if " port-forward " in command:
                said[command] = open_ways.enter_context(forwarding(["bash", "-c", f"exec {command}"], environ))
            else:
                said[command] = run("bash", "-c", command, deadline=180, environ=environ)
    return notes, said


def uninstall_as_it_stands(cluster: Cluster, notes: str, folder: Path) -> str:
    """Run the command of the notes that uninstalls the release, with the programs of `folder`; return its output."""
    (command,) = re.findall(rf"^ {{4}}(helm .*{_UNINSTALL}.*)$", notes, re.MULTILINE)
    return run("bash", "-c", command, deadline=180, environ=_environ(cluster, folder))


def _environ(cluster: Cluster, folder: Path) -> dict[str, str]:
    return {**cluster.environ, "PATH": f"{folder}:{os.environ['PATH']}", "no_proxy": "*"}
