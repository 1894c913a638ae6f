"""Client certificates as the reflection shows them."""

import hashlib
import ipaddress
import ssl
import sys
from datetime import UTC, datetime
from importlib.metadata import version

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtensionOID, NameOID
from msgspec import UNSET, structs

from app.http.tls_info import Certificate, TlsInfo
from tests.support.tls_client import (
    AUTHORITY,
    Client,
    Files,
    distinguished_name,
    handshake,
    serial_of,
    sign_certificate,
)


def shown_of(files: Files, pem: bytes) -> TlsInfo:
    """Return the facts of a connection whose client has this certificate."""
    return handshake(files.files(client_ca=str(files.ca)), Client(cert=files.write("client.pem", pem))).info()


def test_a_clients_certificate_is_shown(files: Files) -> None:
    """A client certificate is shown with subject, names of every kind, validity, digest and PEM."""
    issued = AUTHORITY.issue_cert("client.test", "192.0.2.7", "me@client.test", common_name="me")
    layer = handshake(files.files(client_ca=str(files.ca)), Client(cert=issued))
    facts = layer.info()
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
        x509.DirectoryName(distinguished_name((NameOID.ORGANIZATION_NAME, "o"), (NameOID.COMMON_NAME, "c"))),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
        x509.DNSName("*.name"),
    ]
    subject = distinguished_name((NameOID.COMMON_NAME, "\u00e9\n"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "b"))
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, 4.1.2.5
    pem = sign_certificate(x509.SubjectAlternativeName(names), subject=subject, until=never)
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
    shown = handshake(files.files(client_ca=str(files.ca)), Client(cert=issued)).info().peer_certificates
    assert isinstance(shown, tuple)
    assert [each.split() for each in shown] == (sent if sys.version_info >= (3, 13) else sent[:1])


@pytest.mark.parametrize("raw", [b"\x81\x02\xff\xfe", b"\x82\x02\xff\xfe", b"\x86\x02\xff\xfe"])
def test_a_certificate_whose_names_can_not_be_read_is_shown_as_pem_alone(files: Files, raw: bytes) -> None:
    """A request is answered whatever its certificate contains; unreadable names are only in the PEM."""
    names = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x04" + raw)
    pem = sign_certificate(names, subject=distinguished_name((NameOID.COMMON_NAME, "me")))
    facts = shown_of(files, pem)
    assert isinstance(facts.peer_certificates, tuple)
    assert facts.peer_certificates[0].strip() in pem.decode()
    assert facts.client_certificate is UNSET
