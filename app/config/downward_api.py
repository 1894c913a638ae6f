"""Pod metadata from the Kubernetes downward API.

It is read from environment variables, never from the API server.
https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from collections.abc import Mapping

import msgspec


class Kubernetes(msgspec.Struct, frozen=True, rename="camel"):
    """Pod metadata from the downward API; null if it is not set.

    `image` is the image in the manifest; `labels` are the pod's labels among those listed in the manifest.
    """

    node: str | None
    pod_ip: str | None = msgspec.field(name="podIP")
    host_ip: str | None = msgspec.field(name="hostIP")
    service_account: str | None
    zone: str | None
    region: str | None
    image: str | None = None
    labels: dict[str, str] = {}


class PodInfo(msgspec.Struct, frozen=True):
    """Pod that responds, with its Service and Ingress if they are set."""

    pod: str | None
    namespace: str | None
    kubernetes: Kubernetes
    service: str | None = None
    ingress: str | None = None


def read_pod_info(environ: Mapping[str, str]) -> PodInfo:
    """Read the identity from the environment variables that the chart and the manifests set.

    `POD_NAME`, `NAMESPACE`, `SERVICE_NAME` and `INGRESS_NAME` are the names that the Gateway API's own echo server
    uses.
    """

    def value(name: str) -> str | None:
        return environ.get(name) or None

    return PodInfo(
        pod=value("POD_NAME"),
        namespace=value("NAMESPACE"),
        kubernetes=Kubernetes(
            node=value("NODE_NAME"),
            pod_ip=value("POD_IP"),
            host_ip=value("HOST_IP"),
            service_account=value("SERVICE_ACCOUNT"),
            zone=value("NODE_ZONE"),
            region=value("NODE_REGION"),
            image=value("IMAGE"),
            labels=_labels(environ.get("POD_LABELS", "")),
        ),
        service=value("SERVICE_NAME"),
        ingress=value("INGRESS_NAME"),
    )


def _labels(text: str) -> dict[str, str]:
    """Parse labels in kubectl's format, `name=value,name=value`; neither part can contain a comma or another `=`.

    A label without a value is omitted: the downward API returns an empty value for a label that the pod does not have.
    """
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip() and value.strip()}
