"""TLS by real clients, with certificates that change while they ask."""

import http.client
import json
import shutil
import signal
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from tests.commands import run
from tests.http.process import DEADLINE, Echo, read_answer, read_to_end, running, start

AUTHORITY = trustme.CA()
JSON = {"Accept": "application/json"}


class Secret:
    """A folder as Kubernetes mounts a Secret: files that are links through `..data` to a folder that is swapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        self.serial = 0
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(Path("..data") / name)
        self.swap()

    def swap(self) -> None:
        """Put a new certificate in the place of the one before, as the kubelet does it."""
        self._count += 1
        new = self.folder / f"..{self._count}"
        new.mkdir()
        issued = AUTHORITY.issue_cert("localhost")
        (new / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        (new / "tls.key").write_bytes(issued.private_key_pem.bytes())
        self.serial = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number
        link = self.folder / "..data_tmp"
        link.symlink_to(new.name)
        link.replace(self.folder / "..data")

    @property
    def settings(self) -> dict[str, object]:
        """Give the settings that serve it."""
        return {"tls_cert": self.folder / "tls.crt", "tls_key": self.folder / "tls.key"}


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the authority's certificate as a file."""
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echo]:
    """Give an echo that serves TLS."""
    with running(**Secret(tmp_path_factory.mktemp("secret")).settings) as echo:
        yield echo
        assert echo.process.poll() is None, "it has lived through all of it"


def context(*, alpn: str = "", certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Give what a client trusts and offers."""
    made = ssl.create_default_context()
    AUTHORITY.configure_trust(made)
    if alpn:
        made.set_alpn_protocols([alpn])
    if certificate:
        certificate.configure_cert(made)
    return made


def connect(echo: Echo, **offered: Any) -> ssl.SSLSocket:
    """Open a connection by TLS."""
    return context(**offered).wrap_socket(echo.connect(), server_hostname="localhost")


def reflect(sock: socket.socket) -> dict[str, Any]:
    """Ask for the reflection on a connection that is kept."""
    sock.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n")
    told: dict[str, Any] = json.loads(read_answer(sock)[1])
    return told


def served_serial(echo: Echo) -> int:
    """Give the serial number of the certificate that a new connection is served with."""
    with connect(echo) as sock:
        der = sock.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der).serial_number


@pytest.mark.parametrize(
    ("flags", "agreed"),
    [
        (["--http1.1"], ("HTTP/1.1", "TLSv1.3", "http/1.1")),
        (["--http2"], ("HTTP/2.0", "TLSv1.3", "h2")),
        (["--http2", "--tls-max", "1.2"], ("HTTP/2.0", "TLSv1.2", "h2")),
        (["--no-alpn"], ("HTTP/1.1", "TLSv1.3", None)),
    ],
)
def test_curl_sees_what_was_agreed_on(
    secure: Echo, ca: Path, flags: list[str], agreed: tuple[str, str, str | None]
) -> None:
    """Version, protocol, the name that it asked for."""
    url = f"https://localhost:{secure.port}/a"
    told = json.loads(run("curl", "--silent", "--fail", "--cacert", ca, "-H", "Accept: application/json", *flags, url))
    assert (told["proto"], told["tls"]["version"], told["tls"].get("negotiatedProtocol")) == agreed
    assert told["tls"]["serverName"] == "localhost"
    assert set(told["tls"]) <= {"version", "serverName", "cipherSuite", "negotiatedProtocol"}


def test_the_same_port_serves_cleartext(secure: Echo) -> None:
    """And says nothing of TLS then."""
    told = json.loads(secure.get("/", JSON)[1])
    assert "tls" not in told


def test_an_older_version_is_refused(secure: Echo) -> None:
    """TLS 1.1 is deprecated by RFC 8996."""
    old = context()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with secure.connect() as sock, pytest.raises(ssl.SSLError):
        old.wrap_socket(sock, server_hostname="localhost")


def test_a_clients_certificate_is_asked_for_and_shown(tmp_path: Path, ca: Path) -> None:
    """By the authority that is set: PEM as the Gateway API's client reads it, and what is in it."""
    me = AUTHORITY.issue_cert("client.test", common_name="me")
    with running(**Secret(tmp_path).settings, tls_client_ca=ca) as echo:
        with connect(echo, certificate=me) as sock:
            told = reflect(sock)["tls"]
        assert told["peerCertificates"][0].split() == me.cert_chain_pems[0].bytes().decode().split()
        assert ["commonName", "me"] in told["clientCertificate"]["subject"]
        assert told["clientCertificate"]["subjectAltNames"] == [["DNS", "client.test"]]
        with pytest.raises((ssl.SSLError, ConnectionError)), connect(echo) as sock:
            reflect(sock)
        assert echo.get("/readyz", port=echo.admin_port)[0].status == 200, "the cluster's port asks for none"


def test_certificates_change_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    """New connections see the new one soon; open ones go on; no request fails, with two workers that each read it."""
    secret = Secret(tmp_path)
    with running(**secret.settings, workers=2) as echo, connect(echo) as kept:
        before = reflect(kept)["client"]
        stop, came = threading.Event(), Counter[str]()

        def ask(fresh: bool) -> None:  # noqa: FBT001 - a thread's argument
            client = http.client.HTTPSConnection("localhost", echo.port, context=context(), timeout=DEADLINE)
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
            for _ in range(3):
                secret.swap()
                wait_until_served(echo, secret.serial)
        finally:
            stop.set()
            for thread in threads:
                thread.join(DEADLINE)
        assert set(came) == {"<b>Got: a</b>!"}
        assert came.total() > 100
        assert reflect(kept)["client"] == before, "on the same connection"
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""


def wait_until_served(echo: Echo, serial: int) -> None:
    """Return when ten new connections in a row are served with this certificate: whichever worker takes them."""
    give_up = time.monotonic() + DEADLINE
    in_a_row = 0
    while in_a_row < 10:
        in_a_row = in_a_row + 1 if served_serial(echo) == serial else 0
        assert time.monotonic() < give_up, "the new certificate is not served"


def test_files_that_can_not_be_used_are_told_and_the_old_ones_stay(tmp_path: Path) -> None:
    """A line on stderr, no end."""
    secret = Secret(tmp_path)
    with running(**secret.settings) as echo:
        shutil.rmtree(tmp_path / "..1")
        assert echo.process.stderr is not None
        said = echo.process.stderr.readline().decode()
        assert "TLS can't be served" in said
        assert said.endswith("No such file or directory; the certificate before it stays in use\n")
        assert served_serial(echo) == secret.serial


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"tls_cert": "/nowhere", "tls_key": "/nowhere"},
            "echo: TLS can't be served with /nowhere: No such",
        ),
        ({"tls_cert": "/nowhere"}, "echo: ECHO_TLS_CERT and ECHO_TLS_KEY go together: set both or neither"),
        ({"tls_only": "on"}, "echo: ECHO_TLS_CLIENT_CA and ECHO_TLS_ONLY need ECHO_TLS_CERT and ECHO_TLS_KEY"),
    ],
)
def test_a_start_that_can_not_serve_tls_says_so(settings: dict[str, object], says: str) -> None:
    """In one line, as for a busy port."""
    done = start(**settings)
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == 1


def test_a_proxy_may_speak_before_tls(tmp_path: Path) -> None:
    """The header comes in clear, then the handshake (HAProxy's send-proxy to a TLS server)."""
    with running(**Secret(tmp_path).settings, proxy_protocol="on") as echo, echo.connect() as plain:
        plain.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n")
        with context().wrap_socket(plain, server_hostname="localhost") as sock:
            told = reflect(sock)
    assert (told["client"]["address"], told["client"]["port"]) == ("192.0.2.7", 1234)
    assert told["server"] == {"address": "192.0.2.8", "port": 443}
    assert told["tls"]["serverName"] == "localhost"


def test_a_stop_ends_tls_in_order(tmp_path: Path) -> None:
    """What was accepted is answered, and the end is told by TLS (RFC 8446, 6.1), so that nobody takes it for a cut."""
    with running(**Secret(tmp_path).settings) as echo, connect(echo) as busy, connect(echo) as idle:
        assert reflect(idle)["path"] == "/a"
        busy.sendall(b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
        assert echo.get("/")[0].status == 200
        echo.process.send_signal(signal.SIGTERM)
        assert read_to_end(idle) == b"", "an end that TLS does not tell would raise"
        busy.sendall(b"2")
        answer, body = read_answer(busy)
        assert (answer.headers["Connection"], body) == ("close", b"<b>Got: half</b>!")
        assert read_to_end(busy) == b""
        assert echo.process.wait(DEADLINE) == 0
        assert echo.errors() == ""
