"""The dialects of other echoes, compared with real or recorded ones.

Both get the same requests, and their responses are compared field by field.
"""

import json
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trustme

from app.http.tls_info import CIPHER_SUITES
from tests.http.peers import REAL, Told, ask, asked, recording, running_peer, told
from tests.http.process import DEADLINE, Echo, read_to_end, running
from tests.http.programs import go_program, program, running_with_tls
from tools.commands import run

DIALECTS = ("gateway-api", "whoami", "echoserver")
# The pod that both the peers and the echo are configured to run in.
POD = {"POD_NAME": "pod", "NAMESPACE": "ns"}

# Headers that concern the connection, or that the echo adds to those of the peer.
PASSED_OVER = {
    "date", "server", "connection", "transfer-encoding", "content-length",
    "cache-control", "content-security-policy", "x-content-type-options", "x-request-id",
    # With these, every page could read what an echo shows of its reader.
    "access-control-allow-origin", "access-control-allow-credentials",
    "access-control-allow-methods", "access-control-max-age",
}  # fmt: skip

# Intended differences, in all responses of a dialect or in those to one request: where, and why.
EVERYWHERE: dict[str, dict[str, str]] = {
    "gateway-api": {
        "body.httpPort": "of later versions than v1.4.1",
    },
    "whoami": {
        "body.IP": "ours tells the addresses by which it is reached, not every interface's",
        "body.ip": "ours tells the addresses by which it is reached, not every interface's",
    },
    "echoserver": {
        "content-type": "ours says that it is UTF-8",
        "body.Server values": "ours is no nginx",
    },
}
_NO_TYPE = "ours gives a type, whatever it has to say"
_ECHOED = "ours shows what came; Go's router redirects to a path that did not come"
_WRONG = "who asks for what can't be is answered 400: it is not the server's fault"
_INVALID_DELAY = {"status": _WRONG, "body.message": "ours is not Go's parser"}
_REDIRECTED = {"status": _ECHOED, "location": _ECHOED, "content-type": _ECHOED, "body": _ECHOED}
DIFFERENCES: dict[str, dict[str, dict[str, str]]] = {
    "gateway-api": {
        "an unclean path": _REDIRECTED,
        "status": {"content-type": _NO_TYPE},
        "status in a POST": {"content-type": _NO_TYPE},
        "no status": {"content-type": _NO_TYPE},
        "status and more": {"content-type": _NO_TYPE},
        "no delay": _INVALID_DELAY,
        "a delay without unit": _INVALID_DELAY,
        "a delay of another unit": _INVALID_DELAY,
        "set a cookie": dict.fromkeys(("status", "set-cookie", "body"), "no answer sets a cookie for a client"),
        "set the type": dict.fromkeys(
            ("status", "body"), "echo-basic overwrites the type, ours says that it is not set"
        ),
    },
    "whoami": {
        "an unclean path": _REDIRECTED,
        "no agent": {"body.headers": "ours names no agent where none was named"},
        "health": {"content-type": _NO_TYPE},
        "no data": {"content-type": _NO_TYPE},
        "one byte of data": {"content-type": _NO_TYPE},
        "data of no size": {"content-type": _NO_TYPE},
        "data to keep": {
            **dict.fromkeys(("accept-ranges", "last-modified"), "ours gives the whole, made anew"),
            "body": "ours gives as many bytes as are asked for, whoami one less",
        },
        "environment": {"body.environ": "nobody is told the environment"},
    },
    "echoserver": {
        "an empty POST": {"body.Request Body": "ours tells no empty body from none"},
    },
}


def parsed_json(body: bytes) -> Any:
    """Parse JSON; the client's port is removed."""
    read = json.loads(body)
    if "remoteAddr" in read:
        read["remoteAddr"] = without_port(read["remoteAddr"])
    return read


def without_port(address: str) -> str:
    """Return an address without its port."""
    return re.sub(r":\d+$", "", address)


def parsed_whoami(body: bytes) -> dict[str, Any]:
    """Parse whoami's text by its names: the IPs, the request line, the headers in order, the body."""
    head, _, rest = body.decode("latin-1").partition("\r\n\r\n")
    if not rest and "\r\n" not in head:
        return {"": head}
    told, _, request = head.partition(" HTTP/1.1\r\n")
    *lines, line = told.split("\n")
    pairs = [line.partition(": ")[::2] for line in lines]
    shown = dict(pair for pair in pairs if pair[0] != "IP")
    shown["RemoteAddr"] = without_port(shown["RemoteAddr"])
    ips = [value for name, value in pairs if name == "IP"]
    return {**shown, "IP": ips, "line": line, "headers": request.split("\r\n"), "body": rest}


def parsed_echoserver(body: bytes) -> dict[str, Any]:
    """Parse echoserver's text by its sections, each as lines."""
    sections = re.findall(r"(?:^|\n)(\w[\w ]*):\n(.*?)(?=\n\n\w[\w ]*:\n|$)", body.decode("latin-1"), re.DOTALL)
    first, *_ = body.decode("latin-1").partition("\n\nPod Information:")
    return {"first": first} | {name: text.split("\n") for name, text in sections}


PARSERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "whoami": parsed_whoami,
    "echoserver": parsed_echoserver,
}


def by_place(dialect: str, answer: Told) -> dict[str, Any]:
    """Return everything in a response, by its place."""
    places: dict[str, Any] = {"status": answer.status}
    places |= {name: value for name, value in answer.fields.items() if name not in PASSED_OVER}
    parse = PARSERS.get(dialect)
    if answer.fields.get("content-type", "").startswith("application/json"):
        parse = parsed_json
    body = parse(answer.body) if parse and answer.body else answer.body
    if isinstance(body, dict):
        return places | {f"body.{name}": value for name, value in body.items()}
    return places | {"body": body}


def different(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the differences between two responses, by place."""
    return {
        place: (theirs.get(place), ours.get(place))
        for place in theirs.keys() | ours.keys()
        if theirs.get(place) != ours.get(place)
    }


@dataclass(frozen=True)
class Pair:
    """A dialect, the port of an echo that speaks it, and the peer's responses by the name of the request.

    `there` is where a recorded peer ran: its host name and its port.
    """

    dialect: str
    port: int
    answers: dict[str, Told]
    there: tuple[str, int] | None = None


@contextmanager
def _pair(dialect: str, log: Path) -> Iterator[Pair]:
    with running(dialect=dialect) as echo:
        if dialect not in REAL:
            kept = recording(dialect)
            yield Pair(dialect, echo.port, kept.answers, (kept.hostname, kept.port))
            return
        with running_peer(dialect, log) as port:
            answers = {name: told(each, ask(port, each)) for name, each in asked(dialect).items()}
        yield Pair(dialect, echo.port, answers)


@pytest.fixture(scope="module")
def pair_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pair]]:
    """Yield a function that returns, by dialect, an echo configured for it and the responses of its peer."""
    folder = tmp_path_factory.mktemp("peers")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as ended:
        for name, value in POD.items():
            patch.setenv(name, value)
        yield cache(lambda dialect: ended.enter_context(_pair(dialect, folder / dialect)))


def as_there(answer: Told, here: int, there: tuple[str, int]) -> Told:
    """Return a response of the echo as it would be on another machine, at another port."""
    name, port = there
    body = re.sub(rb'(Hostname: |"hostname":")[^"\n]+', rb"\g<1>" + name.encode(), answer.body, count=1)
    return Told(answer.status, answer.fields, body.replace(b".test:%d/" % here, b".test:%d/" % port))


@pytest.mark.parametrize(("dialect", "name"), [(dialect, name) for dialect in DIALECTS for name in asked(dialect)])
def test_ours_answers_as_the_peer_but_for_what_is_listed(
    pair_of: Callable[[str], Pair], dialect: str, name: str
) -> None:
    """Status, headers and content equal the peer's; each listed difference occurs, and has its reason."""
    pair, request = pair_of(dialect), asked(dialect)[name]
    theirs, ours = pair.answers[name], told(request, ask(pair.port, request))
    if pair.there:
        ours = as_there(ours, pair.port, pair.there)
    found = different(by_place(dialect, theirs), by_place(dialect, ours))
    listed = DIFFERENCES[dialect].get(name, {})
    # Bodies of different content types have no places in common.
    places = {"body" if place.startswith("body") and "body" in listed else place for place in found}
    assert places - EVERYWHERE[dialect].keys() == listed.keys(), found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_dialect_is_taken_for_another_type_than_it_says(pair_of: Callable[[str], Pair], dialect: str) -> None:
    """No response of a dialect is HTML, or can be sniffed as another type, cached, or read by another page."""
    pair = pair_of(dialect)
    for name, request in asked(dialect).items():
        fields = told(request, ask(pair.port, request)).fields
        assert "html" not in fields.get("content-type", ""), name
        assert (fields["x-content-type-options"], fields["cache-control"]) == ("nosniff", "no-store"), name
        assert not [field for field in fields if field.startswith("access-control-")], name


@pytest.mark.parametrize(
    ("dialect", "sign"),
    [
        ("gateway-api", b'\n "path": "'),
        ("whoami", b"Hostname: "),
        ("echoserver", b"\tserver_version="),
    ],
)
def test_one_request_may_ask_for_a_dialect(echo: Echo, dialect: str, sign: bytes) -> None:
    """A request selects a dialect by query or header, although the echo is configured for none."""
    for path, fields in ((f"/anything?echo_format={dialect}", {}), ("/anything", {"X-Echo-Format": dialect})):
        answer, body = echo.get(path, fields)
        assert answer.status == 200
        assert sign in body


def test_a_request_may_ask_for_the_echos_own_words(pair_of: Callable[[str], Pair]) -> None:
    """A request selects the bare format, although the echo is configured for a dialect."""
    raw = ask(pair_of("whoami").port, b"GET /a?echo_format=bare HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert raw.endswith(b"<b>Got: a</b>!")


@pytest.mark.parametrize(
    ("dialect", "path"),
    [("gateway-api", "/?delay=150ms"), ("whoami", "/?wait=150ms")],
)
def test_an_answer_waits_as_it_is_asked_to(pair_of: Callable[[str], Pair], dialect: str, path: str) -> None:
    """The dialects' own delay parameters delay the first byte of a response."""
    began = time.monotonic()
    raw = ask(pair_of(dialect).port, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - began >= 0.15


# The Gateway API's own client


@pytest.fixture(scope="module")
def gateway_client() -> Path:
    """Return the client of the conformance tests."""
    return go_program("gateway-client")


def captured(client: Path, *arguments: str | Path) -> dict[str, Any]:
    """Send a request with the client; return what it reports."""
    report: dict[str, Any] = json.loads(run(client, *arguments, deadline=DEADLINE))
    return report


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/2.0"])
def test_the_conformance_client_reads_what_it_sent(
    gateway_client: Path, pair_of: Callable[[str], Pair], protocol: str
) -> None:
    """The conformance client's parser finds each header, and the response header that it requested."""
    report = captured(
        gateway_client,
        *(["-h2c"] if protocol == "HTTP/2.0" else []),
        *("-method", "POST", "-host", "example.test", "-body", "x"),
        *("-field", "X-A:b", "-field", "X-Echo-Set-Header:X-Set:c,X-Two:d"),
        f"http://127.0.0.1:{pair_of('gateway-api').port}/a%2Fb?x=1&x=2",
    )
    request = report["request"]
    assert request["headers"].pop("X-A") == ["b"]
    assert {name: request[name] for name in ("path", "host", "method", "proto", "namespace", "pod")} == {
        "path": "/a%2Fb?x=1&x=2",
        "host": "example.test",
        "method": "POST",
        "proto": protocol,
        "namespace": "ns",
        "pod": "pod",
    }
    assert (report["status"], report["proto"], report["fields"]["Content-Type"]) == (
        200,
        protocol,
        ["application/json"],
    )
    assert (report["fields"]["X-Set"], report["fields"]["X-Two"]) == (["c"], ["d"])


def test_the_conformance_client_reads_the_tls_that_it_spoke(gateway_client: Path, tmp_path: Path) -> None:
    """The conformance client reads the version, server name and cipher suite of its TLS connection."""
    with running_with_tls(tmp_path, dialect="gateway-api") as secure:
        report = captured(gateway_client, "-cert", tmp_path / "echo.pem", "-server", "localhost", f"{secure.url}/a")
    tls = report["request"]["tls"]
    assert (tls["version"], tls["serverName"]) == ("TLSv1.3", "localhost")
    assert tls["cipherSuite"].startswith("TLS_")


@pytest.mark.parametrize(
    "cipher",
    ["", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
)
def test_tls_shows_as_echo_basic_shows_it(tmp_path: Path, cipher: str) -> None:
    """TLS details, with the client certificate, equal echo-basic's over TLS 1.3 and with TLS 1.2 ciphers of both."""
    # The client does not know this CA; otherwise OpenSSL would send its certificate too, which not every Python shows.
    authority, clients = trustme.CA(), trustme.CA()
    served, client = authority.issue_cert("localhost"), clients.issue_cert("client")
    files = {name: tmp_path / f"{name}.pem" for name in ("pem", "ca")}
    served.private_key_and_cert_chain_pem.write_to_path(files["pem"])
    clients.cert_pem.write_to_path(files["ca"])
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    trusting.set_alpn_protocols(["http/1.1"])
    client.configure_cert(trusting)
    if cipher:
        trusting.maximum_version = ssl.TLSVersion.TLSv1_2
        trusting.set_ciphers(cipher)
    ours_settings = {"tls_cert": files["pem"], "tls_key": files["pem"], "tls_client_ca": files["ca"]}
    theirs_settings = {
        "TLS_SERVER_CERT": str(files["pem"]),
        "TLS_SERVER_PRIVKEY": str(files["pem"]),
        "TLS_CLIENT_CACERTS": str(files["ca"]),
    }
    with (
        running(dialect="gateway-api", **ours_settings) as echo,
        running_peer("gateway-api", tmp_path / "log", theirs_settings, secure=True) as port,
    ):
        theirs, ours = (tls_told(each, trusting) for each in (port, echo.port))
    if not cipher:  # each server prefers another cipher suite of TLS 1.3
        assert {theirs.pop("cipherSuite"), ours.pop("cipherSuite")} <= {
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
        }
    assert ours == theirs
    assert ours["peerCertificates"][0] == client.cert_chain_pems[0].bytes().decode()


def tls_told(port: int, trusting: ssl.SSLContext) -> dict[str, Any]:
    """Return what an echo shows of a connection's TLS."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock,
        trusting.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        secured.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        shown: dict[str, Any] = json.loads(told(b"GET", read_to_end(secured)).body)["tls"]
        return shown


def test_go_and_openssl_name_the_cipher_suites_differently() -> None:
    """The mapping of cipher suites to IANA names, which Go uses, equals OpenSSL's own."""
    lines = run(program("openssl"), "ciphers", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0").splitlines()
    standard = {openssl: name for name, _, openssl, *_ in map(str.split, lines)}
    assert {name: standard[name] for name in CIPHER_SUITES} == CIPHER_SUITES
