"""The contract of responses, as a client sees it over a real socket."""

import json

import pytest

from app import __version__
from app.http.response import CSP
from tests.http.process import Echo, read_answer

HOST = b"Host: a\r\n"


def test_the_readmes_curl_gets_exactly_its_answer(echo: Echo) -> None:
    """The response to the README's curl command has no newline, is HTML, and is UTF-8."""
    answer, body = echo.get("/blah/blah")
    assert (answer.status, body) == (200, b"<b>Got: blah/blah</b>!")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Length"] == "22"


def test_a_script_comes_back_harmless(echo: Echo) -> None:
    """A script in the path is escaped, and the response has a policy that would not run it."""
    answer, body = echo.get("/<script>alert(1)</script>")
    assert body == b"<b>Got: &lt;script&gt;alert(1)&lt;/script&gt;</b>!"
    assert answer.headers["Content-Security-Policy"] == CSP
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("target", ["/%2e%2e/%00/%ff/ü".encode(), b"/%2e%2e/%00/%ff/\xfc"], ids=["utf-8", "latin-1"])
def test_odd_paths_are_shown_and_kept(echo: Echo, target: bytes) -> None:
    """The bare response has U+FFFD for bytes that are not UTF-8; `path` in the reflection keeps what was sent."""
    bare = echo.exchange(b"GET " + target + b" HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n")
    shown = b"<b>Got: ../\x00/\xef\xbf\xbd/" + (b"\xc3\xbc" if b"\xc3" in target else b"\xef\xbf\xbd") + b"</b>!"
    assert bare.endswith(b"\r\n\r\n" + shown)
    reflected = echo.exchange(
        b"GET " + target + b" HTTP/1.1\r\nConnection: close\r\nAccept: application/json\r\n" + HOST + b"\r\n"
    )
    assert json.loads(reflected.partition(b"\r\n\r\n")[2])["path"] == target.decode("utf-8", "backslashreplace")


def test_the_reflection_is_what_was_sent(echo: Echo) -> None:
    """The reflection has the target, method and headers as sent: duplicates in order, and names with `_`."""
    with echo.connect() as sock:
        sock.sendall(
            b"pURGE //a%2Fb?x=&x=1 HTTP/1.1\r\nhOST: Example\r\n"
            b"x_y: 1\r\nX-B: 2\r\nx-b: 1\r\nACCEPT: application/json\r\n\r\n"
        )
        answer, body = read_answer(sock)
    assert answer.headers["Content-Type"] == "application/json"
    reflection = json.loads(body)
    assert reflection["headers"] == {
        "Host": ["Example"],
        "X_y": ["1"],
        "X-B": ["2", "1"],
        "Accept": ["application/json"],
    }
    told = {name: reflection[name] for name in ("path", "host", "method", "proto", "pod", "namespace")}
    assert told == {
        "path": "//a%2Fb?x=&x=1",
        "host": "Example",
        "method": "pURGE",
        "proto": "HTTP/1.1",
        "pod": None,
        "namespace": None,
    }


def test_json_is_pretty_for_people(echo: Echo) -> None:
    """JSON is indented by two spaces, and ends with a newline for the shell prompt."""
    _, body = echo.get("/", {"Accept": "application/json"})
    assert body.startswith(b'{\n  "path": "/",\n')
    assert body.endswith(b"}\n")


def test_head_has_gets_headers_and_no_body(echo: Echo) -> None:
    """A response to HEAD has the headers of GET and no body (RFC 9110, 9.3.2)."""
    head, nothing = echo.get("/blah/blah", method="HEAD")
    get, _ = echo.get("/blah/blah")
    assert nothing == b""
    own = {"Date": "", "X-Request-Id": ""}
    assert {**head.headers, **own} == {**get.headers, **own}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/version", "/metrics"])
def test_the_admin_ports_paths_are_echoed_on_the_echos(echo: Echo, path: str) -> None:
    """The echo port reserves no path for itself."""
    assert echo.get(path)[1] == f"<b>Got: {path[1:]}</b>!".encode()


def test_the_admin_port_is_for_the_cluster(echo: Echo) -> None:
    """The admin port serves liveness, readiness and version; other paths get 404 in JSON."""
    answers = {path: echo.get(path, port=echo.admin_port) for path in ("/livez", "/readyz", "/version", "/blah")}
    assert [answer.status for answer, _ in answers.values()] == [200, 200, 200, 404]
    assert {answer.headers["Content-Type"] for answer, _ in answers.values()} == {"application/json"}
    assert json.loads(answers["/version"][1]) == {"version": __version__}
    assert b"blah" not in answers["/blah"][1]
