"""The oldest supported Helm renders the same as the default one.

The default one runs all other tests. `make test-chart` compares more releases (tests/compatibility).
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.chart.rendering import Manifest
from tests.compatibility.rendering import UNKNOWN_KEY, chart_sentences, objects, program, rejection
from tools.lint.rendered import value_sets
from tools.toolchain.__main__ import GROUPS, TOOLS

(OLDEST,) = GROUPS["helm-oldest"]
CONTRADICTION = ("--set", "httpRoute.enabled=true")


@pytest.fixture(scope="module")
def helms() -> tuple[Path, Path]:
    """Return the oldest supported Helm, and the one on PATH or the newest."""
    return program(OLDEST), program(TOOLS["helm"])


def test_no_helm_is_compared_with_itself(helms: tuple[Path, Path]) -> None:
    """The oldest is always built, so that the other one is a second program, and each reports its version."""
    oldest, usual = helms
    assert oldest.resolve() != usual.resolve()
    reported = [
        subprocess.run([helm, "version", "--short"], capture_output=True, text=True, check=True).stdout
        for helm in helms
    ]
    major, minor, _ = OLDEST.version.split(".")
    assert re.match(rf"{major}\.{minor}\b", reported[0])
    assert re.match(r"v[34]\.", reported[1])


@pytest.mark.parametrize("flags", value_sets().values(), ids=value_sets())
def test_both_render_the_same_objects(helms: tuple[Path, Path], flags: list[str]) -> None:
    """With each set of values, the objects are the same, in the same order; the YAML text may differ."""
    by_oldest, by_usual = (objects(helm, *flags) for helm in helms)
    assert by_oldest == by_usual
    assert "Deployment" in kinds(by_oldest)


def kinds(rendered: list[Manifest]) -> set[str]:
    """Return the kinds of objects."""
    return {each["kind"] for each in rendered}


def test_both_reject_an_unknown_key_by_name(helms: tuple[Path, Path]) -> None:
    """Both validate the values by the schema."""
    for helm in helms:
        assert UNKNOWN_KEY.search(rejection(helm, "--set", "replicas=3"))


def test_both_reject_a_contradiction_with_the_sentence_of_the_chart(helms: tuple[Path, Path]) -> None:
    """Both print the message with which the template fails."""
    by_oldest, by_usual = (chart_sentences(rejection(helm, *CONTRADICTION)) for helm in helms)
    assert by_oldest == by_usual
    assert [sentence for sentence in by_oldest if sentence.startswith("httpRoute.enabled=true ")]
