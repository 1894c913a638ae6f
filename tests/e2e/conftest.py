"""Fixtures: the cluster, its image, and the echo installed in two ways."""

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kubernetes import config
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api

from tests.e2e import evidence
from tests.e2e.admission import RESTRICTED, evaluations, fail_at_warnings
from tests.e2e.cluster import Cluster, Tools
from tests.e2e.cluster import cluster as made_or_found
from tests.e2e.supply import Supply
from tests.e2e.watching import objects_in, rolled_out, until_gone
from tools.commands import Say, run


@dataclass(frozen=True)
class Way:
    """A way to install the echo in a cluster: the commands, called with cluster and namespace."""

    name: str
    install: Callable[[Cluster, str], object]
    remove: Callable[[Cluster, str], object]


HELM = Way(
    "helm",
    lambda cluster, namespace: cluster.change("install", "echo", "./helm", "--namespace", namespace),
    lambda cluster, namespace: cluster.change("uninstall", "echo", "--namespace", namespace),
)
MANIFESTS = Way(
    "manifests",
    lambda cluster, namespace: cluster.kubectl("apply", "-k", "k8s", "--warnings-as-errors", "--namespace", namespace),
    lambda cluster, namespace: cluster.kubectl("delete", "-k", "k8s", "--namespace", namespace),
)


@dataclass(frozen=True)
class Installed:
    """An echo that is rolled out."""

    way: Way
    namespace: str
    before: frozenset[str]  # the objects of the namespace, as returned by objects_in
    evaluated: Counter[tuple[str, str]]  # by Pod Security admission, during the installation
    deployment: Any


@pytest.fixture(scope="session")
def cluster(supplied: Supply, image: str, say: Say) -> Iterator[Cluster]:
    """Yield a cluster with the image of the echo."""
    tools = Tools(*(os.environ[name] for name in ("KIND", "HELM", "KUBECTL")))
    with made_or_found(os.environ, tools, supplied.node_image, say) as cluster:
        say(f"kind load docker-image {image}")
        run(tools.kind, "load", "docker-image", image, "--name", cluster.name, deadline=300)
        yield cluster


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[ApiClient]:
    """Yield the official client, with the credentials of this cluster only."""
    with config.new_client_from_config(config_file=str(cluster.kubeconfig)) as client:
        fail_at_warnings(client)
        yield client


@pytest.fixture(scope="session")
def new_namespace(api: ApiClient) -> Iterator[Callable[[str], Iterator[str]]]:
    """Yield a function that creates a namespace with the restricted profile; at the end, wait until all are deleted.

    The waits come last because a deletion takes the cluster some ten seconds, during which the next test can run.
    """
    core, made = CoreV1Api(api), []

    def namespace(name: str) -> Iterator[str]:
        labels = {evidence.LABEL: "true", **RESTRICTED}
        core.create_namespace({"metadata": {"name": name, "labels": labels}})
        made.append(name)
        try:
            yield name
        finally:
            core.delete_namespace(name)

    yield namespace
    for name in made:
        until_gone(core.list_namespace, f"namespace {name}", field_selector=f"metadata.name={name}")


@pytest.fixture(scope="module", params=(HELM, MANIFESTS), ids=lambda way: way.name)
def way(request: pytest.FixtureRequest) -> Way:
    """Return each way to install the echo."""
    given: Way = request.param
    return given


@pytest.fixture(scope="module")
def namespace(request: pytest.FixtureRequest, way: Way, new_namespace: Callable[[str], Iterator[str]]) -> Iterator[str]:
    """Yield a namespace for this way and this test module."""
    yield from new_namespace(f"echo-{request.module.__name__.rpartition('test_')[2]}-{way.name}")


@pytest.fixture(scope="module")
def installed(cluster: Cluster, api: ApiClient, way: Way, namespace: str, say: Say) -> Installed:
    """Return an echo, installed and rolled out. Fails if the API server warns of anything."""
    say(f"installing by {way.name} into {namespace}")
    objects, evaluated = objects_in(cluster, namespace), evaluations(cluster)
    way.install(cluster, namespace)
    deployment = rolled_out(AppsV1Api(api), namespace, "echo")
    say(f"rolled out: {deployment.status.available_replicas} replicas")
    return Installed(way, namespace, objects, evaluations(cluster) - evaluated, deployment)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save the evidence if a test has failed, before anything is deleted."""
    report = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and cluster is not None:
        folder = evidence.keep(cluster, item.name)
        report.sections.append(("evidence", f"logs, events, descriptions and manifests are in {folder}"))
    return report
