"""Which programs are fit for the tests."""

import pytest

from tests.toolchain.__main__ import TOOLS, is_fit, version_of


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
        ("helm", "v3.17.9", False),
        ("helm", "v3.18.0", True),
        ("helm", "v5.0.0", False),
        ("kubectl", "v1.35.9", False),
        ("kubectl", "v1.38.9", True),
        ("kind", "nonsense", False),
    ],
)
def test_only_versions_that_the_tests_were_made_for_are_fit(name: str, output: str, fit: bool) -> None:  # noqa: FBT001 - a column
    """An unfit one on PATH is passed over, and the pinned one built."""
    assert is_fit(TOOLS[name], output) is fit


@pytest.mark.parametrize("name", TOOLS)
def test_the_pinned_version_is_a_fit_one(name: str) -> None:
    """What is built here is what would be taken from PATH."""
    assert is_fit(TOOLS[name], TOOLS[name].version)
