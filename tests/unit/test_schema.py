"""The JSON Schema of the reflection, against random requests."""

import copy
import gzip
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from msgspec.structs import fields

from app.config import downward_api
from app.config.policy import Policy
from app.config.settings import Settings
from app.echo.context import Context
from app.echo.controls import parse
from app.echo.openapi.field_docs import FIELD_DESCRIPTIONS
from app.echo.openapi.schema import reflection_schema, schema_of
from app.echo.reflection.model import Reflection, reflect
from app.http.body import Body, BodyReader, parse_content_headers
from app.http.connection_info import Endpoint, ProxyProtocol, RawTlv, SslTlv, Tlvs, UnixEndpoint
from app.http.networks import parse_networks
from app.http.request import ConnectionInfo, HeaderList, HttpRequest
from app.http.tls_info import Certificate, TlsInfo
from tests.requests import requests

SCHEMA = reflection_schema()
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
CLIENT, SERVER = Endpoint("192.0.2.1", 1234), Endpoint("2001:db8::1", 8080)
CERTIFICATE = Certificate((("commonName", "a"),), (), (("DNS", "a.test"),), "", "", "1f", "0" * 64)
TOKEN = b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."
IN_A_POD = downward_api.read_pod_info(
    {"POD_NAME": "echo-1", "NAMESPACE": "test", "IMAGE": "echo:1", "POD_LABELS": "app=echo"}
)

# Headers that have a meaning for the echo, well-formed or not.
TELLING: list[tuple[bytes, bytes]] = [
    (b"Accept", b"application/json"),
    (b"Authorization", TOKEN),
    (b"Authorization", b"Basic YTpi"),
    (b"Authorization", b"Basic %"),
    (b"Content-Encoding", b"gzip"),
    (b"Content-Encoding", b"lzma"),
    (b"Content-Type", b"application/json"),
    (b"Content-Type", b"application/x-www-form-urlencoded"),
    (b"Content-Type", b"multipart/form-data; boundary=b"),
    (b"Content-Type", b"multipart/mixed"),
    (b"Cookie", b"a=b; c; =d"),
    (b"Forwarded", b'for="[2001:db8::1]:80";proto=https, for=_hidden'),
    (b"Forwarded", b'for="'),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"traceparent", b"00"),
    (b"X-Echo-Status", b"500:1,200:9"),
    (b"X-Echo-Nothing", b"\xff"),
    (b"X-Forwarded-For", b"192.0.2.7, unknown, 10.0.0.1:8080"),
    (b"X-Real-IP", b"192.0.2.8"),
]
BODIES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"",
            b'{"a": [1, null, 1e400]}',
            b'{"length": [{}]}',
            b"a=b&c=%ff&d",
            gzip.compress(b"a=b"),
            gzip.compress(b"[1]") + b"junk",
            b'--b\r\nContent-Disposition: form-data; name="a"; filename="\xff"\r\n\r\nx\r\n--b--\r\n',
            b"\xff" * 70_000,
            b"a" * 70_000,
        ]
    ),
)
ENDS = st.sampled_from(
    [
        ConnectionInfo(CLIENT, SERVER),
        ConnectionInfo(CLIENT, SERVER, TlsInfo("TLSv1.3", "", "TLS_AES_128_GCM_SHA256")),
        ConnectionInfo(CLIENT, SERVER, TlsInfo("TLSv1.2", "a.test", "X", "h2", ("PEM",), CERTIFICATE)),
        ConnectionInfo(CLIENT, SERVER, proxy=ProxyProtocol(2, "LOCAL")),
        ConnectionInfo(
            CLIENT,
            SERVER,
            proxy=ProxyProtocol(
                2,
                "PROXY",
                "UNIX_STREAM",
                UnixEndpoint("/a"),
                CLIENT,
                Tlvs(alpn="h2", ssl=SslTlv(("SSL",), 0, cn="a"), azure_link_id=7, others=(RawTlv("0xE1", "AA=="),)),
            ),
        ),
    ]
)


def measured(body: bytes, wire: HeaderList) -> Body:
    """Measure a body with these headers, as the server does."""
    meter = BodyReader(parse_content_headers(wire), 1 << 20)
    meter.add_piece(body)
    while meter.has_work:
        meter.step()
    return meter.finish(chunked=True)


@st.composite
def contexts(draw: st.DrawFn) -> Context:
    """Return a random request on a random connection to an echo with random settings."""
    _, (method, target, plain, _, trailers) = draw(requests())
    wire: HeaderList = (*plain, *draw(st.lists(st.sampled_from(TELLING), max_size=8)))  # type: ignore[misc]
    if draw(st.booleans()):
        target = draw(st.sampled_from([b"/?echo_delay=1ms-5ms&echo_time=1", b"/?echo_size=9&echo_body=", b"/?echo_a="]))
    body = measured(draw(BODIES), wire)
    pseudo = draw(st.sampled_from([(), ((b":method", b"GET"), (b":authority", b"a\xff"))]))
    request = HttpRequest(method, target, "HTTP/1.1", wire, body, trailers, b"", pseudo, b"a\xff")  # type: ignore[arg-type]
    where = draw(st.sampled_from([downward_api.read_pod_info({}), IN_A_POD]))
    policy = Policy(
        where, 8080, parse_networks(draw(st.sampled_from(["192.0.2.0/24", "::/0"]))), frozenset(["authorization"])
    )
    asked = parse.parse_controls(request, Settings())
    return Context(request, draw(ENDS), policy, "an-id", draw(st.floats(0, 4e9)), asked.report)


def shown(context: Context) -> Any:
    """Return a reflection as a client parses it."""
    return msgspec.json.decode(msgspec.json.encode(reflect(context)))


def test_the_schema_is_one() -> None:
    """The schema is valid by the metaschema of its dialect."""
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@given(contexts())
def test_every_reflection_is_as_the_schema_says(context: Context) -> None:
    """Every reflection matches the schema, for any request on any connection."""
    VALIDATOR.validate(shown(context))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a value as its container and key."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


# Values without a fixed schema: JSON as it was sent, and objects with arbitrary names.
ANYTHING = {"json", "claims", "header", "done"}


@given(contexts(), st.data())
def test_what_no_request_would_give_is_not_as_the_schema_says(context: Context, data: st.DataObject) -> None:
    """A missing field, an unknown field, or a value of another type does not match the schema."""
    good = shown(context)
    for name in ANYTHING:
        good["body"].pop(name, None)
    good.pop("credentials", None)
    changed = copy.deepcopy(good)
    container, key = data.draw(st.sampled_from(list(places(changed))))
    how = data.draw(st.sampled_from(["wrong", "unknown", "missing"]))
    if how == "wrong":
        container[key] = 1.5
    elif how == "unknown":
        changed[data.draw(st.sampled_from(["body", "client", "server", "kubernetes", "applied"]))]["unknown"] = "x"
    else:
        del changed[data.draw(st.sampled_from([name for name in good if name not in {"tls", "pseudo", "trace"}]))]
    assert not VALIDATOR.is_valid(changed)
    VALIDATOR.validate(good)


@pytest.mark.parametrize(
    ("name", "value"),
    [("time", "yesterday"), ("time", "2026-01-01"), ("id", None), ("headers", {"A": "b"}), ("query", [["a"]])],
)
def test_a_value_of_another_form_is_not_as_the_schema_says(name: str, value: object) -> None:
    """Formats are validated, not only types."""
    request = HttpRequest(b"GET", b"/", "HTTP/1.1", ())
    good = shown(Context(request, ConnectionInfo(CLIENT, SERVER), Policy(downward_api.read_pod_info({})), "an-id", 0.0))
    VALIDATOR.validate(good)
    assert not VALIDATOR.is_valid(good | {name: value})
    assert not VALIDATOR.is_valid(good | {"server": {"address": "a", "port": 65_536}})


def test_each_field_of_the_reflection_has_its_meaning() -> None:
    """Each field of the reflection has a meaning, in the schema and, from the same table, in the README.

    There is no meaning without a field.
    """
    assert list(FIELD_DESCRIPTIONS[Reflection]) == [field.encode_name for field in fields(Reflection)]
    for struct, meanings in FIELD_DESCRIPTIONS.items():
        assert set(meanings) <= {field.encode_name for field in fields(struct)}, struct
        assert struct.__name__ in SCHEMA["$defs"], "a reflection holds it"
    described = SCHEMA["$defs"]["Reflection"]["properties"]
    assert {name: each["description"] for name, each in described.items()} == FIELD_DESCRIPTIONS[Reflection]


def test_a_meaning_names_only_fields_that_are_there() -> None:
    """Words in backticks are field names, settings, or something that a client or an operator writes."""
    names = {name for struct in SCHEMA["$defs"].values() for name in struct["properties"]}
    others = {"null", "_", "***"}
    for meanings in FIELD_DESCRIPTIONS.values():
        for word in re.findall(r"`([^`]+)`", " ".join(meanings.values())):
            assert word in names | others or re.search(r"[A-Z*:/]", word), word


def test_a_type_that_no_answer_is_made_of_has_no_schema() -> None:
    """A type without a schema raises an error, so that whoever adds one notices at once."""
    with pytest.raises(TypeError, match="bytes"):
        schema_of(dict[str, bytes], "#/", {})
