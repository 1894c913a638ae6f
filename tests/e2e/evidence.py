"""What a failed test leaves behind: logs, events, descriptions and manifests, in `.e2e/TEST/`."""

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

# What is asked of kubectl in each namespace, by the name of the file that keeps it.
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
    """Write down the state of the namespaces of the tests; give the folder. What can't be had is said in its file."""
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
