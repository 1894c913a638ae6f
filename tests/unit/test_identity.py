"""Kubernetes identity from the environment."""

import msgspec
import pytest

from app.config import downward_api

TOLD = {
    "POD_NAME": "echo-7d4b9c6f5-x2x9k",
    "NAMESPACE": "trial",
    "SERVICE_NAME": "echo",
    "INGRESS_NAME": "front",
    "NODE_NAME": "worker-1",
    "POD_IP": "10.1.0.7",
    "HOST_IP": "192.0.2.1",
    "SERVICE_ACCOUNT": "echo",
    "NODE_ZONE": "eu-1a",
    "NODE_REGION": "eu-1",
    "IMAGE": "registry.example/echo:1",
    "POD_LABELS": "app.kubernetes.io/name=echo,pod-template-hash=7d4b9c6f5",
}


def test_all_that_is_told_is_given() -> None:
    """Each variable sets one value; those of the pod are under `kubernetes`, named as in the downward API."""
    assert msgspec.to_builtins(downward_api.read_pod_info(TOLD)) == {
        "pod": "echo-7d4b9c6f5-x2x9k",
        "namespace": "trial",
        "service": "echo",
        "ingress": "front",
        "kubernetes": {
            "node": "worker-1",
            "podIP": "10.1.0.7",
            "hostIP": "192.0.2.1",
            "serviceAccount": "echo",
            "zone": "eu-1a",
            "region": "eu-1",
            "image": "registry.example/echo:1",
            "labels": {"app.kubernetes.io/name": "echo", "pod-template-hash": "7d4b9c6f5"},
        },
    }


@pytest.mark.parametrize("environ", [{}, dict.fromkeys(TOLD, "")], ids=["absent", "empty"])
def test_outside_a_cluster_nothing_is_guessed(environ: dict[str, str]) -> None:
    """Without variables, or with empty ones, values are null and labels are empty."""
    told = msgspec.to_builtins(downward_api.read_pod_info(environ))
    assert told.pop("kubernetes").pop("labels") == {}
    assert set(told.values()) == {None}
    kubernetes = msgspec.structs.asdict(downward_api.read_pod_info(environ).kubernetes)
    assert {value for name, value in kubernetes.items() if name != "labels"} == {None}


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        pytest.param("a=,b=2", {"b": "2"}, id="a label that the pod lacks"),
        pytest.param(" a = 1 , b=2,", {"a": "1", "b": "2"}, id="white space and a last comma"),
        pytest.param("a,=1,,b", {}, id="no pairs"),
    ],
)
def test_labels_are_pairs_with_a_value(text: str, labels: dict[str, str]) -> None:
    """Labels without a name or a value are omitted."""
    assert downward_api.read_pod_info({"POD_LABELS": text}).kubernetes.labels == labels
