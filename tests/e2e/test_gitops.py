"""The chart as Argo CD and Flux apply it.

It is rendered without a cluster; applying it again changes nothing.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient, AppsV1Api

from tests.chart.rendering import Manifest, is_hook
from tests.e2e.cluster import Cluster
from tests.e2e.watching import rolled_out, until
from tools.commands import ROOT

HA = ROOT / "helm" / "ci" / "ha-values.yaml"
SCALED = 4  # by hand, as an autoscaler would: neither the chart's number nor its minimum

Render = Callable[[Cluster, str, Path], list[Manifest]]


def template(cluster: Cluster, namespace: str) -> list[Manifest]:
    """Return the objects that `helm template` gives for the version of the cluster, without asking the cluster.

    Neither tool applies the pod of `helm test` with the others: Argo CD skips its hook, and Flux runs tests itself.
    """
    version = json.loads(cluster.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    flags = ("--namespace", namespace, "--kube-version", version, "--values", HA)
    rendered = yaml.safe_load_all(cluster.helm("template", "echo", "./helm", *flags))
    return [each for each in rendered if each and not is_hook(each)]


def as_argo_cd_renders(cluster: Cluster, namespace: str, _: Path) -> list[Manifest]:
    """Return the objects, with the label by which Argo CD tracks them."""
    objects = template(cluster, namespace)
    for each in objects:
        each["metadata"]["labels"]["argocd.argoproj.io/instance"] = "echo"
    return objects


def as_flux_renders(cluster: Cluster, namespace: str, folder: Path) -> list[Manifest]:
    """Return the objects after a post-renderer, which is kustomize in Flux."""
    (folder / "rendered.yaml").write_text(yaml.safe_dump_all(template(cluster, namespace)))
    origin = {"helm.toolkit.fluxcd.io/name": "echo", "helm.toolkit.fluxcd.io/namespace": namespace}
    kustomization = {"resources": ["rendered.yaml"], "labels": [{"pairs": origin}]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return list(yaml.safe_load_all(cluster.kubectl("kustomize", folder)))


# The names that Argo CD (argo-cd: common/common.go) and Flux (helm-controller) use as field managers.
TOOLS: dict[str, Render] = {"argocd-controller": as_argo_cd_renders, "helm-controller": as_flux_renders}


@pytest.mark.parametrize("manager", TOOLS)
def test_applying_again_changes_nothing_and_keeps_the_number_of_pods(
    cluster: Cluster,
    api: ApiClient,
    new_namespace: Callable[[str], Iterator[str]],
    manager: str,
    tmp_path: Path,
) -> None:
    """Two renderings are equal; the second has no difference from the cluster, even after the pods were scaled."""
    apps = AppsV1Api(api)
    with contextmanager(new_namespace)(f"echo-{manager}") as namespace:
        first, again = (TOOLS[manager](cluster, namespace, tmp_path) for _ in range(2))
        assert first == again
        assert {each["metadata"]["namespace"] for each in first} == {namespace}
        file = tmp_path / "objects.yaml"
        file.write_text(yaml.safe_dump_all(again))
        flags = ("--server-side", "--force-conflicts", f"--field-manager={manager}", "--filename", file)

        cluster.kubectl("apply", *flags)
        rolled_out(apps, namespace, "echo")
        generations = generations_of(cluster, file)
        cluster.kubectl("diff", *flags)  # fails if there is a difference
        cluster.kubectl("apply", *flags)
        assert generations_of(cluster, file) == generations

        cluster.kubectl("scale", "deployment/echo", f"--replicas={SCALED}", "--namespace", namespace)
        cluster.kubectl("diff", *flags)
        cluster.kubectl("apply", *flags)
        deployment = until(
            apps.list_namespaced_deployment,
            lambda found: bool(found.status.available_replicas == SCALED),
            f"{SCALED} pods in {namespace}",
            namespace=namespace,
            field_selector="metadata.name=echo",
        )
        assert deployment.spec.replicas == SCALED


def generations_of(cluster: Cluster, file: Path) -> dict[tuple[str, str], Any]:
    """Return the generation of each object, which every change of its spec increases."""
    found = json.loads(cluster.kubectl("get", "--output=json", "--filename", file))["items"]
    return {(each["kind"], each["metadata"]["name"]): each["metadata"].get("generation") for each in found}
