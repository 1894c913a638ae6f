"""What stands in two places is the same in both: the version, and the chart beside the manifests."""

import copy
import difflib
import re

import yaml

from tests.chart.rendering import CHART, Manifest, Objects, chart, is_hook, manifests
from tests.commands import ROOT

HELM_ONLY = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def version() -> str:
    """Give the version from its one place."""
    found = re.search(r'^__version__ = "(.+)"$', (ROOT / "app" / "__init__.py").read_text(), re.MULTILINE)
    assert found, "app/__init__.py has no __version__"
    return found[1]


def comparable(manifest: Manifest) -> Manifest:
    """Give an object without the labels that only Helm sets."""
    bare = copy.deepcopy(manifest)
    for label in HELM_ONLY:
        bare["metadata"]["labels"].pop(label, None)
    return bare


def as_text(objects: Objects) -> list[str]:
    """Give the objects as lines of YAML, in an order of our own, the test's hook left out."""
    kept = [comparable(each) for each in objects.all if not is_hook(each)]
    kept.sort(key=lambda each: (each["kind"], each["metadata"]["name"]))
    return yaml.safe_dump_all(kept, sort_keys=True).splitlines()


def test_the_manifests_are_the_rendered_chart() -> None:
    """`kubectl apply -k k8s` gives what `helm install echo ./helm` gives, but for Helm's own labels."""
    difference = difflib.unified_diff(as_text(chart()), as_text(manifests()), "helm", "k8s", lineterm="", n=5)
    assert "\n".join(difference) == ""


def test_the_chart_has_the_services_version() -> None:
    """The chart's version and appVersion are those of app/__init__.py."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (version(), version())


def test_the_image_is_the_one_of_this_version() -> None:
    """Chart, pod of `helm test` and manifests all run `echoserver:<version>`."""
    pods = [*chart().pods().values(), *manifests().pods().values()]
    images = [container["image"] for pod in pods for container in pod["spec"]["containers"]]
    assert images == [f"echoserver:{version()}"] * 3


def test_the_manifests_are_labelled_with_this_version() -> None:
    """Each object of k8s/, and its pods, carry the version as a label."""
    metadata = [each["metadata"] for each in manifests().all]
    metadata += [pod["metadata"] for pod in manifests().pods().values()]
    assert {each["labels"]["app.kubernetes.io/version"] for each in metadata} == {version()}


def test_the_readme_names_every_value_and_its_default() -> None:
    """The chart's README has a row for each leaf of values.yaml, and no other."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \|", (CHART / "README.md").read_text(), re.MULTILINE)
    defaults: dict[str, object] = {}
    for name, value in yaml.safe_load((CHART / "values.yaml").read_text()).items():
        if name != "resources" and isinstance(value, dict):
            defaults |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            defaults[name] = value
    written = {name: yaml.safe_load(text.strip("`")) if "`" in text else defaults.get(name) for name, text in rows}
    assert written == defaults
