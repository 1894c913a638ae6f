"""TLS without I/O: a client in memory on the other end."""

import hashlib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from app.carrier import tls
from app.carrier.tls import Contexts, TlsError, TlsFiles, TlsLayer
from app.tls import Certificate
from tests.unit.served import Served

AUTHORITY = trustme.CA()
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


class Files:
    """Certificate files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.pem"
        AUTHORITY.cert_pem.write_to_path(str(self.ca))
        self.serial = self.issue()

    def issue(self) -> str:
        """Write a new certificate; give its serial number, as a reflection would show it."""
        issued = AUTHORITY.issue_cert("localhost")
        for name, blobs in (("cert.pem", issued.cert_chain_pems), ("key.pem", [issued.private_key_pem])):
            new = self.folder / f"new-{name}"
            new.write_bytes(b"".join(blob.bytes() for blob in blobs))
            new.replace(self.folder / name)
        return serial_of(issued)

    def files(self, **more: object) -> TlsFiles:
        """Give what to serve with."""
        return TlsFiles(str(self.folder / "cert.pem"), str(self.folder / "key.pem"), **more)  # type: ignore[arg-type]


def serial_of(issued: trustme.LeafCert) -> str:
    """Give a certificate's serial number in hexadecimal digits."""
    return f"{x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number:x}"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Give certificate files."""
    return Files(tmp_path)


class Client:
    """A client in memory."""

    def __init__(
        self,
        *,
        name: str | None = "localhost",
        alpn: list[str] | None = None,
        cert: trustme.LeafCert | None = None,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        AUTHORITY.configure_trust(context)
        context.check_hostname = name is not None
        context.maximum_version = newest
        if alpn:
            context.set_alpn_protocols(alpn)
        if cert:
            cert.configure_cert(context)
        self.came, self.goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.came, self.goes, server_hostname=name)

    def step(self, do: Callable[[], object]) -> bool:
        """Do something; tell whether it is done."""
        try:
            do()
        except ssl.SSLWantReadError:
            return False
        return True

    def shake_hands(self, layer: TlsLayer) -> None:
        """Do the handshake, to its end on both sides."""
        for _ in range(5):
            done = self.step(self.tls.do_handshake)
            layer.receive(self.goes.read())
            self.came.write(layer.outgoing())
            if done and layer.established:
                return
        raise AssertionError("no handshake")


def opened(files: TlsFiles, client: Client) -> TlsLayer:
    """Give the server's side of a connection on which hands were shaken."""
    layer = TlsLayer(tls.context(files))
    client.shake_hands(layer)
    return layer


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(sent=st.lists(st.binary(max_size=40_000), max_size=3), cuts=st.lists(st.integers(0, 50_000), max_size=8))
def test_what_was_sent_comes_out_however_it_arrives(files: Files, sent: list[bytes], cuts: list[int]) -> None:
    """Whole, byte by byte, cut at random; and the answer the same way back."""
    for pieces in ("whole", "byte by byte", "at random"):
        client = Client()
        layer = opened(files.files(), client)
        for each in sent:
            client.tls.write(each)
        wire = client.goes.read()
        at = {"whole": [], "byte by byte": list(range(len(wire)))[:3000], "at random": sorted(cuts)}[pieces]
        came = b""
        for start, end in zip([0, *at], [*at, len(wire)], strict=True):
            came += layer.receive(wire[start:end])
        assert came == b"".join(sent)
        layer.send(came)
        client.came.write(layer.outgoing())
        back = b""
        while len(back) < len(came):
            back += client.tls.read(1 << 18)
        assert back == came


def test_the_facts_are_those_of_the_connection(files: Files) -> None:
    """Version, cipher, the name that was asked for, the protocol that was agreed on; no certificate, none shown."""
    facts = opened(files.files(), Client(alpn=["tea", "h2"])).facts()
    assert (facts.version, facts.server_name, facts.negotiated_protocol) == ("TLSv1.3", "localhost", "h2")
    assert facts.cipher_suite.startswith("TLS_")
    assert facts.peer_certificates is facts.client_certificate
    plain = opened(files.files(), Client(name=None)).facts()
    assert (plain.server_name, plain.negotiated_protocol) == ("", plain.peer_certificates)


@pytest.mark.parametrize("offered", [["http/1.1"], ["http/1.0"], None])
def test_a_client_that_can_not_agree_is_served_http_1(files: Files, offered: list[str] | None) -> None:
    """ALPN is no condition: only h2 must be agreed on."""
    assert opened(files.files(), Client(alpn=offered)).protocol in {"http/1.1", None}


def test_a_clients_certificate_is_shown(files: Files) -> None:
    """Subject, names of every kind, validity, digest, PEM."""
    issued = AUTHORITY.issue_cert("client.test", "192.0.2.7", "me@client.test", common_name="me")
    layer = opened(files.files(client_ca=str(files.ca)), Client(cert=issued))
    facts = layer.facts()
    certificate = facts.client_certificate
    assert isinstance(certificate, Certificate)
    assert ("commonName", "me") in certificate.subject
    assert {("DNS", "client.test"), ("IP Address", "192.0.2.7"), ("email", "me@client.test")} == set(
        certificate.subject_alt_names
    )
    assert certificate.serial_number.lstrip("0") == serial_of(issued)
    assert certificate.not_before < datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") < certificate.not_after
    pem = issued.cert_chain_pems[0].bytes().decode()
    der = ssl.PEM_cert_to_DER_cert(pem)
    assert certificate.sha256 == hashlib.sha256(der).hexdigest()
    assert isinstance(facts.peer_certificates, tuple)
    assert facts.peer_certificates[0].split() == pem.split()


@pytest.mark.parametrize(
    ("required", "known", "expired", "taken"),
    [
        (True, True, False, True),
        (True, None, False, False),
        (True, False, False, False),
        (True, True, True, False),
        (False, None, False, True),
        (False, False, False, False),
    ],
    ids=["a good one", "none", "of an unknown authority", "expired", "none, when only asked", "an unknown, when asked"],
)
def test_clients_certificates_are_verified(
    files: Files,
    required: bool,  # noqa: FBT001 - a column
    known: bool | None,  # noqa: FBT001 - a column
    expired: bool,  # noqa: FBT001 - a column
    taken: bool,  # noqa: FBT001 - a column
) -> None:
    """Required or only asked for: one that is shown must be good."""
    authority = AUTHORITY if known else trustme.CA()
    until = datetime.now(UTC) - timedelta(days=1) if expired else None
    certificate = None if known is None else authority.issue_cert("client.test", not_after=until)
    asked = files.files(client_ca=str(files.ca), client_required=required)
    client = Client(cert=certificate)
    layer = TlsLayer(tls.context(asked))
    try:
        client.shake_hands(layer)
    except ssl.SSLError:
        assert not taken
        assert layer.outgoing(), "an alert says why"
    else:
        assert taken


def test_the_end_is_told_and_heard(files: Files) -> None:
    """close_notify, in both directions (RFC 8446, 6.1)."""
    client = Client()
    layer = opened(files.files(), client)
    layer.close()
    client.came.write(layer.outgoing())
    assert client.tls.read(1) == b""
    client.step(client.tls.unwrap)
    other = Client()
    layer = opened(files.files(), other)
    other.step(other.tls.unwrap)
    assert layer.receive(other.goes.read()) == b""
    assert layer.ended


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x00\x05hello", b"\x16" * 100, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 60]
)
def test_what_is_no_tls_is_refused(files: Files, sent: bytes) -> None:
    """By an error that the connection takes for its end."""
    layer = TlsLayer(tls.context(files.files()))
    with pytest.raises(ssl.SSLError):
        layer.receive(sent)


@pytest.mark.parametrize(
    ("minimum", "client", "taken"), [("1.2", "TLSv1_2", True), ("1.3", "TLSv1_2", False), ("1.3", "TLSv1_3", True)]
)
def test_the_oldest_version_is_a_setting(files: Files, minimum: str, client: str, taken: bool) -> None:  # noqa: FBT001 - a column
    """1.2 unless it says 1.3."""
    speaker = Client(newest=ssl.TLSVersion[client])
    layer = TlsLayer(tls.context(files.files(minimum=minimum)))
    if taken:
        speaker.shake_hands(layer)
        return
    with pytest.raises(ssl.SSLError):
        speaker.shake_hands(layer)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"cert": "/nowhere"}, "/nowhere and .*: No such file"),
        ({"key": "ca.pem"}, "TLS can't be served with"),
        ({"client_ca": "/nowhere"}, "TLS can't be served with /nowhere: No such file"),
        ({"ciphers": "NONSENSE"}, "the ciphers 'NONSENSE'"),
    ],
)
def test_files_that_can_not_be_used_are_named(files: Files, more: dict[str, str], says: str) -> None:
    """In one line that says why."""
    given = {name: str(files.folder / value) if name == "key" else value for name, value in more.items()}
    with pytest.raises(TlsError, match=says):
        tls.context(structs.replace(files.files(), **given))


def test_files_that_change_are_read_again(files: Files) -> None:
    """Once for each change, and not otherwise; what can't be used is told once, and changes nothing."""
    told: list[str] = []
    contexts = Contexts(files.files())
    first = contexts.current
    contexts.refresh(told.append)
    assert contexts.current is first
    files.issue()
    contexts.refresh(told.append)
    second = contexts.current
    assert second is not first
    (files.folder / "key.pem").write_text("nonsense")
    contexts.refresh(told.append)
    contexts.refresh(told.append)
    assert contexts.current is second
    assert len(told) == 1
    assert told[0].endswith("the certificate before it stays in use")
    (files.folder / "key.pem").unlink()
    contexts.refresh(told.append)
    files.issue()
    contexts.refresh(told.append)
    assert contexts.current is not second
    assert len(told) == 2


def test_a_secret_that_kubernetes_swaps_is_read_again(tmp_path: Path) -> None:
    """It points a symbolic link at another folder; the paths stay."""
    first, second = tmp_path / "..1", tmp_path / "..2"
    for folder in (first, second):
        folder.mkdir()
        Files(folder)
    data = tmp_path / "..data"
    data.symlink_to(first.name)
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).symlink_to(Path("..data") / name)
    contexts = Contexts(TlsFiles(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")))
    before = contexts.current
    (tmp_path / "..data_tmp").symlink_to(second.name)
    (tmp_path / "..data_tmp").replace(data)
    contexts.refresh(pytest.fail)
    assert contexts.current is not before


# on a connection


def serve(served: Served, client: Client) -> None:
    """Let bytes travel in both directions until nothing more comes."""
    read = 0
    while True:
        client.step(client.tls.do_handshake)
        data = client.goes.read()
        if data:
            served.connection.data_received(data)
        written, read = served.transport.written[read:], len(served.transport.written)
        client.came.write(written)
        if not data and not written:
            return


def test_one_port_serves_tls_and_cleartext(files: Files) -> None:
    """The first byte tells."""
    context = tls.context(files.files())
    assert Served(context=lambda: context).send(GET).endswith(b"/a")
    served, client = Served(context=lambda: context), Client()
    serve(served, client)
    client.tls.write(GET)
    client.came.write(served.send(client.goes.read()))
    assert client.tls.read(1000).endswith(b"/a")
    assert b"HTTP/1.1" not in served.transport.written


def test_where_only_tls_is_served_cleartext_is_refused(files: Files) -> None:
    """In a line that a person can read."""
    context = tls.context(files.files())
    told = Served(context=lambda: context, tls_only=True).send(GET)
    assert told.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert told.endswith(b"TLS is the only way to speak to this port\n")


def test_a_handshake_has_its_time(files: Files) -> None:
    """That of a head; and when it is done, the connection is one that is idle."""
    context = tls.context(files.files())
    served, client = Served(context=lambda: context), Client()
    client.step(client.tls.do_handshake)
    served.connection.data_received(client.goes.read()[:50])
    assert served.after(9.9) == []
    assert served.after(0.1) == ["close"]
    patient = Served(context=lambda: context)
    serve(patient, Client())
    assert patient.after(74.9) == []
    assert patient.after(0.1) == ["close"]


def test_a_handshake_that_fails_is_answered_with_an_alert(files: Files) -> None:
    """And the connection closed in order."""
    context = tls.context(files.files())
    served = Served(context=lambda: context)
    told = served.send(b"\x16\x03\x01\x00\x05hello")
    assert told.startswith(b"\x15\x03"), "an alert (RFC 8446, 6)"
    assert served.after(0) == ["write_eof"]


def test_http_2_begins_as_soon_as_it_is_agreed_on(files: Files) -> None:
    """Its settings are there before the client has asked anything."""
    context = tls.context(files.files())
    served, client = Served(context=lambda: context), Client(alpn=["h2"])
    serve(served, client)
    assert client.tls.read(100)[3:4] == b"\x04", "a SETTINGS frame"
