"""Helm 3 and Helm 4 make the same of the chart."""

import difflib
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.chart.rendering import CHART, KUBERNETES
from tests.http.programs import missing
from tests.lint.rendered import value_sets
from tests.toolchain.__main__ import TOOLS, ToolError, find

_SECONDS = 60
# Helm 4 ends an object with an empty line where Helm 3 does not.
_END = re.compile(r"\n+(?=---\n|\Z)")
_MISTAKE = ("--set", "replicas=3")


@pytest.fixture(scope="module")
def helms() -> dict[int, Path]:
    """Give both, by their major version."""
    try:
        return {3: find(TOOLS["helm3"], os.environ), 4: find(TOOLS["helm"], os.environ)}
    except ToolError as error:
        missing(str(error))


def rendered(helm: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Render the chart, out of reach of any cluster."""
    # A Helm that was built by `go install` takes itself for one of Kubernetes 1.20, which the chart refuses.
    command: list[str | Path] = [
        helm,
        "template",
        "echo",
        CHART,
        "--namespace",
        "echo",
        "--kube-version",
        KUBERNETES,
        *flags,
    ]
    environ = os.environ | {"KUBECONFIG": os.devnull}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=_SECONDS, check=False)


def test_they_are_of_two_major_versions(helms: dict[int, Path]) -> None:
    """What is compared is not one program with itself."""
    said = {
        major: subprocess.run([helm, "version", "--short"], capture_output=True, text=True, check=True).stdout
        for major, helm in helms.items()
    }
    assert {major: version[:3] for major, version in said.items()} == {3: "v3.", 4: "v4."}


@pytest.mark.parametrize("flags", value_sets().values(), ids=value_sets())
def test_the_chart_is_rendered_alike(helms: dict[int, Path], flags: list[str]) -> None:
    """The same lines in the same order, by each set of values, but for empty ones between two objects."""
    by_3, by_4 = (rendered(helms[major], *flags) for major in (3, 4))
    assert (by_3.returncode, by_4.returncode) == (0, 0), by_3.stderr + by_4.stderr
    lines = [_END.sub("\n", each.stdout).splitlines() for each in (by_3, by_4)]
    assert "\n".join(difflib.unified_diff(lines[0], lines[1], "Helm 3", "Helm 4", lineterm="", n=5)) == ""
    assert "\nkind: Deployment\n" in by_3.stdout


def test_a_mistake_is_refused_alike(helms: dict[int, Path]) -> None:
    """Both hold the values to the schema, and name what is not in it."""
    for major, helm in helms.items():
        refused = rendered(helm, *_MISTAKE)
        assert refused.returncode != 0, f"Helm {major} takes it"
        assert "'replicas' not allowed" in refused.stderr
