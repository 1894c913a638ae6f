"""Pods are replaced, moved, removed and added under load.

No request may be lost.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from kubernetes.client import ApiClient, CoreV1Api

import app
from tests.e2e.cluster import ZONE, Cluster
from tests.e2e.images import another_image
from tests.e2e.load.judging import Fault
from tests.e2e.loading import Told, answered_by, assert_nothing_was_lost, line, under_load
from tests.e2e.watching import echoes, settled
from tools.commands import Say

NAMESPACE = "echo-nothing-lost"
_KILL_THE_WORKERS = """
import os, signal
for pid in open("/proc/1/task/1/children").read().split():
    os.kill(int(pid), signal.SIGKILL)
"""
ANOTHER = f"{app.__version__}.post1"


@dataclass(frozen=True)
class Scene:
    """An installed echo, of the first image or of another one."""

    cluster: Cluster
    api: ApiClient
    namespace: str

    def kubectl(self, *arguments: str) -> None:
        """Run kubectl in the namespace."""
        self.cluster.kubectl("--namespace", self.namespace, *arguments, deadline=150)

    def helm(self, *arguments: str) -> None:
        """Change the release."""
        self.cluster.change(*arguments, "--namespace", self.namespace)

    def have(self, tag: str) -> None:
        """Install or upgrade the release to this image; nothing changes if it runs already."""
        self.helm("upgrade", "--install", "echo", "./helm", "--set", f"image.tag={tag}")
        settled(self.api, self.namespace)

    def nodes(self) -> dict[str, str]:
        """Return the node of each pod."""
        return {name: pod.spec.node_name for name, pod in echoes(CoreV1Api(self.api), self.namespace).items()}


@pytest.fixture(scope="module")
def scene(
    cluster: Cluster,
    api: ApiClient,
    new_namespace: Callable[[str], Iterator[str]],
    tmp_path_factory: pytest.TempPathFactory,
    say: Say,
) -> Iterator[Scene]:
    """Yield a namespace, with an image of another version in the cluster."""
    say(f"make image {ANOTHER}, and kind load docker-image")
    another_image(cluster, tmp_path_factory.mktemp("another"), ANOTHER)
    for namespace in new_namespace(NAMESPACE):
        yield Scene(cluster, api, namespace)


@dataclass(frozen=True)
class Case:
    """Steps, each run when the previous one has settled; the image before them; the maximum of pods that stay."""

    steps: tuple[Callable[[Scene], None], ...]
    before: str = app.__version__
    stay: int = 0


def update(scene: Scene) -> None:
    """Upgrade to another image."""
    scene.helm("upgrade", "echo", "./helm", "--set", f"image.tag={ANOTHER}")


def roll_back(scene: Scene) -> None:
    """Roll back to the previous release."""
    scene.helm("rollback", "echo")


def restart(scene: Scene) -> None:
    """Restart the Deployment, which replaces every pod."""
    scene.kubectl("rollout", "restart", "deployment/echo")


def scale(number: int) -> Callable[[Scene], None]:
    """Return a step that scales to so many pods."""
    return lambda scene: scene.kubectl("scale", "deployment/echo", f"--replicas={number}")


def delete_a_pod(scene: Scene) -> None:
    """Delete a pod, which is replaced."""
    scene.kubectl("delete", "pod", min(scene.nodes()), "--wait=false")


CASES = {
    "a rolling update to another image": Case((update,)),
    "a rollback": Case((roll_back,), before=ANOTHER),
    "kubectl rollout restart": Case((restart,)),
    "scaled from 2 to 6 and back": Case((scale(6), scale(2)), stay=2),
    "a pod deleted": Case((delete_a_pod,), stay=1),
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_lost(scene: Scene, image: str, name: str, say: Say) -> None:
    """Each of 30,000 requests gets one response and arrives unchanged; old pods leave, and new ones respond."""
    case = CASES[name]
    if case.before == ANOTHER:
        scene.have(app.__version__)
    scene.have(case.before)
    pods = [set(scene.nodes())]
    with under_load(scene.cluster, scene.api, scene.namespace, image) as end:
        for step in case.steps:
            step(scene)
            pods.append(settled(scene.api, scene.namespace))
        told = end()
    say(f"{name}: {line(told)}")
    assert_nothing_was_lost(told)
    assert answered_by(told) == set().union(*pods)
    assert len(pods[0]) == len(pods[-1]) == 2
    assert len(pods[0] & pods[-1]) <= case.stay
    if "image" in name or "rollback" in name:
        assert versions(told) == {app.__version__, ANOTHER}


def test_what_is_lost_is_noted(scene: Scene, image: str, say: Say) -> None:
    """Killed workers lose requests in progress, each reported with its kind of loss: the control for these tests."""
    scene.have(app.__version__)
    with under_load(scene.cluster, scene.api, scene.namespace, image, count=2_000) as end:
        for pod in scene.nodes():
            scene.kubectl("exec", pod, "--", "python3", "-c", _KILL_THE_WORKERS)
        told = end()
    say(f"workers killed: {line(told)}")
    lost = sum((tally.lost for tally in told.values()), Counter[Fault]())
    assert lost
    assert set(lost) <= {Fault.CLOSED, Fault.CUT, Fault.RESET}
    for tally in told.values():
        assert tally.asked == tally.answered + tally.lost.total()
        assert bool(tally.told) == bool(tally.lost or tally.again)


def versions(told: Told) -> set[str]:
    """Return the versions that responded."""
    return {version for tally in told.values() for version in tally.versions}


def test_nothing_is_lost_when_a_node_is_drained(scene: Scene, image: str, say: Say) -> None:
    """The pods of a drained node move to the other node, from which the load is sent, and no request is lost."""
    if not scene.cluster.ours:
        pytest.skip("the nodes of a cluster that was not made for the tests are not taken out of service")
    scene.have(app.__version__)
    before = scene.nodes()
    drained = min(before.values())
    found = CoreV1Api(scene.api).list_node(label_selector=ZONE).items
    (other,) = {node.metadata.name for node in found} - {drained}
    with under_load(scene.cluster, scene.api, scene.namespace, image, nodes=[other]) as end:
        try:
            scene.kubectl("drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
            settled(scene.api, scene.namespace)
            after = scene.nodes()
            told = end()
        finally:
            scene.kubectl("uncordon", drained)
    say(f"{drained} drained: {line(told)}")
    assert_nothing_was_lost(told)
    assert set(after.values()) == {other}
    moved = set(after) - set(before)
    assert moved, "no pod had to move"
    assert answered_by(told) == set(before) | set(after)
