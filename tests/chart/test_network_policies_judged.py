"""Checks of the NetworkPolicy evaluation, by policies of known effect."""

from pathlib import Path

import pytest

from tests.chart.network_policies import (
    ADMIN,
    DNS,
    HTTP,
    INTERNET,
    NAMESPACE,
    NEIGHBOUR,
    PROMETHEUS,
    STRANGER,
    Attempt,
    Pod,
    allowed,
)
from tests.chart.rendering import Manifest
from tools.commands import CommandError


def policy(**spec: object) -> Manifest:
    """Return a policy of ours, for pods of the app `echo`."""
    selector = {"podSelector": {"matchLabels": {"app": "echo"}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "echo"},
        "spec": selector | spec,
    }


DENY_ALL = policy(policyTypes=["Ingress", "Egress"])
ECHO = Pod(NAMESPACE, {"app": "echo"})


@pytest.mark.parametrize(
    ("attempt", "passes"),
    [
        (Attempt(INTERNET, ECHO, *HTTP), False),
        (Attempt(NEIGHBOUR, ECHO, *ADMIN), False),
        (Attempt(ECHO, INTERNET, 443), False),
        (Attempt(ECHO, DNS, 53, protocol="UDP"), False),
        # Pods that no policy selects are unrestricted.
        (Attempt(INTERNET, NEIGHBOUR, *HTTP), True),
        (Attempt(NEIGHBOUR, STRANGER, *HTTP), True),
        (Attempt(INTERNET, Pod("elsewhere", {"app": "echo"}), *HTTP), True),
    ],
)
def test_the_judge_knows_a_policy_that_refuses_all(
    tmp_path: Path,
    attempt: Attempt,
    passes: bool,  # noqa: FBT001 - a column
) -> None:
    """Control: such a policy allows nothing, so that an allowed connection is due to the chart's policy."""
    assert allowed(tmp_path, [DENY_ALL], [attempt]) == [passes]


def test_the_judge_tells_ports_by_name_and_peers_by_namespace(tmp_path: Path) -> None:
    """Several rules and several attempts have one result each, in their order."""
    admin_from = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    ingress = [{"ports": [{"port": "http"}]}, {"ports": [{"port": 9090}], "from": admin_from}]
    table = [
        (Attempt(INTERNET, ECHO, *HTTP), True),
        (Attempt(INTERNET, ECHO, 8080, "another"), False),
        (Attempt(STRANGER, ECHO, *HTTP), True),
        (Attempt(STRANGER, ECHO, *ADMIN), False),
        (Attempt(PROMETHEUS, ECHO, *ADMIN), True),
        (Attempt(PROMETHEUS, ECHO, 9090, protocol="UDP"), False),
        (Attempt(ECHO, INTERNET, 443), True),
    ]
    attempts = [attempt for attempt, _ in table]
    found = allowed(tmp_path, [policy(policyTypes=["Ingress"], ingress=ingress)], attempts)
    assert list(zip(attempts, found, strict=True)) == table


def test_the_judge_takes_no_policy_with_a_mistake(tmp_path: Path) -> None:
    """A policy with an unknown field is an error."""
    with pytest.raises(CommandError, match="unknown field"):
        allowed(tmp_path, [policy(policyTypes=["Ingress"], egres=[])], [])


def test_nothing_that_was_rendered_is_no_verdict(tmp_path: Path) -> None:
    """Without a policy everything is allowed, which is not a result about one."""
    with pytest.raises(ValueError, match="not NetworkPolicies"):
        allowed(tmp_path, [], [])
