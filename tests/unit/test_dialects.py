"""Dialects of other echo servers: limits, hostile requests, pod facts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from app.config import downward_api
from app.config.policy import DialectLimits, Policy
from app.echo.context import Context
from app.echo.formats.dialects.go_http import hostname
from app.echo.formats.dialects.registry import DIALECTS
from app.http.body import BODY_PREFIX_SIZE, Body, BodyReader
from app.http.connection_info import Endpoint
from app.http.request import ConnectionInfo, HeaderList, HttpRequest
from app.http.response import RenderedResponse
from app.http.tls_info import Certificate, TlsInfo
from tests.requests import FIELDS, TARGET, TOKEN

TCP = ConnectionInfo(client=Endpoint("192.0.2.1", 1234), server=Endpoint("192.0.2.2", 8080))
NOWHERE = downward_api.read_pod_info({})
POD = downward_api.read_pod_info({"POD_NAME": "echo-1", "NAMESPACE": "test", "NODE_NAME": "n1", "POD_IP": "192.0.2.9"})
LIMITS = DialectLimits(max_delay=2.5, max_size=1000)
NOTHING_ALLOWED = DialectLimits(allowed_controls=frozenset())
# Paths that apply a control of each dialect.
WISHES = {
    "gateway-api": [b"/?delay=1s", b"/status/200"],
    "whoami": [b"/?wait=1s", b"/data"],
}
EACH_WISH = [(dialect, target) for dialect, targets in WISHES.items() for target in targets]


def body_of(content: bytes, *, chunked: bool = False) -> Body:
    """Return a body with this content."""
    meter = BodyReader()
    for start in range(0, len(content), BODY_PREFIX_SIZE):
        meter.add_piece(content[start : start + BODY_PREFIX_SIZE])
    return meter.finish(chunked=chunked)


def request(
    target: bytes = b"/", fields: HeaderList = (), content: bytes = b"", *, method: bytes = b"GET", **more: Any
) -> HttpRequest:
    """Return a request."""
    return HttpRequest(method, target, "HTTP/1.1", fields, body_of(content), **more)


def answer(
    dialect: str,
    asking: HttpRequest,
    who: downward_api.PodInfo = NOWHERE,
    connection: ConnectionInfo = TCP,
    **context: Any,
) -> RenderedResponse:
    """Return the response of a dialect to a request."""
    policy = Policy(who, dialect_limits=context.pop("limits", LIMITS))
    given: dict[str, Any] = {"id": "id", "now": 0.5} | context
    return DIALECTS[dialect](Context(asking, connection, policy, **given))


def content(answer: RenderedResponse) -> bytes:
    """Return the whole content of a response."""
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body.pieces)


def read(answer: RenderedResponse) -> dict[str, Any]:
    """Parse the JSON of a response."""
    shown: dict[str, Any] = json.loads(content(answer))
    return shown


# Controls


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
def test_every_request_is_answered(dialect: str, data: st.DataObject) -> None:
    """Any request gets a response: no 5xx, no HTML, and no header chosen by the client."""
    places = st.sampled_from([f"/{name}" for name in ("", "api", "bench", "health", "status/x", "status/404", "data")])
    target = data.draw(st.one_of(TARGET, places.map(str.encode)))
    types = st.sampled_from([b"application/json", b"text/plain", b"", b"\xff"])
    form = b"application/x-www-form-urlencoded"
    fields = (*data.draw(FIELDS), (b"content-type", data.draw(st.one_of(types, st.just(form)))))
    asking = request(target, fields, data.draw(st.binary(max_size=60)), method=data.draw(TOKEN))
    given = answer(dialect, asking, POD)
    assert given.content_type.split(";")[0] in {"application/json", "text/plain"}
    assert 200 <= given.status < 500
    assert 0 <= given.delay <= LIMITS.max_delay
    assert {name for name, _ in given.headers} <= {"Allow", "Content-Disposition"}
    if given.content_type.startswith("application/json"):
        assert read(given)


@pytest.mark.parametrize(("dialect", "target"), [("gateway-api", b"/?delay=%s"), ("whoami", b"/?wait=%s")])
def test_a_delay_is_bounded(dialect: str, target: bytes) -> None:
    """A delay may be as long as ECHO_MAX_DELAY; a longer one is rejected at once, with the limit."""
    assert answer(dialect, request(target % b"2500ms")).delay == 2.5
    for too_long in (b"2501ms", b"2562047h"):
        refused = answer(dialect, request(target % too_long))
        assert (refused.status, refused.delay) == (400, 0.0)
        assert b"longer than 2.5s" in content(refused)


@pytest.mark.parametrize(("dialect", "target"), EACH_WISH)
def test_what_the_operator_does_not_allow_is_not_done(dialect: str, target: bytes) -> None:
    """A control that the operator disabled is rejected, and the response names the setting."""
    assert answer(dialect, request(target)).status < 400
    refused = answer(dialect, request(target), limits=NOTHING_ALLOWED)
    assert (refused.status, refused.delay) == (400, 0.0)
    assert b"disabled (ECHO_ALLOW_" in content(refused)


# The Gateway API's


def test_fields_may_be_asked_for_again_and_again() -> None:
    """Values of the same response header are joined, and a name's case is kept; values without a name are ignored."""
    fields = ((b"X-Echo-Set-Header", b"A:1,b:2 , A: 3,"), (b"x-ECHO-set-header", b":4,,c"), (b"X-Echo-Set-Header", b""))
    assert answer("gateway-api", request(fields=fields)).headers == (("A", "1,3"), ("b", "2"), ("c", ""))


@pytest.mark.parametrize(
    "asked",
    [
        b"Set-Cookie:a=b", b"content-type:text/html", b"Location:http://example.org", b"Content-Length:0",
        b"Access-Control-Allow-Origin:*", b"a b:c", b"a:\x01", b"X-Content-Type-Options:", b"ok:1,Refresh:0",
        "\xfc:1".encode(),
    ],
)  # fmt: skip
def test_no_field_is_set_that_an_answer_may_not_have(asked: bytes) -> None:
    """If a header is not allowed, none is set, and the response names it."""
    refused = answer("gateway-api", request(fields=((b"X-Echo-Set-Header", asked),)))
    assert (refused.status, refused.headers) == (400, ())
    assert read(refused)["message"].startswith("X-Echo-Set-Header: '")


def test_no_field_is_set_where_that_is_not_allowed() -> None:
    """Setting headers can be disabled; an empty value, which the conformance client always sends, requests nothing."""
    for value, status in ((b"", 200), (b"a:b", 400)):
        asking = request(fields=((b"X-Echo-Set-Header", value),))
        assert answer("gateway-api", asking, limits=NOTHING_ALLOWED).status == status


@pytest.mark.parametrize("target", [b"/status/199", b"/status/600", b"/status/000", b"/status/2000", b"/status/"])
def test_only_final_statuses_can_be_asked_for(target: bytes) -> None:
    """A status that is invalid or not final gets 400 without content."""
    given = answer("gateway-api", request(target))
    assert (given.status, given.body) == (400, b"")


def test_the_body_of_a_form_may_ask_for_a_delay_and_wins() -> None:
    """A form in the body overrides the query, as in Go's Request.FormValue.

    A body that is not wholly kept is ignored.
    """
    form = ((b"Content-Type", b"application/x-www-form-urlencoded; charset=utf-8"),)
    asking = request(b"/?delay=2s", form, b"delay=1s", method=b"POST")
    assert answer("gateway-api", asking).delay == 1.0
    assert answer("gateway-api", structs.replace(asking, method=b"GET")).delay == 2.0
    assert answer("gateway-api", structs.replace(asking, body=body_of(b"delay=1s&" * BODY_PREFIX_SIZE))).delay == 2.0


def test_http_2_and_tls_show_in_echo_basics_words() -> None:
    """The authority is the host; a cipher suite without a name in Go keeps OpenSSL's name."""
    asking = structs.replace(request(b"/a", authority=b"example.org"), version="HTTP/2.0")
    for cipher, name in (("ECDHE-RSA-AES128-SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"), ("DHE-X", "DHE-X")):
        tls = TlsInfo("TLSv1.2", "a", cipher, negotiated_protocol="h2")
        shown = read(answer("gateway-api", asking, POD, structs.replace(TCP, tls=tls)))
        assert (shown["host"], shown["proto"], shown["pod"]) == ("example.org", "HTTP/2.0", "echo-1")
        assert list(shown["tls"].items()) == [
            ("version", "TLSv1.2"),
            ("serverName", "a"),
            ("negotiatedProtocol", "h2"),
            ("cipherSuite", name),
        ]


# whoami's


def test_whoami_tells_where_it_is_reached() -> None:
    """The response has the address of the pod and of the connection, and a client's IPv6 address in brackets."""
    connection = structs.replace(TCP, client=Endpoint("2001:db8::1", 80))
    lines = content(answer("whoami", request(), POD, connection)).split(b"\n")
    name = hostname().encode()
    assert lines[:4] == [b"Hostname: " + name, b"IP: 192.0.2.9", b"IP: 192.0.2.2", b"RemoteAddr: [2001:db8::1]:80"]


def test_whoami_tells_a_certificates_subject_as_go_writes_it() -> None:
    """The subject was recorded from whoami with such a certificate, except for what it shows as a number.

    Such an attribute keeps its name here.
    """
    subject = (
        ("countryName", "DE"), ("stateOrProvinceName", "Bavaria"), ("localityName", "Munich"),
        ("organizationName", "A, Inc."), ("organizationalUnitName", "x"), ("organizationalUnitName", "y"),
        ("commonName", " #n"), ("emailAddress", "a@b"), ("streetAddress", "S 1"),
    )  # fmt: skip
    certificate = Certificate(subject, (), (), "", "", "", "")
    tls = TlsInfo("TLSv1.3", "", "", client_certificate=certificate)
    told = content(answer("whoami", request(), connection=structs.replace(TCP, tls=tls))).decode().split("\n")
    assert told[3] == (
        "Certificate[0] Subject: "
        r"CN=\ #n,OU=x+OU=y,O=A\, Inc.,STREET=S 1,L=Munich,ST=Bavaria,C=DE,emailAddress=a@b"
    )


def test_whoami_never_tells_its_environment() -> None:
    """The environment is never shown, also if it is requested."""
    for target in (b"/?env=true", b"/api?env=true"):
        assert b"PATH" not in content(answer("whoami", request(target)))


def test_whoamis_health_is_not_the_clients_to_set() -> None:
    """The health status can't be changed by a client, because it would change for everybody."""
    given = answer("whoami", request(b"/health", content=b"500", method=b"POST"))
    assert (given.status, given.headers) == (405, (("Allow", "GET, HEAD"),))
    assert answer("whoami", request(b"/health")).status == 200


def test_whoamis_data_is_bounded_and_made_while_it_is_sent() -> None:
    """Data is generated while it is sent, up to ECHO_MAX_SIZE; the error names the limit."""
    for size in (0, 2, 27, 28, 55_295, 55_296, 55_297, 200_000):
        given = answer("whoami", request(b"/data?size=%d" % size), limits=DialectLimits())
        made = content(given)
        assert not isinstance(given.body, bytes)
        assert given.body.length == len(made) == size
        assert not size or (made[:1], made[-1:]) == (b"|", b"|")
        assert made[1:-1] == (b"-ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 8000)[1 : size - 1 if size else 1]
    for target in (b"/data?size=1001", b"/data?size=1&unit=TB", b"/data?size=" + b"9" * 18 + b"&unit=tb"):
        refused = answer("whoami", request(target))
        assert (refused.status, content(refused)[-36:]) == (400, b" exceeds 1000 bytes (ECHO_MAX_SIZE)\n")


@pytest.mark.parametrize(("chunked", "end"), [(False, b"a"), (True, b"a\r\n")])
def test_of_a_long_body_whoami_shows_the_beginning_without_an_end(chunked: bool, end: bytes) -> None:  # noqa: FBT001 - a column
    """A long body is cut, but its length is that of the whole, and its chunks have no last one."""
    fields = ((b"Transfer-Encoding", b"chunked"),) if chunked else ()
    asking = structs.replace(
        request(fields=fields, method=b"POST"), body=body_of(b"a" * (BODY_PREFIX_SIZE + 1), chunked=chunked)
    )
    head, _, rest = content(answer("whoami", asking)).partition(b"\r\n\r\n")
    assert (b"Content-Length: 65537" in head) is not chunked
    assert rest == (b"10000\r\n" if chunked else b"") + b"a" * (BODY_PREFIX_SIZE - 1) + end


# Kubernetes'


def test_echoserver_tells_the_pod_where_there_is_one() -> None:
    """Pod information is shown if known, and unknown values are N/A."""
    assert b"\nPod Information:\n\t-no pod information available-\n\n" in content(answer("echoserver", request()))
    where = structs.replace(POD, namespace=None)
    assert (
        b"\nPod Information:\n\tnode name:\tn1\n\tpod name:\techo-1\n\tpod namespace:\tN/A\n\tpod IP:\t192.0.2.9\n\n"
    ) in content(answer("echoserver", request(), where))


def test_echoserver_shows_http_2_as_nginx_does() -> None:
    """The authority is listed as a header, the version is a number, and TLS sets the scheme."""
    asking = structs.replace(request(b"/a", ((b"x-a", b"1"),), authority=b"[2001:db8::1]:8443"), version="HTTP/2.0")
    connection = structs.replace(TCP, tls=TlsInfo("TLSv1.3", "", ""))
    told = content(answer("echoserver", asking, connection=connection))
    assert b"\trequest_version=2\n\trequest_scheme=https\n\trequest_uri=https://[2001:db8::1]:8080/a\n" in told
    assert b"Request Headers:\n\thost=[2001:db8::1]:8443  \n\tx-a=1  \n\n" in told
