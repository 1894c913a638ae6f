"""Upgrade from the previous release's chart and rollback, under load."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kubernetes.client import ApiClient

from tests.e2e.cluster import Cluster
from tests.e2e.loading import answered_by, assert_nothing_was_lost, line, under_load
from tests.e2e.previous import HistoryError, previous_chart
from tests.e2e.watching import objects_in, settled, until_left_as
from tools.commands import Say

NAMESPACE = "echo-upgrade"


@pytest.fixture
def namespace(new_namespace: Callable[[str], Iterator[str]]) -> Iterator[str]:
    """Yield a namespace for the upgrade."""
    yield from new_namespace(NAMESPACE)


def test_nothing_is_lost_in_an_upgrade_and_a_rollback_and_nothing_is_left(  # noqa: PLR0913, PLR0917 - fixtures
    cluster: Cluster, api: ApiClient, namespace: str, image: str, tmp_path: Path, say: Say
) -> None:
    """Upgrade and rollback create new pods that respond, and lose no request; uninstalling removes everything.

    Both charts run the same image, because the charts are compared. An immutable field would fail the upgrade, and so
    would a value that the new chart no longer has.
    """
    try:
        previous = previous_chart(os.environ, tmp_path)
    except HistoryError as error:  # a copy of the tree is no reason to fail, and no program is missing
        pytest.skip(str(error))
    before, pods = objects_in(cluster, namespace), set[str]()

    def change(*arguments: str | Path) -> None:
        """Change the release, and wait until the old pods are gone."""
        say(" ".join(map(str, arguments)))
        cluster.change(*arguments, "--namespace", namespace)
        pods.update(settled(api, namespace))

    repository, _, tag = image.rpartition(":")
    same_image = ("--set", f"image.repository={repository},image.tag={tag}")
    change("install", "echo", previous, *same_image)
    with under_load(cluster, api, namespace, image) as end:
        # a setting changes as well, so that there are new pods even if both charts render the same ones
        change("upgrade", "echo", "./helm", *same_image, "--set", "drainSeconds=9")
        change("rollback", "echo", "1")
        told = end()
    say(f"an upgrade of the chart and a rollback: {line(told)}")
    assert_nothing_was_lost(told)
    assert answered_by(told) == pods
    cluster.change("uninstall", "echo", "--namespace", namespace)
    until_left_as(cluster, api, namespace, before)
