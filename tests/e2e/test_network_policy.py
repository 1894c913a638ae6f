"""The chart's NetworkPolicy on a real network.

If the network does not enforce policies, that is reported. A control, a policy that denies everything, detects it
first. (tests/chart checks, without a network, what the policy allows by the rules of Kubernetes.)
"""

import json
from collections.abc import Callable, Iterator

import pytest
import yaml
from kubernetes.client import ApiClient, CoreV1Api, NetworkingV1Api, V1Pod

from tests.e2e.cluster import Cluster
from tests.e2e.running import labels, python_in_a_pod, python_pod
from tests.e2e.supply import NODE_IMAGE, Supply
from tests.e2e.watching import echoes, settled, until
from tools.commands import Say

NAMESPACE = "echo-network-policy"
CLIENT, WATCHER, STRANGER = {"example.test/is": "client"}, {"example.test/is": "watcher"}, {"example.test/is": "nobody"}
VALUES = {
    "networkPolicy": {
        "enabled": True,
        "httpFrom": [{"podSelector": {"matchLabels": CLIENT}}],
        "adminFrom": [{"podSelector": {"matchLabels": WATCHER}}],
    }
}
# The clients that get a response if policies are enforced: by labels, from port 8080 and from port 9090.
REACHES = [(CLIENT, [True, False]), (WATCHER, [False, True]), (STRANGER, [False, False])]
_CLOSED = "closed"  # the pod to which a policy denies all access

# Requests /livez of each address, until the first one stops responding, or for some seconds; prints which responded.
_ASKING = """
import http.client, json, sys, time
def answers(address):
    client = http.client.HTTPConnection(address, timeout=3)
    try:
        client.request("GET", "/livez")
        return client.getresponse().status == 200
    except OSError:
        return False
give_up = time.monotonic() + float(sys.argv[1])
while (told := [answers(address) for address in sys.argv[2:]])[0] and time.monotonic() < give_up:
    time.sleep(0.2)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def namespace(
    cluster: Cluster,
    api: ApiClient,
    new_namespace: Callable[[str], Iterator[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Yield a namespace with an echo that is protected by the chart's policy."""
    file = tmp_path_factory.mktemp("values") / "values.yaml"
    file.write_text(yaml.safe_dump(VALUES))
    for name in new_namespace(NAMESPACE):
        cluster.change("install", "echo", "./helm", "--namespace", name, "--values", file)
        settled(api, name)
        yield name


@pytest.fixture(scope="module")
def enforced(  # noqa: PLR0913, PLR0917 - fixtures
    cluster: Cluster, api: ApiClient, namespace: str, image: str, supplied: Supply, say: Say
) -> bool:
    """Return whether the network enforces policies: check if a policy that denies everything protects its pod.

    The network of kind does, the replacement used without registries does not, and a user's own may.
    """
    core = CoreV1Api(api)
    refusing = {"podSelector": {"matchLabels": labels(_CLOSED)}, "policyTypes": ["Ingress"]}
    NetworkingV1Api(api).create_namespaced_network_policy(namespace, {"metadata": {"name": _CLOSED}, "spec": refusing})
    spec = python_pod(_CLOSED, image, "-m", "app")
    # A probe within the pod shows that it serves; otherwise a network without enforcement would seem to enforce
    # policies.
    spec["containers"][0]["readinessProbe"] = {
        "exec": {"command": ["python3", "-m", "app.healthcheck"]},
        "periodSeconds": 1,
    }
    pod = {"metadata": {"name": _CLOSED, "labels": labels(_CLOSED)}, "spec": spec}
    core.create_namespaced_pod(namespace, pod)
    its = {"namespace": namespace, "field_selector": f"metadata.name={_CLOSED}"}
    started = until(core.list_namespaced_pod, _is_ready, f"pod {_CLOSED}", **its)
    real = supplied.node_image == NODE_IMAGE
    # A network enforces a policy with a delay, for which the check waits if the network is known to enforce it.
    told = python_in_a_pod(api, namespace, image, _ASKING, "30" if real else "5", f"{started.status.pod_ip}:9090")
    found = bool(told == [False])
    core.delete_namespaced_pod(_CLOSED, namespace)
    if cluster.ours:
        assert found == real, f"the network of kind's node enforces policies, that of the stand-in does not: {told}"
    if not found:
        say("this network enforces no NetworkPolicy: one that refuses all lets all through. So nothing is refused here")
    return found


def _is_ready(pod: V1Pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())


@pytest.mark.parametrize(("who", "reaches"), REACHES, ids=[who["example.test/is"] for who, _ in REACHES])
def test_who_reaches_the_echo(  # noqa: PLR0913, PLR0917 - fixtures
    cluster: Cluster,
    api: ApiClient,
    namespace: str,
    image: str,
    enforced: bool,  # noqa: FBT001 - a fixture
    who: dict[str, str],
    reaches: list[bool],
) -> None:
    """Allowed clients reach their ports, and others reach none; without enforcement, all ports are reachable."""
    del cluster  # its evidence is saved if this fails
    pods = echoes(CoreV1Api(api), namespace).values()
    addresses = [f"{pod.status.pod_ip}:{port}" for pod in pods for port in (8080, 9090)]
    told = python_in_a_pod(api, namespace, image, _ASKING, "0", *addresses, own=who)
    assert told == (reaches if enforced else [True, True]) * 2


def test_the_pod_of_helm_test_is_let_in(cluster: Cluster, namespace: str) -> None:
    """The pod of `helm test` is allowed, whichever other clients are."""
    said = cluster.helm("test", "echo", "--namespace", namespace)
    assert "Phase:          Succeeded" in said


def test_the_echo_reaches_nobody(
    cluster: Cluster,
    api: ApiClient,
    namespace: str,
    enforced: bool,  # noqa: FBT001 - a fixture
) -> None:
    """If policies are enforced, the echo can connect to no address, not even to its other pod."""
    one, other = echoes(CoreV1Api(api), namespace).values()
    asking = ("exec", one.metadata.name, "--", "python3", "-c", _ASKING, "0", f"{other.status.pod_ip}:8080")
    told = cluster.kubectl("--namespace", namespace, *asking)
    assert json.loads(told) == [not enforced]
