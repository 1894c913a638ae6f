"""HTTP/2 with real clients, unencrypted and over TLS.

The reflection equals what they sent, and a graceful shutdown loses no request.
"""

import json
import re
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.process import DEADLINE, Echo, read_lines
from tests.http.programs import Secure, go_program, program, running_with_tls
from tools.commands import run

JSON = "Accept: application/json"
BODY = {
    "length": 5,
    "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    "chunked": False,
    "truncated": False,
    "text": "hello",
}


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """Yield an echo that also speaks TLS."""
    with running_with_tls(tmp_path_factory.mktemp("http2")) as secure:
        yield secure
        assert secure.echo.process.poll() is None, "it has lived through all of it"


@pytest.fixture(scope="module")
def go() -> Path:
    """Return the path of the client that uses Go's standard library."""
    return go_program("h2client")


def clear(secure: Secure) -> list[str]:
    """Return the URL without TLS."""
    return [f"http://127.0.0.1:{secure.echo.port}"]


def reflections(said: str) -> Iterator[dict[str, Any]]:
    """Yield the reflections that a client has printed, one after the other."""
    decoder = json.JSONDecoder()
    while said := said.lstrip():
        reflection, end = decoder.raw_decode(said)
        yield reflection
        said = said[end:]


def curl(*arguments: str | Path) -> str:
    """Run curl without any configuration file; return its output."""
    return run(program("curl"), "-q", "--silent", "--show-error", "--noproxy", "*", *arguments)


def curl_hello(*arguments: str | Path) -> list[Any]:
    """Send a body without a content type with curl; return everything printed, with reflections parsed."""
    return list(reflections(curl("-H", JSON, "-H", "Content-Type:", "-d", "hello", *arguments)))


# curl


def test_curl_speaks_http_2_at_once(echo: Echo) -> None:
    """A request with prior knowledge is reflected as sent: lower-case headers in order, pseudo-headers, target."""
    url = f"http://127.0.0.1:{echo.port}/a%2Fb//?c=d&c"
    fields = ("-H", "X-Two: b", "-H", "X_One: a", "-H", "X-Two: a", "-A", "me")
    (seen,) = curl_hello("--http2-prior-knowledge", "--path-as-is", *fields, "-X", "pUT", url)
    assert (seen["proto"], seen["method"], seen["path"]) == ("HTTP/2.0", "pUT", "/a%2Fb//?c=d&c")
    assert seen["host"] == f"127.0.0.1:{echo.port}"
    assert seen["pseudo"] == [
        [":method", "pUT"],
        [":path", "/a%2Fb//?c=d&c"],
        [":scheme", "http"],
        [":authority", seen["host"]],
    ]
    received = [
        ["user-agent", "me"],
        ["accept", "application/json"],
        ["x-two", "b"],
        ["x_one", "a"],
        ["x-two", "a"],
        ["content-length", "5"],
    ]
    assert seen["received"] == received
    assert seen["headers"] == {
        "User-Agent": ["me"],
        "Accept": ["application/json"],
        "X-Two": ["b", "a"],
        "X_one": ["a"],
        "Content-Length": ["5"],
    }
    assert (seen["query"], seen["body"], seen["trailers"]) == ([["c", "d"], ["c", ""]], BODY, [])
    assert seen["client"]["address"] == "127.0.0.1"
    assert seen["server"] == {"address": "127.0.0.1", "port": echo.port}
    assert "tls" not in seen


def test_curl_upgrade_to_h2c_is_answered_by_http_1_1(echo: Echo) -> None:
    """With `--http2`, curl offers an upgrade: both requests succeed over HTTP/1.1 on one connection, and show it."""
    urls = [f"http://127.0.0.1:{echo.port}/{name}" for name in ("first", "second")]
    first, version, second, version_again = curl_hello("--http2", "--write-out", "%{http_version}", *urls)
    assert [version, version_again] == [1.1, 1.1]
    assert [(seen["proto"], seen["path"], seen["body"]) for seen in (first, second)] == [
        ("HTTP/1.1", "/first", BODY),
        ("HTTP/1.1", "/second", BODY),
    ]
    assert first["headers"]["Upgrade"] == ["h2c"]
    assert ["Connection", "Upgrade, HTTP2-Settings"] in first["received"]
    assert first["client"] == second["client"], "one connection"


def test_curl_agrees_on_http_2_over_tls(secure: Secure) -> None:
    """HTTP/2 is negotiated by ALPN (RFC 9113, 3.2), and HTTP/1.1 if the client offers nothing else."""
    for option, proto, protocol in (("--http2", "HTTP/2.0", "h2"), ("--http1.1", "HTTP/1.1", "http/1.1")):
        (seen,) = curl_hello(option, "--cacert", secure.authority, f"{secure.url}/tls")
        assert (seen["proto"], seen["path"], seen["body"]) == (proto, "/tls", BODY)
        assert seen["tls"]["negotiatedProtocol"] == protocol
        assert (seen["tls"]["serverName"], seen["tls"]["version"]) == ("localhost", "TLSv1.3")
        assert dict(seen.get("pseudo", [])).get(":scheme", "https") == "https"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "ANYTHING"])
def test_curl_is_answered_whatever_the_method(echo: Echo, method: str) -> None:
    """Every method gets a response; that to HEAD ends after its headers, with the Content-Length of GET."""
    url = f"http://127.0.0.1:{echo.port}/a"
    how = ["--head"] if method == "HEAD" else ["-X", method, "--include"]
    answer = curl("--http2-prior-knowledge", *how, url)
    assert answer.startswith("HTTP/2 200 ")
    assert "content-length: 14" in answer
    assert answer.endswith("<b>Got: a</b>!") is (method != "HEAD")


# nghttp and h2load


def nghttp(*arguments: str | Path) -> str:
    """Run nghttp; return its output."""
    return run(program("nghttp"), f"--timeout={DEADLINE:.0f}", *arguments)


def test_nghttps_trailers_are_seen_and_sent_back(echo: Echo, tmp_path: Path) -> None:
    """Trailers are reflected, and sent back to a client that sends `te: trailers` (RFC 9110, 6.5)."""
    (tmp_path / "body").write_text("hello")
    sent = ("--data", tmp_path / "body", "--trailer", "x-sum: 1", "--trailer", "x-sum: 2", "-H", JSON.lower())
    url = f"http://127.0.0.1:{echo.port}/"
    (seen,) = reflections(nghttp(*sent, "-H", "te: trailers", url))
    assert (seen["trailers"], seen["body"]) == ([["x-sum", "1"], ["x-sum", "2"]], BODY)
    back = re.compile(r"recv \(stream_id=13\) x-sum: (\d)")
    assert back.findall(nghttp("--verbose", "--null-out", *sent, "-H", "te: trailers", url)) == ["1", "2"]
    assert back.findall(nghttp("--verbose", "--null-out", *sent, url)) == [], "it has not said that it reads them"


@pytest.mark.parametrize(
    "option",
    [
        "--padding=255",
        "--continuation",
        "--no-dep",
        "--window-bits=10",
        "--connection-window-bits=16",
        "--header-table-size=0",
        "--header-table-size=65536",
        "--encoder-header-table-size=0",
    ],
)
def test_nghttp_is_answered_however_it_uses_the_protocol(echo: Echo, option: str) -> None:
    """Fifty simultaneous requests succeed with each of nghttp's protocol options."""
    fields = [field for number in range(20) for field in ("-H", f"x-{number}: {'a' * 400}")]
    url = f"http://127.0.0.1:{echo.port}/a"
    said = nghttp(option, "--null-out", "--stat", "--multiply=50", "-H", JSON.lower(), *fields, url)
    answers = re.findall(r"(\d+)\s+(\d+)K /a$", said, re.MULTILINE)
    assert [status for status, _ in answers] == ["200"] * 50, said
    assert all(int(size) > 16 for _, size in answers), "each is more than a frame or a window holds"


@pytest.mark.parametrize("url_of", [clear, lambda secure: [secure.url]], ids=["in clear", "over TLS"])
@pytest.mark.parametrize("with_body", [False, True], ids=["GET", "POST"])
def test_h2load_loses_nothing(
    secure: Secure, tmp_path: Path, url_of: Callable[[Secure], list[str]], *, with_body: bool
) -> None:
    """All 2,000 requests of h2load succeed, on ten connections with twenty streams each."""
    (tmp_path / "body").write_bytes(bytes(20_000))
    data = ["--data", str(tmp_path / "body")] if with_body else []
    said = run(program("h2load"), "-n", "2000", "-c", "10", "-m", "20", *data, *url_of(secure), deadline=DEADLINE)
    assert "2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout" in said
    assert "status codes: 2000 2xx" in said


# Go


def ask(go: Path, *arguments: str | Path) -> dict[str, Any]:
    """Run Go's client; return its report, after checking that no request failed."""
    report: dict[str, Any] = json.loads(run(go, f"-deadline={DEADLINE}s", *arguments))
    assert (report["failures"], report["refused"]) == ({}, 0)
    return report


@pytest.mark.parametrize("how", ["in clear", "over TLS", "by HTTP/1.1"])
def test_gos_client_sees_what_it_sent(go: Path, secure: Secure, how: str) -> None:
    """A request of Go's client, its body sent after 100 Continue, is reflected, and its trailers are sent back."""
    url = [*clear(secure)] if how != "over TLS" else ["-ca", str(secure.authority), secure.url]
    url[-1] += "/a%2Fb?c=d"
    protocol = ["-protocol", "http/1.1"] if how == "by HTTP/1.1" else []
    fields = ("-header", JSON, "-header", "TE: trailers", "-header", "Expect: 100-continue", "-header", "X-A: \xe9")
    trailers = ("-trailer", "X-Sum: 1", "-trailer", "X-Sum: 2")
    last = ask(go, *protocol, "-method", "POST", "-body", "hello", *fields, *trailers, *url)["last"]
    seen = json.loads(last["body"])
    proto = "HTTP/1.1" if protocol else "HTTP/2.0"
    assert (last["status"], last["proto"], seen["proto"]) == (200, proto, proto)
    assert (seen["method"], seen["path"], seen["query"]) == ("POST", "/a%2Fb?c=d", [["c", "d"]])
    assert seen["body"] == BODY | {"chunked": bool(protocol)}
    assert [[name.lower(), value] for name, value in seen["trailers"]] == [["x-sum", "1"], ["x-sum", "2"]]
    assert last["trailer"] == {"X-Sum": ["1", "2"]}
    expected = {
        "Accept": ["application/json"],
        "Te": ["trailers"],
        "Expect": ["100-continue"],
        "Trailer": ["X-Sum"],
        "X-A": ["\xe9"],
        "User-Agent": [f"Go-http-client/{proto[5:]}"],
    }
    if protocol:
        expected |= {"Host": [seen["host"]], "Transfer-Encoding": ["chunked"]}
    assert seen["headers"] == expected
    assert ("tls" in seen) is (how == "over TLS")


def test_gos_client_asks_much_at_once(go: Path, secure: Secure) -> None:
    """A thousand requests succeed, even if more are sent at once than the echo accepts on one connection."""
    report = ask(go, "-count=1000", "-at-once=300", "-ca", secure.authority, secure.url)
    assert report["answers"] == {"200 HTTP/2.0": 1000}


# httpx


def test_httpxs_client_sees_what_it_sent(secure: Secure) -> None:
    """Python's httpx has its request reflected as sent, unencrypted and over TLS."""
    trusted = ssl.create_default_context(cafile=secure.authority)
    for url in (*clear(secure), secure.url):
        with httpx.Client(http1=False, http2=True, verify=trusted, trust_env=False, timeout=DEADLINE) as client:
            answer = client.post(f"{url}/a", content=b"hello", headers=[("accept", "application/json"), ("x-a", "1")])
        assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
        seen = answer.json()
        assert (seen["proto"], seen["method"], seen["path"], seen["body"]) == ("HTTP/2.0", "POST", "/a", BODY)
        assert seen["received"] == [[name.lower(), value] for name, value in seen["received"]]
        assert seen["headers"]["X-A"] == ["1"]
        assert f"{dict(seen['pseudo'])[':scheme']}://{seen['host']}" == url


# graceful shutdown


@pytest.mark.parametrize("how", ["in clear", "over TLS", "with bodies", "by HTTP/1.1", "two workers"])
def test_a_stop_cuts_no_request(go: Path, tmp_path: Path, how: str) -> None:
    """During a shutdown under load, each request either gets its response or has its connection refused."""
    with running_with_tls(tmp_path, workers=2 if how == "two workers" else 1) as secure:
        options: dict[str, list[str | Path]] = {
            "over TLS": ["-ca", secure.authority, secure.url],
            "with bodies": ["-method", "POST", "-body", "x" * 5000, *clear(secure)],
            "by HTTP/1.1": ["-protocol", "http/1.1", *clear(secure)],
        }
        asked = ("-until-refused", "-count=500", "-at-once=20", "-clients=5", f"-deadline={DEADLINE}s")
        command = [go, *asked, *options.get(how, [*clear(secure)])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as client:
            assert client.stdout is not None
            assert read_lines(client.stdout, 1) == ["under way"]
            assert secure.echo.end(signal.SIGTERM) == 0
            report = json.loads(client.stdout.read())
        assert report["failures"] == {}
        (kind,) = report["answers"]
        assert kind == ("200 HTTP/1.1" if how == "by HTTP/1.1" else "200 HTTP/2.0")
        assert report["answers"][kind] >= 500
        assert report["refused"] == 20, "each has asked until nobody was there"
        assert secure.echo.errors() == ""
