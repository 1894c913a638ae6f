"""The chart's value sets (helm/ci) in a cluster.

The API server validates each set, and the main ones are installed.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient, AppsV1Api, CoreV1Api

from tests.e2e.cluster import Cluster
from tests.e2e.notes import run_as_they_stand, uninstall_as_it_stands
from tests.e2e.reaching import BARE
from tests.e2e.watching import rolled_out, until
from tools.commands import ROOT
from tools.lint.conformity import custom_resources

SETS = sorted((ROOT / "helm" / "ci").glob("*-values.yaml"))
# Sets installed in addition to the defaults and TLS, which other tests cover.
INSTALLED: dict[str, tuple[str | Path, ...]] = {
    "headless": ("--values", ROOT / "helm" / "ci" / "headless-values.yaml"),
    "minimal": ("--values", ROOT / "helm" / "ci" / "minimal-values.yaml"),
    "node-port": ("--set", "service.type=NodePort"),
}
# The number of requests in the notes' commands: through a port-forward, and to a node's port.
ASKS = {"headless": 1, "minimal": 1, "node-port": 2}
HA = ROOT / "helm" / "ci" / "ha-values.yaml"


@pytest.fixture(scope="module")
def extended(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Yield a cluster with the definitions of the chart's third-party objects: routes, certificates, monitors."""
    if not cluster.ours:
        pytest.skip("a cluster that was not made for the tests is given no definitions of others' objects")
    file = tmp_path_factory.mktemp("definitions") / "definitions.yaml"
    file.write_text(yaml.safe_dump_all(custom_resources(os.environ)))
    cluster.kubectl("apply", "--server-side", "--filename", file)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "--filename", file)
    yield cluster
    cluster.kubectl("delete", "--filename", file)


@pytest.fixture(scope="module")
def namespace(api: ApiClient, new_namespace: Callable[[str], Iterator[str]]) -> Iterator[str]:
    """Yield a namespace with nothing but the ServiceAccount that admission requires for a pod."""
    with contextmanager(new_namespace)("echo-values") as name:
        CoreV1Api(api).create_namespaced_service_account(name, {"metadata": {"name": "echo"}})
        yield name


@pytest.mark.parametrize("values", SETS, ids=[file.name.removesuffix("-values.yaml") for file in SETS])
def test_the_api_server_takes_every_object_of_each_set(
    extended: Cluster, namespace: str, values: Path, tmp_path: Path
) -> None:
    """The API server accepts every field and value without a warning, and the restricted profile every pod."""
    version = json.loads(extended.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]
    rendered = extended.helm(
        "template", "echo", "./helm", "--namespace", namespace, "--kube-version", version, "--values", values
    )
    file = tmp_path / "rendered.yaml"
    file.write_text(rendered)
    strictly = ("--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors")
    said = extended.kubectl("--namespace", namespace, "apply", *strictly, "--filename", file)
    objects = [document for document in yaml.safe_load_all(rendered) if document]
    assert len(said.splitlines()) == len(objects) > 0
    assert all(line.endswith(" (server dry run)") for line in said.splitlines()), said


@pytest.fixture(scope="module")
def installed(
    cluster: Cluster, api: ApiClient, new_namespace: Callable[[str], Iterator[str]]
) -> Iterator[dict[str, str]]:
    """Yield the namespaces by the names of the main sets, each with an echo that is rolled out."""
    with ExitStack() as namespaces:
        made = {name: namespaces.enter_context(contextmanager(new_namespace)(f"echo-{name}")) for name in INSTALLED}
        for name, namespace in made.items():
            cluster.change("install", "echo", "./helm", "--namespace", namespace, *INSTALLED[name])
        for namespace in made.values():
            rolled_out(AppsV1Api(api), namespace, "echo")
        yield made


@pytest.mark.parametrize("name", INSTALLED)
def test_the_main_sets_do_what_their_notes_say(
    cluster: Cluster, installed: dict[str, str], name: str, tmp_path: Path
) -> None:
    """Each command of the notes works unchanged, including `helm test` and `helm uninstall`."""
    notes, said = run_as_they_stand(cluster, installed[name], tmp_path)
    assert [answer for command, answer in said.items() if command.startswith("curl ")] == [BARE.decode()] * ASKS[name]
    assert any("Phase:          Succeeded" in answer for answer in said.values())
    assert 'release "echo" uninstalled' in uninstall_as_it_stands(cluster, notes, tmp_path)


def test_an_upgrade_leaves_the_number_of_pods_to_the_autoscaler(
    cluster: Cluster, api: ApiClient, new_namespace: Callable[[str], Iterator[str]]
) -> None:
    """An upgrade keeps the autoscaler's replica count: with server-side apply, a count in the chart would reset it."""
    apps, least = AppsV1Api(api), yaml.safe_load(HA.read_text())["autoscaling"]["minReplicas"]

    def scaled(deployment: Any) -> bool:
        return bool(deployment.spec.replicas == deployment.status.available_replicas == least)

    with contextmanager(new_namespace)("echo-ha") as namespace:
        its = {"namespace": namespace, "field_selector": "metadata.name=echo"}
        cluster.change("install", "echo", "./helm", "--namespace", namespace, "--values", HA)
        until(apps.list_namespaced_deployment, scaled, f"{least} pods in {namespace}", **its)
        change = ("upgrade", "echo", "./helm", "--namespace", namespace)
        cluster.change(*change, "--values", HA, "--set", "drainSeconds=9")
        deployment = rolled_out(apps, namespace, "echo")
        assert deployment.spec.replicas == least
        assert "helm" not in who_owns_replicas(deployment)
        # Without the autoscaler, the chart owns the count; it sets the minimum, because the autoscaler, deleted last,
        # keeps that.
        cluster.change(*change, "--set", f"replicaCount={least}")
        assert "helm" in who_owns_replicas(apps.read_namespaced_deployment("echo", namespace))


def who_owns_replicas(deployment: Any) -> set[str]:
    """Return the managers of a Deployment's replica count, from its managed fields."""
    fields = deployment.metadata.managed_fields
    return {entry.manager for entry in fields if "f:replicas" in (entry.fields_v1 or {}).get("f:spec", {})}
