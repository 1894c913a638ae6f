"""A node is taken out of service, with somebody asking all along."""

from collections.abc import Callable, Iterator

import pytest
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api

from tests.commands import Say
from tests.e2e.cluster import ZONE, Cluster
from tests.e2e.running import assert_nothing_was_lost, under_load
from tests.e2e.watching import rolled_out

NAMESPACE = "echo-drain"


@pytest.fixture
def namespace(new_namespace: Callable[[str], Iterator[str]]) -> Iterator[str]:
    """Give a namespace for it."""
    yield from new_namespace(NAMESPACE)


def test_nothing_is_lost_when_a_node_is_drained(
    cluster: Cluster, api: ApiClient, namespace: str, image: str, say: Say
) -> None:
    """Its pods move to the other node, and no request fails, of who keeps a connection and of who opens new ones."""
    if not cluster.ours:
        pytest.skip("the nodes of a cluster that was not made for the tests are not taken out of service")
    core, apps = CoreV1Api(api), AppsV1Api(api)

    def placed() -> dict[str, str]:
        """Give the node of each pod that is not leaving."""
        pods = core.list_namespaced_pod(namespace, label_selector="app.kubernetes.io/name=echo").items
        return {pod.metadata.name: pod.spec.node_name for pod in pods if not pod.metadata.deletion_timestamp}

    cluster.change("install", "echo", "./helm", "--namespace", namespace)
    rolled_out(apps, namespace, "echo")
    before = placed()
    drained = min(before.values())
    (other,) = {node.metadata.name for node in core.list_node(label_selector=ZONE).items} - {drained}
    with under_load(cluster, api, namespace, image, node=other) as end:
        try:
            cluster.kubectl(
                "drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s", deadline=130
            )
            rolled_out(apps, namespace, "echo")
            after = placed()
            told = end()
        finally:
            cluster.kubectl("uncordon", drained)
    say(f"{drained} was drained; asked all along: {told}")
    assert_nothing_was_lost(told)
    assert set(after.values()) == {other}
    moved = set(after) - set(before)
    assert moved, "no pod had to move"
    assert set(told["pods"]) >= moved
