"""Where it runs: what the downward API says, handed in as environment. Never asked of the API server.

https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from collections.abc import Mapping

import msgspec


class Kubernetes(msgspec.Struct, frozen=True, rename="camel"):
    """What the cluster says about the pod, beside its name and namespace; null where it says nothing."""

    node: str | None
    pod_ip: str | None = msgspec.field(name="podIP")
    host_ip: str | None = msgspec.field(name="hostIP")
    service_account: str | None
    zone: str | None
    region: str | None


class Identity(msgspec.Struct, frozen=True):
    """Which pod answers."""

    pod: str | None
    namespace: str | None
    kubernetes: Kubernetes


def read(environ: Mapping[str, str]) -> Identity:
    """Read the identity from the environment, by the names that the chart and the manifests give.

    `POD_NAME` and `NAMESPACE` are the names that the Gateway API's own echo server reads.
    """

    def value(name: str) -> str | None:
        return environ.get(name) or None

    return Identity(
        pod=value("POD_NAME"),
        namespace=value("NAMESPACE"),
        kubernetes=Kubernetes(
            node=value("NODE_NAME"),
            pod_ip=value("POD_IP"),
            host_ip=value("HOST_IP"),
            service_account=value("SERVICE_ACCOUNT"),
            zone=value("NODE_ZONE"),
            region=value("NODE_REGION"),
        ),
    )
