"""The chart, rendered by the real `helm template` and parsed; and the manifests in k8s/, read as kustomize would."""

import os
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

# A Helm that was built by `go install` may take itself for one of Kubernetes 1.20.
KUBERNETES = "1.37.0"
HOOK = "helm.sh/hook"
COMPONENT = "app.kubernetes.io/component"
SECONDS = 60
AT_ONCE = 4  # each waits for a program

# In C where it is there: much is read here.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Manifest = dict[str, Any]


class HelmError(Exception):
    """Helm refused; the message is what it said."""


# Texts, or what was said in their place, by the flags that they were rendered with.
Rendered = dict[tuple[str, ...], str | HelmError]


def helm(*arguments: str) -> str:
    """Run the Helm that the variable HELM names (default: the one on PATH), out of reach of any cluster.

    Gives what it printed. Raises `HelmError` when it fails.
    """
    done = subprocess.run(
        [os.environ.get("HELM") or "helm", *arguments],
        # It lives for a moment: to collect garbage would only take time.
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
        """Give the only object of a kind, or of those the one of a component (`app.kubernetes.io/component`).

        Test hooks aside. Raises `LookupError` when there is none, or more.
        """
        found = [manifest for manifest in self.all if manifest["kind"] == kind and not is_hook(manifest)]
        if component:
            found = [each for each in found if each["metadata"]["labels"][COMPONENT] == component]
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


def render_at_once(flags: Iterable[tuple[str, ...]]) -> Rendered:
    """Render the chart with each of many flags, some at a time; a refusal stands in the place of the text."""

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
    """Give the objects of a text: to be read, not changed, since all who ask the same get the same."""
    return parsed(yaml.load_all(text, LOADER))


def template(*flags: str, release: str = "echo", namespace: str = "default", chart: Path = CHART) -> str:
    """Render the chart as text, hooks too."""
    return helm("template", release, str(chart), "--namespace", namespace, "--kube-version", KUBERNETES, *flags)


@cache
def chart(*flags: str, release: str = "echo", namespace: str = "default") -> Objects:
    """Render the chart as objects: to be read, not changed, since all who ask the same get the same."""
    return read(template(*flags, release=release, namespace=namespace))


def value_sets() -> dict[str, Path]:
    """Give the files of helm/ci by what they stand for."""
    return {file.name.removesuffix("-values.yaml"): file for file in sorted((CHART / "ci").glob("*-values.yaml"))}


@cache
def manifests(folder: str = ".") -> Objects:
    """Read a folder of k8s/ as kustomize would. Raises `LookupError` for what is not followed here."""
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
    """Take away what operations of a JSON patch name, RFC 6902; there are no others here."""
    for operation in operations:
        *above, last = operation["path"].removeprefix("/").split("/")
        place = manifest
        for step in above:
            place = place[step]
        if operation["op"] != "remove":
            raise LookupError(f"a patch with {operation['op']}, which is not followed here")
        del place[last]
