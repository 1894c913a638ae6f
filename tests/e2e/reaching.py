"""The ways to the Service: kubectl's port-forward, the client library's, and a pod in the cluster."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes.client import ApiClient, BatchV1Api, CoreV1Api
from kubernetes.stream import portforward

from tests.e2e.cluster import Cluster
from tests.e2e.watching import job_log
from tests.http.process import DEADLINE, read_lines

BARE = b"<b>Got: blah/blah</b>!"


@contextmanager
def kubectl_port_forward(cluster: Cluster, namespace: str, port: int = 80) -> Iterator[int]:
    """Run `kubectl port-forward svc/echo`, as the README tells people; give the local port for one of the Service's."""
    with subprocess.Popen(
        [cluster.tools.kubectl, "--namespace", namespace, "port-forward", "svc/echo", f":{port}"],
        env={**os.environ, **cluster.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        try:
            assert process.stdout is not None
            (line,) = read_lines(process.stdout, 1)
            match = re.fullmatch(r"Forwarding from 127\.0\.0\.1:(\d+) -> 8080", line)
            assert match, line
            yield int(match[1])
        finally:
            process.terminate()
            process.wait(DEADLINE)


def exchange_with_pod(api: ApiClient, namespace: str, pod: str, sent: bytes) -> bytes:
    """Send bytes to a pod's port 8080 through the client library's port-forward; give all that comes back."""
    forward = portforward(CoreV1Api(api).connect_get_namespaced_pod_portforward, pod, namespace, ports="8080")
    sock = forward.socket(8080)
    try:
        sock.setblocking(True)
        sock.settimeout(DEADLINE)
        sock.sendall(sent)
        received = b"".join(iter(lambda: sock.recv(65_536), b""))
    finally:
        sock.close()
        for thread in threading.enumerate():
            if thread.name == "Kubernetes port forward proxy: 8080":
                thread.join(DEADLINE)
        forward.websocket.shutdown()  # which the library leaves open when the pod closes first
    assert not forward.error(8080), forward.error(8080)
    return received


# Asks many times, each on a connection of its own, and prints what it got as one line of JSON.
_ASKING = """
import collections, http.client, json, sys
host, count = sys.argv[1], int(sys.argv[2])
def ask(path, headers):
    client = http.client.HTTPConnection(host, timeout=10)
    client.request("GET", path, headers=headers)
    answer = client.getresponse()
    return answer.status, answer.read().decode()
bare = collections.Counter(ask("/blah/blah", {})[1] for _ in range(count))
reflections = [json.loads(ask("/in/cluster", {"Accept": "application/json"})[1]) for _ in range(count)]
print(json.dumps({"bare": bare, "reflections": reflections}))
"""


def service_name(namespace: str) -> str:
    """Give the DNS name of the Service."""
    return f"echo.{namespace}.svc.cluster.local"


def ask_from_a_pod(api: ApiClient, namespace: str, image: str, count: int) -> dict[str, Any]:
    """Ask the Service by its DNS name, each time on a connection of its own; give what was answered."""
    return python_in_a_pod(api, namespace, image, _ASKING, service_name(namespace), str(count))


def python_in_a_pod(api: ApiClient, namespace: str, image: str, code: str, *arguments: str) -> dict[str, Any]:
    """Run Python in a Job in the namespace, by our image and what is in it; give the JSON that its log is."""
    name = "asking"
    job = {
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": 120,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
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
            },
        },
    }
    batch = BatchV1Api(api)
    batch.create_namespaced_job(namespace, job)
    try:
        answer: dict[str, Any] = json.loads(job_log(batch, CoreV1Api(api), namespace, name))
    finally:
        batch.delete_namespaced_job(name, namespace, propagation_policy="Foreground")
    return answer
