"""TLS without I/O: the client is in memory."""

import hashlib
import ipaddress
import resource
import ssl
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, structs

from app.config.settings import Settings
from app.http.tls_info import TLS, Certificate
from app.server import certificate_store, client_hello
from app.server.certificate_store import Contexts, TlsError, TlsFiles, context
from app.server.tls import TlsLayer
from tests.unit.served import Served

AUTHORITY = trustme.CA()
OLD_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too short for today is the point
UNENCRYPTED = serialization.NoEncryption()
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Cut = Callable[[bytes], Iterable[bytes]]
ALERT = b"\x15"  # the content type of its record (RFC 8446, 5.1)
NO_VERSION = b"\x16" * 100  # OpenSSL sends no alert, because it may be no TLS at all
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


class Files:
    """Certificate files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.pem"
        AUTHORITY.cert_pem.write_to_path(str(self.ca))
        self.serial = self.issue()

    def issue(self) -> str:
        """Write a new certificate; return its serial number as a reflection shows it."""
        issued = AUTHORITY.issue_cert("localhost")
        for name, blobs in (("cert.pem", issued.cert_chain_pems), ("key.pem", [issued.private_key_pem])):
            new = self.folder / f"new-{name}"
            new.write_bytes(b"".join(blob.bytes() for blob in blobs))
            new.replace(self.folder / name)
        return serial_of(issued)

    def files(self, **more: object) -> TlsFiles:
        """Return the files for a server."""
        return TlsFiles(str(self.folder / "cert.pem"), str(self.folder / "key.pem"), **more)  # type: ignore[arg-type]

    def write(self, name: str, data: bytes) -> str:
        """Write one more file; return its path."""
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)


def serial_of(issued: trustme.LeafCert) -> str:
    """Return a certificate's serial number in hexadecimal digits."""
    return f"{x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number:x}"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return certificate files."""
    return Files(tmp_path)


class Client:
    """A client in memory."""

    def __init__(
        self,
        *,
        name: str | None = "localhost",
        alpn: list[str] | None = None,
        cert: trustme.LeafCert | str | None = None,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        AUTHORITY.configure_trust(context)
        context.check_hostname = name is not None
        context.maximum_version = newest
        if alpn:
            context.set_alpn_protocols(alpn)
        if isinstance(cert, str):
            context.load_cert_chain(cert)
        elif cert:
            cert.configure_cert(context)
        self.came, self.goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.came, self.goes, server_hostname=name)

    def step(self, do: Callable[[], object]) -> bool:
        """Run a step; return whether it is done."""
        try:
            do()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self, size: int) -> bytes:
        """Return this many bytes of received plaintext."""
        taken = b""
        while len(taken) < size:
            taken += self.tls.read(1 << 18)
        return taken

    def begin(self) -> bytes:
        """Return the client's first bytes, its ClientHello."""
        assert not self.step(self.tls.do_handshake)
        return self.goes.read()

    def shake_hands(self, layer: TlsLayer, cut: Cut = lambda wire: [wire]) -> None:
        """Complete the handshake on both sides; the client's bytes arrive in pieces."""
        for _ in range(5):
            done = self.step(self.tls.do_handshake)
            for piece in cut(self.goes.read()):
                layer.receive(piece)
                self.came.write(layer.outgoing())
            if done and layer.established:
                return
        raise AssertionError("no handshake")


def opened(files: TlsFiles, client: Client) -> TlsLayer:
    """Return the server's side of a connection after the handshake."""
    layer = TlsLayer(certificate_store.context(files))
    client.shake_hands(layer)
    return layer


def cuts_at(places: Iterable[int]) -> Cut:
    """Return a function that cuts bytes at these places."""

    def cut(wire: bytes) -> list[bytes]:
        at = sorted({place for place in places if place < len(wire)})
        return [wire[start:end] for start, end in zip([0, *at], [*at, len(wire)], strict=True)]

    return cut


def byte_by_byte(wire: bytes) -> list[bytes]:
    """Return each byte on its own."""
    return [wire[at : at + 1] for at in range(len(wire))]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(sent=st.lists(st.binary(max_size=40_000), max_size=3), places=st.sets(st.integers(1, 50_000), max_size=8))
def test_what_was_sent_comes_out_however_it_arrives(files: Files, sent: list[bytes], places: set[int]) -> None:
    """Handshake and data arrive whole, byte by byte, or cut at random, and the response is sent back the same way."""
    for cut in (cuts_at(()), byte_by_byte, cuts_at(places)):
        client = Client()
        layer = TlsLayer(certificate_store.context(files.files()))
        client.shake_hands(layer, cut)
        for each in sent:
            client.tls.write(each)
        came = b"".join(layer.receive(piece) for piece in cut(client.goes.read()))
        assert came == b"".join(sent)
        layer.send(came)
        client.came.write(layer.outgoing())
        assert client.read(len(came)) == came


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 5_000_000])
def test_a_write_may_be_of_any_size(files: Files, size: int) -> None:
    """A write of any size is sent whole, in as many records as needed."""
    client = Client()
    layer = opened(files.files(), client)
    said = bytes(range(256)) * (size // 256 + 1)
    layer.send(said[:size])
    client.came.write(layer.outgoing())
    assert client.read(size) == said[:size]
    assert layer.outgoing() == b""


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_what_is_cut_off_is_waited_for(files: Files, share: float) -> None:
    """Incomplete handshakes and records are waited for without an error."""
    client = Client()
    layer = TlsLayer(certificate_store.context(files.files()))
    hello = client.begin()
    assert layer.receive(hello[: int(len(hello) * share)]) == b""
    assert not layer.established
    assert layer.outgoing() == b""
    layer = opened(files.files(), client := Client())
    client.tls.write(b"a" * 1000)
    record = client.goes.read()
    assert layer.receive(record[: int(len(record) * share)]) == b""
    assert layer.receive(record[int(len(record) * share) :]) == b"a" * 1000


def test_a_connection_holds_little_of_what_it_carried(files: Files) -> None:
    """A connection keeps at most a tenth of the megabyte sent each way: thousands may be idle afterwards."""
    context = certificate_store.context(files.files())

    def carry() -> TlsLayer:
        client, layer = Client(), TlsLayer(context)
        client.shake_hands(layer)
        client.tls.write(bytes(1 << 20))
        assert len(layer.receive(client.goes.read())) == 1 << 20
        layer.send(bytes(1 << 20))
        assert len(layer.outgoing()) > 1 << 20
        return layer

    carry()
    before = resident()
    kept = [carry() for _ in range(50)]
    assert resident() - before < len(kept) * 200_000


def test_what_comes_behind_the_end_is_not_kept(files: Files) -> None:
    """Data after the end is discarded, however much it is, and however long the response takes."""
    layer = opened(files.files(), client := Client())
    client.step(client.tls.unwrap)
    layer.receive(client.goes.read())
    before = resident()
    for _ in range(500):
        assert layer.receive(bytes(100_000)) == b""
    assert resident() - before < 10_000_000


def resident() -> int:
    """Return the resident memory of this process in bytes (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_the_facts_are_those_of_the_connection(files: Files) -> None:
    """Version, cipher, server name and protocol are those of the connection; without a certificate, none is shown."""
    old = opened(files.files(), Client(newest=ssl.TLSVersion.TLSv1_2)).facts()
    assert (old.version, old.server_name) == ("TLSv1.2", "localhost")
    facts = opened(files.files(), Client(alpn=["tea", "h2"])).facts()
    assert (facts.version, facts.server_name, facts.negotiated_protocol) == ("TLSv1.3", "localhost", "h2")
    assert facts.cipher_suite.startswith("TLS_")
    assert facts.peer_certificates is facts.client_certificate
    plain = opened(files.files(), Client(name=None)).facts()
    assert (plain.server_name, plain.negotiated_protocol) == ("", plain.peer_certificates)


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (["h2"], "h2"),
        (["http/1.1", "h2"], "h2"),
        (["http/1.1"], "http/1.1"),
        (["http/1.0", "spdy/3"], None),
        (None, None),
    ],
)
def test_a_client_that_can_not_agree_is_served_http_1(
    files: Files, offered: list[str] | None, agreed: str | None
) -> None:
    """ALPN is optional: only h2 must be negotiated, and it is preferred."""
    assert opened(files.files(), Client(alpn=offered)).protocol == agreed


@pytest.mark.parametrize("name", [b"\xff\xfe.name", b"a_b.name.", b"", b"\0.name"])
def test_a_name_of_any_bytes_is_taken_as_it_came(files: Files, name: bytes) -> None:
    """An invalid host name is kept as received, without a line on stderr, where every stranger could cause one."""
    hello = Client(name="x" * len(name) if name else None).begin().replace(b"x" * (len(name) or 99), name)
    assert client_hello.server_name(hello) == name
    layer = TlsLayer(certificate_store.context(files.files()))
    with suppress(ssl.SSLError):  # OpenSSL treats a zero byte in its own way
        assert layer.receive(hello) == b""
    assert layer.outgoing()


@given(cuts=st.lists(st.integers(0, 300), max_size=40), behind=st.binary(max_size=50))
def test_a_name_is_found_in_whatever_records_it_comes(cuts: list[int], behind: bytes) -> None:
    """A server name is found even if the handshake message is spread over records (RFC 8446, 5.1)."""
    hello = Client(name="a.name").begin()[5:]
    fragments = cuts_at(cuts)(hello) if 0 not in cuts else byte_by_byte(hello)
    records = b"".join(b"\x16\x03\x01" + len(each).to_bytes(2, "big") + each for each in fragments)
    assert client_hello.server_name(records + behind) == b"a.name"
    assert client_hello.server_name(records[:60]) == b""


@given(began=st.binary(max_size=300))
def test_what_is_no_hello_has_no_name(began: bytes) -> None:
    """Any bytes that are no ClientHello have no server name."""
    hello = b"\x16\x03\x01\x01\x2c\x01\x00\x01\x28" + began
    assert len(client_hello.server_name(began)) + len(client_hello.server_name(hello)) <= len(began)


def test_a_clients_certificate_is_shown(files: Files) -> None:
    """A client certificate is shown with subject, names of every kind, validity, digest and PEM."""
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


def signed(
    *extensions: x509.ExtensionType, subject: x509.Name, until: datetime = datetime(2049, 1, 1, tzinfo=UTC)
) -> bytes:
    """Return a certificate with its key, as PEM, with extensions that trustme does not support."""
    authority = x509.load_pem_x509_certificate(AUTHORITY.cert_pem.bytes())
    signs = serialization.load_pem_private_key(AUTHORITY.private_key_pem.bytes(), None)
    assert isinstance(signs, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        issuer_name=authority.subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=10,
        not_valid_before=datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
        not_valid_after=until,
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    return pem_of(builder.sign(signs, hashes.SHA256()), key)


def pem_of(
    *each: x509.Certificate | PrivateKey,
    encryption: serialization.KeySerializationEncryption = UNENCRYPTED,
) -> bytes:
    """Return certificates and keys as PEM."""
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return b"".join(
        one.public_bytes(pem) if isinstance(one, x509.Certificate) else one.private_bytes(pem, pkcs8, encryption)
        for one in each
    )


def name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    """Return a distinguished name."""
    return x509.Name([x509.NameAttribute(*each) for each in attributes])


def shown_of(files: Files, pem: bytes) -> TLS:
    """Return the facts of a connection whose client has this certificate."""
    return opened(files.files(client_ca=str(files.ca)), Client(cert=files.write("client.pem", pem))).facts()


def test_names_of_every_kind_are_shown_in_their_order(files: Files) -> None:
    """Names are in order, with duplicates and non-ASCII attributes.

    Times before 2000 and after 2049 and a small serial number are shown correctly too.
    """
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier("spiffe://a/b"),
        x509.DNSName("*.name"),
        x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        x509.RFC822Name("me@a.name"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
        x509.DirectoryName(name((NameOID.ORGANIZATION_NAME, "o"), (NameOID.COMMON_NAME, "c"))),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.DNSName("*.name"),
    ]
    subject = name((NameOID.COMMON_NAME, "\u00e9\n"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "b"))
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, 4.1.2.5
    pem = signed(x509.SubjectAlternativeName(names), subject=subject, until=never)
    certificate = shown_of(files, pem).client_certificate
    assert isinstance(certificate, Certificate)
    assert ("organizationName", f"trustme v{version('trustme')}") in certificate.issuer
    assert structs.replace(certificate, issuer=()) == Certificate(
        subject=(("commonName", "\u00e9\n"), ("organizationalUnitName", "b")),
        issuer=(),
        subject_alt_names=(
            ("URI", "spiffe://a/b"),
            ("DNS", "*.name"),
            ("IP Address", "2001:DB8:0:0:0:0:0:1"),
            ("email", "me@a.name"),
            ("IP Address", "192.0.2.7"),
            ("DirName", "organizationName=o, commonName=c"),
            ("Registered ID", "1.2.3"),
            ("DNS", "*.name"),
        ),
        not_before="1999-12-31T23:59:59Z",
        not_after="9999-12-31T23:59:59Z",
        serial_number="0a",
        sha256=x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex(),
    )


def test_the_clients_own_certificate_stands_first(files: Files) -> None:
    """The rest of the chain follows the client's own certificate, if Python provides it (3.13 and newer)."""
    issued = AUTHORITY.create_child_ca().issue_cert("a.name")
    sent = [blob.bytes().decode().split() for blob in issued.cert_chain_pems]
    assert len(sent) == 2
    shown = opened(files.files(client_ca=str(files.ca)), Client(cert=issued)).facts().peer_certificates
    assert isinstance(shown, tuple)
    assert [each.split() for each in shown] == (sent if sys.version_info >= (3, 13) else sent[:1])


@pytest.mark.parametrize("raw", [b"\x81\x02\xff\xfe", b"\x82\x02\xff\xfe", b"\x86\x02\xff\xfe"])
def test_a_certificate_whose_names_can_not_be_read_is_shown_as_pem_alone(files: Files, raw: bytes) -> None:
    """A request is answered whatever its certificate contains; unreadable names are only in the PEM."""
    names = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x04" + raw)
    pem = signed(names, subject=name((NameOID.COMMON_NAME, "me")))
    facts = shown_of(files, pem)
    assert isinstance(facts.peer_certificates, tuple)
    assert facts.peer_certificates[0].strip() in pem.decode()
    assert facts.client_certificate is UNSET


def test_an_authority_that_is_named_is_trusted_by_itself(files: Files) -> None:
    """A configured intermediate authority is trusted by itself, without its parent.

    Clients of the parent are rejected.
    """
    below = AUTHORITY.create_child_ca()
    client_ca = files.write("below.pem", below.cert_pem.bytes())
    asked = files.files(client_ca=client_ca)
    assert opened(asked, Client(cert=below.issue_cert("a.name"))).facts().client_certificate is not UNSET
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        opened(asked, Client(cert=AUTHORITY.issue_cert("a.name")))


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
    """A client certificate, required or only requested, must be valid if there is one."""
    authority = AUTHORITY if known else trustme.CA()
    until = datetime.now(UTC) - timedelta(days=1) if expired else None
    certificate = None if known is None else authority.issue_cert("client.test", not_after=until)
    asked = files.files(client_ca=str(files.ca), client_required=required)
    client = Client(cert=certificate)
    layer = TlsLayer(certificate_store.context(asked))
    try:
        client.shake_hands(layer)
    except ssl.SSLError:
        assert not taken
        assert layer.outgoing(), "an alert says why"
    else:
        assert taken


def test_the_end_is_told_and_heard(files: Files) -> None:
    """close_notify is sent and recognized in both directions (RFC 8446, 6.1)."""
    client = Client()
    layer = opened(files.files(), client)
    layer.close()
    client.came.write(layer.outgoing())
    assert client.tls.read(1) == b""
    client.step(client.tls.unwrap)
    other = Client()
    layer = opened(files.files(), other)
    other.step(other.tls.unwrap)
    layer.close()
    assert layer.receive(other.goes.read()) == b""
    assert layer.ended


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_has_ended_is_answered_still(files: Files, newest: ssl.TLSVersion) -> None:
    """Data before the client's end is processed, however it arrives; data after it is neither processed nor kept."""
    for cut in (cuts_at(()), byte_by_byte):
        client = Client(newest=newest)
        layer = opened(files.files(), client)
        client.tls.write(GET)
        client.step(client.tls.unwrap)
        assert b"".join(layer.receive(piece) for piece in cut(client.goes.read())) == GET
        assert layer.ended
        assert layer.receive(b"no record" * 100_000) == b""
        layer.send(b"all the same")
        layer.close()
        client.came.write(layer.outgoing())
        assert client.read(12) == b"all the same"


def test_the_end_of_a_handshake_that_was_not_done_is_not_told(files: Files) -> None:
    """An incomplete handshake ends without close_notify, because there are no keys for it yet."""
    layer = TlsLayer(certificate_store.context(files.files()))
    layer.close()
    assert layer.outgoing() == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x00\x05hello",
        NO_VERSION,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 60,
        b"\x16\x03\x01\xff\xff",
    ],
)
def test_what_is_no_tls_is_refused(files: Files, sent: bytes) -> None:
    """Invalid TLS raises an error that ends the connection, and sends an alert (RFC 8446, 6.2)."""
    for cut in (cuts_at(()), byte_by_byte):
        layer = TlsLayer(certificate_store.context(files.files()))
        with pytest.raises(ssl.SSLError):
            for piece in cut(sent):
                layer.receive(piece)
        assert layer.outgoing()[:1] == (b"" if sent == NO_VERSION else ALERT)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_record_that_was_changed_on_its_way_is_refused(files: Files, newest: ssl.TLSVersion) -> None:
    """A modified record is rejected with an alert, none of it is processed, and the connection can be closed."""
    layer = opened(files.files(), client := Client(newest=newest))
    client.tls.write(GET)
    record = client.goes.read()
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        layer.receive(record[:-1] + bytes([record[-1] ^ 1]))
    client.came.write(layer.outgoing())
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.tls.read(1)
    layer.close()


@pytest.mark.parametrize(
    ("minimum", "client", "taken"), [("1.2", "TLSv1_2", True), ("1.3", "TLSv1_2", False), ("1.3", "TLSv1_3", True)]
)
def test_the_oldest_version_is_a_setting(files: Files, minimum: str, client: str, taken: bool) -> None:  # noqa: FBT001 - a column
    """The minimum version is 1.2 unless the setting says 1.3."""
    speaker = Client(newest=ssl.TLSVersion[client])
    layer = TlsLayer(certificate_store.context(files.files(minimum=minimum)))
    if taken:
        speaker.shake_hands(layer)
        return
    with pytest.raises(ssl.SSLError):
        speaker.shake_hands(layer)


def test_ciphers_are_a_setting(files: Files) -> None:
    """The cipher list applies to TLS 1.2; TLS 1.3 always has the same."""
    asked = files.files(ciphers="ECDHE-ECDSA-CHACHA20-POLY1305")
    facts = opened(asked, Client(newest=ssl.TLSVersion.TLSv1_2)).facts()
    assert facts.cipher_suite == "ECDHE-ECDSA-CHACHA20-POLY1305"
    assert opened(asked, Client()).facts().cipher_suite.startswith("TLS_")


def test_ciphers_may_lower_what_is_asked_of_a_certificate(files: Files) -> None:
    """OpenSSL's cipher list has a security level: with 0, the short key of an old device is accepted."""
    me, now = name((NameOID.COMMON_NAME, "old")), datetime.now(UTC)
    builder = x509.CertificateBuilder(me, me, OLD_KEY.public_key(), 1, now, now + timedelta(days=1))
    path = files.write("old.pem", pem_of(builder.sign(OLD_KEY, hashes.SHA256()), OLD_KEY))
    old = TlsFiles(path, path)
    with pytest.raises(TlsError, match="EE_KEY_TOO_SMALL"):
        certificate_store.context(structs.replace(old, ciphers="DEFAULT@SECLEVEL=2"))
    certificate_store.context(structs.replace(old, ciphers="DEFAULT@SECLEVEL=0"))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"cert": "/nowhere"}, "/nowhere for TLS: No such file or directory"),
        ({"key": "/nowhere"}, "/nowhere for TLS: No such file or directory"),
        ({"client_ca": "/nowhere"}, "/nowhere for TLS: No such file or directory"),
        ({"cert": ""}, "FOLDER for TLS: Is a directory"),
        ({"key": ""}, "FOLDER for TLS: Is a directory"),
        ({"client_ca": ""}, "FOLDER for TLS: Is a directory"),
        ({"cert": "empty"}, "FOLDER/empty for TLS: no certificate found"),
        ({"cert": "key.pem"}, "FOLDER/key.pem for TLS: no certificate found"),
        ({"cert": "half"}, "FOLDER/half for TLS: no readable certificate"),
        ({"client_ca": "key.pem"}, "FOLDER/key.pem for TLS: no certificate found"),
        ({"client_ca": "half"}, "FOLDER/half for TLS: no readable certificate"),
        ({"key": "empty"}, "FOLDER/cert.pem and FOLDER/empty for TLS: no readable private key"),
        ({"key": "ca.pem"}, "FOLDER/cert.pem and FOLDER/ca.pem for TLS: no readable private key"),
        ({"key": "other"}, "FOLDER/cert.pem and FOLDER/other for TLS: the key does not match the certificate"),
        ({"key": "rsa"}, "FOLDER/cert.pem and FOLDER/rsa for TLS: the key does not match the certificate"),
        (
            {"key": "encrypted"},
            "FOLDER/cert.pem and FOLDER/encrypted for TLS: the private key is encrypted: must be unencrypted",
        ),
        ({"ciphers": "NONSENSE"}, "the cipher list 'NONSENSE' for TLS: no usable cipher suite"),
    ],
)
def test_files_that_can_not_be_used_are_named(files: Files, more: dict[str, str], says: str) -> None:
    """The error names the file and the reason in one line, and never asks for a passphrase."""
    key = ec.generate_private_key(ec.SECP256R1())
    files.write("empty", b"")
    files.write("half", (files.folder / "cert.pem").read_bytes()[:300])
    files.write("other", pem_of(key))
    files.write("rsa", pem_of(OLD_KEY))
    files.write("encrypted", pem_of(key, encryption=serialization.BestAvailableEncryption(b"secret")))
    given = {name: value if name == "ciphers" else str(files.folder / value) for name, value in more.items()}
    with pytest.raises(TlsError) as raised:
        certificate_store.context(structs.replace(files.files(), **given))
    assert str(raised.value) == "can't use " + says.replace("FOLDER", str(files.folder))


def test_settings_say_what_to_serve_with() -> None:
    """TLS settings map to files, and there are none without a certificate."""
    assert certificate_store.files_of(Settings()) is None
    assert certificate_store.files_of(Settings(tls_cert="c", tls_key="k")) == TlsFiles(
        "c", "k", "", client_required=True
    )
    assert certificate_store.files_of(
        Settings(
            tls_cert="c",
            tls_key="k",
            tls_client_ca="a",
            tls_client_auth="request",
            tls_min_version="1.3",
            tls_ciphers="x",
        )
    ) == TlsFiles("c", "k", "a", client_required=False, minimum="1.3", ciphers="x")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[TlsFiles]:
    """Return the list in which each load of the files is recorded."""
    noted: list[TlsFiles] = []

    def load(files: TlsFiles) -> ssl.SSLContext:
        noted.append(files)
        return context(files)

    monkeypatch.setattr(certificate_store, "context", load)
    return noted


def test_files_that_change_are_read_again(files: Files, loads: list[TlsFiles]) -> None:
    """Changed files are loaded once per change, and not otherwise."""
    contexts = Contexts(files.files())
    first = contexts.current
    contexts.refresh(pytest.fail)
    assert (contexts.current, len(loads)) == (first, 1)
    serial = files.issue()
    for _ in range(3):
        contexts.refresh(pytest.fail)
    assert len(loads) == 2
    assert served_by(contexts) == serial


def test_files_that_can_not_be_used_are_told_once_and_change_nothing(files: Files, loads: list[TlsFiles]) -> None:
    """Files that are invalid or missing are reported once, and the last valid ones are served all the time."""
    told: list[str] = []
    contexts = Contexts(files.files())
    good = contexts.current
    key = files.folder / "key.pem"
    for spoil, says in ((lambda: key.write_text("nonsense"), "no readable private key"), (key.unlink, "No such file")):
        spoil()
        contexts.refresh(told.append)
        contexts.refresh(told.append)
        assert contexts.current is good
        assert says in told.pop()
        assert not told
    serial = files.issue()
    contexts.refresh(told.append)
    assert (served_by(contexts), told, len(loads)) == (serial, [], 4)


def test_a_file_that_could_not_be_read_is_read_once_it_may_be(files: Files, loads: list[TlsFiles]) -> None:
    """A change of permissions is a change too, because neither content nor modification time differs then."""
    contexts = Contexts(files.files())
    (files.folder / "key.pem").chmod(0o640)
    contexts.refresh(pytest.fail)
    assert len(loads) == 2


def test_files_that_change_while_they_are_read_are_not_complained_of(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mismatch of an old certificate and a new key is not reported; the next check finds both."""
    contexts = Contexts(files.files())
    files.issue()

    def change(_files: TlsFiles) -> ssl.SSLContext:
        files.serial = files.issue()
        raise TlsError("one is older than the other")

    with monkeypatch.context() as while_it_reads:
        while_it_reads.setattr(certificate_store, "context", change)
        contexts.refresh(pytest.fail)
    contexts.refresh(pytest.fail)
    assert served_by(contexts) == files.serial


def test_an_authority_that_changes_is_read_again(files: Files) -> None:
    """The clients' authority is not fixed at startup."""
    client = trustme.CA()
    contexts = Contexts(files.files(client_ca=str(files.ca)))
    with pytest.raises(ssl.SSLError):
        Client(cert=client.issue_cert("a.name")).shake_hands(TlsLayer(contexts.current))
    client.cert_pem.write_to_path(str(files.ca))
    contexts.refresh(pytest.fail)
    Client(cert=client.issue_cert("a.name")).shake_hands(TlsLayer(contexts.current))


def test_a_secret_that_kubernetes_swaps_is_read_again(tmp_path: Path, loads: list[TlsFiles]) -> None:
    """A Secret update by Kubernetes is detected: a symbolic link points to another folder, and the paths stay."""
    first, second = tmp_path / "..1", tmp_path / "..2"
    for folder in (first, second):
        folder.mkdir()
    Files(first)
    serial = Files(second).serial
    data = tmp_path / "..data"
    data.symlink_to(first.name)
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).symlink_to(Path("..data") / name)
    contexts = Contexts(TlsFiles(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")))
    (tmp_path / "..data_tmp").symlink_to(second.name)
    (tmp_path / "..data_tmp").replace(data)
    contexts.refresh(pytest.fail)
    contexts.refresh(pytest.fail)
    assert served_by(contexts) == serial
    assert len(loads) == 2


def served_by(contexts: Contexts) -> str:
    """Return the serial number of the certificate that a new connection gets."""
    client = Client()
    client.shake_hands(TlsLayer(contexts.current))
    der = client.tls.getpeercert(binary_form=True)
    assert der
    return f"{x509.load_der_x509_certificate(der).serial_number:x}"


def test_an_open_connection_keeps_what_it_has(files: Files) -> None:
    """New files only apply to new connections."""
    contexts = Contexts(files.files())
    client = Client()
    layer = TlsLayer(contexts.current)
    client.shake_hands(layer)
    files.issue()
    contexts.refresh(pytest.fail)
    client.tls.write(GET)
    assert layer.receive(client.goes.read()) == GET


# on a connection


@pytest.fixture
def served(files: Files) -> Served:
    """Return a connection to a service that accepts TLS too."""
    made = context(files.files())
    return Served(context=lambda: made)


def serve(served: Served, client: Client, cut: Cut = lambda wire: [wire]) -> None:
    """Deliver bytes in both directions until there are no more."""
    read = 0
    while True:
        client.step(client.tls.do_handshake)
        data = client.goes.read()
        for piece in cut(data):
            served.connection.data_received(piece)
        written, read = served.transport.written[read:], len(served.transport.written)
        client.came.write(written)
        if not data and not written:
            return


def ask(served: Served, client: Client, asked: bytes, cut: Cut = lambda wire: [wire]) -> bytes:
    """Send a request; return the response."""
    client.tls.write(asked)
    return heard(client, b"".join(served.send(piece) for piece in cut(client.goes.read())))


def heard(client: Client, wire: bytes) -> bytes:
    """Return what a client decrypts from these bytes."""
    client.came.write(wire)
    taken = []
    with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
        while piece := client.tls.read(1 << 18):
            taken.append(piece)
    return b"".join(taken)


@pytest.mark.parametrize("cut", [cuts_at(()), byte_by_byte], ids=["whole", "byte by byte"])
def test_one_port_serves_tls_and_cleartext(served: Served, cut: Cut) -> None:
    """One port serves TLS and cleartext, distinguished by the first byte."""
    client = Client()
    serve(served, client, cut)
    assert ask(served, client, GET, cut).endswith(b"/a")
    assert b"HTTP/1.1" not in served.transport.written
    served.connection, served.transport = served.connect()
    assert b"".join(served.send(piece) for piece in cut(GET)).endswith(b"/a")


def test_where_only_tls_is_served_cleartext_is_refused(files: Files) -> None:
    """Cleartext on a TLS-only port gets a readable error."""
    made = context(files.files())
    served = Served(context=lambda: made, tls_only=True)
    told = served.send(GET)
    assert told.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert told.endswith(b"plaintext connection to a port that requires TLS (ECHO_TLS_ONLY)\n")
    assert served.after(0) == ["write_eof"]
    served.connection, served.transport = served.connect()
    client = Client()
    serve(served, client)
    assert ask(served, client, GET).endswith(b"/a")


def test_a_handshake_has_its_time(served: Served) -> None:
    """The handshake has the timeout of a request head, however busy it is; the connection is idle after it."""
    client = Client()
    for byte in byte_by_byte(client.begin()[:100]):
        assert served.after(0.099) == []
        served.connection.data_received(byte)
    assert served.after(0) == []
    assert served.after(0.2) == ["close"]
    assert served.transport.written == b""


def test_a_client_that_shakes_hands_and_is_silent_is_left_in_order(served: Served) -> None:
    """A silent client is closed after the idle timeout, with close_notify."""
    client = Client()
    serve(served, client)
    assert served.after(74.9) == []
    before = len(served.transport.written)
    assert served.after(0.1) == ["close"]
    client.came.write(served.transport.written[before:])
    assert client.tls.read(1) == b"", "close_notify; an end without it would raise"


def test_a_handshake_that_fails_is_answered_with_an_alert(served: Served) -> None:
    """A failed handshake gets an alert, and the connection is closed gracefully."""
    told = served.send(b"\x16\x03\x01\x00\x05hello")
    assert told.startswith(b"\x15\x03"), "an alert (RFC 8446, 6)"
    assert served.after(0) == ["write_eof"]
    assert served.send(b"\x16\x03\x01\x00\x05hello") == b"", "nothing is taken any more"


def test_what_is_no_tls_any_more_ends_the_connection(served: Served) -> None:
    """Invalid TLS data gets an alert and ends the connection, whatever was in progress."""
    client = Client()
    serve(served, client)
    assert ask(served, client, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1234") == b""
    with pytest.raises(ssl.SSLError):
        heard(client, served.send(b"no record"))
    assert served.after(0) == ["write_eof"]
    assert served.reports == []


def test_http_2_begins_as_soon_as_it_is_agreed_on(served: Served) -> None:
    """HTTP/2 settings are sent after the handshake, before the client's first request."""
    client = Client(alpn=["h2"])
    serve(served, client)
    assert client.tls.read(100)[3:4] == b"\x04", "a SETTINGS frame"


@pytest.mark.parametrize("cut", [cuts_at(()), byte_by_byte], ids=["whole", "byte by byte"])
def test_a_client_that_has_said_its_end_gets_its_answers(served: Served, cut: Cut) -> None:
    """A client that ends TLS, then TCP, gets all responses once, and data in between is ignored."""
    client = Client()
    serve(served, client)
    client.tls.write(GET + b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n1234")
    client.step(client.tls.unwrap)
    told = b"".join(served.send(piece) for piece in cut(client.goes.read()))
    assert served.send(b"no record") == b""
    served.connection.eof_received()
    answers = heard(client, told)
    assert [answers.count(path) for path in (b"HTTP/1.1 200", b"\r\n\r\n/a", b"\r\n\r\n/b")] == [2, 1, 1]
    assert set(served.after(0)) == {"close"}


def test_the_end_within_a_body_is_the_end(served: Served) -> None:
    """An incomplete request is not answered when the client ends."""
    client = Client()
    serve(served, client)
    assert ask(served, client, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1234") == b""
    client.step(client.tls.unwrap)
    assert heard(client, served.send(client.goes.read())) == b""
    assert served.after(0) == ["close"]


def test_a_certificate_that_can_not_be_read_is_no_end(files: Files) -> None:
    """A request is answered even if names in the certificate can't be read."""
    names = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x04\x82\x02\xff\xfe")
    pem = signed(names, subject=name((NameOID.COMMON_NAME, "me")))
    made = context(files.files(client_ca=str(files.ca)))
    served, client = Served(context=lambda: made), Client(cert=files.write("client.pem", pem))
    serve(served, client)
    assert ask(served, client, GET).endswith(b"/a")


def test_a_proxy_may_speak_before_tls(files: Files) -> None:
    """A PROXY header comes unencrypted before TLS, in one piece with the handshake or not."""
    made = context(files.files())
    for cut in (cuts_at(()), byte_by_byte):
        served, client = Served(context=lambda: made, proxied=True), Client()
        header = b"PROXY TCP4 198.51.100.7 198.51.100.8 1234 443\r\n"
        told = b"".join(served.send(piece) for piece in cut(header + client.begin()))
        client.came.write(told)
        client.step(client.tls.do_handshake)
        assert b"X-Remote: 198.51.100.7\r\n" in ask(served, client, GET, cut)
