"""Helm releases: each lints, renders and rejects as the newest does.

`make test-chart` runs it; `make test` compares the oldest release with the newest (tests/chart/test_helms.py).
"""

from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.chart import rendering
from tests.chart.rendering import CHART, Manifest
from tests.compatibility.rendering import UNKNOWN_KEY, chart_sentences, lint, objects, program, rejection
from tests.http.programs import program as on_path
from tools.lint.rendered import value_sets
from tools.toolchain.__main__ import HELMS
from tools.toolchain.buildinfo import build_info
from tools.toolchain.helms import RELEASES, Release

NEWEST = RELEASES[-1].version
EACH = pytest.mark.parametrize("version", HELMS)
# Such as 3.19.5-gateway.
EACH_WITH_EACH_SET = pytest.mark.parametrize(
    ("version", "flags"),
    [
        pytest.param(version, tuple(flags), id=f"{version}-{name}")
        for version in HELMS
        for name, flags in value_sets().items()
    ],
)


def helm(version: str) -> Path:
    """Return the path of a release."""
    return program(HELMS[version])


@cache
def by_newest(*flags: str) -> list[Manifest]:
    """Return the chart's objects as the newest release renders them: don't modify them."""
    return objects(helm(NEWEST), *flags)


@pytest.fixture(scope="module")
def umbrella(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a chart that has this one as a subchart."""
    folder = tmp_path_factory.mktemp("umbrella")
    return rendering.umbrella(folder, **{"global": {"team": "a"}, "echo": {"replicaCount": 3}})


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.version)
def test_it_is_the_published_program(release: Release) -> None:
    """It is built from its own module, and with the JSON Schema library that this release validates with."""
    info = build_info(on_path("go"), helm(release.version))
    assert (info.package, info.version) == (release.package, f"v{release.version}")
    library, version = release.json_schema
    assert info.dependencies.get(library) == version


@EACH_WITH_EACH_SET
def test_lint_passes(version: str, flags: tuple[str, ...]) -> None:
    """--strict turns warnings into failures; no template fails, which lint alone only logs."""
    said = lint(helm(version), *flags)
    assert "0 chart(s) failed" in said
    assert "Fail" not in said


@EACH_WITH_EACH_SET
def test_the_objects_are_those_of_the_newest_release(version: str, flags: tuple[str, ...]) -> None:
    """The same objects in the same order; the YAML text may differ."""
    rendered = objects(helm(version), *flags)
    assert rendered == by_newest(*flags)
    assert "Deployment" in {each["kind"] for each in rendered}


@EACH
def test_an_unknown_key_is_rejected_by_name(version: str) -> None:
    """The schema is applied, whichever library reads it."""
    assert UNKNOWN_KEY.search(rejection(helm(version), "--set", "replicas=3"))


@EACH
def test_a_contradiction_is_rejected_with_the_sentence_of_the_chart(version: str) -> None:
    """The sentence is the same as with the newest release: templates can fail with a message in all."""
    sentences, by_newest_release = (
        chart_sentences(rejection(helm(each), "--set", "httpRoute.enabled=true")) for each in (version, NEWEST)
    )
    assert sentences == by_newest_release
    assert [each for each in sentences if each.startswith("httpRoute.enabled=true ")] == sentences != []


# Values as people write them: empty keys, numbers where Kubernetes requires text, a digest in the tag.
AS_WRITTEN = f"""
replicaCount: 3
image: {{tag: "v9@sha256:{"a" * 64}", pullPolicy: }}
imagePullSecrets: [regcred]
nodeSelector:
tolerations:
  # - key: dedicated
podAnnotations: {{port: 9090, size: 1000000}}
podLabels: {{tier: 1, edge: true}}
podSecurityContext: {{runAsUser: null}}
resources:
probes: {{startup: , liveness: {{periodSeconds: }}}}
podDisruptionBudget:
config:
  {{ECHO_MAX_BODY: 1048576, ECHO_MAX_SIZE: 10MiB, ECHO_IDLE_TIMEOUT: 1.5s, ECHO_PRETTY: off, ECHO_TLS_MIN_VERSION: 1.3}}
extraEnv: [{{name: RETRIES, value: 5}}, {{name: SIZE, value: 1000000}}]
"""


@EACH
def test_values_as_people_write_them_are_rendered_alike(version: str, tmp_path: Path) -> None:
    """Helm's releases read numbers and remove nulls differently."""
    file = tmp_path / "values.yaml"
    file.write_text(AS_WRITTEN)
    rendered = objects(helm(version), f"--values={file}")
    assert rendered == objects(helm(NEWEST), f"--values={file}")
    assert {each["kind"] for each in rendered} == {"Deployment", "Service", "ServiceAccount", "Pod"}
    (deployment,) = [each for each in rendered if each["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert {"tier": "1", "edge": "true"}.items() <= pod["metadata"]["labels"].items()
    assert {"port": "9090", "size": "1000000"}.items() <= pod["metadata"]["annotations"].items()
    assert (variables["ECHO_MAX_BODY"], variables["ECHO_PRETTY"], variables["SIZE"]) == ("1048576", "off", "1000000")
    assert variables["ECHO_TLS_MIN_VERSION"] == "1.3"
    assert (variables["ECHO_MAX_SIZE"], variables["ECHO_IDLE_TIMEOUT"]) == ("10MiB", "1.5s")
    assert pod["spec"]["imagePullSecrets"] == [{"name": "regcred"}]
    assert "runAsUser" not in pod["spec"]["securityContext"]
    assert {"resources", "startupProbe", "imagePullPolicy"}.isdisjoint(container)
    assert "periodSeconds" not in container["livenessProbe"]


@EACH
def test_every_optional_value_may_be_null(version: str, tmp_path: Path) -> None:
    """All are null at once, in a file; the required ones are in tests/chart/test_leaves.py."""
    values = {
        key: None for key in yaml.safe_load((CHART / "values.yaml").read_text()) if key not in {"image", "service"}
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    rendered = objects(helm(version), f"--values={file}")
    assert rendered == objects(helm(NEWEST), f"--values={file}")
    assert [each["kind"] for each in rendered] == ["Service", "Deployment", "Pod"]


@EACH
@pytest.mark.parametrize(
    ("flags", "user"),
    [
        pytest.param((), 10001, id="elsewhere"),
        pytest.param(("--api-versions=security.openshift.io/v1",), None, id="detected"),
        pytest.param(("--set=echo.openshift=true",), None, id="set"),
    ],
)
def test_a_subchart_on_openshift_has_no_fixed_user(
    version: str, umbrella: Path, flags: tuple[str, ...], user: int | None
) -> None:
    """A value sets it, because with some Helm 4 a parent chart cannot remove a subchart's default by null."""
    for each in objects(helm(version), *flags, chart=umbrella):
        spec = each["spec"]["template"]["spec"] if each["kind"] == "Deployment" else each.get("spec", {})
        if "containers" in spec:
            assert spec["securityContext"].get("runAsUser") == user
            assert spec["securityContext"].get("runAsGroup") == user


@EACH
def test_it_can_be_a_subchart(version: str, umbrella: Path) -> None:
    """Helm adds `global` to its values, which the schema allows; the parent's values are applied and validated."""
    rendered = objects(helm(version), chart=umbrella)
    assert rendered == objects(helm(NEWEST), chart=umbrella)
    assert [each["spec"]["replicas"] for each in rendered if each["kind"] == "Deployment"] == [3]
    assert UNKNOWN_KEY.search(rejection(helm(version), "--set", "echo.replicas=3", chart=umbrella))
