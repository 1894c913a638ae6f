"""Every Helm release of the matrix lints, renders and rejects the chart as the newest one does.

`make test-chart` runs it; `make test` compares the oldest release with the newest (tests/chart/test_helms.py).
"""

import shutil
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import CHART, Manifest
from tests.compatibility.rendering import UNKNOWN_KEY, chart_sentences, lint, objects, program, rejection
from tests.http.programs import program as on_path
from tests.lint.rendered import value_sets
from tests.toolchain.__main__ import HELMS
from tests.toolchain.buildinfo import build_info
from tests.toolchain.helms import RELEASES, Release

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
UMBRELLA = {
    "apiVersion": "v2",
    "name": "umbrella",
    "version": "0.1.0",
    "dependencies": [{"name": "echo", "version": "*"}],
}


def helm(version: str) -> Path:
    """Return the path of a release."""
    return program(HELMS[version])


@cache
def by_newest(*flags: str) -> list[Manifest]:
    """Return the chart's objects as the newest release renders them: to be read, not changed."""
    return objects(helm(NEWEST), *flags)


@pytest.fixture(scope="module")
def umbrella(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a chart that has this one as a subchart."""
    folder = tmp_path_factory.mktemp("umbrella") / "umbrella"
    shutil.copytree(CHART, folder / "charts" / "echo")
    values = {"global": {"team": "a"}, "echo": {"replicaCount": 3}}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(UMBRELLA))
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    return folder


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.version)
def test_it_is_the_published_program(release: Release) -> None:
    """Built from its own module, and with the JSON Schema library that this release validates with."""
    info = build_info(on_path("go"), helm(release.version))
    assert (info.package, info.version) == (release.package, f"v{release.version}")
    library, version = release.json_schema
    assert info.dependencies.get(library) == version


@EACH_WITH_EACH_SET
def test_lint_passes(version: str, flags: tuple[str, ...]) -> None:
    """With --strict, by which warnings fail; and no template fails, which lint alone only logs."""
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
    """The same sentence as by the newest release: templates can fail with a message in all."""
    sentences, by_newest_release = (
        chart_sentences(rejection(helm(each), "--set", "httpRoute.enabled=true")) for each in (version, NEWEST)
    )
    assert sentences == by_newest_release
    assert [each for each in sentences if each.startswith("httpRoute.enabled=true ")] == sentences != []


@EACH
def test_it_can_be_a_subchart(version: str, umbrella: Path) -> None:
    """Helm adds `global` to its values, which the schema admits; the parent's values are applied and validated."""
    rendered = objects(helm(version), chart=umbrella)
    assert rendered == objects(helm(NEWEST), chart=umbrella)
    assert [each["spec"]["replicas"] for each in rendered if each["kind"] == "Deployment"] == [3]
    assert UNKNOWN_KEY.search(rejection(helm(version), "--set", "echo.replicas=3", chart=umbrella))
