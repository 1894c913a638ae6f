"""The reflection, and the responses generated from it."""

import json

import pytest
from msgspec import structs

from app import __version__
from app.config import downward_api
from app.config.policy import Policy
from app.echo.context import Context
from app.echo.formats import renderers
from app.echo.reflection.model import reflect
from app.http.connection_info import Endpoint
from app.http.controls_report import AppliedControl, ControlsReport, RejectedControl
from app.http.headers.names import canonical_name
from app.http.request import ConnectionInfo, HttpRequest
from app.http.response import RenderedResponse
from app.http.tls_info import TlsInfo

NOWHERE = downward_api.read_pod_info({})
TCP = ConnectionInfo(client=Endpoint("192.0.2.1", 1234), server=Endpoint("192.0.2.2", 8080))


def context(request: HttpRequest, connection: ConnectionInfo = TCP, who: downward_api.PodInfo = NOWHERE) -> Context:
    """Return the context of a request."""
    return Context(request, connection, Policy(who), "id", 0.5)


def pretty_json(request: HttpRequest, connection: ConnectionInfo = TCP, who: downward_api.PodInfo = NOWHERE) -> bytes:
    """Return a request's reflection in JSON."""
    return whole(renderers.render_json(context(request, connection, who)))


def whole(answer: RenderedResponse) -> bytes:
    """Return a response's body; check that it is not streamed."""
    assert isinstance(answer.body, bytes)
    return answer.body


def request(target: bytes = b"/", *fields: tuple[bytes, bytes]) -> HttpRequest:
    """Return a GET request."""
    return HttpRequest(b"GET", target, "HTTP/1.1", fields)


def test_the_fields_of_the_gateway_apis_echo_have_its_names_and_meaning() -> None:
    """The reflection has the names of the Gateway API's echo, so that its conformance client can read it."""
    given = request(b"/a%2Fb?x=1", (b"hOST", b"example.org"), (b"x-a", b"2"), (b"X-A", b"1"))
    where = downward_api.read_pod_info(
        {"POD_NAME": "echo-1", "NAMESPACE": "test", "NODE_NAME": "n1", "POD_IP": "", "SERVICE_NAME": "echo-svc"}
    )
    shown = json.loads(pretty_json(given, who=where))
    assert shown == {
        "path": "/a%2Fb?x=1",
        "host": "example.org",
        "method": "GET",
        "proto": "HTTP/1.1",
        "headers": {"Host": ["example.org"], "X-A": ["2", "1"]},
        "httpPort": "8080",
        "namespace": "test",
        "ingress": None,
        "service": "echo-svc",
        "pod": "echo-1",
        "received": [["hOST", "example.org"], ["x-a", "2"], ["X-A", "1"]],
        "query": [["x", "1"]],
        "cookies": [],
        "body": {
            "length": 0,
            "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "chunked": False,
            "truncated": False,
            "text": "",
        },
        "trailers": [],
        "client": {"address": "192.0.2.1", "port": 1234, "effective": "192.0.2.1"},
        "server": {"address": "192.0.2.2", "port": 8080},
        "kubernetes": {
            "node": "n1",
            "podIP": None,
            "hostIP": None,
            "serviceAccount": None,
            "zone": None,
            "region": None,
            "image": None,
            "labels": {},
        },
        "applied": {"granted": [], "refused": []},
        "id": "id",
        "time": "1970-01-01T00:00:00.500Z",
        "version": __version__,
    }


def test_outside_a_cluster_nothing_is_guessed() -> None:
    """Outside a cluster, pod and namespace are null."""
    shown = reflect(context(request()))
    assert (shown.pod, shown.namespace, shown.kubernetes.node) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "written"),
    [("host", "Host"), ("X-FORWARDED-for", "X-Forwarded-For"), ("x_y", "X_y"), ("te", "Te"), ("-a--b", "-A--B")],
)
def test_field_names_are_written_as_most_people_do(name: str, written: str) -> None:
    """Header names are in Go's canonical form, with which the Gateway API's client compares."""
    assert canonical_name(name.encode()) == written


def test_any_bytes_make_json() -> None:
    """Any bytes, such as obs-text, give valid JSON."""
    every = bytes(range(0x80, 0x100))
    shown = json.loads(pretty_json(request(b"/" + every, (b"X", every))))
    assert shown["headers"]["X"] == [every.decode("utf-8", "backslashreplace")]


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        (b"/blah/blah", "<b>Got: blah/blah</b>!"),
        (b"/", "<b>Got: </b>!"),
        (b"/a?b=c", "<b>Got: a</b>!"),
        (b"/<script>alert(1)</script>", "<b>Got: &lt;script&gt;alert(1)&lt;/script&gt;</b>!"),
        (b"/%3Cscript%3E%22%27&", "<b>Got: &lt;script&gt;&quot;&#x27;&amp;</b>!"),
        (b"/%2e%2e/%00/%ff/\xc3\xbc", "<b>Got: ../\x00/\ufffd/ü</b>!"),
    ],
)
def test_the_bare_answer_is_exact_and_harmless(target: bytes, answer: str) -> None:
    """The bare response is the path without its first slash, decoded and escaped, without a newline."""
    assert whole(renderers.render_bare(context(request(target)))).decode() == answer


def test_the_wire_is_shown_as_it_was() -> None:
    """The wire is shown byte for byte, also if it is not UTF-8."""
    head = b"GET /\xff HTTP/1.1\r\nhOST:  a \r\n\r\n"
    known = structs.replace(request(), head=head, body=structs.replace(request().body, length=2, prefix=b"\x00\xfe"))
    assert whole(renderers.render_text(context(known))) == head + b"\x00\xfe"


def test_where_the_wire_is_not_known_a_head_is_made_of_what_is() -> None:
    """Under another server, a head is generated from what is known."""
    assert (
        whole(renderers.render_text(context(request(b"/a?b", (b"Host", b"a")))))
        == b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n"
    )


def test_http_2_is_shown_with_its_pseudo_fields_apart() -> None:
    """Pseudo-headers of HTTP/2 are listed apart, because they are no headers (RFC 9113, 8.3).

    `host` is `:authority`, and `path` is `:path`.
    """
    pseudo = ((b":method", b"GET"), (b":path", b"/a?b"), (b":scheme", b"http"), (b":authority", b"example.org"))
    carried = HttpRequest(
        b"GET", b"/a?b", "HTTP/2.0", ((b"x", b"1"),), pseudo=pseudo, authority=b"example.org"
    )  # fmt: skip
    reflected = json.loads(pretty_json(carried))
    told = {name: reflected[name] for name in ("path", "host", "method", "proto", "received", "headers", "pseudo")}
    assert told == {
        "path": "/a?b",
        "host": "example.org",
        "method": "GET",
        "proto": "HTTP/2.0",
        "received": [["x", "1"]],
        "headers": {"X": ["1"]},
        "pseudo": [[":method", "GET"], [":path", "/a?b"], [":scheme", "http"], [":authority", "example.org"]],
    }
    as_text = b":method: GET\r\n:path: /a?b\r\n:scheme: http\r\n:authority: example.org\r\nx: 1\r\n\r\n"
    assert whole(renderers.render_text(context(carried))) == as_text


def test_tls_is_shown_by_the_names_of_the_gateway_apis_echo() -> None:
    """TLS has the names of the Gateway API's echo, for its conformance client, and is omitted without TLS."""
    tls = TlsInfo(
        version="TLSv1.3", server_name="a.test", cipher_suite="TLS_AES_128_GCM_SHA256", peer_certificates=("PEM",)
    )
    over_tls = ConnectionInfo(TCP.client, TCP.server, tls=tls)
    assert json.loads(pretty_json(request(), over_tls))["tls"] == {
        "version": "TLSv1.3",
        "serverName": "a.test",
        "cipherSuite": "TLS_AES_128_GCM_SHA256",
        "peerCertificates": ["PEM"],
    }
    assert "tls" not in json.loads(pretty_json(request()))


def test_cookies_are_shown_as_they_are_written() -> None:
    """Cookies of all headers are listed in order; one that is no pair is a name only (RFC 6265, 4.2.1)."""
    cookies = request(b"/", (b"Cookie", b'a=1; b="x=y";a=2;;  c'), (b"cookie", b"=d; e=\xff"))
    told = reflect(context(cookies)).cookies
    assert told == [("a", "1"), ("b", '"x=y"'), ("a", "2"), ("c", ""), ("", "d"), ("e", "\\xff")]


def test_what_was_asked_for_and_refused_is_part_of_it() -> None:
    """Applied and rejected controls are part of the reflection, by their documented names."""
    applied = ControlsReport(
        (AppliedControl("status", "500:1", "query", 500), AppliedControl("format", "json", "header")),
        (RejectedControl("echo_x", "1", "query", "unknown control"),),
    )
    told = json.loads(whole(renderers.render_json(structs.replace(context(request()), controls_report=applied))))[
        "applied"
    ]
    assert told == {
        "granted": [
            {"name": "status", "value": "500:1", "source": "query", "done": 500},
            {"name": "format", "value": "json", "source": "header"},
        ],
        "refused": [{"name": "echo_x", "value": "1", "source": "query", "reason": "unknown control", "bound": ""}],
    }
