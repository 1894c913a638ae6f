"""Where it runs: what the downward API says, handed in as environment. Never asked of the API server.

https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from collections.abc import Mapping

import msgspec


class Kubernetes(msgspec.Struct, frozen=True, rename="camel"):
    """What the cluster says about the pod, beside its name and namespace; null where it says nothing.

    `image` is what its manifest asks for, and `labels` are those that were chosen there and that the pod has.
    """

    node: str | None
    pod_ip: str | None = msgspec.field(name="podIP")
    host_ip: str | None = msgspec.field(name="hostIP")
    service_account: str | None
    zone: str | None
    region: str | None
    image: str | None = None
    labels: dict[str, str] = {}


class Identity(msgspec.Struct, frozen=True):
    """Which pod answers, and behind which Service and Ingress, where it was told."""

    pod: str | None
    namespace: str | None
    kubernetes: Kubernetes
    service: str | None = None
    ingress: str | None = None


def read(environ: Mapping[str, str]) -> Identity:
    """Read the identity from the environment, by the names that the chart and the manifests give.

    `POD_NAME`, `NAMESPACE`, `SERVICE_NAME` and `INGRESS_NAME` are those that the Gateway API's own echo server reads.
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
            image=value("IMAGE"),
            labels=_labels(environ.get("POD_LABELS", "")),
        ),
        service=value("SERVICE_NAME"),
        ingress=value("INGRESS_NAME"),
    )


def _labels(text: str) -> dict[str, str]:
    """Read labels as kubectl writes them, `name=value,name=value`; neither part can have a comma or another `=`.

    One without a value is left out: the downward API gives nothing for a label that the pod does not have.
    """
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip() and value.strip()}
