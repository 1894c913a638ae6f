"""The nodes of the cluster: where they stand, and which of them take pods."""

from typing import Any

from kubernetes.client import CoreV1Api

from tests.e2e.cluster import ZONE


def zone_of(node: Any) -> str | None:
    """Give the zone of a node; the nodes of somebody's own cluster may have none."""
    zone: str | None = node.metadata.labels.get(ZONE)
    return zone


def takes_pods(node: Any) -> bool:
    """Whether pods that tolerate nothing are put on a node."""
    return not node.spec.unschedulable and not any(
        taint.effect != "PreferNoSchedule" for taint in node.spec.taints or []
    )


def that_take_pods(core: CoreV1Api) -> list[str]:
    """Give the nodes on which pods that tolerate nothing are put, by their names."""
    return sorted(node.metadata.name for node in core.list_node().items if takes_pods(node))
