"""Installations: admitted without warnings, working, fully removed."""

from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient, ApiException, AppsV1Api, CoreV1Api

from tests.e2e.admission import evaluations
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import HELM, Installed
from tests.e2e.notes import run_as_they_stand
from tests.e2e.reaching import BARE
from tests.e2e.watching import until_left_as
from tools.commands import CommandError

by_helm = pytest.mark.parametrize("way", [HELM], ids=[HELM.name], indirect=True)

# A pod without any security settings.
_CARELESS: dict[str, Any] = {"containers": [{"name": "careless", "image": "careless"}]}
_CARELESS_CHART = {
    "Chart.yaml": "apiVersion: v2\nname: careless\nversion: 0.0.1\n",
    "templates/deployment.yaml": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: careless}\nspec:\n  replicas: 0\n"
        "  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n"
        "    spec: {containers: [{name: careless, image: careless}]}\n"
    ),
}


def careless_deployment() -> dict[str, Any]:
    """Return a Deployment with zero replicas, whose pods would be rejected."""
    labels = {"a": "b"}
    template = {"metadata": {"labels": labels}, "spec": _CARELESS}
    return {
        "metadata": {"name": "careless"},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }


def test_the_pods_are_admitted_without_a_word(cluster: Cluster, installed: Installed) -> None:
    """The restricted profile admits the pods: none is rejected, reported in a warning, or noted in the audit log.

    A warning would have failed the installation.
    """
    if not cluster.ours:
        pytest.skip("an API server that was not made for the tests counts what others do, too")
    assert installed.evaluated["allow", "enforce"] >= installed.deployment.spec.replicas
    assert [what for what in installed.evaluated if what[0] != "allow"] == []


@by_helm
def test_what_asks_for_more_is_refused_warned_of_and_noted(
    cluster: Cluster, api: ApiClient, installed: Installed, tmp_path: Path
) -> None:
    """A pod that exceeds the profile is rejected, reported in a warning and audited: the control for these tests."""
    namespace, before = installed.namespace, evaluations(cluster)
    with pytest.raises(ApiException, match='violates PodSecurity \\\\"restricted:latest') as refused:
        CoreV1Api(api).create_namespaced_pod(namespace, {"metadata": {"name": "careless"}, "spec": _CARELESS})
    assert refused.value.status == 403
    if cluster.ours:  # another cluster counts the pods of other users, too
        assert evaluations(cluster) - before == {("deny", "enforce"): 1, ("deny", "audit"): 1}

    before = evaluations(cluster)
    with pytest.raises(AssertionError, match="would violate PodSecurity"):
        AppsV1Api(api).create_namespaced_deployment(namespace, careless_deployment(), dry_run="All")
    if cluster.ours:
        assert evaluations(cluster) - before == {("deny", "warn"): 1, ("deny", "audit"): 1}

    creating = ("create", "deployment", "careless", "--image=careless", "--dry-run=server", "--warnings-as-errors")
    with pytest.raises(CommandError, match="would violate PodSecurity"):
        cluster.kubectl("--namespace", namespace, *creating)

    for name, text in _CARELESS_CHART.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    try:
        with pytest.raises(AssertionError, match="would violate PodSecurity"):
            cluster.change("install", "careless", tmp_path, "--namespace", namespace)
    finally:
        cluster.change("uninstall", "careless", "--namespace", namespace)


@by_helm
def test_the_commands_of_the_notes_run_as_they_stand(cluster: Cluster, installed: Installed, tmp_path: Path) -> None:
    """The release notes' commands work unchanged: wait, forward, request and test; the response is the documented one.

    The last is `helm test`, whose pod is also admitted without a warning.
    """
    before = evaluations(cluster)
    notes, said = run_as_they_stand(cluster, installed.namespace, tmp_path)
    wait, forward, ask, test = said
    assert "successfully rolled out" in said[wait]
    assert said[forward].startswith("Forwarding from 127.0.0.1:8080")
    assert said[ask].encode() == BARE
    assert f"\n    {said[ask]}\n" in notes
    assert "Phase:          Succeeded" in said[test]
    evaluated = evaluations(cluster) - before
    assert not cluster.ours or evaluated == {("allow", "enforce"): 1}


def test_everything_is_deleted_and_seen_to_be_gone(cluster: Cluster, api: ApiClient, installed: Installed) -> None:
    """After the removal, the namespace has the same objects of every kind as before."""
    installed.way.remove(cluster, installed.namespace)
    until_left_as(cluster, api, installed.namespace, installed.before)
