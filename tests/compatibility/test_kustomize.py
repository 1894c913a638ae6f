"""Standalone kustomize and kubectl's build the same objects from k8s/.

People apply k8s/ with `kubectl apply -k`; `make lint` and other tests build it with kustomize.
"""

from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import LOADER, Manifest
from tests.compatibility.rendering import program
from tools.commands import ROOT, run
from tools.lint.rendered import kustomizations
from tools.toolchain.__main__ import OLDEST_KUSTOMIZE, TOOLS


def objects(*command: str | Path) -> list[Manifest]:
    """Return the objects that a program prints. Raise `CommandError` if it fails."""
    return [document for document in yaml.load_all(run(*command), LOADER) if document]


@pytest.mark.parametrize("folder", kustomizations(), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_kubectl_builds_the_same_objects_as_kustomize(folder: Path) -> None:
    """The order is the same, and the oldest supported kustomize builds them, too."""
    by_kubectl = objects(program(TOOLS["kubectl"]), "kustomize", folder)
    for kustomize in (TOOLS["kustomize"], OLDEST_KUSTOMIZE):
        assert objects(program(kustomize), "build", folder) == by_kubectl
    assert "Deployment" in {each["kind"] for each in by_kubectl}
