"""Every value of values.yaml: its effect, and its validation.

A change of a value changes the rendering, and an invalid one is rejected.
"""

import json
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from tests.chart.rendering import HelmError, Rendered, read, render_at_once, template, value_sets
from tools.chart import documented
from tools.chart.documented import Value

VALUES = [each for each in documented.values(documented.VALUES.read_text()) if not each.group]
# The settings in `config` are in test_settings.py.
WALKED = [each for each in VALUES if each.name != "config"]
ALL = yaml.safe_load(value_sets()["all"].read_text())

SCRAPED = {"interval": "1m", "scrapeTimeout": "9s"}
# The changed value, if neither its default nor its schema implies a good example.
CHANGED: dict[str, Any] = {
    "affinity": {"podAffinity": {}},
    "autoscaling.behavior": {"scaleUp": {"stabilizationWindowSeconds": 9}},
    "drainSeconds": 25,
    "openshift": True,
    "reflectedLabels": ["pod-template-hash"],
    "image.digest": "sha256:" + "f" * 64,
    "image.registry": "registry.example.test",
    "image.repository": "example.test/echo",
    "imagePullSecrets": [{"name": "other"}],
    "dnsConfig": {"nameservers": ["192.0.2.54"]},
    "extraContainers": [],
    "extraObjects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "changed"}}],
    "fullnameOverride": "changed",
    "grpcRoute.hostnames": ["changed.example.test"],
    "grpcRoute.matches": [{"method": {"service": "grpc.health.v1.Health"}}],
    "httpRoute.hostnames": ["changed.example.test"],
    "httpRoute.timeouts": {"request": "9s"},
    "ingress.hosts": [{"host": "changed.example.test"}],
    "lifecycle": {"postStart": {"sleep": {"seconds": 1}}},
    "minReadySeconds": 9,
    **{f"{each}Monitor.{name}": value for each in ("pod", "service") for name, value in SCRAPED.items()},
    "podDisruptionBudget.maxUnavailable": 2,
    "podDisruptionBudget.minAvailable": "50%",
    "podSecurityContext": {"runAsUser": 20002},
    "prometheusRule.disabled": ["EchoDown"],
    "prometheusRule.selector": 'job="changed"',
    "prometheusRule.slowSeconds": 9,
    "probes.startup.initialDelaySeconds": 9,
    "resources": {"limits": {"memory": "256Mi"}},
    "securityContext": {"readOnlyRootFilesystem": False},
    "service.clusterIP": "10.96.0.7",
    "service.externalIPs": ["198.51.100.8"],
    "service.ipFamilies": ["IPv6"],
    "service.loadBalancerSourceRanges": ["198.51.100.0/24"],
    "tls.certificate.dnsNames": ["changed.example.test"],
    "tls.certificate.duration": "24h",
    "tls.certificate.privateKey": {"rotationPolicy": "Never"},
    "tls.certificate.renewBefore": "8h",
    "topologySpreadConstraints": [],
    "updateStrategy": {"type": "Recreate"},
}
# How a unique text can be set, by the type of a value.
MARKED: dict[str, Callable[[str], Any]] = {
    "annotations": lambda mark: {mark: "yes"},
    "containers": lambda mark: [{"name": mark}],
    "egressRules": lambda mark: [{"to": [{"podSelector": {"matchLabels": {"a": mark}}}]}],
    "env": lambda mark: [{"name": mark}],
    "envFrom": lambda mark: [{"prefix": mark}],
    "hostAliases": lambda mark: [{"ip": mark}],
    "ingressTLS": lambda mark: [{"secretName": mark}],
    "label": str,
    "labels": lambda mark: {mark: "yes"},
    "metrics": lambda mark: [{"type": mark}],
    "objectName": str,
    "objects": lambda mark: [{"name": mark}],
    "parentRefs": lambda mark: [{"name": mark}],
    "peers": lambda mark: [{"podSelector": {"matchLabels": {"a": mark}}}],
    "tolerations": lambda mark: [{"key": mark}],
    "topologySpreadConstraints": lambda mark: [
        {"topologyKey": mark, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "volumeMounts": lambda mark: [{"name": mark, "mountPath": "/a"}],
    "volumes": lambda mark: [{"name": mark}],
}
# Values required for a value to have an effect, or to be allowed to change.
WITH = {
    "podDisruptionBudget.minAvailable": ("podDisruptionBudget.maxUnavailable=null",),
    "podMonitor.enabled": ("serviceMonitor.enabled=false",),
    "replicaCount": ("autoscaling.enabled=false",),
    "service.sessionAffinity": ("service.sessionAffinitySeconds=null",),
    "service.type": ('service.loadBalancerClass=""', "service.loadBalancerSourceRanges=[]"),
    "tls.certificate.enabled": ('tls.certificate.issuerRef.name="authority"',),
}
# Values required for a group's values, which are not among all the options.
GROUPED = {
    "podMonitor": ("podMonitor.enabled=true", "serviceMonitor.enabled=false", 'podMonitor.interval="2m"'),
    "tls.certificate": ('tls.certificate.issuerRef.name="authority"', "tls.certificate.enabled=true"),
}


def current(value: Value) -> Any:
    """Return the value with all options enabled."""
    found = reduce(lambda place, step: place.get(step, {}) if isinstance(place, dict) else {}, value.path[:-1], ALL)
    return found.get(value.path[-1], value.default) if isinstance(found, dict) else value.default


def changed(value: Value) -> Any:
    """Return another value: an example from above, or one by its schema."""
    if value.name in CHANGED:
        return CHANGED[value.name]
    now, schema = current(value), documented.value_schema(value)
    if "enum" in schema:
        return next(word for word in reversed(schema["enum"]) if word not in (now, "", None))
    if isinstance(now, bool):
        return not now
    if isinstance(now, int):
        return now + 1
    return 30 if "integer" in schema.get("type", ()) else "extra"


def of_group(value: Value) -> tuple[str, ...]:
    """Return the values that a value's group requires."""
    return next((context for group, context in GROUPED.items() if value.name.startswith(f"{group}.")), ())


def flags(value: Value) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the flags that render the value unchanged, and those that render it changed."""
    before = (
        f"--values={value_sets()['all']}",
        *(f"--set-json={each}" for each in WITH.get(value.name, of_group(value))),
    )
    return before, (*before, f"--set-json={value.name}={json.dumps(changed(value))}")


def mark(value: Value) -> str:
    """Return a unique text for a value."""
    return f"changed-{value.name.lower().replace('.', '-')}-here"


# Values that can contain such a text are tested in one rendering, the others one by one.
TOGETHER = [each for each in WALKED if each.hints.get("$ref") in MARKED and each.name not in CHANGED]
ALONE = [each for each in WALKED if each not in TOGETHER]


def marked(group: str) -> tuple[str, ...]:
    """Return the flags that render each of them with its text, with the values that its group requires."""
    return (
        f"--values={value_sets()['all']}",
        *(f"--set-json={each}" for each in GROUPED[group]),
        *(f"--set-json={each.name}={json.dumps(MARKED[each.hints['$ref']](mark(each)))}" for each in TOGETHER),
    )


ALL_MARKED = marked("tls.certificate")
POD_MARKED = marked("podMonitor")


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    """Return all renderings, made once."""
    return render_at_once(dict.fromkeys([*(each for value in ALONE for each in flags(value)), ALL_MARKED, POD_MARKED]))


def text(of: str | HelmError) -> str:
    """Return a rendering. Raise the error if there is none."""
    if isinstance(of, HelmError):
        raise of
    return of


@pytest.mark.parametrize("value", ALONE, ids=lambda value: value.name)
def test_a_change_of_the_value_changes_the_rendering(value: Value, rendered: Rendered) -> None:
    """No value is without effect."""
    before, after = (text(rendered[each]) for each in flags(value))
    assert before != after


@pytest.mark.parametrize("value", TOGETHER, ids=lambda value: value.name)
def test_a_text_in_the_value_comes_to_an_object(value: Value, rendered: Rendered) -> None:
    """Each value has a unique text, so that its origin is recognizable."""
    assert mark(value) in text(rendered[POD_MARKED if value.path[0] == "podMonitor" else ALL_MARKED])


SCHEMA = json.loads(documented.SCHEMA.read_text())
VALIDATOR = Draft7Validator(SCHEMA)
GROUPS = [("",), *((each.name,) for each in documented.values(documented.VALUES.read_text()) if each.group)]


def nested(path: tuple[str, ...], inner: Any) -> Any:
    """Return nested values with one value, at its path."""
    return reduce(lambda found, step: {step: found}, reversed(path), inner)


def errors(values: Any) -> Iterator[ValidationError]:
    """Return the errors of the schema."""
    return VALIDATOR.iter_errors(values)


def test_the_schema_is_one() -> None:
    """It is of draft 7, as Helm 3 and 4 read it; and the defaults satisfy it."""
    Draft7Validator.check_schema(SCHEMA)
    VALIDATOR.validate(yaml.safe_load(documented.VALUES.read_text()))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.name)
def test_what_a_value_can_not_be_is_refused(value: Value) -> None:
    """The default is accepted, a value of a wrong type is rejected, and the message names its path."""
    assert not list(errors(nested(value.path, value.default)))
    rejected = [list(each.absolute_path) for each in errors(nested(value.path, [["wrong"]]))]
    assert list(value.path) in [path[: len(value.path)] for path in rejected]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0] or "at the root")
def test_an_unknown_key_is_refused_in_each_group(group: tuple[str]) -> None:
    """Each group rejects an unknown key with its name."""
    path = (*filter(None, group[0].split(".")), "unknownKey")
    assert ["'unknownKey' was unexpected" in each.message for each in errors(nested(path, 1))] == [True]


# Required values: the error says so. All others may be removed by null.
NEEDED = {
    "image": "image.repository is empty",
    "image.repository": "image.repository is empty",
    "service": "service.port is empty",
    "service.port": "service.port is empty",
    # Because of other options:
    "autoscaling.maxReplicas": "autoscaling.maxReplicas is empty",
    "grpcRoute.parentRefs": "grpcRoute.enabled=true routes nothing without a parent",
    "httpRoute.parentRefs": "httpRoute.enabled=true routes nothing without a parent",
    "networkPolicy.adminFrom": "serviceMonitor.enabled=true scrapes port 9090, which the NetworkPolicy blocks",
    "prometheusRule.selector": "prometheusRule.selector is empty",
    "resources": "autoscaling.targetCPUUtilizationPercentage is relative to the CPU request",
    "service.sessionAffinity": "service.sessionAffinitySeconds needs service.sessionAffinity=ClientIP",
    "service.tlsPort": "service.tlsPort is empty",
    "service.type": "service.nodePort and service.tlsNodePort need node ports",
    "tls": "ingress.servicePort=https routes to a port that the Service does not have",
    "tls.secretName": "tls.clientAuth=request needs TLS",
}
KEYS = [each.name for each in documented.values(documented.VALUES.read_text())]


@pytest.fixture(scope="module")
def emptied(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """Return the renderings in which one key is null, by a values file over all options."""
    folder = tmp_path_factory.mktemp("values")
    for key in KEYS:
        (folder / key).write_text(yaml.safe_dump(nested(tuple(key.split(".")), None)))
    made = render_at_once((f"--values={value_sets()['all']}", f"--values={folder / key}") for key in KEYS)
    return {(key,): each for key, each in zip(KEYS, made.values(), strict=True)}


@pytest.mark.parametrize("key", KEYS)
def test_null_removes_a_value_or_says_that_it_is_needed(key: str, emptied: Rendered) -> None:
    """There is never an error of a template or of the schema, and never a null for the API server."""
    made = emptied[key,]
    if key in NEEDED:
        assert isinstance(made, HelmError), "it was rendered"
        assert NEEDED[key] in str(made)
        return
    for each in read(text(made)).all:
        assert list(nulls(each)) == []


def nulls(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of nulls, or of empty values that a template failed to write."""
    if value is None or value == "<no value>":
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from nulls(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from nulls(inner, f"{path}[{index}]")


def test_null_in_a_later_file_removes_a_key_of_an_earlier_one(tmp_path: Path) -> None:
    """That includes a map that is passed through, if it has no default."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("podAnnotations: {team: x, tier: b}\nresources: {limits: {cpu: 1}}\n")
    second.write_text("podAnnotations: {team: null}\nresources: {limits: {cpu: null, memory: null}}\n")
    pod = read(template("--values", str(first), "--values", str(second))).one("Deployment")["spec"]["template"]
    assert "team" not in pod["metadata"]["annotations"]
    assert pod["metadata"]["annotations"]["tier"] == "b"
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {}
