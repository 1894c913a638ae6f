"""The chart, rendered by the real `helm template` and parsed; and the manifests in k8s/, read as kustomize would."""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.commands import ROOT

CHART = ROOT / "helm"
MANIFESTS = ROOT / "k8s"

# A Helm that was built by `go install` may take itself for one of Kubernetes 1.20.
KUBERNETES = "1.37.0"
HOOK = "helm.sh/hook"
SECONDS = 60

Manifest = dict[str, Any]


class HelmError(Exception):
    """Helm refused; the message is what it said."""


def helm(*arguments: str) -> str:
    """Run the Helm that the variable HELM names (default: the one on PATH), out of reach of any cluster.

    Gives what it printed. Raises `HelmError` when it fails.
    """
    done = subprocess.run(
        [os.environ.get("HELM") or "helm", *arguments],
        env=os.environ | {"KUBECONFIG": os.devnull},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise HelmError(done.stderr)
    return done.stdout


@dataclass(frozen=True)
class Objects:
    """Parsed Kubernetes objects."""

    all: tuple[Manifest, ...]

    def one(self, kind: str) -> Manifest:
        """Give the only object of a kind, test hooks aside. Raises `LookupError` when there is none, or more."""
        found = [manifest for manifest in self.all if manifest["kind"] == kind and not is_hook(manifest)]
        if len(found) != 1:
            raise LookupError(f"{len(found)} objects of kind {kind}, not one")
        return found[0]

    def hook(self) -> Manifest:
        """Give the pod of `helm test`."""
        (found,) = (manifest for manifest in self.all if is_hook(manifest))
        return found

    def pods(self) -> dict[str, Manifest]:
        """Give every pod by what makes it: metadata and spec, of a template or of the pod itself."""
        found = {}
        for manifest in self.all:
            pod = manifest if manifest["kind"] == "Pod" else manifest.get("spec", {}).get("template")
            if pod:
                found[f"{manifest['kind']} {manifest['metadata']['name']}"] = pod
        return found


def is_hook(manifest: Manifest) -> bool:
    """Tell whether Helm runs this object by itself, apart from the release."""
    return HOOK in manifest["metadata"].get("annotations", {})


def parsed(documents: Iterable[Any]) -> Objects:
    """Give the objects of parsed YAML documents, the empty ones left out."""
    return Objects(tuple(document for document in documents if document))


def template(*flags: str, release: str = "echo", namespace: str = "default", chart: Path = CHART) -> str:
    """Render the chart as text, hooks too."""
    return helm("template", release, str(chart), "--namespace", namespace, "--kube-version", KUBERNETES, *flags)


@cache
def chart(*flags: str, release: str = "echo", namespace: str = "default") -> Objects:
    """Render the chart as objects: to be read, not changed, since all who ask the same get the same."""
    return parsed(yaml.safe_load_all(template(*flags, release=release, namespace=namespace)))


@cache
def manifests() -> Objects:
    """Read k8s/ by its kustomization: its resources as they stand. Raises `LookupError` if it asks for more."""
    kustomization = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())
    more = set(kustomization) - {"apiVersion", "kind", "resources"}
    if more:
        raise LookupError(f"k8s/kustomization.yaml has {', '.join(sorted(more))}, which is not followed here")
    files = (MANIFESTS / name for name in kustomization["resources"])
    return parsed(document for file in files for document in yaml.safe_load_all(file.read_text()))
