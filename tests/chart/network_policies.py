"""Asks cyclonus, offline, what rendered NetworkPolicies let through: a judge that is not ours.

It stands for a network that enforces policies. That a cluster's network does is for a cluster to show.
https://github.com/mattfenwick/cyclonus/blob/v0.5.6/pkg/matcher/traffic.go says what it reads.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.chart.rendering import Manifest
from tests.http.programs import missing
from tools.commands import run
from tools.toolchain.__main__ import TOOLS, ToolError, find

_VERDICT = re.compile(r"^\| IS ALLOWED\? \| +(TRUE|FALSE) ", re.MULTILINE)


@dataclass(frozen=True)
class Pod:
    """A pod in a namespace: all that a policy can tell pods by. A namespace always has its name as a label."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ip: str = "10.244.0.10"

    def peer(self) -> dict[str, Any]:
        """Give it as cyclonus reads it."""
        own = {"kubernetes.io/metadata.name": self.namespace}
        return {
            "IP": self.ip,
            "Internal": {
                "Namespace": self.namespace,
                "NamespaceLabels": own | dict(self.namespace_labels),
                "PodLabels": dict(self.labels),
            },
        }


@dataclass(frozen=True)
class Outside:
    """An address that no pod has: a client beyond a load balancer, a server in the internet."""

    ip: str

    def peer(self) -> dict[str, Any]:
        """Give it as cyclonus reads it."""
        return {"IP": self.ip}


@dataclass(frozen=True)
class Attempt:
    """A connection that is tried, from one to the other. A policy may tell the port by its number, or by its name."""

    source: Pod | Outside
    destination: Pod | Outside
    port: int
    port_name: str = ""
    protocol: str = "TCP"


# A container's ports, by number and name.
HTTP, ADMIN = (8080, "http"), (9090, "admin")

# Where the policies are, and who else is there.
NAMESPACE = "echoes"

NEIGHBOUR = Pod(NAMESPACE, {"app": "client"}, ip="10.244.0.20")
STRANGER = Pod("elsewhere", {"app": "client"}, ip="10.244.1.20")
PROMETHEUS = Pod("monitoring", {"app.kubernetes.io/name": "prometheus"}, ip="10.244.2.20")
INTERNET = Outside("192.0.2.1")
INTERNET_6 = Outside("2001:db8::1")
# In every cluster of kind, and in most others.
DNS = Pod("kube-system", {"k8s-app": "kube-dns"}, ip="10.244.0.2")


def allowed(folder: Path, policies: Sequence[Manifest], attempts: Sequence[Attempt]) -> list[bool]:
    """Tell for each attempt whether the policies, all in `NAMESPACE`, let it through.

    Needs a folder to write to. Raises `CommandError` when cyclonus does not take the policies, and `ValueError` when
    what it is given are none, or when it does not answer for each attempt.
    """
    if not policies or any(policy["kind"] != "NetworkPolicy" for policy in policies):
        raise ValueError(f"not NetworkPolicies, one or more: {[policy['kind'] for policy in policies]}")
    placed = [policy | {"metadata": policy["metadata"] | {"namespace": NAMESPACE}} for policy in policies]
    listed = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicyList", "items": placed}
    traffic = [
        {
            "Source": each.source.peer(),
            "Destination": each.destination.peer(),
            "Protocol": each.protocol,
            "ResolvedPort": each.port,
            "ResolvedPortName": each.port_name,
        }
        for each in attempts
    ]
    files = {"policies": listed, "traffic": traffic}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    told = run(
        *(_cyclonus(), "analyze", "--mode", "query-traffic"),
        *("--policy-path", folder / "policies.json", "--traffic-path", folder / "traffic.json"),
    )
    verdicts = [verdict == "TRUE" for verdict in _VERDICT.findall(told)]
    if len(verdicts) != len(attempts):
        raise ValueError(f"{len(verdicts)} answers to {len(attempts)} questions:\n{told}")
    return verdicts


@cache
def _cyclonus() -> Path:
    try:
        return find(TOOLS["cyclonus"], os.environ)
    except ToolError as error:
        missing(str(error))
