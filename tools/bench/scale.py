"""`python -m tools.bench.scale`: throughput by number of pods.

It measures the chart in a kind cluster with 1, 2 and 4 replicas. A pod has a fifth of a core, so that four pods and the
client fit on two cores. The client is vegeta, on a node, through the Service; the CPU is what the kernel has accounted
to the pods. KEEP=1 and CLUSTER=name have the same meaning as for `make e2e`.
"""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Final

from kubernetes import config
from kubernetes.client import ApiClient, CoreV1Api

from tests.e2e.cluster import OWN_NAME, Cluster, Tools, cluster
from tests.e2e.nodes import that_take_pods
from tests.e2e.supply import supply
from tests.e2e.watching import echoes, settled
from tools.bench.__main__ import machine
from tools.bench.asked import JSON
from tools.bench.results import FOLDER
from tools.bench.scaling import FILE, KEPT, Scale, Step, is_flat, table, write
from tools.bench.told import Loaded, LoadError, by_vegeta
from tools.commands import CommandError, Say, follow, run, say_to_stderr
from tools.toolchain.__main__ import TOOLS, ToolError, find

_PODS: Final = (1, 2, 4)
_CORES: Final = 0.2  # of a pod
_CONNECTIONS: Final = 64
_NAMESPACE: Final = "echo-scale"
_IMAGE: Final = "echo:scale"  # a tag of its own, so that a concurrent `make image` changes nothing
_WARM: Final = 3  # seconds of load before the measurement
_VEGETA: Final = "/usr/local/bin/vegeta"  # on a node
_ROUNDS: Final = 3
_SECONDS: Final = 10
_INTERRUPTED: Final = 130  # the exit status that a shell reports for a program ended by Ctrl-C
# The CPU of a pod in nanoseconds, by its uid as the two drivers of cgroups write it, from cgroup v1 or v2.
# https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files
_USAGE: Final = """
for folder in $(find /sys/fs/cgroup -type d '(' -name "*pod$1" -o -name "*pod$2.slice" ')'); do
  cat "$folder/cpuacct.usage" 2>/dev/null && exit
  grep '^usage_usec' "$folder/cpu.stat" 2>/dev/null | sed 's/$/000/' | grep . && exit
done
exit 1
"""


class Deployed:
    """A deployment of echo in a cluster, with the number of pods of the last `scale_to`."""

    def __init__(self, cluster: Cluster, api: ApiClient) -> None:
        self._cluster = cluster
        self._api = api
        self._core = CoreV1Api(api)
        self.node = that_take_pods(self._core)[0]

    def scale_to(self, pods: int) -> None:
        """Scale to this many pods, and wait until all are ready and none is terminating."""
        repository, _, tag = _IMAGE.partition(":")
        values = {
            "replicaCount": pods,
            "image.repository": repository,
            "image.tag": tag,
            "resources.limits.cpu": f"{_CORES * 1000:.0f}m",
        }
        given = [f"--set={name}={value}" for name, value in values.items()]
        where = ("--namespace", _NAMESPACE, "--create-namespace")
        self._cluster.helm("upgrade", "--install", "echo", "./helm", *where, *given)
        settled(self._api, _NAMESPACE)

    @property
    def address(self) -> str:
        """The address of the Service."""
        return str(self._core.read_namespaced_service("echo", _NAMESPACE).spec.cluster_ip)

    def cpu(self) -> float:
        """Return the seconds of CPU that the pods have used since they started."""
        return sum(_taken_by(pod) for pod in echoes(self._core, _NAMESPACE).values())


def _taken_by(pod: Any) -> float:
    uid = pod.metadata.uid
    told = run("docker", "exec", pod.spec.node_name, "sh", "-c", _USAGE, "sh", uid, uid.replace("-", "_"))
    return int(told.split()[-1]) / 1e9


def _load(node: str, address: str, seconds: int) -> Loaded:
    """Send requests on all connections at once, as fast as responses arrive."""
    fields = [f"-header={name}: {value}" for name, value in JSON.fields]
    options = ["-rate=0", f"-max-workers={_CONNECTIONS}", f"-duration={seconds}s", "-max-body=0"]
    attack = shlex.join([_VEGETA, "attack", *options, *fields])
    command = f"echo 'GET http://{address}/anything' | {attack} | {_VEGETA} report -type=json"
    return by_vegeta(run("docker", "exec", node, "sh", "-c", command, deadline=seconds + 60))


def _measured(deployed: Deployed, pods: int, seconds: int) -> tuple[Loaded, float]:
    """Return the throughput of this many pods, and the CPU per request. Raise `LoadError` if a response was wrong."""
    deployed.scale_to(pods)
    address = deployed.address
    _load(deployed.node, address, _WARM)
    before = deployed.cpu()
    told = _load(deployed.node, address, seconds)
    taken = deployed.cpu() - before
    if told.failed:
        raise LoadError(f"{told.failed} of {told.requests + told.failed} requests were not answered with 200")
    return told, taken / told.requests


def measure(deployed: Deployed, rounds: int, seconds: int, say: Say) -> list[Step]:
    """Measure each number of pods in turn, several times, so that what slows the machine down for a while slows all."""
    steps = {pods: Step(pods, [], [], [], []) for pods in _PODS}
    for number in range(rounds):
        for pods, step in steps.items():
            told, cpu = _measured(deployed, pods, seconds)
            rate = told.requests / told.seconds
            say(f"round {number + 1} of {rounds}: {pods} pods: {rate:,.0f} requests/s, {cpu * 1e6:,.0f} us each")
            step.requests_per_second.append(rate)
            step.cpu_per_request.append(cpu)
            step.p50.append(told.p50)
            step.p99.append(told.p99)
    return [*steps.values()]


def main(arguments: Sequence[str], environ: Mapping[str, str], say: Say) -> int:
    """Measure, write the results and print them. Return the exit code: 1 if the CPU per request was not flat."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.scale", description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--seconds", type=int, default=_SECONDS, help="of each load")
    parser.add_argument("--keep", action="store_true", help="keep it, as what the README shows")
    asked = parser.parse_args(arguments)
    tools = Tools(*(str(find(TOOLS[name], environ)) for name in ("kind", "helm", "kubectl")))
    vegeta = find(TOOLS["vegeta"], environ)
    supplied = supply(environ, say)
    follow("make", "--no-print-directory", f"IMAGE={_IMAGE}", "image", say=lambda _: None)
    where, began = machine(), datetime.now(UTC).isoformat(timespec="seconds")
    with cluster({OWN_NAME: _NAMESPACE, **environ}, tools, supplied.node_image, say) as made:
        run(tools.kind, "load", "docker-image", _IMAGE, "--name", made.name, deadline=300)
        with config.new_client_from_config(config_file=str(made.kubeconfig)) as api:
            deployed = Deployed(made, api)
            run("docker", "cp", vegeta, f"{deployed.node}:{_VEGETA}")
            steps = measure(deployed, asked.rounds, asked.seconds, say)
    scale = Scale(where, began, "GET, JSON, 12 headers", _CONNECTIONS, _CORES, steps)
    for file in (FILE, KEPT) if asked.keep else (FILE,):
        write(scale, file)
    (FOLDER / "scale.md").write_text(table(scale) + "\n", encoding="utf-8")
    print(table(scale))  # noqa: T201 - the result
    return 0 if is_flat(steps) else 1


def _end(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)  # the cluster is deleted then, too
    try:
        sys.exit(main(sys.argv[1:], os.environ, say_to_stderr))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except (AssertionError, CommandError, LoadError, ToolError) as error:
        say_to_stderr(f"scale: {error}")
        sys.exit(1)
