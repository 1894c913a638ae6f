"""Bottle applications as plain WSGI, under the standard library validator."""

import io
import json
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from app import __version__
from app.config import downward_api, policy
from app.config.settings import Settings
from app.echo.handler import EchoHandler
from app.echo.openapi.document import document
from app.echo.routes import admin_app, dispatch_by_port, echo_app
from app.http.request import DRAINING_KEY, Application, HttpRequest
from app.http.response import CSP
from app.server.response import WsgiResponse
from app.server.wsgi import run_application
from tests.unit.served import environ_for

SETTINGS = Settings(allow_cookie="on")
KNOWN = ["/livez", "/readyz", "/version", "/openapi.json"]
ADMIN = admin_app(SETTINGS)
ECHO = echo_app(EchoHandler(SETTINGS, policy.build_policy(SETTINGS, downward_api.read_pod_info({}))))


def ask(application: Application, path: str, method: str = "GET", **environ: Any) -> WsgiResponse:
    """Call an application as any WSGI server does."""
    given = {"PATH_INFO": path, "REQUEST_METHOD": method, "SCRIPT_NAME": "", "QUERY_STRING": "", **environ}
    setup_testing_defaults(given)
    given["wsgi.input"] = io.BytesIO()
    return run_application(validator(application), given)


def test_the_echo_answers_under_any_wsgi_server() -> None:
    """The bare response has the headers that make it harmless."""
    answer = ask(ECHO, "/blah/blah")
    assert (answer.status, answer.body) == ("200 OK", b"<b>Got: blah/blah</b>!")
    given = dict(answer.headers)
    assert len(given.pop("X-Request-Id")) == 32
    assert given == {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": CSP,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Content-Length": "22",
    }


def test_the_reflection_has_exactly_the_type_that_clients_compare_with() -> None:
    """The type has no charset: the Gateway API's conformance client compares it with `application/json`."""
    answer = ask(ECHO, "/a", HTTP_ACCEPT="application/json")
    assert dict(answer.headers)["Content-Type"] == "application/json"
    assert json.loads(answer.body)["headers"]["Accept"] == ["application/json"]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "FOO"])
@pytest.mark.parametrize("path", ["/", "", "//a", "/livez", "/metrics", "/a\nb", "/\xff"])
def test_the_echo_keeps_no_path_and_no_method_for_itself(method: str, path: str) -> None:
    """Every path and every method is echoed."""
    request = HttpRequest(method.encode(), path.encode("latin-1") or b"*", "HTTP/1.1", ())
    answer = run_application(ECHO, environ_for(request))
    assert answer.status == "200 OK"


def test_a_head_request_has_gets_length() -> None:
    """The response to HEAD has the Content-Length of GET, and no body."""
    answer = ask(ECHO, "/blah/blah", "HEAD")
    assert (answer.body, dict(answer.headers)["Content-Length"]) == (b"", "22")


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/livez", "200 OK", {"status": "live"}),
        ("/readyz", "200 OK", {"status": "ready"}),
        ("/version", "200 OK", {"version": __version__}),
        ("/openapi.json", "200 OK", document(SETTINGS)),
        ("/", "404 Not Found", {"error": "not found", "known": KNOWN}),
        ("/livez/", "404 Not Found", {"error": "not found", "known": KNOWN}),
    ],
)
def test_the_admin_port_knows_its_paths_and_nothing_else(path: str, status: str, body: dict[str, object]) -> None:
    """Every response of the admin port is JSON, and unknown paths get 404."""
    answer = ask(ADMIN, path)
    assert (answer.status, json.loads(answer.body)) == (status, body)
    assert dict(answer.headers)["Content-Type"] == "application/json"


def test_a_worker_that_stops_is_live_and_not_ready() -> None:
    """A draining worker is live but not ready, so that the cluster sends it no more requests and does not kill it."""
    draining: dict[str, Any] = {DRAINING_KEY: True}
    assert ask(ADMIN, "/readyz", **draining).status == "503 Service Unavailable"
    assert ask(ADMIN, "/livez", **draining).status == "200 OK"


def test_each_port_has_its_application() -> None:
    """The application is chosen by the port that received the request, not by the Host header."""
    both = dispatch_by_port({8080: ECHO, 9090: ADMIN})
    assert ask(both, "/livez", SERVER_PORT="8080").body == b"<b>Got: livez</b>!"
    assert ask(both, "/livez", SERVER_PORT="9090", HTTP_HOST="a:8080").body == b'{"status":"live"}\n'


def test_what_cgi_can_not_hold_is_in_the_wire_request_alone() -> None:
    """The environ omits names with `_` and Transfer-Encoding.

    A name with `_` would be taken for one with `-`, and Bottle would decode chunks that are already decoded.
    """
    request = HttpRequest(
        b"GET",
        b"/%ff?q",
        "HTTP/1.1",
        ((b"X-A", b"1"), (b"x_a", b"2"), (b"x-a", b"3"), (b"Transfer-Encoding", b"chunked"), (b"content-TYPE", b"t")),
    )
    environ = environ_for(request)
    assert {key: value for key, value in environ.items() if key.startswith(("HTTP_", "CONTENT"))} == {
        "HTTP_X_A": "1,3",
        "CONTENT_TYPE": "t",
    }
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/\xff", "q")


def served(request: HttpRequest, **environ: Any) -> tuple[WsgiResponse, dict[str, Any]]:
    """Return the echo's response to a request from our own server, and the environ as the application left it."""
    given = environ_for(request) | environ
    return run_application(ECHO, given), given


def test_connect_is_shown_without_opening_a_tunnel() -> None:
    """The response to CONNECT is 501: a 2xx would open a tunnel (RFC 9110, 9.3.6).

    The bytes after it would then be no response.
    """
    answer, _ = served(HttpRequest(b"CONNECT", b"b.test:443", "HTTP/1.1", ((b"Host", b"b.test"),)))
    assert (answer.status, answer.body) == ("501 Not Implemented", b"<b>Got: b.test:443</b>!")


@pytest.mark.parametrize(
    ("te", "sent_back"),
    [(b"trailers", True), (b"gzip, Trailers", True), (b"gzip", False), (b"", False)],
)
def test_trailers_are_sent_back_to_who_takes_them(te: bytes, sent_back: bool) -> None:  # noqa: FBT001 - a column
    """Trailers are sent only to clients that accept them: an intermediary may drop them, or more (RFC 9110, 6.5.1)."""
    trailers = ((b"X-Sum", b"1"), (b"x-sum", b"2"), (b"Content-Type", b"text/html"), (b"set-cookie", b"a=b"))
    request = HttpRequest(b"POST", b"/", "HTTP/1.1", ((b"TE", te),), trailers=trailers)
    answer, _ = served(request)
    assert answer.options.trailers == (((b"X-Sum", b"1"), (b"x-sum", b"2")) if sent_back else ())


def test_under_another_server_the_connection_is_what_cgi_tells() -> None:
    """Under another server the reflection has both ends of the connection, and nothing about TLS or a proxy."""
    told = json.loads(
        ask(ECHO, "/", HTTP_ACCEPT="application/json", REMOTE_ADDR="192.0.2.1", REMOTE_PORT="7", SERVER_PORT="80").body
    )
    assert told["client"] == {"address": "192.0.2.1", "port": 7, "effective": "192.0.2.1"}
    assert told["server"]["port"] == 80
    assert "tls" not in told


def under_wsgiref(target: str, **environ: str) -> tuple[str, bytes]:
    """Send a request through the standard library's own server code; return the status line and the body."""
    path, _, query = target.partition("?")
    given: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": "", **environ}
    setup_testing_defaults(given)
    out, errors = io.BytesIO(), io.StringIO()
    handler = SimpleHandler(io.BytesIO(), out, errors, given)
    handler.run(validator(ECHO))
    assert errors.getvalue() == ""
    head, _, body = out.getvalue().partition(b"\r\n\r\n")
    return head.decode("latin-1"), body


@pytest.mark.parametrize(
    ("target", "status", "beginning"),
    [
        ("/a", "200 OK", b"<b>Got: a</b>!"),
        ("/a?echo_format=html", "200 OK", b"<!"),
        ("/a?echo_format=yaml", "200 OK", b"path: /a"),
        ("/a?echo_size=100000", "200 OK", b"0123"),
        ("/a?echo_size=10&echo_drip=60s", "200 OK", b"0123456789"),
        ("/a?echo_format=events", "200 OK", b"id: 1"),
        ("/a?echo_delay=60s&echo_status=503", "503 Service Unavailable", b"<b>Got: a</b>!"),
        ("/a?echo_status=204", "204 No Content", b""),
        ("/a?echo_redirect=/b", "302 Found", b"<b>"),
        ("/a?echo_compress=gzip", "200 OK", b"\x1f\x8b"),
        ("/a?echo_abort=before", "200 OK", b"<b>Got: a</b>!"),
        ("/a?echo_status=1", "400 Bad Request", b"400 Bad Request"),
    ],
)
def test_under_wsgiref_all_is_answered_that_is_no_matter_of_time(target: str, status: str, beginning: bytes) -> None:
    """Delays, pauses between pieces and aborts are applied by our own server only; any other ignores them."""
    head, body = under_wsgiref(target)
    assert status in head.splitlines()[0]
    assert body.startswith(beginning)


def test_under_wsgiref_the_names_of_fields_are_those_of_cgi() -> None:
    """Only our own server shows case and order of names, names with `_`, duplicates and the raw target."""
    _, body = under_wsgiref("/a%2Fb?echo_format=json", HTTP_X_TWO="1,2", HTTP_HOST="h")
    told = json.loads(body)
    assert ["X-Two", "1,2"] in told["received"]
    assert told["path"] == "/a%252Fb?echo_format=json", "the server had not decoded it"
    assert told["body"]["chunked"] is False


@pytest.mark.parametrize(
    ("path", "shown"), [("/\xc3\xbc", "/%C3%BC"), ("/\xe2\x82\xac", "/%E2%82%AC"), ("/\xff", "/%FF")]
)
def test_under_wsgiref_a_path_is_what_it_was_before_bottle_decoded_it(path: str, shown: str) -> None:
    """Paths beyond Latin-1 and paths that are not UTF-8 are reflected losslessly.

    Decoded by Bottle, the euro sign caused a 500, Latin-1 became other bytes, and bytes that are not UTF-8 were lost.
    """
    head, body = under_wsgiref(f"{path}?echo_format=json")
    assert "200 OK" in head.splitlines()[0]
    assert json.loads(body)["path"] == f"{shown}?echo_format=json"
