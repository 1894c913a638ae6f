"""The commands of a release's notes (NOTES.txt), run as a person would who copies them."""

import os
import re
from contextlib import ExitStack
from pathlib import Path

from tests.commands import run
from tests.e2e.cluster import Cluster
from tests.e2e.reaching import forwarding


def run_as_they_stand(cluster: Cluster, namespace: str, folder: Path) -> tuple[str, dict[str, str]]:
    """Run each command of the notes of the release `echo`, in order; give the notes, and what each command said.

    kubectl and helm are found on PATH, in `folder`, by the names that the notes have for them. What forwards a port
    goes on until the last command has ended. A command that fails raises `CommandError`.
    """
    notes = cluster.helm("get", "notes", "echo", "--namespace", namespace)
    for name, program in (("kubectl", cluster.tools.kubectl), ("helm", cluster.tools.helm)):
        (folder / name).symlink_to(program)
    environ = cluster.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "no_proxy": "*"}
    said = {}
    with ExitStack() as open_ways:
        for command in re.findall(r"^ {4}((?:kubectl|helm|curl) .*)$", notes, re.MULTILINE):
            if " port-forward " in command:
                said[command] = open_ways.enter_context(forwarding(["bash", "-c", f"exec {command}"], environ))
            else:
                said[command] = run("bash", "-c", command, deadline=180, environ=environ)
    return notes, said
