"""The nodes of the cluster: their zones, and which of them accept pods."""

from typing import Any

from kubernetes.client import CoreV1Api

from tests.e2e.cluster import ZONE


def zone_of(node: Any) -> str | None:
    """Return the zone of a node; nodes of a user's own cluster may have none."""
    zone: str | None = node.metadata.labels.get(ZONE)
    return zone


def takes_pods(node: Any) -> bool:
    """Return whether pods without tolerations can be scheduled on a node."""
    return not node.spec.unschedulable and not any(
        taint.effect != "PreferNoSchedule" for taint in node.spec.taints or []
    )


def that_take_pods(core: CoreV1Api) -> list[str]:
    """Return the names of the nodes on which pods without tolerations can be scheduled."""
    return sorted(node.metadata.name for node in core.list_node().items if takes_pods(node))
