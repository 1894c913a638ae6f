"""Request smuggling: nginx and HAProxy agree with the echo on framing.

Each framing row of the corpus is sent through a real proxy, followed by another request; then another client sends a
request over the same connections to the echo. The proxies add an ID to each request. Each response must carry the ID of
the very request that caused it, and each response of the echo must reach a client.
"""

import http.client
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.http import corpus, raw_http2
from tests.http.corpus import HTTP1, HTTP2, Http1Case, Http2Case
from tests.http.process import DEADLINE, Echo, running
from tests.http.proxies import haproxy_numbering, nginx_numbering
from tests.http.raw_http2 import Client
from tests.http.tap import Tap, tap

FOLDERS = ("smuggling", "length", "coding", "chunks", "expectation", "connection", "fields", "request-line")
WITH_BODIES = FOLDERS[:5]
FOLDERS_OF_HTTP2 = ("http2-head", "http2-body", "http2-smuggling")
WAYS = (
    *(("nginx", "http1", folder) for folder in FOLDERS),
    *(("nginx", "buffering", folder) for folder in WITH_BODIES),
    *(("haproxy", "http1", folder) for folder in FOLDERS),
)
MARKER = b"GET /marker HTTP/1.1\r\nHost: a\r\n\r\n"
VICTIM = b"GET /victim HTTP/1.1\r\nHost: a\r\n\r\n"
MARKER_STREAM = 2001
TOO_LARGE = 413


class Answer(NamedTuple):
    """A response, from the echo or from a proxy."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def of_echo(self) -> bool:
        """Whether the echo sent it: the proxies' own responses have no `nosniff`."""
        return "x-content-type-options" in self.fields

    @property
    def key(self) -> tuple[int, str, bytes]:
        """Return the values that identify a response, however it was forwarded."""
        return self.status, self.fields.get("x-request-id", ""), self.body

    @property
    def reflection(self) -> dict[str, object]:
        """Return its reflection, empty for a rejection or a response to HEAD."""
        shown: dict[str, object] = {}
        if self.body and self.fields.get("content-type") == "application/json":
            shown = json.loads(self.body)
        return shown


class Front(NamedTuple):
    """A running proxy: its ports by their function, and the tap between it and the echo."""

    name: str
    ports: dict[str, int]
    tap: Tap


PROXIES = {"nginx": nginx_numbering, "haproxy": haproxy_numbering}


@contextmanager
def in_front(name: str, echo: Echo, folder: Path) -> Iterator[Front]:
    """Run a proxy and a tap in front of an echo."""
    with tap(echo.port) as tapped, PROXIES[name](folder, tapped.port) as proxy:
        yield Front(name, proxy.ports, tapped)


@pytest.fixture(scope="module")
def reflecting() -> Iterator[Echo]:
    """Yield an echo whose default format is a reflection."""
    with running(format="json") as echo:
        yield echo
        assert echo.process.poll() is None, "it has lived through all of it"


@pytest.fixture(scope="module")
def fronts(reflecting: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Front]]:
    """Yield the proxies by name, in front of one echo."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(in_front(name, reflecting, tmp_path_factory.mktemp(name))) for name in PROXIES}


def answers(raw: bytes) -> list[Answer]:
    """Split received bytes into final responses; a response to HEAD has no body, whatever its headers say."""
    found, rest = [], raw
    while rest.startswith(b"HTTP/"):
        head, end, rest = rest.partition(b"\r\n\r\n")
        assert end, f"half an answer: {head!r}"
        line, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        size = 0 if rest.startswith(b"HTTP/1.") else int(fields.get("content-length", len(rest)))
        body, rest = rest[:size], rest[size:]
        status = int(line.split(" ")[1])
        if status >= 200:
            found.append(Answer(status, fields, body))
    return found


def exchange(port: int, sent: bytes, *, ends: bool = True) -> list[Answer]:
    """Send bytes, and close the sending side if it `ends`; return all responses, otherwise the first.

    HAProxy 2.6 may drop all but the first of several requests after which the client closes its sending side. Tests
    that need a response to each request use `exchange_in_turn`.
    """
    came = b""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock, suppress(ConnectionError):
        sock.sendall(sent)
        if ends:
            with suppress(OSError):  # the connection may be closed by now
                sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(65_536):
            came += data
            if not ends and b"\r\n\r\n" in came.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n"):
                break
    return answers(came)


def exchange_in_turn(port: int, *requests: bytes) -> list[Answer]:
    """Send requests on one connection, each after the response to the one before; return all responses."""
    found = []
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
        for request in requests:
            sock.sendall(request)
            response = http.client.HTTPResponse(sock)
            response.begin()
            fields = {name.lower(): value for name, value in response.getheaders()}
            found.append(Answer(response.status, fields, response.read()))
    return found


def send_http1(port: int, case: Http1Case) -> list[Answer]:
    """Send a row followed by a request; if the body is rejected for its length alone, send only the row."""
    wire = corpus.wire(case.send)
    endless = case.status == TOO_LARGE and b"\r\nContent-Length:" in wire
    return exchange(port, wire + (b"" if endless else MARKER), ends=not endless)


def send_http2(port: int, case: Http2Case) -> list[Answer]:
    """Send a row on one stream and a request on another."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
        client = Client(sock)
        client.send(raw_http2.sent(case) + raw_http2.request(b"/marker", MARKER_STREAM))
        waits = case.ends and not case.proxies
        client.hear(lambda: client.over(MARKER_STREAM) and (client.over(1) or not waits))
        return [Answer(each.status, each.fields, each.body) for each in client.streams.values() if each.complete]


def mismatch(answer: Answer) -> str:
    """Return a description if a response reflects another request than the one that the proxy matched it with."""
    received = answer.reflection.get("received", [])
    assert isinstance(received, list)
    numbers = [value for name, value in received if name.lower() == "x-proxied"]
    taken = answer.fields.get("x-answered")
    return f"the answer to {numbers} was taken for that to {taken}" if received and numbers != [taken] else ""


def disagreement(front: Front, case: Http1Case | Http2Case, send: Callable[[], list[Answer]]) -> str:
    """Send a row, then a request as another client; return how proxy and echo disagree."""
    before = [len(each) for each in front.tap.answered]
    got = send()
    victim = exchange(front.ports["http1"], VICTIM)
    after = [bytes(each) for each in front.tap.answered]
    before += [0] * (len(after) - len(before))
    told = [each for raw, start in zip(after, before, strict=True) for each in answers(raw[start:])]
    heard = [each for each in (*got, *victim) if each.of_echo]
    unheard = Counter(each.key for each in told) - Counter(each.key for each in heard)
    if bool(unheard) is not (front.name in case.proxies):
        return f"answers that nobody got: {unheard}, expected: {case.proxies}"
    if Counter(each.key for each in heard) - Counter(each.key for each in told):
        return "answers that the echo has not given"
    if mistaken := list(filter(None, map(mismatch, heard))):
        return mistaken[0]
    if [each.reflection.get("path") for each in victim] != ["/victim"]:
        return f"another client got {victim}"
    return ""


@pytest.mark.parametrize(("name", "way", "folder"), WAYS)
def test_a_proxy_and_the_echo_agree_on_where_a_request_ends(
    fronts: dict[str, Front], folder: str, name: str, way: str
) -> None:
    """Proxy and echo agree on each request's end, with the body streamed or (nginx, `buffering`) buffered first."""
    front = fronts[name]
    rows = {
        row: case
        for row, case in HTTP1.items()
        if row.startswith(f"{folder}/") and not (way == "buffering" and case.status == TOO_LARGE)
    }
    wrong = {
        row: what
        for row, case in rows.items()
        if (what := disagreement(front, case, lambda case=case: send_http1(front.ports[way], case)))  # type: ignore[misc]
    }
    assert len(rows) > 5
    assert wrong == {}


def of_http2(folder: str) -> dict[str, Http2Case]:
    """Return the rows of a folder that are requests."""
    return {row: case for row, case in HTTP2.items() if row.startswith(f"{folder}/") and case.fields is not None}


@pytest.mark.parametrize("folder", FOLDERS_OF_HTTP2)
@pytest.mark.parametrize("name", PROXIES)
def test_what_comes_as_http_2_is_passed_on_as_one_request(fronts: dict[str, Front], folder: str, name: str) -> None:
    """For H2.CL, H2.TE and headers that would span several HTTP/1.1 lines, the echo gets what the proxy meant."""
    front = fronts[name]
    rows = {row: case for row, case in of_http2(folder).items() if name not in case.proxies}
    wrong = {
        row: what
        for row, case in rows.items()
        if (what := disagreement(front, case, lambda case=case: send_http2(front.ports["http2"], case)))  # type: ignore[misc]
    }
    assert len(rows) > 5
    assert wrong == {}


@pytest.mark.parametrize("name", PROXIES)
def test_a_request_that_a_proxy_breaks_off_is_nobody_elses(reflecting: Echo, name: str, tmp_path: Path) -> None:
    """If a proxy forwards what it should reject, according to the row, other clients still get their own responses."""
    rows = [case for folder in FOLDERS_OF_HTTP2 for case in of_http2(folder).values() if name in case.proxies]
    assert rows
    with in_front(name, reflecting, tmp_path) as front:
        for case in rows:
            got = send_http2(front.ports["http2"], case)
            for _ in range(3):
                got += exchange(front.ports["http1"], VICTIM)
            paths = [each.reflection["path"] for each in got if each.of_echo]
            assert [path for path in paths if path != "/"] == ["/marker"] + ["/victim"] * 3
            assert [mismatch(each) for each in got] == [""] * len(got)


@pytest.mark.parametrize("name", PROXIES)
def test_the_connections_to_the_echo_are_used_again(fronts: dict[str, Front], name: str) -> None:
    """The proxies reuse connections to the echo; otherwise a smuggled request would meet no other response."""
    front = fronts[name]
    before = len(front.tap.answered)
    for _ in range(20):
        assert [each.reflection["path"] for each in exchange(front.ports["http1"], VICTIM)] == ["/victim"]
    assert len(front.tap.answered) - before <= 1


@pytest.mark.parametrize("name", PROXIES)
def test_upgrade_to_h2c_opens_no_tunnel(fronts: dict[str, Front], name: str) -> None:
    """A tunnel would hide the client's next requests from the proxy (h2c smuggling, Bishop Fox 2020).

    HAProxy forwards the upgrade, nginx does not.
    """
    front = fronts[name]
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    got = exchange_in_turn(front.ports["http1"], MARKER[:-2] + upgrade + b"\r\n", VICTIM)
    assert [each.reflection["path"] for each in got] == ["/marker", "/victim"]
    assert [mismatch(each) for each in got] == ["", ""]
    assert not any(b" 101 " in each for each in front.tap.answered)
