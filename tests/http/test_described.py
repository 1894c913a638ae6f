"""/openapi.json compared with the running echo.

Requests are generated from the document, and their responses are compared with it.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.echo.formats.dialects.registry import DIALECTS
from app.echo.formats.renderers import media_types
from app.echo.openapi.document import METHODS
from app.echo.openapi.schema import reflection_schema
from app.http.response import EVENT_STREAM, JSON
from tests.http.process import DEADLINE, Echo, running

# Small limits keep the tests fast; aborts are disabled because they leave no response to compare.
SMALL = {"max_delay": 0.05, "max_size": 4096, "max_events": 1, "allow_abort": "off", "allow_cookie": "on"}
CONFORM = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
# Statuses that are not requested by number: 503 comes from `fail_first`.
UNASKED = {200, 204, 302, 400, 406, 503}
MAKING = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


REFLECTION = Draft202012Validator(reflection_schema())


Operation = schemathesis.APIOperation[Any, Any, Any, Any]
AnyCase = schemathesis.Case[Any]


class Described(NamedTuple):
    """A running echo and its OpenAPI document."""

    echo: Echo
    document: dict[str, Any]

    def operation(self, path: str, method: str) -> Operation:
        """Return one operation of the document."""
        operation: Operation = schemathesis.openapi.from_dict(self.document)[path][method]
        return operation

    def with_one(self, name: str) -> Operation:
        """Return GET with this control as its only one."""
        item = self.document["paths"]["/{path}"]
        wish = f"#/components/parameters/{name}"
        parameters = [each for each in item["parameters"] if each.get("$ref") in {None, wish}]
        paths = {"/{path}": {"parameters": parameters, "get": item["get"]}}
        operation: Operation = schemathesis.openapi.from_dict(self.document | {"paths": paths})["/{path}"]["GET"]
        return operation

    def answer(self, case: AnyCase, **fields: str) -> schemathesis.Response:
        """Send a request to the echo port; return the response, which conforms to the document."""
        answer = case.call(base_url=f"http://127.0.0.1:{self.echo.port}", headers=fields, timeout=DEADLINE)
        case.validate_response(answer, checks=CONFORM)
        return answer


@pytest.fixture(scope="module")
def described() -> Iterator[Described]:
    """Yield an echo and its document."""
    with running(**SMALL) as echo:
        yield Described(echo, json.loads(echo.get("/openapi.json", port=echo.admin_port)[1]))
        assert echo.process.poll() is None, "it has lived through all of it"


def asked(case: AnyCase) -> dict[str, Any]:
    """Return the controls of a request by their names."""
    by_field = {name.lower().removeprefix("x-echo-"): value for name, value in (case.headers or {}).items()}
    by_query = {name.removeprefix("echo_"): value for name, value in (case.query or {}).items()}
    return by_field | by_query


def check(case: AnyCase, answer: schemathesis.Response) -> None:
    """Compare a response with the request's controls, for details that the document has to leave open."""
    wishes = asked(case)
    form = str(wishes.get("format", "")).lower()
    if not ({"status", "code"} & wishes.keys() or form in DIALECTS):
        assert answer.status_code in UNASKED
        assert answer.status_code != 503 or "fail_first" in wishes
    if form in DIALECTS or not answer.content:
        return
    media_type = answer.headers["content-type"][0]
    if media_type == JSON:
        told = answer.json()
        assert {"applied", "id"} <= told.keys()
        assert (answer.status_code == 400 and told["applied"]["refused"]) if "error" in told else "received" in told
    elif media_type == EVENT_STREAM:
        number, kind, data, *end = answer.content.decode().split("\n")
        assert (number, kind, end) == ("id: 1", "event: reflection", ["", ""])
        REFLECTION.validate(json.loads(data.removeprefix("data: ")))


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("method", METHODS)
def test_whatever_is_asked_for_is_answered_as_the_document_says(
    described: Described, method: str, mode: GenerationMode
) -> None:
    """Every method of the document, with many controls at once, gets the response that the document describes.

    Most combinations contradict each other or are invalid. Status, media type, headers and content match the document;
    5xx occurs only if it was requested.
    """

    @settings(MAKING, max_examples=8)
    @given(described.operation("/{path}", method.upper()).as_strategy(generation_mode=mode))
    def ask(case: AnyCase) -> None:
        check(case, described.answer(case, Accept=JSON))

    ask()


def test_each_wish_alone_is_answered_as_the_document_says(described: Described) -> None:
    """Each control alone, in every format, gets the response that the document describes; most are applied."""
    forms = [name for name, _ in media_types() if name != EVENT_STREAM]  # events are slow, and have a test of their own
    seen: set[tuple[int, str]] = set()
    for name in described.document["components"]["parameters"]:

        @settings(MAKING, max_examples=8)
        @given(described.with_one(name).as_strategy(), st.sampled_from(forms))
        def ask(case: AnyCase, form: str) -> None:
            assume(asked(case).get("format") != "events")
            answer = described.answer(case, Accept=form)
            check(case, answer)
            seen.add((answer.status_code, answer.headers.get("content-type", [""])[0].partition(";")[0]))

        ask()
    assert {media_type for status, media_type in seen if status == 200} == {*forms}
    assert {200, 302, 400} < {status for status, _ in seen}


@pytest.mark.parametrize(("had", "status"), [("0", 200), ("1", 204)])
def test_events_are_answered_as_the_document_says(described: Described, had: str, status: int) -> None:
    """Each event has the reflection; a client that has received all events gets 204."""
    case = described.operation("/{path}", "GET").Case(path_parameters={"path": "a"})
    answer = described.answer(case, Accept=EVENT_STREAM, **{"Last-Event-ID": had})
    assert answer.status_code == status
    check(case, answer)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/version", "/openapi.json"])
def test_the_port_for_the_cluster_answers_as_the_document_says(described: Described, path: str) -> None:
    """The admin port serves each of its documented paths, and no others."""
    case = described.operation(path, "GET").Case()
    answer = case.call(base_url=f"http://127.0.0.1:{described.echo.admin_port}", timeout=DEADLINE)
    case.validate_response(answer, checks=CONFORM)
    assert answer.status_code == 200
    known = json.loads(described.echo.get("/", port=described.echo.admin_port)[1])["known"]
    assert known == [each for each in described.document["paths"] if each != "/{path}"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schemas", "Reflection", "properties", "id"), {"type": "integer"}),
        (("headers", "X-Content-Type-Options", "schema"), {"const": "sniff"}),
        (("responses", "Answer200", "content"), {"text/html": {}}),
        (("schemas", "Reflection", "required"), ["colour"]),
    ],
    ids=lambda each: ".".join(each) if isinstance(each, tuple) else "",
)
def test_a_document_that_says_otherwise_is_found_out(
    described: Described, place: tuple[str, ...], value: object
) -> None:
    """The checks above find errors in a document."""
    document = copy.deepcopy(described.document)
    *way, last = place
    part = document["components"]
    for name in way:
        part = part[name]
    part[last] = value
    lying = Described(described.echo, document)
    case = lying.operation("/{path}", "GET").Case(path_parameters={"path": "a"})
    with pytest.raises(FailureGroup):
        lying.answer(case, Accept=JSON)
