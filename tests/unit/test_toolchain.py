"""Which programs are fit for the tests."""

import re

import pytest

from tests.toolchain.__main__ import HERE, TOOLS, is_fit, version_of


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
def test_a_programs_version_is_found_in_what_it_prints(output: str, version: tuple[int, int, int] | None) -> None:
    """Each prints it in a sentence of its own."""
    assert version_of(output) == version


@pytest.mark.parametrize(
    ("name", "output", "fit"),
    [
        ("h2spec", "Version: 2.2.1", True),
        ("h2spec", "Version: 2.6.0", False),
        ("helm", "v3.18.0", False),
        ("helm", "v4.0.0", True),
        ("helm", "v5.0.0", False),
        ("helm3", "v3.17.9", False),
        ("helm3", "v3.18.0", True),
        ("helm3", "v4.0.0", False),
        ("kubeconform", "development", False),
        ("kubectl", "v1.35.9", False),
        ("kubectl", "v1.38.9", True),
        ("kind", "nonsense", False),
        ("promtool", "promtool, version 2.55.1 (branch: , revision: unknown)", False),
        ("promtool", "promtool, version 3.16.0 (branch: , revision: unknown)", True),
    ],
)
def test_only_versions_that_the_tests_were_made_for_are_fit(name: str, output: str, fit: bool) -> None:  # noqa: FBT001 - a column
    """An unfit one on PATH is passed over, and the pinned one built."""
    assert is_fit(TOOLS[name], output) is fit


@pytest.mark.parametrize("name", TOOLS)
def test_the_pinned_version_is_a_fit_one(name: str) -> None:
    """What is built here is what would be taken from PATH."""
    assert is_fit(TOOLS[name], TOOLS[name].version)


@pytest.mark.parametrize("name", [name for name, tool in TOOLS.items() if tool.within])
def test_a_module_of_several_programs_has_the_versions_that_are_pinned(name: str) -> None:
    """Which version is built is said by its go.mod, and it is the one that the program's file is named after."""
    tool = TOOLS[name]
    required = re.findall(r"^\t(\S+) (v\S+)", (HERE / tool.within / "go.mod").read_text(), re.MULTILINE)
    versions = {version for path, version in required if f"{tool.module}/".startswith(f"{path}/")}
    assert versions == {tool.version}


def test_programs_are_built_of_what_helm_is_built_of() -> None:
    """The module that they share names the Helm that is pinned: else Go would compile everything a second time."""
    helm = TOOLS["helm"]
    assert f"\thelm.sh/helm/v4 {helm.version} // indirect\n" in (HERE / "chart" / "go.mod").read_text()
