"""Duplicated information agrees: the version, and chart and manifests."""

import copy
import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import (
    CHART,
    MANIFESTS,
    Manifest,
    Objects,
    chart,
    is_hook,
    manifests,
    parsed,
    value_sets,
)
from tools.chart import documented
from tools.commands import ROOT, run
from tools.toolchain.__main__ import TOOLS, find

HELM_ONLY = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def version() -> str:
    """Return the version from its only definition."""
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "app" / "__init__.py").read_text(), re.MULTILINE)
    assert found, "app/__init__.py has no __version__"
    return found[1]


def comparable(manifest: Manifest) -> Manifest:
    """Return an object without what only Helm sets: some labels, and the namespace."""
    bare = copy.deepcopy(manifest)
    bare["metadata"].pop("namespace", None)
    for label in HELM_ONLY:
        bare["metadata"]["labels"].pop(label, None)
    return bare


def as_text(objects: Objects) -> list[str]:
    """Return the objects as lines of YAML, in a fixed order, without the test's hook."""
    kept = [comparable(each) for each in objects.all if not is_hook(each)]
    kept.sort(key=lambda each: (each["kind"], each["metadata"]["name"]))
    return yaml.safe_dump_all(kept, sort_keys=True).splitlines()


# Each folder that `kubectl apply -k` accepts, with the values with which Helm renders the same.
FOLDERS = {
    ".": (),
    "base": (),
    "overlays/gateway": ("--values", str(value_sets()["gateway"])),
    "overlays/ha": ("--values", str(value_sets()["ha"])),
    "overlays/monitoring": ("--values", str(value_sets()["monitoring"])),
}


def difference(left: Objects, right: Objects, left_name: str, right_name: str) -> str:
    """Return the lines in which two sets of objects differ, with context; empty if they are equal."""
    return "\n".join(difflib.unified_diff(as_text(left), as_text(right), left_name, right_name, "", "", 5, ""))


@pytest.mark.parametrize(("folder", "flags"), FOLDERS.items(), ids=FOLDERS.keys())
def test_the_manifests_are_the_rendered_chart(folder: str, flags: tuple[str, ...]) -> None:
    """`kubectl apply -k` creates what `helm install echo ./helm` creates with these values, without Helm's labels."""
    assert difference(chart(*flags), manifests(folder), "helm", f"k8s/{folder}") == ""


def test_a_difference_between_chart_and_manifests_is_told_by_its_lines() -> None:
    """The comparison detects a difference and shows its lines."""
    told = difference(chart("--set", "replicaCount=7"), manifests(), "helm", "k8s")
    assert [line for line in told.splitlines() if re.match(r"[-+] ", line)] == ["-  replicas: 7", "+  replicas: 2"]


def test_every_folder_that_can_be_applied_is_compared() -> None:
    """Every folder that can be applied has its values in the table."""
    found = {str(each.parent.relative_to(MANIFESTS)) for each in MANIFESTS.rglob("kustomization.yaml")}
    assert found == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_kustomize_reads_the_manifests_as_these_tests_do(folder: str) -> None:
    """The tests read the same objects that kustomize builds."""
    kustomize = find(TOOLS["kustomize"], os.environ)
    built = parsed(yaml.safe_load_all(run(kustomize, "build", MANIFESTS / folder)))
    assert difference(manifests(folder), built, "read here", "kustomize build") == ""


def test_the_chart_has_the_services_version() -> None:
    """The chart's version and appVersion are those of app/__init__.py."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (version(), version())


def test_the_image_is_the_one_of_this_version() -> None:
    """Chart, pod of `helm test` and manifests all run `echo:<version>`."""
    pods = [*chart().pods().values(), *manifests().pods().values()]
    images = [container["image"] for pod in pods for container in pod["spec"]["containers"]]
    assert images == [f"echo:{version()}"] * 3


def test_the_manifests_are_labelled_with_this_version() -> None:
    """Each object of k8s/, and its pods, have the version as a label."""
    metadata = [each["metadata"] for each in manifests().all]
    metadata += [pod["metadata"] for pod in manifests().pods().values()]
    assert {each["labels"]["app.kubernetes.io/version"] for each in metadata} == {version()}


@pytest.mark.parametrize("path", documented.written(), ids=lambda path: path.name)
def test_generated_files_are_up_to_date(path: Path) -> None:
    """`make format` changes no generated file."""
    assert path.read_text() == documented.written()[path]


def test_the_table_has_every_value_and_no_other() -> None:
    """The table has a row for each value, in the order of values.yaml, with its description."""
    rows = re.findall(r"^\| ([a-z][\w.]+) \| [\w ]+ \| .+? \| (.+) \|$", documented.README.read_text(), re.MULTILINE)
    text = documented.VALUES.read_text()
    assert rows == [(each.name, each.description) for each in documented.values(text) if not each.group]
    assert {name for name, _ in rows} == set(leaves(yaml.safe_load(text)))


def leaves(values: Manifest, above: str = "") -> Iterator[str]:
    """Yield the names of all values; a map with a description is one value."""
    whole = {each.name for each in documented.values(documented.VALUES.read_text()) if not each.group}
    for name, value in values.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and path not in whole:
            yield from leaves(value, f"{path}.")
        else:
            yield path


def test_a_value_without_a_description_is_rejected() -> None:
    """The error names the value and what is missing."""
    with pytest.raises(ValueError, match=r"does not describe service\.extra"):
        documented.values("service:\n  extra: 1\n")
