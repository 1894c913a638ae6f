"""Connections that the chart's NetworkPolicy allows, by cyclonus.

The table has a row for each attempted connection.
"""

from pathlib import Path

import pytest

from tests.chart.network_policies import (
    ADMIN,
    DNS,
    HTTP,
    INTERNET,
    INTERNET_6,
    NAMESPACE,
    NEIGHBOUR,
    PROMETHEUS,
    STRANGER,
    Attempt,
    Pod,
    allowed,
)
from tests.chart.rendering import chart, value_sets

# The values are documented in the chart's README. One namespace may connect to the admin port, and no peer by default.
ADMIN_FROM = (
    "--set-json",
    'networkPolicy.adminFrom=[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]',
)
HTTP_FROM = ("--set-json", 'networkPolicy.httpFrom=[{"podSelector":{"matchLabels":{"app":"client"}}}]')
WATCHED = tuple(f"--values={value_sets()[name]}" for name in ("network", "monitoring"))
EGRESS = ("--set-json", 'networkPolicy.egress=[{"ports":[{"port":53,"protocol":"UDP"}]}]')


def verdicts(folder: Path, *flags: str) -> dict[str, bool]:
    """Evaluate the chart's policies for every connection in the tables below, and for others."""
    objects = chart("--set", "networkPolicy.enabled=true", *flags, namespace=NAMESPACE)
    policies = [each for each in objects.all if each["kind"] == "NetworkPolicy"]
    echo = Pod(NAMESPACE, objects.one("Deployment")["spec"]["template"]["metadata"]["labels"])
    prober = Pod(NAMESPACE, objects.hook()["metadata"]["labels"], ip="10.244.0.30")
    attempts = {
        "http from the pod of helm test": Attempt(prober, echo, *HTTP),
        "out of the pod of helm test": Attempt(prober, DNS, 53, "dns", "UDP"),
        "http to the pod of helm test": Attempt(STRANGER, prober, *HTTP),
        "http from the same namespace": Attempt(NEIGHBOUR, echo, *HTTP),
        "http from another namespace": Attempt(STRANGER, echo, *HTTP),
        "http from outside": Attempt(INTERNET, echo, *HTTP),
        "http from outside, IPv6": Attempt(INTERNET_6, echo, *HTTP),
        "http over UDP": Attempt(NEIGHBOUR, echo, *HTTP, protocol="UDP"),
        "admin from the same namespace": Attempt(NEIGHBOUR, echo, *ADMIN),
        "admin from another namespace": Attempt(STRANGER, echo, *ADMIN),
        "admin from the one that is chosen": Attempt(PROMETHEUS, echo, *ADMIN),
        "admin from outside": Attempt(INTERNET, echo, *ADMIN),
        "another port from the same namespace": Attempt(NEIGHBOUR, echo, 8081),
        "another port from the one that is chosen": Attempt(PROMETHEUS, echo, 8081),
        "out to the same namespace": Attempt(echo, NEIGHBOUR, 80),
        "out to its own pods": Attempt(echo, echo, *ADMIN),
        "out to the cluster's DNS": Attempt(echo, DNS, 53, "dns", "UDP"),
        "out to the internet": Attempt(echo, INTERNET, 443),
        "out to the internet, IPv6": Attempt(echo, INTERNET_6, 443),
    }
    answers = allowed(folder, policies, list(attempts.values()))
    return dict(zip(attempts, answers, strict=True))


# The pod of `helm test` connects to echo, after DNS, so that the policy must not block it.
ALWAYS = {"http from the pod of helm test", "out of the pod of helm test", "http to the pod of helm test"}
EVERYBODY = ALWAYS | {
    "http from the same namespace",
    "http from another namespace",
    "http from outside",
    "http from outside, IPv6",
}


@pytest.mark.parametrize(
    ("flags", "let_through"),
    [
        pytest.param((), EVERYBODY, id="as it is"),
        pytest.param(ADMIN_FROM, EVERYBODY | {"admin from the one that is chosen"}, id="adminFrom"),
        pytest.param(HTTP_FROM, ALWAYS | {"http from the same namespace"}, id="httpFrom"),
        pytest.param(WATCHED, ALWAYS | {"admin from the one that is chosen"}, id="watched by Prometheus"),
        pytest.param(EGRESS, EVERYBODY | {"out to the cluster's DNS"}, id="egress"),
    ],
)
def test_only_this_is_let_through(tmp_path: Path, flags: tuple[str, ...], let_through: set[str]) -> None:
    """8080 is allowed from anywhere, 9090 from configured peers, egress to nowhere; each value allows only its own."""
    found = verdicts(tmp_path, *flags)
    assert {name for name, passes in found.items() if passes} == let_through
