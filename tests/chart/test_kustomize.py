"""Kustomizations over k8s/ and its overlays, by `kustomize build`.

They set prefixes, images, namespaces and labels.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.chart import promql
from tests.chart.rendering import LOADER, Manifest, Objects, manifests, parsed
from tools.commands import ROOT, run
from tools.toolchain.__main__ import TOOLS, find

FOLDERS: Final = (".", "overlays/gateway", "overlays/ha", "overlays/monitoring")
INSTANCE: Final = "app.kubernetes.io/instance"
IMAGE: Final = "echo"
NEW_IMAGE: Final = "registry.example/team/echo-server"
DIGEST: Final = f"sha256:{'0123456789abcdef' * 4}"
NEW_LABELS: Final = {"team": "blue"}
OVERRIDES: Final = {INSTANCE: "dev"}


def labels(pairs: Mapping[str, str]) -> list[Manifest]:
    """Return the `labels` of a kustomization that changes objects, pods and selectors."""
    return [{"pairs": dict(pairs), "includeSelectors": True, "includeTemplates": True}]


# Settings of a kustomization, by test id.
CHANGES: Final[dict[str, Manifest]] = {
    "nothing": {},
    "namePrefix": {"namePrefix": "dev-"},
    "nameSuffix": {"nameSuffix": "-blue"},
    "images, name and tag": {"images": [{"name": IMAGE, "newName": NEW_IMAGE, "newTag": "9.8.7"}]},
    "images, digest": {"images": [{"name": IMAGE, "digest": DIGEST}]},
    "namespace": {"namespace": "testing"},
    "labels, new": {"labels": labels(NEW_LABELS)},
    "labels, overridden": {"labels": labels(OVERRIDES)},
}
CHANGES["all"] = {
    **{key: value for change in CHANGES.values() for key, value in change.items()},
    "images": [{"name": IMAGE, "newName": NEW_IMAGE, "newTag": "9.8.7", "digest": DIGEST}],
    "labels": labels({**NEW_LABELS, **OVERRIDES}),
}
IMAGES: Final = {
    "images, name and tag": f"{NEW_IMAGE}:9.8.7",
    "images, digest": f"{IMAGE}@{DIGEST}",
    "all": f"{NEW_IMAGE}:9.8.7@{DIGEST}",
}

EACH: Final = pytest.mark.parametrize("change", CHANGES)
OVER_EACH: Final = pytest.mark.parametrize("folder", FOLDERS)


def build(kustomizations: Mapping[str, Manifest], files: Mapping[str, list[Manifest]] | None = None) -> Objects:
    """Build the first kustomization. Each is written to the folder of its name.

    `files` are manifests by path. A resource that begins with `k8s` is that folder of the project.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Path(name).resolve()
        for folder, kustomization in kustomizations.items():
            (work / folder).mkdir()
            resources = [relative_path(each, work / folder) for each in kustomization["resources"]]
            (work / folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization | {"resources": resources}))
        for file, objects in (files or {}).items():
            (work / file).write_text(yaml.safe_dump_all(objects))
        text = run(find(TOOLS["kustomize"], os.environ), "build", work / next(iter(kustomizations)))
    return parsed(yaml.load_all(text, LOADER))


def relative_path(resource: str, folder: Path) -> str:
    """Return a resource as a path from a folder: kustomize rejects absolute paths."""
    return os.path.relpath(ROOT / resource, folder) if resource.startswith("k8s") else resource


@cache
def build_change(folder: str, change: str) -> Objects:
    """Build a kustomization with one of the changes over a folder of k8s/. Callers share the objects: don't modify."""
    return build({"mine": {**CHANGES[change], "resources": [f"k8s/{folder}"]}})


def dangling_references(objects: Objects) -> list[str]:
    """Return the references to objects or Service ports that do not exist in the same namespace."""
    targets = {identity(each["kind"], each["metadata"]["name"], each): each for each in objects.all}
    missing = []
    for referrer, kind, name, port in references(objects):
        target = targets.get(identity(kind, name, referrer))
        if not target or (port and port not in [each["port"] for each in target["spec"]["ports"]]):
            missing.append(f"{referrer['kind']} {referrer['metadata']['name']} -> {kind} {name} {port or ''}".strip())
    return missing


def identity(kind: str, name: str, beside: Manifest) -> tuple[str, str, str]:
    """Return the key of an object in the same namespace as another one."""
    return kind, name, beside["metadata"].get("namespace", "")


def references(objects: Objects) -> Iterator[tuple[Manifest, str, str, int | None]]:
    """Yield each reference by name: referrer, kind and name of its target, and a port."""
    for each in objects.all:
        spec = each.get("spec", {})
        match each["kind"]:
            case "Deployment":
                yield each, "ServiceAccount", spec["template"]["spec"]["serviceAccountName"], None
                yield each, "Service", environment(each)["SERVICE_NAME"], None
            case "HorizontalPodAutoscaler":
                yield each, spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"], None
            case "HTTPRoute" | "GRPCRoute":
                for backend in [backend for rule in spec["rules"] for backend in rule["backendRefs"]]:
                    yield each, backend.get("kind", "Service"), backend["name"], backend["port"]


def environment(deployment: Manifest) -> dict[str, Any]:
    """Return the environment of a Deployment's only container: values, also of annotations, or `valueFrom`."""
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    return {each["name"]: each.get("value", resolved(each.get("valueFrom"), pod)) for each in container["env"]}


def resolved(source: Any, pod: Manifest) -> Any:
    """Return the value of a variable that is an annotation of the pod, or the source of another one."""
    path = re.fullmatch(r"metadata\.annotations\['(.+)'\]", source["fieldRef"]["fieldPath"]) if source else None
    return pod["metadata"]["annotations"][path[1]] if path else source


def selectors(objects: Objects) -> dict[str, dict[str, str]]:
    """Return the labels of each pod selector."""
    by_name = {}
    for each in objects.all:
        match each["kind"]:
            case "Service":
                by_name["Service"] = each["spec"]["selector"]
            case "Deployment" | "PodDisruptionBudget" | "PodMonitor":
                by_name[each["kind"]] = each["spec"]["selector"]["matchLabels"]
    constraints = objects.one("Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    return by_name | {each["topologyKey"]: each["labelSelector"]["matchLabels"] for each in constraints}


@OVER_EACH
@EACH
def test_every_reference_resolves(folder: str, change: str) -> None:
    """Names of Services, ServiceAccount and Deployment follow a prefix and a suffix; no object is lost."""
    objects = build_change(folder, change)
    kinds = sorted(each["kind"] for each in objects.all)
    assert kinds == sorted(each["kind"] for each in manifests(folder).all)
    assert dangling_references(objects) == []


@OVER_EACH
@EACH
def test_every_object_has_prefix_suffix_and_namespace(folder: str, change: str) -> None:
    """Without `namespace`, no object has a namespace."""
    settings = CHANGES[change]
    names = {
        f"{settings.get('namePrefix', '')}{each['metadata']['name']}{settings.get('nameSuffix', '')}"
        for each in manifests(folder).all
    }
    assert {each["metadata"]["name"] for each in build_change(folder, change).all} == names
    namespaces = {each["metadata"].get("namespace") for each in build_change(folder, change).all}
    assert namespaces == {settings.get("namespace")}


@OVER_EACH
@EACH
def test_the_pod_reports_its_image_and_its_service(folder: str, change: str) -> None:
    """IMAGE is the container's image, SERVICE_NAME the Service's name; the other variables stay."""
    objects = build_change(folder, change)
    variables = environment(objects.one("Deployment"))
    (container,) = objects.one("Deployment")["spec"]["template"]["spec"]["containers"]
    (before,) = manifests(folder).one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert variables["IMAGE"] == container["image"] == IMAGES.get(change, before["image"])
    assert variables["SERVICE_NAME"] == objects.one("Service")["metadata"]["name"]
    followers = {"IMAGE": variables["IMAGE"], "SERVICE_NAME": variables["SERVICE_NAME"]}
    assert variables == environment(manifests(folder).one("Deployment")) | followers


@OVER_EACH
@EACH
def test_every_selector_matches_the_pods(folder: str, change: str) -> None:
    """Selectors, pods and objects keep their labels and get those of `labels`."""
    objects = build_change(folder, change)
    pairs = {name: value for each in CHANGES[change].get("labels", ()) for name, value in each["pairs"].items()}
    expected = {name: before | pairs for name, before in selectors(manifests(folder)).items()}
    assert selectors(objects) == expected
    pod = objects.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert pod == manifests(folder).one("Deployment")["spec"]["template"]["metadata"]["labels"] | pairs
    assert [name for name, selector in expected.items() if not selector.items() <= pod.items()] == []
    assert [each["kind"] for each in objects.all if not pairs.items() <= each["metadata"]["labels"].items()] == []


@EACH
def test_alerts_select_the_job_label_of_the_pod_monitor(change: str) -> None:
    """No setting changes only one of the two; the dashboard stays unchanged."""
    objects = build_change("overlays/monitoring", change)
    (endpoint,) = objects.one("PodMonitor")["spec"]["podMetricsEndpoints"]
    jobs = {each["replacement"] for each in endpoint["relabelings"] if each.get("targetLabel") == "job"}
    rules = [rule for group in objects.one("PrometheusRule")["spec"]["groups"] for rule in group["rules"]]
    selected = [
        {matcher.value for matcher in selector.matchers.matchers if matcher.name == "job"}
        for rule in rules
        for selector in promql.selectors_of(rule["expr"])
    ]
    assert len(jobs) == 1
    assert selected == [jobs] * len(selected) != []
    assert objects.one("ConfigMap")["data"] == manifests("overlays/monitoring").one("ConfigMap")["data"]


@OVER_EACH
def test_two_variants_in_one_kustomization_are_independent(folder: str) -> None:
    """References and selectors stay within a variant, also with a common suffix."""
    names = ("dev", "live")
    variants = {
        name: {"namePrefix": f"{name}-", "labels": labels({INSTANCE: name}), "resources": [f"k8s/{folder}"]}
        for name in names
    }
    outer = {"nameSuffix": "-blue", "resources": [f"../{name}" for name in names]}
    objects = build({"outer": outer, **variants})
    assert len(objects.all) == 2 * len(manifests(folder).all)
    assert dangling_references(objects) == []
    for name in names:
        own = Objects(tuple(each for each in objects.all if each["metadata"]["name"].startswith(f"{name}-")))
        assert dangling_references(own) == []
        assert {selector[INSTANCE] for selector in selectors(own).values()} == {name}


def test_variables_of_other_deployments_stay() -> None:
    """Even if the value is the name of the Service or the image: only annotations of our pods are references."""
    env = [{"name": "A", "value": "echo"}, {"name": "B", "value": IMAGE}, {"name": "C", "value": f"{IMAGE}:0.1.0"}]
    other = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "other"},
        "spec": {"template": {"spec": {"containers": [{"name": "other", "image": "other", "env": env}]}}},
    }
    mine = {**CHANGES["all"], "resources": ["k8s", "more.yaml"]}
    objects = build({"mine": mine}, {"mine/more.yaml": [other]})
    (found,) = [each for each in objects.all if each["metadata"]["name"] == "dev-other-blue"]
    assert found["spec"]["template"]["spec"]["containers"][0]["env"] == env


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_a_route_of_the_kustomization_follows_service_and_gateway(kind: str) -> None:
    """A kustomization over k8s/ can add a route and its Gateway."""
    resources = [
        {"kind": "Gateway", "spec": {"gatewayClassName": "example"}},
        {
            "kind": kind,
            "spec": {"parentRefs": [{"name": "door"}], "rules": [{"backendRefs": [{"name": "echo", "port": 80}]}]},
        },
    ]
    for each, name in zip(resources, ("door", "echo"), strict=True):
        each |= {"apiVersion": "gateway.networking.k8s.io/v1", "metadata": {"name": name}}
    mine = {**CHANGES["all"], "resources": ["k8s", "more.yaml"]}
    objects = build({"mine": mine}, {"mine/more.yaml": resources})
    assert dangling_references(objects) == []
    assert objects.one(kind)["spec"]["rules"][0]["backendRefs"] == [{"name": "dev-echo-blue", "port": 80}]
    assert objects.one(kind)["spec"]["parentRefs"] == [{"name": objects.one("Gateway")["metadata"]["name"]}]


def test_the_kustomization_in_the_readme_works() -> None:
    """Each of its settings is applied, and every reference resolves."""
    block = re.search(r"^    namePrefix: (?:.*\n(?=    ))+.*\n", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert block, "README.md has no kustomization"
    mine = yaml.safe_load(block[0])
    mine["resources"] = [each.removeprefix("../") for each in mine["resources"]]
    objects = build({"mine": mine})
    (image,) = mine["images"]
    variables = environment(objects.one("Deployment"))
    assert dangling_references(objects) == []
    assert variables["SERVICE_NAME"] == f"{mine['namePrefix']}echo"
    assert variables["IMAGE"] == f"{image['newName']}:{image['newTag']}"
    assert {each["metadata"]["namespace"] for each in objects.all} == {mine["namespace"]}
    assert {selector[INSTANCE] for selector in selectors(objects).values()} == {mine["labels"][0]["pairs"][INSTANCE]}
