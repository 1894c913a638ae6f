"""Programs that the tests run, and their supported versions."""

from pathlib import Path

import pytest

from tests.http.programs import program
from tools.commands import ROOT
from tools.toolchain import supported
from tools.toolchain.__main__ import (
    GROUPS,
    HELMS,
    OLDEST_KUSTOMIZE,
    TOOLS,
    Tool,
    ToolError,
    find,
    is_fit,
    main,
    version_of,
)
from tools.toolchain.buildinfo import build_info, parse
from tools.toolchain.helms import RELEASES

PUBLISHED = {name: tool for name, tool in TOOLS.items() if tool.module}


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("v4.3.1", (4, 3, 1)),
        ("kind v0.33.0 go1.26.8 linux/amd64\n", (0, 33, 0)),
        ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", (1, 32, 4)),
        ("Version: 2.2.1 (70ac2294010887f48b18e2d64f5cccd48421fad1)", (2, 2, 1)),
        ("go1.26.8 made it", None),
        ("v4.3", None),
        ("", None),
    ],
)
def test_the_version_is_found_in_the_output_of_each_program(output: str, version: tuple[int, int, int] | None) -> None:
    """Each program prints it in a sentence of its own."""
    assert version_of(output) == version


@pytest.mark.parametrize(
    ("name", "output", "fit"),
    [
        ("h2spec", "Version: 2.2.1", True),
        ("h2spec", "Version: 2.6.0", False),
        ("helm", "v3.13.9", False),
        ("helm", "v3.14.0", True),
        ("helm", "v4.0.0", True),
        ("helm", "v5.0.0", False),
        ("kubeconform", "development", False),
        ("kubectl", "v1.35.9", False),
        ("kubectl", "v1.38.9", True),
        ("kind", "nonsense", False),
        ("promtool", "promtool, version 2.55.1 (branch: , revision: unknown)", False),
        ("promtool", "promtool, version 3.16.0 (branch: , revision: unknown)", True),
    ],
)
def test_only_supported_versions_are_fit(name: str, output: str, fit: bool) -> None:  # noqa: FBT001 - a column
    """Any other version on PATH is ignored, and the pinned one is built."""
    assert is_fit(TOOLS[name], output) is fit


@pytest.mark.parametrize("name", TOOLS)
def test_the_pinned_version_is_fit(name: str) -> None:
    """A program that was built here would also be used from PATH."""
    assert is_fit(TOOLS[name], TOOLS[name].version)


def test_published_programs_have_no_build_flags() -> None:
    """`go install` builds them as it does for everybody; the only exception only omits code."""
    assert {name: tool.ldflags for name, tool in PUBLISHED.items() if tool.ldflags} == {}
    assert {name: tool.tags for name, tool in PUBLISHED.items() if tool.tags} == {"promtool": "remove_all_sd"}


def test_each_built_program_is_built_from_its_own_pinned_module() -> None:
    """Go writes the main module into the binary: in a common module it would be that one, with other dependencies."""
    go = program("go")
    built = [tool for tool in (*PUBLISHED.values(), *HELMS.values(), OLDEST_KUSTOMIZE) if tool.pinned.exists()]
    reported = {tool.pinned.name: build_info(go, tool.pinned) for tool in built}
    assert {name: f"{info.package} {info.version}" for name, info in reported.items()} == {
        tool.pinned.name: f"{tool.module} {tool.pinned_module_version}" for tool in built
    }
    assert [name for name, info in reported.items() if not f"{info.package}/".startswith(f"{info.module}/")] == []
    assert {name: info.settings["CGO_ENABLED"] for name, info in reported.items()} == {
        each.pinned.name: "0" for each in built
    }
    flags = {tool.pinned.name: {"-tags": tool.tags} if tool.tags else {} for tool in built}
    assert {
        name: {flag: value for flag, value in info.settings.items() if flag in {"-ldflags", "-tags", "-trimpath"}}
        for name, info in reported.items()
    } == flags


def test_build_information_has_the_module_its_dependencies_and_settings() -> None:
    """Also a dependency that is replaced by another module."""
    info = parse(
        "helm: go1.26.8\n"
        "\tpath\texample.test/a/v2/cmd/a\n"
        "\tmod\texample.test/a/v2\tv2.1.0\th1:x=\n"
        "\tdep\texample.test/b\tv1.0.0\th1:y=\n"
        "\tdep\texample.test/c\tv1.0.0\n"
        "\t=>\texample.test/fork\tv1.0.1\th1:z=\n"
        "\tbuild\t-tags=a,b=c\n"
    )
    assert (info.package, info.module, info.version) == ("example.test/a/v2/cmd/a", "example.test/a/v2", "v2.1.0")
    assert info.dependencies == {"example.test/b": "v1.0.0", "example.test/c": "example.test/fork v1.0.1"}
    assert info.settings == {"-tags": "a,b=c"}


def test_the_helm_releases_span_the_supported_range() -> None:
    """From the oldest supported minor version to the newest Helm, which is the one that other tests run."""
    lowest, above = supported.helm_versions()
    versions = [version_of(release.version) or (0, 0, 0) for release in RELEASES]
    assert versions == sorted(versions)
    assert versions[0][:2] == lowest[:2]
    assert lowest <= versions[0]
    assert versions[-1] < above
    assert versions[-1][0] == above[0] - 1
    assert HELMS[RELEASES[-1].version].pinned == TOOLS["helm"].pinned
    assert GROUPS["helm-oldest"] == [HELMS[RELEASES[0].version]]


def test_the_readme_states_the_supported_versions() -> None:
    """As helm/Chart.yaml defines them for Helm and Kubernetes."""
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert [sentence for sentence in supported.sentences() if sentence not in readme] == []


def test_the_oldest_kustomize_is_the_oldest_supported_one() -> None:
    """`make test-chart` builds k8s/ with it."""
    assert version_of(OLDEST_KUSTOMIZE.version) == supported.KUSTOMIZE_VERSIONS[0]


@pytest.mark.parametrize(
    "chart",
    [
        "kubeVersion: '1.27'\n",
        "annotations: {supported-helm-versions: '>=3.14'}\nkubeVersion: '>=1.27'\n",
    ],
)
def test_a_range_that_is_not_understood_is_an_error(
    chart: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what is expected."""
    monkeypatch.setattr(supported, "_CHART", tmp_path / "Chart.yaml")
    (tmp_path / "Chart.yaml").write_text(chart)
    with pytest.raises(ValueError, match=r"^helm/Chart\.yaml: supported-helm-versions is '.*'; must match "):
        supported.helm_versions()
    with pytest.raises(ValueError, match=r"^helm/Chart\.yaml: kubeVersion is '.*'; must match "):
        supported.oldest_kubernetes()


def fake_program(folder: Path, name: str, script: str) -> None:
    """Write a shell script that stands in for a program."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build into a folder of the test."""
    folder = tmp_path / "built"
    monkeypatch.setattr("tools.toolchain.__main__.BUILT", folder)
    monkeypatch.setattr("tools.toolchain.__main__.ROOT", tmp_path)
    return folder


GO = 'echo "$@" "cgo=$CGO_ENABLED" >"$GOBIN/helm"'


def test_a_published_program_is_installed_without_flags(built: Path, tmp_path: Path) -> None:
    """It is built once: the next call finds the pinned version's file."""
    fake_program(tmp_path, "go", GO)
    tool = HELMS[RELEASES[0].version]
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    found = find(tool, environ)
    assert found == built / f"helm@v{RELEASES[0].version}"
    assert found.read_text() == f"install {tool.module}@{tool.version} cgo=0\n"
    assert find(tool, {"PATH": ""}) == found
    assert {each.name for each in built.iterdir()} == {found.name, "build.lock"}


@pytest.mark.parametrize(("printed", "used"), [("v3.14.0", True), ("v3.13.0", False), ("v4.3", False)])
@pytest.mark.usefixtures("built")
def test_a_program_on_path_is_used_if_its_version_is_supported(printed: str, used: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a column
    """Otherwise the pinned one is built; a row of the matrix is never the program on PATH."""
    fake_program(tmp_path, "helm", f"echo {printed}")
    fake_program(tmp_path, "go", GO)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert (find(TOOLS["helm"], environ) == tmp_path / "helm") is used
    assert find(HELMS[RELEASES[0].version], environ) != tmp_path / "helm"


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        (TOOLS["helm"], r"^helm 3\.14\.0 or newer is needed: install it, or install Go 1\.26 or newer"),
        (TOOLS["vegeta"], r"^vegeta v12\.13\.0 is needed: install Go 1\.26 or newer"),
    ],
)
@pytest.mark.usefixtures("built")
def test_without_go_the_error_says_what_to_install(tool: Tool, message: str) -> None:
    """It mentions the program itself only if one on PATH would be used."""
    with pytest.raises(ToolError, match=message):
        find(tool, {"PATH": ""})


@pytest.mark.usefixtures("built")
def test_a_failed_build_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The error has the command; and nothing of the build is used later."""
    fake_program(tmp_path, "go", f"{GO}; exit 1")
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert main(["helms"], environ) == 1
    oldest = HELMS[RELEASES[0].version]
    assert f"helm {oldest.version} could not be built: {tmp_path}/go install {oldest.module}@" in capfd.readouterr().err
    assert not oldest.pinned.exists()
