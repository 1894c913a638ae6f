"""Python run in the cluster, by our image and what is in it: to its end, or until it is told that it is enough."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, BatchV1Api, CoreV1Api
from kubernetes.watch import Watch

from tests.e2e import load_client
from tests.e2e.cluster import Cluster
from tests.e2e.reaching import service_name
from tests.e2e.watching import DEADLINE, job_log, until, until_gone


def python_pod(name: str, image: str, code: str, *arguments: str) -> dict[str, Any]:
    """Give the spec of a pod that runs Python, within what the restricted profile allows."""
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": name,
                "image": image,
                "args": ["-c", code, *arguments],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
            }
        ],
    }


def _labels(name: str) -> dict[str, str]:
    """Give the label by which evidence.py finds the logs; the Service selects another name."""
    return {"app.kubernetes.io/name": name}


def python_in_a_pod(api: ApiClient, namespace: str, image: str, code: str, *arguments: str) -> dict[str, Any]:
    """Run Python in a Job in the namespace; give the JSON that its log is."""
    name = "asking"
    template = {"metadata": {"labels": _labels(name)}, "spec": python_pod(name, image, code, *arguments)}
    job = {
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "activeDeadlineSeconds": 120, "template": template},
    }
    batch = BatchV1Api(api)
    batch.create_namespaced_job(namespace, job)
    try:
        answer: dict[str, Any] = json.loads(job_log(batch, CoreV1Api(api), namespace, name))
    finally:
        batch.delete_namespaced_job(name, namespace, propagation_policy="Foreground")
    return answer


@contextmanager
def under_load(
    cluster: Cluster, api: ApiClient, namespace: str, image: str, node: str | None = None
) -> Iterator[Callable[[], dict[str, Any]]]:
    """Ask the Service all along, from a pod, on that node if one is named; give what ends it and tells what came."""
    core, name = CoreV1Api(api), "load"
    code = Path(load_client.__file__).read_text()
    spec = python_pod(name, image, code, service_name(namespace)) | ({"nodeName": node} if node else {})
    core.create_namespaced_pod(namespace, {"metadata": {"name": name, "labels": _labels(name)}, "spec": spec})
    its = {"namespace": namespace, "field_selector": f"metadata.name={name}"}

    def reaches(*phases: str) -> None:
        """Wait for a phase of the pod, or for its end."""
        until(core.list_namespaced_pod, lambda pod: pod.status.phase in {*phases, "Failed"}, f"pod {name}", **its)

    def end() -> dict[str, Any]:
        cluster.kubectl("--namespace", namespace, "exec", name, "--", "python3", "-c", "import os; os.kill(1, 15)")
        reaches("Succeeded")
        log = core.read_namespaced_pod_log(name, namespace)
        told: dict[str, Any] = json.loads(log.splitlines()[-1])
        return told

    try:
        reaches("Running")
        log = Watch().stream(core.read_namespaced_pod_log, name, namespace, _request_timeout=DEADLINE)
        first = next(iter(log), "nothing")
        assert first == "asking", f"the pod {name} said {first}"
        yield end
    finally:
        core.delete_namespaced_pod(name, namespace)
        until_gone(core.list_namespaced_pod, f"pod {namespace}/{name}", **its)


def assert_nothing_was_lost(told: dict[str, Any]) -> None:
    """Hold what a load came to against what it should: answers on both kinds of connections, and no failure."""
    assert told["failed"] == 0, told
    for kind in ("kept", "fresh"):
        assert told[kind]["answers"] >= 100, told
    assert told["kept"]["connections"] < told["kept"]["answers"] / 2, "connections were not kept"
