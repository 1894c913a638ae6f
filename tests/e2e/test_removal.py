"""What was installed goes away altogether."""

from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api, DiscoveryV1Api

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import Installed
from tests.e2e.watching import until_gone


def test_everything_is_deleted_and_seen_to_be_gone(cluster: Cluster, api: ApiClient, installed: Installed) -> None:
    """No pod, no Service, no ServiceAccount, no Secret is left behind."""
    namespace = installed.namespace
    core, apps, discovery = CoreV1Api(api), AppsV1Api(api), DiscoveryV1Api(api)
    installed.way.remove(cluster, namespace)
    for listing in (
        apps.list_namespaced_deployment,
        apps.list_namespaced_replica_set,
        core.list_namespaced_pod,
        core.list_namespaced_service,
        core.list_namespaced_secret,
        discovery.list_namespaced_endpoint_slice,
    ):
        until_gone(listing, f"{listing.__name__} in {namespace}", namespace=namespace)
    until_gone(
        core.list_namespaced_service_account,
        f"ServiceAccount echo in {namespace}",
        namespace=namespace,
        field_selector="metadata.name=echo",
    )
