"""Documents agree with the code."""

import json
import re
from datetime import datetime

import msgspec
import pytest
from msgspec.structs import fields

from app import __version__
from app.config import downward_api
from app.config.formats import BARE, ECHO, EVENTS
from app.config.policy import Policy
from app.config.settings import Settings
from app.config.settings_table import rows
from app.echo.context import Context
from app.echo.controls.definitions import CONTROLS_BY_NAME, FORMAT_NAMES
from app.echo.formats.dialects.registry import DIALECTS
from app.echo.formats.renderers import RENDERERS, media_types
from app.echo.reflection.model import reflect
from app.http.body import BodyReader, parse_content_headers
from app.http.connection_info import Endpoint
from app.http.request import ConnectionInfo, HttpRequest
from tools.commands import ROOT
from tools.docs import documents

README = (ROOT / "README.md").read_text()


def test_the_readmes_tables_are_those_that_the_code_runs_by() -> None:
    """`python -m tools.docs.documents` changes nothing, and would correct a wrong table."""
    assert documents.written(README) == README
    assert documents.written(README.replace("| `ECHO_PORT` | `8080` |", "| `ECHO_PORT` | `80` |")) == README
    assert documents.written(re.sub(r"\| `delay` .*\n", "", README)) == README


@pytest.mark.parametrize("name", documents.TABLES)
def test_a_table_without_its_place_is_told(name: str) -> None:
    """No table is missing without an error, and none is written twice."""
    for text in (README.replace(f"<!-- end of {name} -->", ""), README + README):
        with pytest.raises(ValueError, match="has not one place"):
            documents.written(text)


def test_each_form_of_the_answer_is_described() -> None:
    """Every format that can be requested is described, and each is in a table of the README."""
    assert set(documents.FORMS) == {*RENDERERS, EVENTS} == {*FORMAT_NAMES} - {ECHO}
    assert {name for _, name in media_types()} | {*DIALECTS} == set(documents.FORMS) - {BARE}


def test_the_readmes_example_is_what_is_answered() -> None:
    """The members agree, except for those that differ each time."""
    example = json.loads(README.split("-d hello 'http://127.0.0.1:8080/a%2Fb?c=d'\n")[1].split("\n\n")[0])
    wire = tuple((name.encode(), value.encode()) for name, value in example["received"])
    meter = BodyReader(parse_content_headers(wire))
    meter.add_piece(b"hello")
    request = HttpRequest(b"POST", b"/a%2Fb?c=d", "HTTP/1.1", wire, meter.finish(chunked=False))
    connection = ConnectionInfo(Endpoint("127.0.0.1", example["client"]["port"]), Endpoint("127.0.0.1", 8080))
    now = datetime.fromisoformat(example["time"]).timestamp()
    answered = reflect(Context(request, connection, Policy(downward_api.read_pod_info({})), example["id"], now))
    assert list(example) == list(msgspec.to_builtins(answered))
    assert json.loads(msgspec.json.encode(answered)) == example


def test_what_the_readme_asks_for_can_be_asked_for() -> None:
    """Each control and setting in it exists, except for the one that shows the effect of a wrong name."""
    controls = {name.replace("-", "_") for name in re.findall(r"\becho[_-]([a-z-_]+)=", README)}
    assert controls
    assert controls <= set(CONTROLS_BY_NAME)
    named = set(re.findall(r"\bECHO_[A-Z0-9_]+\b", README))
    assert named == {variable for variable, _, _ in rows()} | {"ECHO_PROT"}


def test_what_the_readme_links_to_is_there() -> None:
    """Links to files of this repository resolve."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_has_each_setting_with_its_default_and_meaning() -> None:
    """There is a row for each setting, and no other."""
    table = re.findall(r"^\| `(ECHO_\w+)` \| `(.+)` \| (.+) \|$", README, re.MULTILINE)
    assert table == rows()
    assert len(table) == len(fields(Settings))


@pytest.mark.parametrize("file", ["README.md", "CHANGELOG.md"])
def test_the_version_in_the_documents_is_the_codes(file: str) -> None:
    """An image tag that is copied from the documents exists."""
    named = set(re.findall(r"(?:\becho:|^## )(\d+\.\d+\.\d+)", (ROOT / file).read_text(), re.MULTILINE))
    assert __version__ in named
    if file == "README.md":
        assert named == {__version__}


def test_every_target_of_the_makefile_that_the_readme_names_is_there() -> None:
    """Each make target in the README exists."""
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^    |[A-Z]+=\w+ )make ([a-z0-9-]+)", README, re.MULTILINE))
    assert named
    assert named <= targets


def test_all_that_the_service_needs_is_in_the_lock_files_of_the_tests_too() -> None:
    """The versions are the same: what is tested is what runs."""
    pinned = {
        name: set(re.findall(r"^([a-z0-9-]+)==([^ ]+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.txt", "requirements/dev.txt")
    }
    assert pinned["requirements.txt"]
    assert pinned["requirements.txt"] <= pinned["requirements/dev.txt"]
