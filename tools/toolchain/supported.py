"""Versions of Helm, Kubernetes and kustomize that are supported.

The chart's, of Helm and Kubernetes, are read from helm/Chart.yaml: `annotations.supported-helm-versions` and
`kubeVersion` are the only places that define them. kustomize is for k8s/. README.md states all of them for people; a
test compares it.
"""

import re
from typing import Any

import yaml

from tools.commands import ROOT

Version = tuple[int, int, int]

# From the kustomize of kubectl 1.27 on. k8s/ has no field that could state it.
KUSTOMIZE_VERSIONS: tuple[Version, Version] = ((5, 0, 1), (6, 0, 0))

_CHART = ROOT / "helm" / "Chart.yaml"
_HELM_ANNOTATION = "supported-helm-versions"
# The suffix "-0" of a constraint admits pre-releases and vendor versions such as 1.34.1-gke.1.
_HELM_RANGE = re.compile(r">=(\d+)\.(\d+)\.(\d+)-0 <(\d+)\.(\d+)\.(\d+)-0")
_KUBERNETES_RANGE = re.compile(r">=(\d+)\.(\d+)\.(\d+)-0")


def helm_versions() -> tuple[Version, Version]:
    """Return the oldest supported Helm and the first version that is too new.

    Raise `ValueError` if there is no range.
    """
    annotations = _chart().get("annotations", {})
    major, minor, patch, *upper = _numbers(_HELM_RANGE, _HELM_ANNOTATION, annotations.get(_HELM_ANNOTATION, ""))
    return (major, minor, patch), (upper[0], upper[1], upper[2])


def oldest_kubernetes() -> Version:
    """Return the oldest supported Kubernetes. Raise `ValueError` if there is no range."""
    major, minor, patch = _numbers(_KUBERNETES_RANGE, "kubeVersion", _chart().get("kubeVersion", ""))
    return major, minor, patch


def sentences() -> tuple[str, str]:
    """Return the sentences in which README.md states the ranges: of the chart, and of k8s/."""
    (major, minor, _), (above, _, _) = helm_versions()
    newer = "".join(f", or Helm {each}" for each in range(major + 1, above))
    kubernetes = ".".join(map(str, oldest_kubernetes()[:2]))
    (kustomize_major, kustomize_minor, _), _ = KUSTOMIZE_VERSIONS
    return (
        f"The chart needs Helm {major}.{minor} or newer{newer}, and Kubernetes {kubernetes} or newer.",
        f"It needs kustomize {kustomize_major}.{kustomize_minor} or newer, alone or in kubectl.",
    )


def _chart() -> dict[str, Any]:
    return yaml.safe_load(_CHART.read_text())  # type: ignore[no-any-return] # Helm reads the file, too


def _numbers(pattern: re.Pattern[str], name: str, constraint: str) -> list[int]:
    match = pattern.fullmatch(constraint)
    if not match:
        raise ValueError(f"helm/Chart.yaml: {name} is {constraint!r}; must match {pattern.pattern}")
    return [int(number) for number in match.groups()]
