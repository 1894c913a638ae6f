"""The Service responds, for each way to install and to reach it."""

import json
import stat
from collections import Counter
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api

from tests.e2e.cluster import REGION, ZONE, Cluster
from tests.e2e.conftest import Installed
from tests.e2e.nodes import takes_pods, zone_of
from tests.e2e.reaching import BARE, exchange_with_pod, kubectl_port_forward, service_name
from tests.e2e.running import python_in_a_pod
from tests.http.process import ask
from tools.commands import Say

# Sends many requests, each on a connection of its own, and prints the responses as one line of JSON.
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

# Sends a request like the Gateway API's conformance client, and prints the response as one line of JSON.
_GATEWAY_API = """
import http.client, json, sys
client = http.client.HTTPConnection(sys.argv[1], timeout=10)
client.request("GET", sys.argv[2], headers={"X-A": "b"})
answer = client.getresponse()
print(json.dumps({"type": answer.headers["Content-Type"], "answer": json.loads(answer.read())}))
"""

_REFLECTION_ONCE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept: application/json\r\n\r\n"


def pods(api: ApiClient, installed: Installed) -> dict[str, Any]:
    """Return the pods of the echo, by name."""
    found = CoreV1Api(api).list_namespaced_pod(installed.namespace, label_selector="app.kubernetes.io/name=echo")
    return {pod.metadata.name: pod for pod in found.items}


def assert_is_of(reflection: dict[str, Any], api: ApiClient, installed: Installed) -> None:
    """Compare a reflection with what the cluster reports of the pod that it names."""
    pod = pods(api, installed)[reflection["pod"]]
    assert reflection["namespace"] == installed.namespace
    assert reflection["kubernetes"]["node"] == pod.spec.node_name
    assert reflection["kubernetes"]["podIP"] == pod.status.pod_ip
    assert reflection["kubernetes"]["hostIP"] == pod.status.host_ip
    assert reflection["kubernetes"]["serviceAccount"] == pod.spec.service_account_name == "echo"
    node = CoreV1Api(api).read_node(pod.spec.node_name)
    assert reflection["kubernetes"]["zone"] == node.metadata.labels.get(ZONE)
    assert reflection["kubernetes"]["region"] == node.metadata.labels.get(REGION)
    assert reflection["service"] == "echo"
    assert reflection["kubernetes"]["image"] == pod.spec.containers[0].image
    shown = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "pod-template-hash")
    assert reflection["kubernetes"]["labels"] == {name: pod.metadata.labels[name] for name in shown}


def test_kubectl_port_forward_and_curl(cluster: Cluster, api: ApiClient, installed: Installed) -> None:
    """The README's commands with port-forward and curl have the documented results."""
    with kubectl_port_forward(cluster, installed.namespace) as port:
        answer, body = ask(port, "/blah/blah")
        assert (answer.status, answer.headers["Content-Type"], body) == (200, "text/html; charset=utf-8", BARE)
        answer, body = ask(port, "/a%2Fb?c=d", {"Accept": "application/json", "X-Two": "2"})
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    reflection = json.loads(body)
    told = {name: reflection[name] for name in ("path", "method", "proto", "host")}
    assert told == {"path": "/a%2Fb?c=d", "method": "GET", "proto": "HTTP/1.1", "host": f"127.0.0.1:{port}"}
    assert reflection["headers"]["X-Two"] == ["2"]
    assert_is_of(reflection, api, installed)


def test_the_client_librarys_port_forward(cluster: Cluster, api: ApiClient, installed: Installed) -> None:
    """Each pod responds with its own values, through the client library's port-forward."""
    del cluster  # its evidence is saved if this fails
    for name in pods(api, installed):
        request = b"GET /%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n"
        assert exchange_with_pod(api, installed.namespace, name, request % (b"blah/blah", b"")).endswith(BARE)
        answer = exchange_with_pod(api, installed.namespace, name, request % (b"", b"Accept: application/json\r\n"))
        reflection = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert reflection["pod"] == name
        assert_is_of(reflection, api, installed)


def test_the_dns_name_from_another_pod(cluster: Cluster, api: ApiClient, installed: Installed, image: str) -> None:
    """Every response to requests by DNS name is correct, and both replicas respond."""
    del cluster
    count = 60  # the probability that one of two replicas gets none of 60 is 2 in 10^18
    told = python_in_a_pod(api, installed.namespace, image, _ASKING, service_name(installed.namespace), str(count))
    assert told["bare"] == {BARE.decode(): count}
    seen = Counter(reflection["pod"] for reflection in told["reflections"])
    assert set(seen) == set(pods(api, installed))
    assert len(seen) == installed.deployment.spec.replicas == 2
    for reflection in told["reflections"]:
        assert reflection["path"] == "/in/cluster"
        assert reflection["host"] == service_name(installed.namespace)
        assert_is_of(reflection, api, installed)


def test_the_pods_are_spread_over_the_zones(cluster: Cluster, api: ApiClient, installed: Installed, say: Say) -> None:
    """There is one pod in each zone, and each reports its own zone."""
    nodes = {node.metadata.name: node for node in CoreV1Api(api).list_node().items}
    there = {zone_of(node) for node in nodes.values() if takes_pods(node)}
    taken = {name: zone_of(nodes[pod.spec.node_name]) for name, pod in pods(api, installed).items()}
    if cluster.ours:
        assert there == {"zone-1", "zone-2"}
        assert set(taken.values()) == there
    else:
        say(f"a cluster of somebody's own, zones {there}: the scheduler has put the pods into {list(taken.values())}")
    for name, zone in taken.items():
        answer = exchange_with_pod(api, installed.namespace, name, _REFLECTION_ONCE)
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["kubernetes"]["zone"] == zone


def test_the_dialect_of_the_gateway_apis_echo(
    cluster: Cluster, api: ApiClient, installed: Installed, image: str
) -> None:
    """A request through the Service gets the gateway-api dialect that the conformance tests check."""
    del cluster
    asked = "/in/cluster?echo_format=gateway-api"
    told = python_in_a_pod(api, installed.namespace, image, _GATEWAY_API, service_name(installed.namespace), asked)
    pod = pods(api, installed)[told["answer"]["pod"]]
    assert told["type"] == "application/json"
    assert told["answer"] == {
        "path": asked,
        "host": service_name(installed.namespace),
        "method": "GET",
        "proto": "HTTP/1.1",
        "headers": {"Accept-Encoding": ["identity"], "X-A": ["b"]},  # Go removes Host
        "httpPort": "8080",
        "namespace": installed.namespace,
        "ingress": "",
        "service": "echo",
        "pod": pod.metadata.name,
    }


def test_the_way_to_the_cluster_is_our_own_and_private(cluster: Cluster) -> None:
    """The tests' kubeconfig is readable by its owner only, and the user's own is not changed."""
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    theirs = Path.home() / ".kube" / "config"
    assert not theirs.exists() or f"kind-{cluster.name}" not in theirs.read_text()


def test_nothing_was_restarted(cluster: Cluster, api: ApiClient, installed: Installed) -> None:
    """The first pods are still serving without a restart, and have written nothing but the startup lines."""
    del cluster
    for name, pod in pods(api, installed).items():
        (status,) = pod.status.container_statuses
        assert (status.restart_count, status.ready) == (0, True)
        log = CoreV1Api(api).read_namespaced_pod_log(name, installed.namespace)
        assert len(log.splitlines()) == 2, log
