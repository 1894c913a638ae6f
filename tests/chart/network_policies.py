"""Evaluation of rendered NetworkPolicies by cyclonus, offline.

cyclonus is an implementation that is not ours. It stands for a network that enforces policies; that a cluster's network
does is for tests in a cluster. https://github.com/mattfenwick/cyclonus/blob/v0.5.6/pkg/matcher/traffic.go documents its
input.
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
    """A pod in a namespace, with everything that policies can select it by.

    A namespace always has its name as a label.
    """

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ip: str = "10.244.0.10"

    def peer(self) -> dict[str, Any]:
        """Return it in cyclonus' format."""
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
    """An address that belongs to no pod: a client outside of the cluster, a server on the internet."""

    ip: str

    def peer(self) -> dict[str, Any]:
        """Return it in cyclonus' format."""
        return {"IP": self.ip}


@dataclass(frozen=True)
class Attempt:
    """A connection attempt between two peers. A policy may refer to the port by its number, or by its name."""

    source: Pod | Outside
    destination: Pod | Outside
    port: int
    port_name: str = ""
    protocol: str = "TCP"


# A container's ports, by number and name.
HTTP, ADMIN = (8080, "http"), (9090, "admin")

# The namespace of the policies, and the other peers.
NAMESPACE = "echoes"

NEIGHBOUR = Pod(NAMESPACE, {"app": "client"}, ip="10.244.0.20")
STRANGER = Pod("elsewhere", {"app": "client"}, ip="10.244.1.20")
PROMETHEUS = Pod("monitoring", {"app.kubernetes.io/name": "prometheus"}, ip="10.244.2.20")
INTERNET = Outside("192.0.2.1")
INTERNET_6 = Outside("2001:db8::1")
# In every cluster of kind, and in most others.
DNS = Pod("kube-system", {"k8s-app": "kube-dns"}, ip="10.244.0.2")


def allowed(folder: Path, policies: Sequence[Manifest], attempts: Sequence[Attempt]) -> list[bool]:
    """Return for each attempt whether the policies, all in `NAMESPACE`, allow it.

    A writable folder is required. Raise `CommandError` if cyclonus rejects the policies, and `ValueError` if they are
    not policies, or if there is no result for each attempt.
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
