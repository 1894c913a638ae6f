"""TLS client in memory, and certificate files for its server."""

import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.server.certificate_store import TlsFiles, create_context
from app.server.tls import TlsLayer

AUTHORITY = trustme.CA()
UNENCRYPTED = serialization.NoEncryption()
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Cut = Callable[[bytes], Iterable[bytes]]
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


class Client:
    """A client in memory; with `resumes`, it resumes the session of another client."""

    def __init__(
        self,
        *,
        name: str | None = "localhost",
        alpn: list[str] | None = None,
        cert: trustme.LeafCert | str | None = None,
        newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        resumes: "Client | None" = None,
    ) -> None:
        context = resumes.context if resumes else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        AUTHORITY.configure_trust(context)
        context.check_hostname = name is not None
        context.maximum_version = newest
        if alpn:
            context.set_alpn_protocols(alpn)
        if isinstance(cert, str):
            context.load_cert_chain(cert)
        elif cert:
            cert.configure_cert(context)
        self.context: ssl.SSLContext = context
        self.came, self.goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = resumes.tls.session if resumes else None
        self.tls: ssl.SSLObject = context.wrap_bio(self.came, self.goes, server_hostname=name, session=session)

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
                layer.decrypt(piece)
                self.came.write(layer.ciphertext_to_send())
            if done and layer.is_established:
                return
        raise AssertionError("no handshake")


def handshake(files: TlsFiles, client: Client) -> TlsLayer:
    """Return the server's side of a connection after the handshake."""
    layer = TlsLayer(create_context(files))
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


def sign_certificate(
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


def distinguished_name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    """Return a distinguished name."""
    return x509.Name([x509.NameAttribute(*each) for each in attributes])
