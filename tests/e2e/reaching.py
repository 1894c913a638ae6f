"""Ways to reach the Service: port forwards and its DNS name.

The port forwards are kubectl's and the client library's.
"""

import os
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from kubernetes.client import ApiClient, CoreV1Api
from kubernetes.stream import portforward

from tests.e2e.cluster import Cluster
from tests.http.process import DEADLINE, read_lines

BARE = b"<b>Got: blah/blah</b>!"


@contextmanager
def forwarding(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[str]:
    """Run a port-forward until the block ends; yield its first line, which reports the open port."""
    with subprocess.Popen(
        command, env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
    ) as process:
        try:
            assert process.stdout is not None
            (line,) = read_lines(process.stdout, 1)
            assert line.startswith("Forwarding from "), f"{command}: {line}"
            yield line
        finally:
            process.terminate()
            process.wait(DEADLINE)


@contextmanager
def kubectl_port_forward(cluster: Cluster, namespace: str, port: int = 80) -> Iterator[int]:
    """Run `kubectl port-forward svc/echo`, as described in the README; yield the local port for a Service port."""
    command = [cluster.tools.kubectl, "--namespace", namespace, "port-forward", "svc/echo", f":{port}"]
    with forwarding(command, cluster.environ) as line:
        match = re.fullmatch(r"Forwarding from 127\.0\.0\.1:(\d+) -> 8080", line)
        assert match, line
        yield int(match[1])


def exchange_with_pod(api: ApiClient, namespace: str, pod: str, sent: bytes) -> bytes:
    """Send bytes to a pod's port 8080 through the client library's port-forward; return everything received."""
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
        forward.websocket.shutdown()  # the library leaves it open when the pod closes first
    assert not forward.error(8080), forward.error(8080)
    return received


def service_name(namespace: str) -> str:
    """Return the DNS name of the Service."""
    return f"echo.{namespace}.svc.cluster.local"
