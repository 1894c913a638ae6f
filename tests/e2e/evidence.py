"""What a failed test leaves behind: logs, events, descriptions and manifests, in `.e2e/TEST/`."""

import re
import shutil
from pathlib import Path

from tests.commands import CommandError
from tests.e2e.cluster import STATE, Cluster

LABEL = "echo-e2e"  # marks the namespaces of the tests

# What is asked of kubectl in each namespace, by the name of the file that keeps it.
_QUESTIONS = {
    "objects.yaml": ("get", "deployments,replicasets,pods,services,endpointslices,serviceaccounts,jobs", "-o", "yaml"),
    "description.txt": ("describe", "deployments,replicasets,pods,services,jobs"),
    "events.txt": ("get", "events", "--sort-by=.lastTimestamp"),
    "logs.txt": ("logs", "--all-containers", "--prefix", "--tail=-1", "--selector", "app.kubernetes.io/name"),
    "previous-logs.txt": (
        "logs", "--all-containers", "--prefix", "--tail=-1", "--previous", "--selector", "app.kubernetes.io/name",
    ),
}  # fmt: skip


def keep(cluster: Cluster, test: str) -> Path:
    """Write down the state of the namespaces of the tests; give the folder. What can't be had is said in its file."""
    folder = STATE / re.sub(r"[^\w.-]+", "-", test).strip("-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _write(folder / "nodes.txt", cluster, "describe", "nodes")
    _write(folder / "namespaces.txt", cluster, "get", "namespaces", "--selector", LABEL, "--output", "name")
    for line in (folder / "namespaces.txt").read_text().splitlines():
        namespace = line.removeprefix("namespace/")
        for name, question in _QUESTIONS.items():
            _write(folder / f"{namespace}-{name}", cluster, "--namespace", namespace, *question)
    _rendered(folder / "chart.yaml", cluster)
    _write(folder / "manifests.yaml", cluster, "kustomize", "k8s")
    return folder


def _write(file: Path, cluster: Cluster, *question: str) -> None:
    try:
        file.write_text(cluster.kubectl(*question, deadline=30))
    except CommandError as error:
        file.write_text(f"{error}\n")


def _rendered(file: Path, cluster: Cluster) -> None:
    try:
        file.write_text(cluster.helm("template", "echo", "helm"))
    except CommandError as error:
        file.write_text(f"{error}\n")
