"""The echo behind real proxies: PROXY protocol and plain HTTP."""

import hashlib
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.http.process import Echo, read_answer, read_to_end, running
from tests.http.proxies import Proxy, haproxy, nginx_http, nginx_stream

GET = b"GET /who HTTP/1.1\r\nHost: echo\r\nAccept: application/json\r\n\r\n"
V2_LOCAL = bytes.fromhex("0d0a0d0a000d0a515549540a 20 00 0000")

Front = Callable[[Path, int], AbstractContextManager[Proxy]]


@pytest.fixture(scope="module")
def proxied() -> Iterator[Echo]:
    """Yield an echo whose port requires the PROXY protocol."""
    with running(proxy_protocol="on") as echo:
        yield echo
        assert echo.process.poll() is None, "it has lived through all of it"


def reflection(sock: socket.socket, request: bytes = GET) -> dict[str, Any]:
    """Send a request on a connection that stays open; return its reflection."""
    sock.sendall(request)
    answer, body = read_answer(sock)
    assert answer.status == 200, body
    reflected: dict[str, Any] = json.loads(body)
    return reflected


def endpoint(address: tuple[str, int]) -> dict[str, object]:
    """Return a socket's address in the form of a reflection."""
    return {"address": address[0], "port": address[1]}


def seen(sock: socket.socket) -> tuple[Any, Any]:
    """Check that a proxy's header names this socket as client; return the header's extensions and its other values."""
    client = reflection(sock)["client"]
    header = client["proxyProtocol"]
    ours = endpoint(sock.getsockname())
    assert {name: client[name] for name in ours} == ours
    assert header.pop("source") == ours
    assert header.pop("destination") == endpoint(sock.getpeername())
    return header.pop("tlvs", None), header


# the PROXY protocol, as real proxies send it


@pytest.mark.parametrize(
    ("server", "version"), [("send-proxy", 1), ("send-proxy-v2", 2)], ids=["version 1", "version 2"]
)
def test_haproxy_says_who_its_client_is(proxied: Echo, tmp_path: Path, server: str, version: int) -> None:
    """The client is the peer of haproxy, not haproxy itself."""
    with haproxy(tmp_path, proxied.port, server) as proxy, proxy.connect() as sock:
        assert seen(sock) == (None, {"version": version, "command": "PROXY", "transport": "TCP4"})


def test_haproxys_extensions_are_shown(proxied: Echo, tmp_path: Path) -> None:
    """The checksum of haproxy's header is verified, and its configured unique id is shown."""
    server = "send-proxy-v2 proxy-v2-options crc32c,unique-id"
    with haproxy(tmp_path, proxied.port, server) as proxy, proxy.connect() as sock:
        tlvs, _ = seen(sock)
        assert bytes.fromhex(tlvs.pop("crc32c"))
        assert tlvs == {"uniqueId": "unique-{}-{}".format(*sock.getsockname())}


@pytest.mark.parametrize("with_certificate", [True, False], ids=["with a certificate", "without one"])
def test_haproxy_says_how_tls_came_to_it(proxied: Echo, tmp_path: Path, *, with_certificate: bool) -> None:
    """Version, cipher, server name, protocol and client name are those of the client's TLS connection to haproxy."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("echo.example").private_key_and_cert_chain_pem.write_to_path(tmp_path / "echo.pem")
    client = ssl.create_default_context()
    client.set_alpn_protocols(["http/1.1"])
    authority.configure_trust(client)
    if with_certificate:
        authority.issue_cert("client@echo.example", common_name="a cliént").configure_cert(client)
    bind = f"ssl crt {tmp_path}/echo.pem ca-file {tmp_path}/ca.pem verify optional alpn http/1.1"
    server = "send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,cert-key,crc32c,unique-id,authority"
    with (
        haproxy(tmp_path, proxied.port, server, bind=bind) as proxy,
        proxy.connect() as plain,
        client.wrap_socket(plain, server_hostname="echo.example") as sock,
    ):
        tlvs, header = seen(sock)
        assert header == {"version": 2, "command": "PROXY", "transport": "TCP4"}
        assert tlvs.keys() == {"alpn", "authority", "crc32c", "uniqueId", "ssl"}
        assert tlvs["authority"] == "echo.example"
        assert tlvs["alpn"] == "http/1.1"
        cipher = sock.cipher()
        assert cipher is not None
        agreed: dict[str, object] = {"version": sock.version(), "cipher": cipher[0], "keyAlg": "EC256", "verify": 0}
        if with_certificate:
            agreed |= {"client": ["SSL", "CERT_CONN", "CERT_SESS"], "cn": "a cliént"}
        else:
            agreed |= {"client": ["SSL"]}
        assert tlvs["ssl"] == agreed


def test_nginx_says_who_its_client_is(proxied: Echo, tmp_path: Path) -> None:
    """The client is the peer of nginx, whose stream module sends version 1."""
    with nginx_stream(tmp_path, proxied.port) as proxy, proxy.connect() as sock:
        assert seen(sock) == (None, {"version": 1, "command": "PROXY", "transport": "TCP4"})


def test_haproxys_health_checks_are_answered(proxied: Echo, tmp_path: Path) -> None:
    """Health checks of haproxy, sent with LOCAL because there is no client, get a response."""
    check = "send-proxy-v2 check check-send-proxy inter 50ms"
    with haproxy(tmp_path, proxied.port, check) as proxy:
        proxy.wait_until_said("Health check for server echo/echo succeeded, reason: Layer7 check passed, code: 200")


@pytest.mark.parametrize("front", [partial(haproxy, server="send-proxy-v2"), nginx_stream], ids=["haproxy", "nginx"])
def test_one_header_holds_for_all_requests_of_a_connection(proxied: Echo, tmp_path: Path, front: Front) -> None:
    """One PROXY header, before the first request, applies to all requests of a connection."""
    with front(tmp_path, proxied.port) as proxy, proxy.connect() as sock:
        clients = [reflection(sock)["client"] for _ in range(50)]
        assert {name: clients[0][name] for name in ("address", "port")} == endpoint(sock.getsockname())
        assert all(client == clients[0] for client in clients)


# the PROXY protocol, as a test sends it


@pytest.mark.parametrize("size", [1000, 20, 1], ids=["whole", "in pieces", "byte by byte"])
def test_a_header_may_come_in_pieces_and_with_a_request(proxied: Echo, size: int) -> None:
    """A header is accepted in pieces and together with a request, because TCP keeps no boundaries."""
    wire = b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n" + GET
    *pieces, last = (wire[start : start + size] for start in range(0, len(wire), size))
    with proxied.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sock.sendall(piece)
        client = reflection(sock, last)["client"]
    assert client["address"] == "2001:db8::1"
    assert client["port"] == 56324
    assert client["proxyProtocol"]["destination"] == {"address": "2001:db8::2", "port": 443}


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (b"PROXY UNKNOWN\r\n", {"version": 1, "command": "PROXY", "transport": "UNKNOWN"}),
        (V2_LOCAL, {"version": 2, "command": "LOCAL"}),
    ],
    ids=["UNKNOWN", "LOCAL"],
)
def test_a_header_without_a_client_leaves_the_real_one(proxied: Echo, header: bytes, shown: object) -> None:
    """With UNKNOWN or LOCAL, the real connection's parameters are used, as the specification requires (2.1, 2.2)."""
    with proxied.connect() as sock:
        client = reflection(sock, header + GET)["client"]
        assert client == endpoint(sock.getsockname()) | {"effective": "127.0.0.1", "proxyProtocol": shown}


@pytest.mark.parametrize(
    "sent",
    [GET, b"\x16\x03\x01\x02\x00", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n" + GET, V2_LOCAL[:12] + b"\x11" + GET],
    ids=["no header", "TLS", "a bad port", "a bad version"],
)
def test_without_a_header_nothing_is_answered(proxied: Echo, sent: bytes) -> None:
    """Without a valid header there is no response: a receiver must not guess (2), or clients could forge addresses."""
    answer = proxied.exchange(sent)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert b"/who" not in answer
    assert answer.count(b"HTTP/1.1") <= 1


def test_half_a_header_is_not_waited_for_forever() -> None:
    """An incomplete header is subject to ECHO_HEADER_TIMEOUT."""
    with running(proxy_protocol="on", header_timeout=0.2) as echo, echo.connect() as sock:
        sock.sendall(b"PROXY TCP4 192.0.2.1")
        assert b" 200 " not in read_to_end(sock)


def test_a_port_that_does_not_ask_for_a_header_takes_none(echo: Echo) -> None:
    """A port without the PROXY protocol rejects its header with 400, so that clients cannot forge their address."""
    answer = echo.exchange(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n" + GET)
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/version"])
def test_the_clusters_port_asks_for_no_header(proxied: Echo, path: str) -> None:
    """The admin port requires no PROXY header, because the kubelet's probes send none."""
    answer, _ = proxied.get(path, port=proxied.admin_port)
    assert answer.status == 200


# plain HTTP


PLAIN = pytest.mark.parametrize("front", [partial(haproxy, mode="http"), nginx_http], ids=["haproxy", "nginx"])


@PLAIN
def test_one_connection_to_a_proxy_carries_many_requests(echo: Echo, tmp_path: Path, front: Front) -> None:
    """Each request gets its own response, and the proxy uses one connection to the echo for all of them."""
    with front(tmp_path, echo.port) as proxy, proxy.connect() as sock:
        reflected = [reflection(sock, GET.replace(b"/who", b"/%d" % number)) for number in range(200)]
        assert [each["path"] for each in reflected] == [f"/{number}" for number in range(200)]
        assert len({each["client"]["port"] for each in reflected}) == 1


@PLAIN
def test_a_chunked_body_comes_through_a_proxy_whole(echo: Echo, tmp_path: Path, front: Front) -> None:
    """A chunked body arrives complete through a proxy, however it changes the chunks; twice on one connection."""
    chunks = [bytes([number]) * 4096 * number for number in range(1, 30)]
    body = b"".join(chunks)
    coded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: echo\r\nAccept: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with front(tmp_path, echo.port) as proxy, proxy.connect() as sock:
        for _ in range(2):
            reflected = reflection(sock, head + coded)["body"]
            assert reflected["length"] == len(body)
            assert reflected["sha256"] == hashlib.sha256(body).hexdigest()
            assert reflected["chunked"] is True
