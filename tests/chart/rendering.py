"""Rendering of the chart by `helm template`, and parsing of k8s/.

The manifests in k8s/ are read as kustomize would.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tools.commands import ROOT

CHART = ROOT / "helm"
MANIFESTS = ROOT / "k8s"

# A Helm built by `go install` may assume Kubernetes 1.20.
KUBERNETES = "1.37.0"
HOOK = "helm.sh/hook"
COMPONENT = "app.kubernetes.io/component"
SECONDS = 60
AT_ONCE = 4  # each waits for a subprocess

# The C parser if it is available, because much is parsed here.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Manifest = dict[str, Any]


class HelmError(Exception):
    """Helm failed; the message is its output."""


# Texts, or errors in their place, by the flags of the rendering.
Rendered = dict[tuple[str, ...], str | HelmError]


def helm(*arguments: str) -> str:
    """Run the Helm that the variable HELM names (default: the one on PATH), without access to any cluster.

    Return its stdout. Raise `HelmError` if it fails.
    """
    done = subprocess.run(
        [os.environ.get("HELM") or "helm", *arguments],
        # It is short-lived, so that garbage collection would only take time.
        env=os.environ | {"KUBECONFIG": os.devnull, "GOGC": "off"},
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

    def one(self, kind: str, component: str = "") -> Manifest:
        """Return the only object of a kind, or of a kind and component (`app.kubernetes.io/component`).

        Test hooks are excluded. Raise `LookupError` if there is none, or more than one.
        """
        found = [manifest for manifest in self.all if manifest["kind"] == kind and not is_hook(manifest)]
        if component:
            found = [each for each in found if each["metadata"]["labels"][COMPONENT] == component]
        if len(found) != 1:
            raise LookupError(f"{len(found)} objects of kind {kind}, not one")
        return found[0]

    def hook(self) -> Manifest:
        """Return the pod of `helm test`."""
        (found,) = (manifest for manifest in self.all if is_hook(manifest))
        return found

    def pods(self) -> dict[str, Manifest]:
        """Return metadata and spec of every pod, by the object that creates it: of a template, or of the pod itself."""
        found = {}
        for manifest in self.all:
            pod = manifest if manifest["kind"] == "Pod" else manifest.get("spec", {}).get("template")
            if pod:
                found[f"{manifest['kind']} {manifest['metadata']['name']}"] = pod
        return found


def is_hook(manifest: Manifest) -> bool:
    """Return whether Helm runs this object by itself, apart from the release."""
    return HOOK in manifest["metadata"].get("annotations", {})


def parsed(documents: Iterable[Any]) -> Objects:
    """Return the objects of parsed YAML documents, without the empty ones."""
    return Objects(tuple(document for document in documents if document))


def render_at_once(flags: Iterable[tuple[str, ...]]) -> Rendered:
    """Render the chart with each of many flags, several in parallel; a failure is an error in place of the text."""

    def rendered(each: tuple[str, ...]) -> str | HelmError:
        try:
            return template(*each)
        except HelmError as error:
            return error

    every = list(flags)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(every, pool.map(rendered, every), strict=True))


@cache
def read(text: str) -> Objects:
    """Return the objects of a text. They are shared by all callers, so don't modify them."""
    return parsed(yaml.load_all(text, LOADER))


def template(*flags: str, release: str = "echo", namespace: str = "default", chart: Path = CHART) -> str:
    """Render the chart as text, including hooks."""
    return helm("template", release, str(chart), "--namespace", namespace, "--kube-version", KUBERNETES, *flags)


def umbrella(folder: Path, **values: Any) -> Path:
    """Return the folder of a parent chart that has this chart as a subchart, and values."""
    shutil.copytree(CHART, folder / "charts" / "echo")
    dependency = {"name": "echo", "version": "*", "condition": "echo.enabled"}
    about = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [dependency]}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about))
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    return folder


@cache
def chart(*flags: str, release: str = "echo", namespace: str = "default") -> Objects:
    """Render the chart as objects. They are shared by all callers, so don't modify them."""
    return read(template(*flags, release=release, namespace=namespace))


def value_sets() -> dict[str, Path]:
    """Return the files of helm/ci by the name of their value set."""
    return {file.name.removesuffix("-values.yaml"): file for file in sorted((CHART / "ci").glob("*-values.yaml"))}


@cache
def manifests(folder: str = ".") -> Objects:
    """Read a folder of k8s/ as kustomize would. Raise `LookupError` for features that are not implemented here."""
    return parsed(_built(MANIFESTS / folder))


def _built(folder: Path) -> Iterator[Manifest]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    # Configurations apply to prefixes, images and labels, of which these kustomizations have none.
    more = set(kustomization) - {"apiVersion", "kind", "configurations", "resources", "patches"}
    if more:
        raise LookupError(f"{folder}/kustomization.yaml has {', '.join(sorted(more))}, which is not followed here")
    for manifest in (each for name in kustomization["resources"] for each in _resources(folder / name)):
        for patch in kustomization.get("patches", ()):
            if (manifest["kind"], manifest["metadata"]["name"]) == (patch["target"]["kind"], patch["target"]["name"]):
                _patch(manifest, yaml.safe_load(patch["patch"]))
        yield manifest


def _resources(path: Path) -> Iterator[Manifest]:
    if path.is_dir():
        yield from _built(path)
    else:
        yield from (document for document in yaml.safe_load_all(path.read_text()) if document)


def _patch(manifest: Manifest, operations: list[Manifest]) -> None:
    """Apply the remove operations of a JSON patch (RFC 6902); there are no others here."""
    for operation in operations:
        *above, last = operation["path"].removeprefix("/").split("/")
        place = manifest
        for step in above:
            place = place[step]
        if operation["op"] != "remove":
            raise LookupError(f"a patch with {operation['op']}, which is not followed here")
        del place[last]
