"""Value sets of helm/ci, alone and combined: their objects.

Some properties apply to all, others to one set.
"""

from itertools import combinations
from typing import Any

import pytest

from app.config import loader
from tests.chart.rendering import (
    COMPONENT,
    HelmError,
    Manifest,
    Objects,
    Rendered,
    chart,
    is_hook,
    read,
    render_at_once,
    template,
    value_sets,
)

SELECTOR = {"app.kubernetes.io/name": "echo", "app.kubernetes.io/instance": "echo"}
USUAL = {"Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"}
# The objects of each set, without the pod of `helm test`.
MAKES = {
    "all": USUAL
    | {"ConfigMap", "GRPCRoute", "HTTPRoute", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy"}
    | {"PrometheusRule", "ServiceMonitor"},
    "certificate": USUAL | {"Certificate"},
    "gateway": USUAL | {"HTTPRoute"},
    "ha": USUAL | {"HorizontalPodAutoscaler"},
    "headless": USUAL,
    "ingress": USUAL | {"Ingress"},
    "minimal": {"Deployment", "Service"},
    "monitoring": USUAL | {"ConfigMap", "PodMonitor", "PrometheusRule"},
    "network": USUAL | {"NetworkPolicy"},
    "tls": USUAL,
}
# Contradictions between two sets, with the expected error.
CONTRADICT = {
    ("all", "headless"): "a headless Service, which cannot be a LoadBalancer",
    ("all", "monitoring"): "would scrape, and count, each pod twice",
}
SETS = value_sets()


def flags(*names: str) -> tuple[str, ...]:
    """Return the flags for value sets, a later one over an earlier one."""
    return tuple(f"--values={SETS[name]}" for name in names)


ALONE = [(name,) for name in SETS]
PAIRS = [pair for pair in combinations(SETS, 2) if pair not in CONTRADICT]
EACH = pytest.mark.parametrize("names", [*ALONE, *PAIRS], ids="+".join)


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    """Return all sets and pairs, rendered once."""
    return render_at_once(flags(*names) for names in [*ALONE, *PAIRS])


@pytest.fixture
def objects(rendered: Rendered, names: tuple[str, ...]) -> Objects:
    """Return the objects of one set or pair."""
    found = rendered[flags(*names)]
    if isinstance(found, HelmError):
        raise found
    return read(found)


def ours(objects: Objects) -> list[Manifest]:
    """Return the objects that the chart creates by itself."""
    return [each for each in objects.all if each["kind"] != "ConfigMap"]


def containers(pod: Manifest) -> list[Manifest]:
    """Return all containers of a pod, including init containers."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def test_every_set_is_known() -> None:
    """Each file of helm/ci has a row in the table."""
    assert set(MAKES) == set(SETS)
    assert all(len(file.read_text().splitlines()[0]) > len("# ") for file in SETS.values())


@EACH
def test_the_objects_are_those_of_the_sets(objects: Objects, names: tuple[str, ...]) -> None:
    """Each optional object exists if it is enabled, and is absent if it is disabled; none is duplicated."""
    kinds = {each["kind"] for each in objects.all if not is_hook(each)}
    expected = set.union(*(MAKES[name] for name in names))
    assert kinds == (expected - (USUAL - MAKES["minimal"]) if "minimal" in names else expected)
    identities = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in objects.all]
    assert len(identities) == len(set(identities))


@EACH
def test_the_objects_belong_together(objects: Objects) -> None:
    """All have the release's labels; pod selectors use these two; references to other objects resolve."""
    for each in ours(objects):
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == "echo"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert all(isinstance(value, str) for value in labels.values())
        for selector in selectors(each):
            assert selector == SELECTOR
    deployment, service = objects.one("Deployment"), objects.one("Service", "server")
    assert SELECTOR.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    assert len(set(ports.values())) == len(ports)
    for each in ours(objects):
        for name, port in backends(each):
            assert name == service["metadata"]["name"]
            assert port in {*ports, *ports.values()}
        target = each["spec"].get("scaleTargetRef") if each["kind"] == "HorizontalPodAutoscaler" else None
        if target:
            assert target == {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment["metadata"]["name"]}
            assert "replicas" not in deployment["spec"]


def selectors(manifest: Manifest) -> list[Any]:
    """Return the labels by which an object selects our pods."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "Service":
        return [spec["selector"]]
    if manifest["kind"] == "PodMonitor":
        return [spec["selector"]["matchLabels"]]
    if manifest["kind"] == "ServiceMonitor":
        # It selects Services, and the chart has two of them.
        return [{name: value for name, value in spec["selector"]["matchLabels"].items() if name != COMPONENT}]
    if manifest["kind"] == "NetworkPolicy":
        return [spec["podSelector"]["matchLabels"]]
    if manifest["kind"] in ("Deployment", "PodDisruptionBudget"):
        spread = spec.get("template", {}).get("spec", {}).get("topologySpreadConstraints", ())
        return [each["matchLabels"] for each in (spec["selector"], *(one["labelSelector"] for one in spread))]
    return []


def backends(manifest: Manifest) -> list[tuple[str, Any]]:
    """Return the Services of a route, each with the name or number of its port."""
    if manifest["kind"] in ("GRPCRoute", "HTTPRoute"):
        rules = manifest["spec"]["rules"]
        return [(each["name"], each["port"]) for rule in rules for each in rule.get("backendRefs", ())]
    if manifest["kind"] == "Ingress":
        paths = [path for rule in manifest["spec"]["rules"] for path in rule["http"]["paths"]]
        services = [path["backend"]["service"] for path in paths]
        return [(each["name"], each["port"]["name"]) for each in services]
    return []


@EACH
def test_the_pods_are_restricted_and_start(objects: Objects) -> None:
    """Every pod meets the profile; the service accepts its environment; what is mounted is a volume of the pod."""
    for pod in objects.pods().values():
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
        volumes = {each["name"] for each in pod["spec"].get("volumes", ())}
        for each in containers(pod):
            assert each["securityContext"]["allowPrivilegeEscalation"] is False
            assert each["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert {mount["name"] for mount in each.get("volumeMounts", ())} <= volumes
            variables = [variable["name"] for variable in each.get("env", ())]
            assert len(variables) == len(set(variables))
            # Files are read from their actual paths.
            known = {variable["name"]: variable["value"] for variable in each.get("env", ()) if "value" in variable}
            assert loader.read_settings({name: value for name, value in known.items() if name != "ECHO_JWKS"})


@EACH
def test_a_pod_has_the_time_to_leave(objects: Objects) -> None:
    """The sleep and the drain end before SIGKILL."""
    pod = objects.one("Deployment")["spec"]["template"]["spec"]
    (drain,) = (each["value"] for each in pod["containers"][0]["env"] if each["name"] == "ECHO_DRAIN_SECONDS")
    sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= sleep + float(drain) + 5


@pytest.mark.parametrize(("pair", "said"), CONTRADICT.items(), ids=["+".join(pair) for pair in CONTRADICT])
def test_sets_that_contradict_each_other_are_refused(pair: tuple[str, str], said: str) -> None:
    """The error says why the sets contradict each other."""
    with pytest.raises(HelmError, match=said):
        template(*flags(*pair))


@pytest.mark.parametrize("name", SETS)
def test_rendering_a_set_twice_gives_the_same_bytes(name: str, rendered: Rendered) -> None:
    """Nothing in the order of the output is random."""
    assert template(*flags(name)) == rendered[flags(name)]


def test_texts_that_are_handed_on_may_hold_templates() -> None:
    """They may contain quotes, and render to what YAML would misread."""
    objects = chart(*flags("all"))
    pod = objects.one("Deployment")["spec"]["template"]
    variables = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
    assert variables["RELEASE"] == 'echo: "quoted"'
    annotations = pod["metadata"]["annotations"]
    assert {name: annotations[name] for name in annotations if not name.startswith("echo-")} == {
        "contact": "default@example.test",
        "example.test/injected": "false",
    }
    assert [each["secret"]["secretName"] for each in pod["spec"]["volumes"]] == ["echo-tls", "echo-keys"]
    own = ("echo-object", "echo-text")
    maps = {each["metadata"]["name"]: each["data"] for each in objects.all if each["metadata"]["name"] in own}
    assert maps == {
        "echo-object": {"answer": "42"},
        "echo-text": {"chart": "echo"},
    }
