"""The documents say what the code says."""

import re

import pytest
from msgspec.structs import fields

from app import __version__
from app.settings import Settings, rows
from tests.commands import ROOT

README = (ROOT / "README.md").read_text()


def test_the_readme_has_each_setting_with_its_default_and_meaning() -> None:
    """Row by row, and no other."""
    table = re.findall(r"^\| `(ECHO_\w+)` \| `(.+)` \| (.+) \|$", README, re.MULTILINE)
    assert table == rows()
    assert len(table) == len(fields(Settings))


@pytest.mark.parametrize("file", ["README.md", "CHANGELOG.md"])
def test_the_version_in_the_documents_is_the_codes(file: str) -> None:
    """An image's tag that is typed from them is there."""
    named = set(re.findall(r"(?:(?<!ex02-)echoserver:|^## )(\d+\.\d+\.\d+)", (ROOT / file).read_text(), re.MULTILINE))
    assert __version__ in named
    if file == "README.md":
        assert named == {__version__}


def test_every_target_of_the_makefile_that_the_readme_names_is_there() -> None:
    """Nobody types one in vain."""
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    |[A-Z]+=\w+ )make ([a-z0-9-]+)", README, re.MULTILINE))
    assert named
    assert named <= targets


def test_all_that_the_service_needs_is_in_the_lock_files_of_the_tests_too() -> None:
    """In the same versions: what is tested is what runs."""
    pinned = {
        name: set(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    }
    assert pinned["requirements.txt"]
    assert pinned["requirements.txt"] <= pinned["requirements-dev.txt"]
