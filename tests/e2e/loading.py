"""Load on a Service, from pods on several nodes of the cluster.

No request may be lost, whatever changes meanwhile.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from kubernetes.client import ApiClient, CoreV1Api
from kubernetes.watch import Watch

from tests.e2e import load
from tests.e2e.cluster import Cluster
from tests.e2e.load import grpc
from tests.e2e.load.asking import KINDS
from tests.e2e.load.judging import Again
from tests.e2e.load.tallying import Tally, summed
from tests.e2e.nodes import that_take_pods
from tests.e2e.reaching import service_name
from tests.e2e.running import labels, python_pod
from tests.e2e.watching import DEADLINE, until, until_gone

COUNT: Final = 30_000  # minimum of requests in each case
CALLS: Final = 10_000  # minimum of gRPC calls among them
OFTEN: Final = 1_000  # minimum of requests of each frequent kind
_NAME: Final = "load"
_LABEL: Final = {"echo-e2e-load": "true"}  # selects its pods for deletion
_FOLDER: Final = "/client"

Told = dict[str, Tally]


def _pod(name: str, image: str, node: str, *arguments: str) -> dict[str, Any]:
    """Return a load pod on a node; its client is mounted from a ConfigMap."""
    spec = python_pod(name, image, "-m", load.__name__, *arguments)
    mount = {"name": _NAME, "mountPath": f"{_FOLDER}/{load.__name__.replace('.', '/')}"}
    spec["containers"][0] |= {
        "env": [{"name": "PYTHONPATH", "value": f"/packages:{_FOLDER}"}],
        "volumeMounts": [mount],
    }
    spec |= {"nodeName": node, "volumes": [{"name": _NAME, "configMap": {"name": _NAME}}]}
    return {"metadata": {"name": name, "labels": labels(name) | _LABEL}, "spec": spec}


@contextmanager
def under_load(  # noqa: PLR0913, PLR0917 - fixtures, and what differs from case to case
    cluster: Cluster, api: ApiClient, namespace: str, image: str, nodes: Sequence[str] = (), count: int = COUNT
) -> Iterator[Callable[[], Told]]:
    """Send requests to the Service continuously, from a pod on each of two nodes or of `nodes`.

    The proxies of the nodes learn of changes separately. Yields a function that stops the load, after at least `count`
    requests, and returns the results.
    """
    core, its_pods = CoreV1Api(api), {"namespace": namespace, "label_selector": "echo-e2e-load"}
    nodes = nodes or that_take_pods(core)[:2]
    names = [f"{_NAME}-{number}" for number in range(len(nodes))]
    each = str(-(-count // len(nodes)))
    files = {file.name: file.read_text() for file in Path(load.__file__).parent.glob("*.py")}
    core.create_namespaced_config_map(namespace, {"metadata": {"name": _NAME}, "data": files})

    def reaches(name: str, *phases: str) -> None:
        """Wait for a phase of the pod, or for its failure."""
        its = {"namespace": namespace, "field_selector": f"metadata.name={name}"}
        until(core.list_namespaced_pod, lambda pod: pod.status.phase in {*phases, "Failed"}, f"pod {name}", **its)

    def end() -> Told:
        for name in names:
            cluster.kubectl("--namespace", namespace, "exec", name, "--", "python3", "-c", "import os; os.kill(1, 15)")
        reports = []
        for name in names:
            reaches(name, "Succeeded")
            reports.append(json.loads(core.read_namespaced_pod_log(name, namespace).splitlines()[-1]))
        return summed(reports)

    try:
        for name, node in zip(names, nodes, strict=True):
            core.create_namespaced_pod(namespace, _pod(name, image, node, service_name(namespace), each))
        for name in names:
            reaches(name, "Running")
            log = Watch().stream(core.read_namespaced_pod_log, name, namespace, _request_timeout=DEADLINE)
            first = next(iter(log), "nothing")
            assert first == "asking", f"the pod {name} said {first}"
        yield end
    finally:
        core.delete_collection_namespaced_pod(**its_pods)
        core.delete_namespaced_config_map(_NAME, namespace)
        until_gone(core.list_namespaced_pod, f"pods of the load in {namespace}", **its_pods)


def line(told: Told) -> str:
    """Return the results in one line: requests by kind, losses, repetitions, pods and the slowest response."""
    counted = ((tally.asked, tally.lost.total()) for tally in told.values())
    asked, lost = (sum(numbers) for numbers in zip(*counted, strict=True))
    again = sum((tally.again for tally in told.values()), Counter[Again]())
    sent_again = "".join(f", {number} sent again ({why})" for why, number in again.items())
    by_kind = ", ".join(f"{tally.asked:,} {kind}" for kind, tally in told.items())
    slowest = max(tally.slowest for kind, tally in told.items() if not KINDS[kind].delay)
    pods = len(answered_by(told))
    return f"{asked:,} requests, {lost} lost{sent_again}; {by_kind}; {pods} pods; the slowest answer: {slowest:.2f} s"


def answered_by(told: Told) -> set[str]:
    """Return the pods that responded."""
    return {name for tally in told.values() for name in tally.pods}


def assert_nothing_was_lost(told: Told) -> None:
    """Check the results of a load: enough requests of each kind, each with a response, on the intended connections.

    A request sent again was not lost, but no pod that stops may cause that often. With HTTP/1.1, only idle clients have
    to repeat requests: active ones are informed before the connection closes.
    """
    lost = {kind: (tally.lost, tally.told) for kind, tally in told.items() if tally.lost}
    assert not lost, lost
    assert sum(tally.asked for tally in told.values()) >= COUNT
    calls = sum(told[name].asked for name, kind in KINDS.items() if kind.protocol == grpc.PROTOCOL)
    assert calls >= CALLS, calls
    for name, kind in KINDS.items():
        tally = told[name]
        assert tally.asked == tally.answered >= (1 if kind.pause >= 1 or kind.delay else OFTEN), (name, tally)
        assert tally.again.total() <= len(tally.pods), (name, tally)
        if kind.fresh:
            assert tally.connections == tally.asked + tally.again.total(), (name, tally)
        elif kind.pause < 1:
            assert tally.connections <= tally.asked / 2, f"{name}: connections were not kept: {tally}"
            assert not tally.again[Again.CLOSED_WHILE_IDLE], (name, tally)
