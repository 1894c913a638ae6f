"""The published chart: its metadata, and its archive."""

import re
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from app import __version__
from tests.chart.rendering import CHART, chart, template
from tools.chart import packaging

ABOUT = yaml.safe_load((CHART / "Chart.yaml").read_text())
ANNOTATIONS = ABOUT["annotations"]
TIME = 1_790_000_000
SOURCE = "echo/README.md.gotmpl"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive, made as `make chart` makes it."""
    return packaging.package(tmp_path_factory.mktemp("chart"), TIME)


def test_the_archive_is_the_same_bytes_at_another_time(archive: Path, tmp_path: Path) -> None:
    """It does not depend on the time of packaging or of the checkout."""
    copied = shutil.copytree(CHART, tmp_path / "checked-out", copy_function=shutil.copyfile)
    again = packaging.package(tmp_path, TIME, copied)
    assert again.name == archive.name == f"echo-{__version__}.tgz"
    assert again.read_bytes() == archive.read_bytes()


def test_the_archive_holds_every_file_of_the_chart(archive: Path) -> None:
    """The source of its README is excluded; each file has the same time and no owner."""
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
    files = {f"echo/{file.relative_to(CHART)}" for file in CHART.rglob("*") if file.is_file()} - {SOURCE}
    assert sorted(member.name for member in members) == sorted(files)
    assert {(member.mtime, member.uid, member.uname, member.mode) for member in members} == {(TIME, 0, "", 0o644)}


def test_the_archive_renders_as_the_folder_does(archive: Path) -> None:
    """The published chart is the one that is tested here."""
    assert template(chart=archive) == template()


def test_the_image_that_is_named_is_the_one_that_runs() -> None:
    """Artifact Hub shows, and scans, the image in the metadata."""
    (image,) = yaml.safe_load(ANNOTATIONS["artifacthub.io/images"])
    (container,) = chart().one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert image == {"name": container["name"], "image": container["image"]}


def test_category_and_licence_are_words_that_artifact_hub_knows() -> None:
    """https://artifacthub.io/docs/topics/annotations/helm/."""
    assert ANNOTATIONS["artifacthub.io/category"] == "networking"
    assert ANNOTATIONS["artifacthub.io/license"] == "Apache-2.0"
    assert "Apache License" in (CHART.parent / "LICENSE").read_text()


def test_the_changes_are_told_by_their_kind() -> None:
    """They are sentences without a full stop, as in a list."""
    changes = yaml.safe_load(ANNOTATIONS["artifacthub.io/changes"])
    assert changes
    for each in changes:
        assert set(each) == {"kind", "description"}
        assert each["kind"] in {"added", "changed", "deprecated", "removed", "fixed", "security"}
        assert re.fullmatch(r"[A-Z].*[^.]", each["description"])


def test_it_says_which_kubernetes_it_needs() -> None:
    """It has a suffix, so that the versions of cloud providers are included."""
    assert ABOUT["kubeVersion"] == ">=1.27.0-0"


def test_it_says_where_it_comes_from_and_who_maintains_it() -> None:
    """Artifact Hub shows home, sources, maintainers and links: those of the image. There is no icon to serve."""
    labels = (CHART.parent / "Dockerfile").read_text()
    assert f'org.opencontainers.image.source="{ABOUT["home"]}"' in labels
    assert ABOUT["sources"] == [ABOUT["home"]]
    assert [each["name"] for each in ABOUT["maintainers"]] == re.findall(r'LABEL author="(.+?)"', labels)
    assert [each["url"] for each in yaml.safe_load(ANNOTATIONS["artifacthub.io/links"])] == ABOUT["sources"]
    assert "icon" not in ABOUT
