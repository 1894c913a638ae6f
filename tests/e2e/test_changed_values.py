"""Upgrades that change each kind of value, under load.

No request may be lost.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
import yaml
from kubernetes.client import ApiClient, CoreV1Api

from tests.e2e.changes import UNCHANGED, changes
from tests.e2e.cluster import Cluster
from tests.e2e.loading import answered_by, assert_nothing_was_lost, line, under_load
from tests.e2e.reaching import service_name
from tests.e2e.running import tls_secret
from tests.e2e.watching import settled
from tools.commands import ROOT, Say

NAMESPACE = "echo-changed-values"
SECRET = "echo-tls"  # noqa: S105 - its name


@pytest.fixture
def namespace(api: ApiClient, new_namespace: Callable[[str], Iterator[str]]) -> Iterator[str]:
    """Yield a namespace with a Secret for TLS."""
    for name in new_namespace(NAMESPACE):
        certificate = trustme.CA().issue_cert(service_name(name))
        CoreV1Api(api).create_namespaced_secret(name, tls_secret(SECRET, certificate))
        yield name


def test_every_value_is_changed_or_said_not_to_be() -> None:
    """Every value of the chart is in one of both tables."""
    values = yaml.safe_load((ROOT / "helm" / "values.yaml").read_text())
    changed = {name for change in changes("image", SECRET).values() for name in change.values}
    assert changed | set(UNCHANGED) == set(values)
    assert not changed & set(UNCHANGED)


def test_nothing_is_lost_in_upgrades_that_change_each_kind_of_value(  # noqa: PLR0913, PLR0917 - fixtures
    cluster: Cluster, api: ApiClient, namespace: str, image: str, tmp_path: Path, say: Say
) -> None:
    """Upgrades that change each kind of value, one after the other, lose no request; only pod values replace pods."""
    cluster.change("install", "echo", "./helm", "--namespace", namespace)
    seen = pods = settled(api, namespace)
    with under_load(cluster, api, namespace, image) as end:
        for what, change in changes(image, SECRET).items():
            say(f"helm upgrade: {what}")
            file = tmp_path / "values.yaml"
            file.write_text(yaml.safe_dump(change.values))
            if change.before:
                cluster.kubectl(*change.before, "--namespace", namespace)
            cluster.change("upgrade", "echo", "./helm", "--namespace", namespace, "--values", file, *change.flags)
            before, pods = pods, settled(api, namespace)
            seen = seen | pods
            assert (len(pods & before) < 2) == change.replaces, (what, before, pods)
        told = end()
    say(f"helm upgrade of each kind of value: {line(told)}")
    assert_nothing_was_lost(told)
    assert answered_by(told) == seen
