"""The cluster, the image in it, and the echo installed in two ways."""

import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes import config
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api

from tests.commands import Say, run
from tests.e2e import evidence
from tests.e2e.cluster import Cluster, Tools
from tests.e2e.cluster import cluster as made_or_found
from tests.e2e.supply import Supply
from tests.e2e.watching import rolled_out, until_gone

# By Pod Security admission: a pod that asks for more than the restricted profile is refused.
# https://kubernetes.io/docs/concepts/security/pod-security-admission/
_RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


@dataclass(frozen=True)
class Way:
    """A way in which people put the echo into a cluster: the commands, given cluster and namespace."""

    name: str
    install: Callable[[Cluster, str], str]
    remove: Callable[[Cluster, str], str]


HELM = Way(
    "helm",
    lambda cluster, namespace: cluster.helm("install", "echo", "./helm", "--namespace", namespace),
    lambda cluster, namespace: cluster.helm("uninstall", "echo", "--namespace", namespace),
)
MANIFESTS = Way(
    "manifests",
    lambda cluster, namespace: cluster.kubectl("apply", "-k", "k8s", "--namespace", namespace),
    lambda cluster, namespace: cluster.kubectl("delete", "-k", "k8s", "--namespace", namespace),
)


@dataclass(frozen=True)
class Installed:
    """An echo that is rolled out."""

    way: Way
    namespace: str
    deployment: Any


@pytest.fixture(scope="session")
def cluster(supplied: Supply, image: str, say: Say) -> Iterator[Cluster]:
    """Give a cluster with our image in it."""
    tools = Tools(*(os.environ[name] for name in ("KIND", "HELM", "KUBECTL")))
    with made_or_found(os.environ, tools, supplied.node_image, say) as cluster:
        say(f"kind load docker-image {image}")
        run(tools.kind, "load", "docker-image", image, "--name", cluster.name, deadline=300)
        yield cluster


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[ApiClient]:
    """Give the official client, with this cluster's credentials alone."""
    with config.new_client_from_config(config_file=str(cluster.kubeconfig)) as client:
        yield client


@pytest.fixture(scope="session")
def new_namespace(api: ApiClient) -> Callable[[str], Iterator[str]]:
    """Give a way to have a namespace that enforces the restricted profile, and is seen to be gone afterwards."""
    core = CoreV1Api(api)

    def namespace(name: str) -> Iterator[str]:
        labels = {evidence.LABEL: "true", **_RESTRICTED}
        core.create_namespace({"metadata": {"name": name, "labels": labels}})
        try:
            yield name
        finally:
            core.delete_namespace(name)
            until_gone(core.list_namespace, f"namespace {name}", field_selector=f"metadata.name={name}")

    return namespace


@pytest.fixture(scope="module", params=(HELM, MANIFESTS), ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Way:
    """Give each way to install the echo."""
    given: Way = request.param
    return given


@pytest.fixture(scope="module")
def namespace(way: Way, new_namespace: Callable[[str], Iterator[str]]) -> Iterator[str]:
    """Give a namespace for this way."""
    yield from new_namespace(f"echo-{way.name}")


@pytest.fixture(scope="module")
def installed(cluster: Cluster, api: ApiClient, way: Way, namespace: str, say: Say) -> Installed:
    """Give an echo, installed and rolled out."""
    say(f"installing by {way.name} into {namespace}")
    way.install(cluster, namespace)
    deployment = rolled_out(AppsV1Api(api), namespace, "echo")
    say(f"rolled out: {deployment.status.available_replicas} replicas")
    return Installed(way, namespace, deployment)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the evidence when a test has failed, before anything is taken down."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and cluster is not None:
        folder = evidence.keep(cluster, item.name)
        report.sections.append(("evidence", f"logs, events, descriptions and manifests are in {folder}"))
    return report
