"""The OpenAPI document, compared with the code that it describes."""

import json
import re
import sys
import time
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.config.settings import Settings
from app.echo.controls.definitions import CONTROLS, CONTROLS_BY_NAME, Control
from app.echo.controls.parse import HEADER_PREFIX, PARAMETER_PREFIXES
from app.echo.controls.values import InvalidValueError
from app.echo.formats.renderers import media_types
from app.echo.openapi.document import METHODS, document
from app.echo.openapi.parameters import parameters
from app.http.compress import COMPRESSORS
from app.http.headers.request_id import valid_or_empty
from app.telemetry.exposition import MEDIA_TYPES
from tools.commands import run

EVERYTHING = Settings(allow_cookie="on")
DOCUMENT = document(EVERYTHING)
# Reasons why a well-formed value may be rejected all the same.
BEYOND = {
    "delay": "too long|invalid range: its end is below its start",
    "time": "too long|invalid range: its end is below its start",
    "drip": "too long",
    "size": "too large",
    "status": r"all weights are 0|invalid weight: must be a number from 0 to 1000000",
    "header": ".* is (the connection's own|never set because somebody asks for it)",
}


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        EVERYTHING,
        Settings(controls="off"),
        Settings(allow_redirect="any", host="::1", tls_cert="c", tls_key="k", dialect="whoami"),
    ],
    ids=["default", "everything", "no controls", "otherwise"],
)
def test_the_document_is_one(settings: Settings) -> None:
    """The document is valid OpenAPI 3.1, with examples and defaults, for any settings, and it is JSON."""
    described = document(settings)
    OpenAPIV31SpecValidator(described).validate()
    assert json.loads(json.dumps(described)) == described


def test_the_media_types_of_the_metrics_are_documented() -> None:
    """The media types passed in are those of `/metrics`."""
    metrics = document(EVERYTHING, MEDIA_TYPES)["paths"]["/metrics"]["get"]["responses"]["200"]
    assert tuple(metrics["content"]) == MEDIA_TYPES


def test_the_document_costs_the_start_next_to_nothing() -> None:
    """Building the document takes less than 20 ms in a new process, and loads no library that the service lacks."""
    run(sys.executable, "-c", "import app.echo.openapi.document, sys; sys.exit('jsonschema' in sys.modules)")
    begun = time.process_time()
    document(Settings())
    assert time.process_time() - begun < 0.02


def names(described: dict[str, Any], place: str) -> list[str]:
    """Return the names of the echo's parameters in this place."""
    found = described["components"]["parameters"].values()
    return [parameter["name"] for parameter in found if parameter["in"] == place]


def test_each_control_is_a_parameter_and_a_field() -> None:
    """Each control is a parameter and a header, by each of its names, with its limit and its example."""
    assert names(DOCUMENT, "query") == [PARAMETER_PREFIXES[0] + name for name in CONTROLS_BY_NAME]
    by_field = [f"{HEADER_PREFIX.decode()}{name.replace('_', '-')}".title() for name in CONTROLS_BY_NAME]
    assert names(DOCUMENT, "header") == [*by_field, "X-Request-Id", "Last-Event-ID"]
    item = DOCUMENT["paths"]["/{path}"]
    referred = [each["$ref"].rpartition("/")[2] for each in item["parameters"] if "$ref" in each]
    assert referred == list(DOCUMENT["components"]["parameters"])
    for name, control in CONTROLS_BY_NAME.items():
        told = DOCUMENT["components"]["parameters"][PARAMETER_PREFIXES[0] + name]
        assert control.describe_limit(EVERYTHING) in told["description"]
        assert told["example"] == ([control.example] if control.repeatable else control.example)


@pytest.mark.parametrize(
    ("settings", "absent"),
    [
        (Settings(), ["echo_cookie"]),
        (Settings(allow_delay="off", allow_cookie="on"), ["echo_delay", "echo_time"]),
        (
            Settings(controls="off"),
            [PARAMETER_PREFIXES[0] + name for name, each in CONTROLS_BY_NAME.items() if each.permission],
        ),
    ],
    ids=["default", "no delay", "no controls"],
)
def test_what_may_not_be_asked_for_is_no_parameter(settings: Settings, absent: list[str]) -> None:
    """A disabled control is neither a query parameter nor a header."""
    described = document(settings)
    assert names(described, "query") == [name for name in names(DOCUMENT, "query") if name not in absent]
    assert len(names(described, "header")) == len(names(DOCUMENT, "header")) - len(absent)


def test_the_bounds_are_those_of_the_settings() -> None:
    """Limits are those of the settings, in the description, and in the schema if they are numbers."""
    told = parameters(Settings(max_delay=1.5, max_size=77, max_events=3))
    assert "at most 1.5s" in told["echo_delay"]["description"]
    assert "at most 77 bytes" in told["echo_size"]["description"]
    assert told["X-Echo-Count"]["schema"]["maximum"] == 3


def form(control: Control) -> dict[str, Any]:
    """Return the schema of one value of a control."""
    given: dict[str, Any] = parameters(EVERYTHING)[PARAMETER_PREFIXES[0] + control.name]["schema"]
    return given["items"] if control.repeatable else given


def refusal(control: Control, value: str) -> str:
    """Return why a value is rejected, or an empty string."""
    try:
        control.parse_value(value.encode(), EVERYTHING)
    except InvalidValueError as error:
        return str(error)
    return ""


def values(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """Return values that a schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "integer":
        return st.integers(schema["minimum"], schema["maximum"]).map(str)
    if "pattern" in schema:
        return st.from_regex(schema["pattern"][1:-1], fullmatch=True)  # without its anchors
    ascii_text = st.text(st.characters(max_codepoint=127), min_size=schema.get("minLength", 0))
    return ascii_text.filter(lambda text: len(text) <= schema.get("maxLength", len(text)))


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
@hypothesis.settings(max_examples=25)
@given(data=st.data())
def test_what_a_schema_allows_is_taken_or_beyond_a_bound_that_is_told(control: Control, data: st.DataObject) -> None:
    """A value that matches the schema is accepted, or exceeds a documented limit."""
    value = data.draw(values(form(control)))
    why = refusal(control, value)
    assert not why or re.fullmatch(BEYOND.get(control.name, ""), why), value


# Besides valid values, what people may take for one.
NEARLY = st.one_of(
    st.sampled_from(
        [*(control.example for control in CONTROLS), *COMPRESSORS, "", "0", "1001", "1e3", "-1", "200:1:1"]
    ),
    st.sampled_from(["1h", "1.5kb", "10 MiB", "a b:c", "a_b:c", "a:\n", "a=b;c", "//a", "/\\a", "http://a", "..", "?"]),
    st.text("0123456789.:,-smkKMGiBbu/?#=aAé\\", max_size=12),
)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
@hypothesis.settings(max_examples=25)
@given(data=st.data())
def test_what_is_taken_is_what_a_schema_allows(control: Control, data: st.DataObject) -> None:
    """An accepted value matches the schema, except for upper case that has no meaning and leading zeros."""
    schema = form(control)
    value = data.draw(NEARLY | values(schema))
    if not refusal(control, value):
        instance = value.lower() if "enum" in schema else int(value) if schema["type"] == "integer" else value
        assert Draft202012Validator(schema).is_valid(instance), value


@pytest.mark.parametrize(("name", "too_much"), [("fail_first", "1001"), ("count", "601"), ("seed", "s" * 65)])
def test_the_bounds_of_a_schema_are_the_readers(name: str, too_much: str) -> None:
    """Limits of the schema are those of the parser: one more is rejected, and so is an empty or zero value."""
    schema = form(CONTROLS_BY_NAME[name])
    most = schema.get("maximum", "s" * schema.get("maxLength", 0))
    assert not refusal(CONTROLS_BY_NAME[name], str(most))
    assert refusal(CONTROLS_BY_NAME[name], too_much)
    assert refusal(CONTROLS_BY_NAME[name], "0" if "maximum" in schema else "")


@given(st.from_regex(DOCUMENT["components"]["parameters"]["X-Request-Id"]["schema"]["pattern"][1:-1], fullmatch=True))
def test_a_request_id_of_the_form_that_is_told_is_taken_over(given_id: str) -> None:
    """A request ID that matches the schema is used unchanged."""
    assert valid_or_empty(given_id) == given_id
    assert not valid_or_empty(given_id + "\n")
    assert not valid_or_empty(given_id * 129)


def test_each_form_of_the_answer_is_a_content_of_every_method() -> None:
    """Each method documents each response format; only HEAD and 204 have no content."""
    item = DOCUMENT["paths"]["/{path}"]
    assert set(METHODS) == item.keys() - {"parameters"}
    for method in METHODS:
        for status, response in item[method]["responses"].items():
            name = response.get("$ref", "").rpartition("/")[2]
            told = DOCUMENT["components"]["responses"][name] if name else response
            contents = {media_type for media_type, _ in media_types()}
            assert set(told.get("content", {})) == (set() if method == "head" or status == "204" else contents)
            assert {"X-Request-Id", "X-Content-Type-Options", "Cache-Control"} <= told["headers"].keys()


def test_each_port_is_a_server_as_it_is_set() -> None:
    """Each port is a server with its settings, and the admin paths are only on theirs."""
    described = document(Settings(host="*", port=80, admin_port=81, tls_cert="c", tls_key="k"))
    (echo,), (cluster,) = described["servers"], described["paths"]["/livez"]["servers"]
    assert [each["variables"]["port"]["default"] for each in (echo, cluster)] == ["80", "81"]
    assert [each["variables"]["host"]["default"] for each in (echo, cluster)] == ["127.0.0.1"] * 2
    assert [each["variables"]["scheme"]["enum"] for each in (echo, cluster)] == [["http", "https"], ["http"]]
    only = document(Settings(host="::1", tls_cert="c", tls_key="k", tls_only="on"))["servers"][0]["variables"]
    assert (only["scheme"]["enum"], only["host"]["default"]) == (["https"], "[::1]")
