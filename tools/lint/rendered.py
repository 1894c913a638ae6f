"""Everything that is rendered, as files: the chart by each of its value sets, k8s/ by each of its kustomizations."""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from tools.commands import ROOT, CommandError, run

CHART = ROOT / "helm"
# Beside its defaults, the chart is rendered by each of these.
VALUES = "ci/*-values.yaml"
# Not "default": a chart that wrote its release's namespace down nowhere would look as if it had.
NAMESPACE = "echo"

# What the chart says of a value that an older Kubernetes does not have.
_TOO_NEW = re.compile(r"^ *- ([\w.]+)=\S+ needs Kubernetes [\d.]+, .*: leave it empty$", re.MULTILINE)


def render(helm: Path, kustomize: Path, kubernetes: str, what: Collection[str], folder: Path) -> list[Path]:
    """Render "chart", "k8s", or both, as for this version of Kubernetes, into files of a folder that is there.

    Raises `CommandError`.
    """
    written = []
    for name, text in _texts(helm, kustomize, kubernetes, what):
        written.append(folder / f"{name}.yaml")
        written[-1].write_text(text)
    return written


def value_sets() -> dict[str, list[str]]:
    """Give the flags of `helm template` for each set of values, by its name."""
    files = sorted(CHART.glob(VALUES))
    return {"defaults": []} | {file.name.removesuffix("-values.yaml"): ["--values", str(file)] for file in files}


def kustomizations() -> list[Path]:
    """Give the folders of k8s/ that `kubectl apply -k` takes: components are parts of others, nothing by themselves."""
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
    """Render the chart; with what this Kubernetes is too old for left empty, as the chart says to."""
    common = ("--namespace", NAMESPACE, "--kube-version", kubernetes)
    command: list[str | Path] = [helm, "template", "echo", CHART, *common, *flags]
    environ = {"KUBECONFIG": os.devnull}  # out of reach of any cluster
    try:
        return run(*command, environ=environ)
    except CommandError as error:
        too_new = _TOO_NEW.findall(str(error))
        if not too_new:
            raise
        return run(*command, *(f"--set={name}=" for name in too_new), environ=environ)
