"""Rendered manifests as files: of the chart, and of k8s/.

The chart is rendered by each of its value sets, k8s/ by each of its kustomizations.
"""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from tools.commands import ROOT, CommandError, run

CHART = ROOT / "helm"
# In addition to its defaults, the chart is rendered by each of these.
VALUES = "ci/*-values.yaml"
# Not "default", because a chart that omits its release's namespace would pass unnoticed.
NAMESPACE = "echo"

# The chart's message for a value that an older Kubernetes does not support.
_TOO_NEW = re.compile(r"^ *- ([\w.]+)=\S+ needs Kubernetes [\d.]+, .*: leave it empty$", re.MULTILINE)


def render(helm: Path, kustomize: Path, kubernetes: str, what: Collection[str], folder: Path) -> list[Path]:
    """Render "chart", "k8s", or both, as for this version of Kubernetes, into files of an existing folder.

    Raise `CommandError` if rendering fails.
    """
    written = []
    for name, text in _texts(helm, kustomize, kubernetes, what):
        written.append(folder / f"{name}.yaml")
        written[-1].write_text(text)
    return written


def value_sets() -> dict[str, list[str]]:
    """Return the flags of `helm template` for each set of values, by its name."""
    files = sorted(CHART.glob(VALUES))
    return {"defaults": []} | {file.name.removesuffix("-values.yaml"): ["--values", str(file)] for file in files}


def kustomizations() -> list[Path]:
    """Return the folders of k8s/ that `kubectl apply -k` accepts.

    Components are parts of others, not manifests by themselves.
    """
    files = sorted((ROOT / "k8s").rglob("kustomization.yaml"))
    return [file.parent for file in files if "\nkind: Component\n" not in f"\n{file.read_text()}"]


def _texts(helm: Path, kustomize: Path, kubernetes: str, what: Collection[str]) -> Iterator[tuple[str, str]]:
    if "chart" in what:
        for name, flags in value_sets().items():
            yield f"chart-{name}", _template(helm, kubernetes, *flags)
    if "k8s" in what:
        for folder in kustomizations():
            yield "-".join(folder.relative_to(ROOT).parts), run(kustomize, "build", folder)


def _template(helm: Path, kubernetes: str, *flags: str) -> str:
    """Render the chart, without the values that this Kubernetes is too old for, as the chart's message advises."""
    common = ("--namespace", NAMESPACE, "--kube-version", kubernetes)
    command: list[str | Path] = [helm, "template", "echo", CHART, *common, *flags]
    environ = {"KUBECONFIG": os.devnull}  # no access to any cluster
    try:
        return run(*command, environ=environ)
    except CommandError as error:
        too_new = _TOO_NEW.findall(str(error))
        if not too_new:
            raise
        return run(*command, *(f"--set={name}=" for name in too_new), environ=environ)
