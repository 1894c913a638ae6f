"""Evidence of a failed test, saved in `.e2e/TEST/`.

It consists of logs, events, descriptions and manifests.
"""

import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.e2e.cluster import Cluster
from tools.commands import CommandError

LABEL = "echo-e2e"  # marks the namespaces of the tests

_WORKING = (
    "deployments,replicasets,pods,services,jobs,poddisruptionbudgets,horizontalpodautoscalers,networkpolicies,ingresses"
)

# The kubectl commands run in each namespace, by the name of the output file.
_QUESTIONS = {
    "objects.yaml": ("get", f"{_WORKING},endpointslices,serviceaccounts", "-o", "yaml"),
    "description.txt": ("describe", _WORKING),
    "events.txt": ("get", "events", "--sort-by=.lastTimestamp"),
    "logs.txt": ("logs", "--all-containers", "--prefix", "--tail=-1", "--selector", "app.kubernetes.io/name"),
    "previous-logs.txt": (
        "logs", "--all-containers", "--prefix", "--tail=-1", "--previous", "--selector", "app.kubernetes.io/name",
    ),
}  # fmt: skip


def keep(cluster: Cluster, test: str) -> Path:
    """Save the state of the tests' namespaces, with errors in place of missing output; return the folder."""
    folder = cluster.kubeconfig.parent / re.sub(r"[^\w.-]+", "-", test).strip("-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kubectl = partial(cluster.kubectl, deadline=30)
    _write(folder / "nodes.txt", kubectl, "describe", "nodes")
    _write(folder / "namespaces.txt", kubectl, "get", "namespaces", "--selector", LABEL, "--output", "name")
    for line in (folder / "namespaces.txt").read_text().splitlines():
        namespace = line.removeprefix("namespace/")
        for name, question in _QUESTIONS.items():
            _write(folder / f"{namespace}-{name}", kubectl, "--namespace", namespace, *question)
    _write(folder / "chart.yaml", cluster.helm, "template", "echo", "helm")
    _write(folder / "manifests.yaml", kubectl, "kustomize", "k8s")
    return folder


def _write(file: Path, program: Callable[..., str], *question: str) -> None:
    try:
        file.write_text(program(*question))
    except CommandError as error:
        file.write_text(f"{error}\n")
