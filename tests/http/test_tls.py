"""TLS with real clients, and certificates that change under load."""

import hashlib
import http.client
import json
import os
import random
import select
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from app.cli import announcement
from app.config.settings import Settings
from app.server.state import SHUTDOWN_GRACE
from tests.http.certificates import AUTHORITY, Secret, Slow, connect, reflect, served_serial, shake_hands, trusting
from tests.http.process import DEADLINE, Echo, LateError, in_time, read_lines, read_to_end, running, start
from tests.http.programs import program
from tools.commands import CommandError, run

JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the CA certificate."""
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echo]:
    """Yield an echo with TLS, and check that it writes nothing to stderr."""
    with running(**Secret(tmp_path_factory.mktemp("secret")).settings) as echo:
        yield echo
        assert echo.process.poll() is None, "it has lived through all of it"
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""


@pytest.mark.parametrize(
    ("flags", "agreed"),
    [
        (["--http1.1"], ("HTTP/1.1", "TLSv1.3", "http/1.1")),
        (["--http1.1", "--tls-max", "1.2"], ("HTTP/1.1", "TLSv1.2", "http/1.1")),
        (["--http2", "--tlsv1.3"], ("HTTP/2.0", "TLSv1.3", "h2")),
        (["--http2", "--tls-max", "1.2"], ("HTTP/2.0", "TLSv1.2", "h2")),
        (["--no-alpn"], ("HTTP/1.1", "TLSv1.3", None)),
    ],
)
def test_curl_sees_what_was_agreed_on(
    secure: Echo, ca: Path, flags: list[str], agreed: tuple[str, str, str | None]
) -> None:
    """The reflection shows the negotiated versions, the ALPN protocol, and the server name that curl sent."""
    url = f"https://localhost:{secure.port}/a"
    told = json.loads(run("curl", "--silent", "--fail", "--cacert", ca, "-H", "Accept: application/json", *flags, url))
    assert (told["proto"], told["tls"]["version"], told["tls"].get("negotiatedProtocol")) == agreed
    assert told["tls"]["serverName"] == "localhost"
    assert set(told["tls"]) <= {"version", "serverName", "cipherSuite", "negotiatedProtocol"}


def test_pythons_own_client_is_answered(secure: Echo) -> None:
    """Python's client gets responses to many requests on one connection, with the cipher that it reports itself."""
    client = http.client.HTTPSConnection("localhost", secure.port, context=trusting(), timeout=DEADLINE)
    client.connect()
    assert isinstance(client.sock, ssl.SSLSocket)
    own = client.sock.cipher()
    for _ in range(20):
        client.request("GET", "/a", headers=JSON)
        told = json.loads(client.getresponse().read())
        assert own is not None
        assert told["tls"]["cipherSuite"] == own[0]
    client.close()


def test_the_same_port_serves_cleartext(secure: Echo) -> None:
    """The same port serves unencrypted requests, whose reflection has no TLS details."""
    told = json.loads(secure.get("/", JSON)[1])
    assert "tls" not in told


def test_a_handshake_may_come_byte_by_byte(secure: Echo) -> None:
    """A handshake may arrive byte by byte; requests before the client's close_notify get their responses."""
    with secure.connect() as sock:
        client = Slow(sock)
        client.shake_hands()
        client.send_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_to_end().endswith(b"<b>Got: slow</b>!")


def test_a_body_is_answered_though_the_client_has_ended(secure: Echo) -> None:
    """A client that has closed its side of TLS and TCP still gets the response to its body."""
    body = b"0123456789abcdef" * 200_000
    with secure.connect() as sock:
        client = Slow(sock)
        client.shake_hands()
        head = f"POST /b HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        client.send_all(head.encode() + body)
        told = json.loads(client.read_to_end().partition(b"\r\n\r\n")[2])
    assert told["body"]["sha256"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
def test_a_large_upload_arrives_whole(secure: Echo, ca: Path, tmp_path: Path, flag: str) -> None:
    """A large upload over TLS arrives complete, with the right digest."""
    body = random.Random(1).randbytes(32_000_000)  # noqa: S311 - it hides nothing
    (tmp_path / "body").write_bytes(body)
    told = json.loads(
        run(
            *("curl", "--silent", "--fail", "--cacert", ca, flag, "-H", "Accept: application/json"),
            *("-H", "Content-Type: application/octet-stream", "-T", tmp_path / "body"),
            f"https://localhost:{secure.port}/",
        )
    )
    assert (told["body"]["length"], told["body"]["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())


def test_an_older_version_is_refused(secure: Echo) -> None:
    """TLS 1.1, which RFC 8996 deprecates, is rejected."""
    old = trusting()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with secure.connect() as sock, pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        old.wrap_socket(sock, server_hostname="localhost")


def test_the_oldest_version_and_the_ciphers_are_settings(tmp_path: Path, ca: Path) -> None:
    """Clients below ECHO_TLS_MIN_VERSION or without a cipher of ECHO_TLS_CIPHERS are rejected."""
    settings = Secret(tmp_path).settings
    curl = ("curl", "--silent", "--show-error", "--fail", "--cacert", ca)
    with running(**settings, tls_min_version="1.3") as echo:
        url = f"https://localhost:{echo.port}/a"
        assert run(*curl, url) == "<b>Got: a</b>!"
        with pytest.raises(CommandError, match="alert protocol version"):
            run(*curl, "--tls-max", "1.2", url)
    with running(**settings, tls_ciphers="ECDHE-ECDSA-CHACHA20-POLY1305") as echo:
        url = f"https://localhost:{echo.port}/a"
        told = json.loads(run(*curl, "-H", "Accept: application/json", "--tls-max", "1.2", url))
        assert told["tls"]["cipherSuite"] == "ECDHE-ECDSA-CHACHA20-POLY1305"
        with pytest.raises(CommandError, match="handshake failure"):
            run(*curl, "--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256", url)


def test_where_only_tls_is_served_cleartext_is_refused(tmp_path: Path) -> None:
    """With ECHO_TLS_ONLY, unencrypted requests get 400 with a reason; the admin port stays unencrypted."""
    with running(**Secret(tmp_path).settings, tls_only="on") as echo:
        answer, body = echo.get("/")
        assert (answer.status, body) == (
            400,
            b"400 Bad Request: plaintext connection to a port that requires TLS (ECHO_TLS_ONLY)\n",
        )
        assert echo.exchange(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        with connect(echo) as sock:
            assert reflect(sock)["tls"]["version"] == "TLSv1.3"
        assert echo.get("/readyz", port=echo.admin_port)[0].status == 200
        _, what = echo.announced
        assert run(*shlex.split(what.removeprefix("Try: ")), "--silent") == "<b>Got: blah/blah</b>!", "it can be typed"


def test_what_is_announced_can_be_typed_behind_a_proxy() -> None:
    """With the PROXY protocol, the announced curl command sends the required header, and works."""
    with running(proxy_protocol="on") as echo:
        assert run(*shlex.split(echo.announced[1].removeprefix("Try: ")), "--silent") == "<b>Got: blah/blah</b>!"


def test_what_is_announced_is_http_for_as_long_as_that_is_served() -> None:
    """The announced command uses HTTP while it is served, even beside TLS: curl needs no trusted CA for it."""
    assert "Try: curl http://" in announcement(Settings(tls_cert="c", tls_key="k"))


OTHERS = trustme.CA()
ME = AUTHORITY.issue_cert("client.test", common_name="me")
NOBODY = OTHERS.issue_cert("client.test")
PAST = AUTHORITY.issue_cert("client.test", not_after=datetime.now(UTC) - timedelta(days=1))


@pytest.fixture(scope="module", params=["require", "request"])
def mutual(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ca: Path) -> Iterator[Echo]:
    """Yield an echo that requests client certificates; its `announced` begins with the mode."""
    secret = Secret(tmp_path_factory.mktemp("secret"))
    with running(**secret.settings, tls_client_ca=ca, tls_client_auth=request.param) as echo:
        echo.announced.insert(0, request.param)
        yield echo
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""


def test_a_clients_certificate_is_shown(mutual: Echo) -> None:
    """A client certificate of the configured CA is shown as PEM, as the Gateway API's client reads it, and parsed."""
    with connect(mutual, certificate=ME) as sock:
        told = reflect(sock)["tls"]
    assert told["peerCertificates"][0].split() == ME.cert_chain_pems[0].bytes().decode().split()
    assert set(told["clientCertificate"]) == {
        *("subject", "issuer", "subjectAltNames", "notBefore", "notAfter", "serialNumber", "sha256")
    }
    assert ["commonName", "me"] in told["clientCertificate"]["subject"]
    assert told["clientCertificate"]["subjectAltNames"] == [["DNS", "client.test"]]


def test_a_client_without_a_certificate_is_refused_where_one_is_required(mutual: Echo) -> None:
    """A client without a required certificate is rejected, else served; the admin port never requests one."""
    if mutual.announced[0] == "require":
        with connect(mutual) as sock, pytest.raises(ssl.SSLError, match="ALERT_CERTIFICATE_REQUIRED"):
            reflect(sock)
    else:
        with connect(mutual) as sock:
            assert not {"peerCertificates", "clientCertificate"} & set(reflect(sock)["tls"])
    assert mutual.get("/readyz", port=mutual.admin_port)[0].status == 200


@pytest.mark.parametrize(
    ("certificate", "alert"),
    [(NOBODY, "ALERT_UNKNOWN_CA"), (PAST, "ALERT_CERTIFICATE_EXPIRED")],
    ids=["of an unknown authority", "expired"],
)
def test_a_clients_certificate_must_be_good(mutual: Echo, certificate: trustme.LeafCert, alert: str) -> None:
    """An invalid client certificate is rejected with an alert for its reason, whether required or only requested."""
    with connect(mutual, certificate=certificate) as sock, pytest.raises(ssl.SSLError, match=alert):
        reflect(sock)


def test_certificates_change_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    """New connections soon get the new certificate, open ones continue, and no request fails, with two workers."""
    secret = Secret(tmp_path)
    with running(**secret.settings, workers=2) as echo, connect(echo) as kept:
        before = reflect(kept)["client"]
        stop, came = threading.Event(), Counter[str]()

        def ask(fresh: bool) -> None:  # noqa: FBT001 - a thread's argument
            client = http.client.HTTPSConnection("localhost", echo.port, context=trusting(), timeout=DEADLINE)
            while not stop.is_set():
                try:
                    client.request("GET", "/a")
                    came[client.getresponse().read().decode()] += 1
                except (OSError, http.client.HTTPException) as error:
                    came[repr(error)] += 1
                if fresh:
                    client.close()
            client.close()

        threads = [threading.Thread(target=ask, args=(fresh,)) for fresh in (True, True, False, False)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(2):  # from the first certificate to the second, then to the third
                asked = came.total()
                secret.swap()
                wait_until_served(echo, secret.serial)
                assert came.total() > asked, "it was asked all the time"
        finally:
            stop.set()
            for thread in threads:
                thread.join(DEADLINE)
        assert set(came) == {"<b>Got: a</b>!"}
        assert reflect(kept)["client"] == before, "on the same connection"
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""


def wait_until_served(echo: Echo, serial: int) -> None:
    """Wait until ten new connections in a row, at any worker, get this certificate."""
    give_up = time.monotonic() + DEADLINE
    in_a_row = 0
    while in_a_row < 10:
        in_a_row = in_a_row + 1 if served_serial(echo) == serial else 0
        assert time.monotonic() < give_up, "the new certificate is not served"


def test_files_that_can_not_be_used_are_told_and_the_old_ones_stay(tmp_path: Path) -> None:
    """Unusable files are reported on stderr and the old certificate stays; corrected files are served."""
    secret = Secret(tmp_path)
    with running(**secret.settings) as echo:
        shutil.rmtree(tmp_path / "..1")
        assert echo.process.stderr is not None
        (said,) = read_lines(echo.process.stderr, 1)
        assert "can't use " in said
        assert said.endswith("tls.crt for TLS: No such file or directory; keeping the current certificate")
        assert served_serial(echo) == secret.serial
        secret.swap()
        wait_until_served(echo, secret.serial)
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""


def test_a_start_that_can_not_serve_tls_says_so(tmp_path: Path) -> None:
    """TLS files that cannot be used prevent startup with one line of error; no passphrase is requested."""
    good = Secret(tmp_path).settings
    key = serialization.load_pem_private_key((tmp_path / "tls.key").read_bytes(), None)
    for name, encryption in (
        ("encrypted", serialization.BestAvailableEncryption(b"secret")),
        ("clear", serialization.NoEncryption()),
    ):
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        (tmp_path / name).write_bytes(pem)
    (tmp_path / "other").write_bytes(ME.private_key_pem.bytes())
    (tmp_path / "broken").write_text("-----BEGIN CERTIFICATE-----\n")
    cert = tmp_path / "tls.crt"
    for bad, says in (
        ({"tls_cert": "/nowhere"}, "/nowhere for TLS: No such file or directory"),
        ({"tls_cert": tmp_path / "broken"}, f"{tmp_path}/broken for TLS: no readable certificate"),
        (
            {"tls_key": tmp_path / "other"},
            f"{cert} and {tmp_path}/other for TLS: the key does not match the certificate",
        ),
        (
            {"tls_key": tmp_path / "encrypted"},
            f"{cert} and {tmp_path}/encrypted for TLS: the private key is encrypted: must be unencrypted",
        ),
        ({"tls_client_ca": "/nowhere"}, "/nowhere for TLS: No such file or directory"),
        ({"tls_ciphers": "NONSENSE"}, "the cipher list 'NONSENSE' for TLS: no usable cipher suite"),
    ):
        done = start(**good | bad)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"echo: can't use {says}\n"


def test_a_proxy_may_speak_before_tls(tmp_path: Path) -> None:
    """The PROXY header is sent unencrypted before the handshake (HAProxy's send-proxy to a TLS server)."""
    with running(**Secret(tmp_path).settings, proxy_protocol="on") as echo, echo.connect() as plain:
        plain.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n")
        with shake_hands(plain) as sock:
            told = reflect(sock)
    assert (told["client"]["address"], told["client"]["port"]) == ("192.0.2.7", 1234)
    assert told["server"] == {"address": "192.0.2.8", "port": 443}
    assert told["tls"]["serverName"] == "localhost"


def test_who_shakes_hands_while_it_stops_is_answered(tmp_path: Path) -> None:
    """A handshake in progress during shutdown is completed, and the response announces the connection's end."""
    secret = Secret(tmp_path)

    def check() -> None:
        with running(**secret.settings) as echo, echo.connect() as sock:
            client = Slow(sock)
            client.begin()
            assert echo.get("/")[0].status == 200, "so what came before this was taken"
            told = time.monotonic()
            echo.process.send_signal(signal.SIGTERM)
            while echo.get("/readyz", port=echo.admin_port)[0].status == 200:
                assert echo.process.poll() is None
            with suppress(OSError):
                client.shake_hands()
                client.send_all(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
            if time.monotonic() > told + SHUTDOWN_GRACE:
                raise LateError
            head, _, body = client.read_to_end().partition(b"\r\n\r\n")
            assert b"\r\nConnection: close" in head
            assert body == b"<b>Got: late</b>!"
            assert echo.process.wait(DEADLINE) == 0

    in_time(check)


def test_who_is_silent_after_the_handshake_is_left_in_order(tmp_path: Path) -> None:
    """An idle connection gets close_notify by ECHO_IDLE_TIMEOUT; ECHO_HEADER_TIMEOUT ends an incomplete handshake."""
    with (
        running(**Secret(tmp_path).settings, idle_timeout=1, header_timeout=1) as echo,
        connect(echo) as sock,
        echo.connect() as begun,
    ):
        begun.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert read_to_end(begun) == b""
        assert read_to_end(sock) == b"", "an end that TLS does not tell would raise"


@pytest.fixture
def openssl() -> str:
    """Return the path of the openssl program."""
    return program("openssl")


def test_a_client_may_not_shake_hands_anew(secure: Echo, openssl: str) -> None:
    """Renegotiation is rejected: it costs the server more than the client, and TLS 1.3 has removed it."""
    where = f"localhost:{secure.port}"
    with subprocess.Popen(
        [openssl, "s_client", "-connect", where, "-tls1_2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        try:
            read_until(client.stdout.fileno(), b"Extended master secret")
            client.stdin.write(b"R\n")
            read_until(client.stdout.fileno(), b"no renegotiation")
            assert client.wait(DEADLINE) != 0
        finally:
            client.kill()
    assert secure.get("/")[0].status == 200


def read_until(descriptor: int, wanted: bytes) -> None:
    """Read until `wanted` was received; fails with the output instead."""
    said = b""
    give_up = time.monotonic() + DEADLINE
    while wanted not in said:
        ready, _, _ = select.select([descriptor], [], [], max(0, give_up - time.monotonic()))
        piece = os.read(descriptor, 65_536) if ready else b""
        assert piece, said.decode(errors="replace")
        said += piece


def test_a_name_of_any_bytes_is_shown_as_it_came(secure: Echo, openssl: str) -> None:
    """A server name of any bytes is shown as sent, even if it is no host name, and nothing is written to stderr."""
    done = subprocess.run(
        [openssl, "s_client", "-quiet", "-connect", f"localhost:{secure.port}", "-servername", b"\xff.name"],
        input=b"GET / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    told = json.loads(done.stdout.partition(b"\r\n\r\n")[2])
    assert told["tls"]["serverName"] == r"\xff.name"


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x00\x05hello", b"\x16", b"\x16\x03\x01\x40\x00" + b"\x01\x00\x3f\xfc" + b"\xff" * 16_380],
    ids=["garbage", "a byte", "a long hello"],
)
def test_what_is_no_handshake_harms_nobody(secure: Echo, sent: bytes) -> None:
    """Data that is no handshake gets an alert or nothing, and the next connection is served."""
    with secure.connect() as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        assert read_to_end(sock)[:1] in {b"", b"\x15"}
    with connect(secure) as sock:
        assert reflect(sock)["path"] == "/a"
