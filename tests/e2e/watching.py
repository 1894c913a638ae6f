"""Waiting by watches of the API server, each with a deadline."""

from collections.abc import Callable
from typing import Any

from kubernetes.client import ApiClient, AppsV1Api, BatchV1Api, CoreV1Api, DiscoveryV1Api
from kubernetes.watch import Watch

from tests.e2e.cluster import Cluster

DEADLINE = 180  # seconds


def until(listing: Callable[..., Any], done: Callable[[Any], bool], what: str, **arguments: Any) -> Any:
    """Watch the objects of a listing until one is `done`; return it.

    Fails with the last state of the objects at the deadline.
    """
    last = None
    for event in Watch().stream(listing, timeout_seconds=DEADLINE, **arguments):
        last = event["object"]
        if event["type"] != "DELETED" and done(last):
            return last
    raise AssertionError(f"{what}: not after {DEADLINE} s; last seen: {getattr(last, 'status', last)}")


def until_gone(listing: Callable[..., Any], what: str, **arguments: Any) -> None:
    """Watch until the listing has no objects. Fails with the remaining ones at the deadline."""
    first = listing(**arguments)
    left = {item.metadata.uid: item.metadata.name for item in first.items}
    if not left:
        return
    version = first.metadata.resource_version
    for event in Watch().stream(listing, timeout_seconds=DEADLINE, resource_version=version, **arguments):
        metadata = event["object"].metadata
        if event["type"] == "DELETED":
            left.pop(metadata.uid, None)
        else:
            left[metadata.uid] = metadata.name
        if not left:
            return
    raise AssertionError(f"{what}: still there after {DEADLINE} s: {sorted(left.values())}")


def rolled_out(apps: AppsV1Api, namespace: str, name: str) -> Any:
    """Wait until a Deployment is rolled out, as `kubectl rollout status` does; return it."""

    def done(deployment: Any) -> bool:
        status, wanted = deployment.status, deployment.spec.replicas
        return bool(
            (status.observed_generation or 0) >= deployment.metadata.generation
            and status.updated_replicas == status.replicas == status.available_replicas == wanted
        )

    return until(
        apps.list_namespaced_deployment,
        done,
        f"rollout of {namespace}/{name}",
        namespace=namespace,
        field_selector=f"metadata.name={name}",
    )


def echoes(core: CoreV1Api, namespace: str) -> dict[str, Any]:
    """Return the pods of the echo, by name."""
    found = core.list_namespaced_pod(namespace, label_selector="app.kubernetes.io/name=echo")
    return {pod.metadata.name: pod for pod in found.items}


def settled(api: ApiClient, namespace: str) -> set[str]:
    """Wait until the echo is rolled out and no pod is terminating; return the names of its pods.

    A terminating pod may still lose requests.
    """
    core, apps = CoreV1Api(api), AppsV1Api(api)
    while True:
        rolled_out(apps, namespace, "echo")
        pods = echoes(core, namespace)
        leaving = [name for name, pod in pods.items() if pod.metadata.deletion_timestamp]
        if not leaving:
            return set(pods)
        for name in leaving:
            until_gone(core.list_namespaced_pod, name, namespace=namespace, field_selector=f"metadata.name={name}")


def job_log(batch: BatchV1Api, core: CoreV1Api, namespace: str, name: str) -> str:
    """Wait until a Job has ended; return its pod's log. Fails with the log if the Job failed."""
    job = until(
        batch.list_namespaced_job,
        lambda job: any(condition.type in {"Complete", "Failed"} for condition in job.status.conditions or []),
        f"end of the Job {namespace}/{name}",
        namespace=namespace,
        field_selector=f"metadata.name={name}",
    )
    (pod,) = core.list_namespaced_pod(namespace, label_selector=f"job-name={name}").items
    log = str(core.read_namespaced_pod_log(pod.metadata.name, namespace))
    assert job.status.succeeded, f"the Job {namespace}/{name} failed: {job.status.conditions}\n{log}"
    return log


def objects_in(cluster: Cluster, namespace: str) -> frozenset[str]:
    """Return the objects of a namespace, of every kind that the cluster has, except events."""
    kinds = cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
    wanted = ",".join(sorted(kind for kind in kinds if not kind.startswith("events")))
    found = cluster.kubectl("--namespace", namespace, "get", wanted, "--ignore-not-found", "--output=name")
    return frozenset(found.split())


def until_left_as(cluster: Cluster, api: ApiClient, namespace: str, before: frozenset[str]) -> None:
    """Wait until the namespace has no pod and no EndpointSlice; fail with all objects that were not there `before`."""
    for listing in (CoreV1Api(api).list_namespaced_pod, DiscoveryV1Api(api).list_namespaced_endpoint_slice):
        until_gone(listing, f"{listing.__name__} in {namespace}", namespace=namespace)
    left = objects_in(cluster, namespace) - before
    assert not left, f"left behind in {namespace}: {sorted(left)}"
