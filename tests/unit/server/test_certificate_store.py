"""Certificate files of a server: client certificates, errors, reloading."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from msgspec import UNSET, structs

from app.config.settings import Settings
from app.server import certificate_store
from app.server.certificate_store import CertificateStore, TlsError, TlsFiles, create_context
from app.server.tls import TlsLayer
from tests.support.tls_client import AUTHORITY, GET, Client, Files, distinguished_name, handshake, pem_of

OLD_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too short for today is the point


def test_an_authority_that_is_named_is_trusted_by_itself(files: Files) -> None:
    """A configured intermediate authority is trusted by itself, without its parent.

    Clients of the parent are rejected.
    """
    below = AUTHORITY.create_child_ca()
    client_ca = files.write("below.pem", below.cert_pem.bytes())
    asked = files.files(client_ca=client_ca)
    assert handshake(asked, Client(cert=below.issue_cert("a.name"))).info().client_certificate is not UNSET
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        handshake(asked, Client(cert=AUTHORITY.issue_cert("a.name")))


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
    layer = TlsLayer(certificate_store.create_context(asked))
    try:
        client.shake_hands(layer)
    except ssl.SSLError:
        assert not taken
        assert layer.ciphertext_to_send(), "an alert says why"
    else:
        assert taken


@pytest.mark.parametrize(
    ("minimum", "client", "taken"), [("1.2", "TLSv1_2", True), ("1.3", "TLSv1_2", False), ("1.3", "TLSv1_3", True)]
)
def test_the_oldest_version_is_a_setting(files: Files, minimum: str, client: str, taken: bool) -> None:  # noqa: FBT001 - a column
    """The minimum version is 1.2 unless the setting says 1.3."""
    speaker = Client(newest=ssl.TLSVersion[client])
    layer = TlsLayer(certificate_store.create_context(files.files(minimum=minimum)))
    if taken:
        speaker.shake_hands(layer)
        return
    with pytest.raises(ssl.SSLError):
        speaker.shake_hands(layer)


def test_ciphers_are_a_setting(files: Files) -> None:
    """The cipher list applies to TLS 1.2; TLS 1.3 always has the same."""
    asked = files.files(ciphers="ECDHE-ECDSA-CHACHA20-POLY1305")
    facts = handshake(asked, Client(newest=ssl.TLSVersion.TLSv1_2)).info()
    assert facts.cipher_suite == "ECDHE-ECDSA-CHACHA20-POLY1305"
    assert handshake(asked, Client()).info().cipher_suite.startswith("TLS_")


def test_ciphers_may_lower_what_is_asked_of_a_certificate(files: Files) -> None:
    """OpenSSL's cipher list has a security level: with 0, the short key of an old device is accepted."""
    me, now = distinguished_name((NameOID.COMMON_NAME, "old")), datetime.now(UTC)
    builder = x509.CertificateBuilder(me, me, OLD_KEY.public_key(), 1, now, now + timedelta(days=1))
    path = files.write("old.pem", pem_of(builder.sign(OLD_KEY, hashes.SHA256()), OLD_KEY))
    old = TlsFiles(path, path)
    with pytest.raises(TlsError, match="EE_KEY_TOO_SMALL"):
        certificate_store.create_context(structs.replace(old, ciphers="DEFAULT@SECLEVEL=2"))
    certificate_store.create_context(structs.replace(old, ciphers="DEFAULT@SECLEVEL=0"))


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
        certificate_store.create_context(structs.replace(files.files(), **given))
    assert str(raised.value) == "can't use " + says.replace("FOLDER", str(files.folder))


def test_settings_say_what_to_serve_with() -> None:
    """TLS settings map to files, and there are none without a certificate."""
    assert certificate_store.files_from_settings(Settings()) is None
    assert certificate_store.files_from_settings(Settings(tls_cert="c", tls_key="k")) == TlsFiles(
        "c", "k", "", client_required=True
    )
    assert certificate_store.files_from_settings(
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
        return create_context(files)

    monkeypatch.setattr(certificate_store, "create_context", load)
    return noted


def test_files_that_change_are_read_again(files: Files, loads: list[TlsFiles]) -> None:
    """Changed files are loaded once per change, and not otherwise."""
    contexts = CertificateStore(files.files())
    first = contexts.current_context
    contexts.reload_if_changed(pytest.fail)
    assert (contexts.current_context, len(loads)) == (first, 1)
    serial = files.issue()
    for _ in range(3):
        contexts.reload_if_changed(pytest.fail)
    assert len(loads) == 2
    assert served_by(contexts) == serial


def test_files_that_can_not_be_used_are_told_once_and_change_nothing(files: Files, loads: list[TlsFiles]) -> None:
    """Files that are invalid or missing are reported once, and the last valid ones are served all the time."""
    told: list[str] = []
    contexts = CertificateStore(files.files())
    good = contexts.current_context
    key = files.folder / "key.pem"
    for spoil, says in ((lambda: key.write_text("nonsense"), "no readable private key"), (key.unlink, "No such file")):
        spoil()
        contexts.reload_if_changed(told.append)
        contexts.reload_if_changed(told.append)
        assert contexts.current_context is good
        assert says in told.pop()
        assert not told
    serial = files.issue()
    contexts.reload_if_changed(told.append)
    assert (served_by(contexts), told, len(loads)) == (serial, [], 4)


def test_a_file_that_could_not_be_read_is_read_once_it_may_be(files: Files, loads: list[TlsFiles]) -> None:
    """A change of permissions is a change too, because neither content nor modification time differs then."""
    contexts = CertificateStore(files.files())
    (files.folder / "key.pem").chmod(0o640)
    contexts.reload_if_changed(pytest.fail)
    assert len(loads) == 2


def test_files_that_change_while_they_are_read_are_not_complained_of(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mismatch of an old certificate and a new key is not reported; the next check finds both."""
    contexts = CertificateStore(files.files())
    files.issue()

    def change(_files: TlsFiles) -> ssl.SSLContext:
        files.serial = files.issue()
        raise TlsError("one is older than the other")

    with monkeypatch.context() as while_it_reads:
        while_it_reads.setattr(certificate_store, "create_context", change)
        contexts.reload_if_changed(pytest.fail)
    contexts.reload_if_changed(pytest.fail)
    assert served_by(contexts) == files.serial


def test_an_authority_that_changes_is_read_again(files: Files) -> None:
    """The clients' authority is not fixed at startup."""
    client = trustme.CA()
    contexts = CertificateStore(files.files(client_ca=str(files.ca)))
    with pytest.raises(ssl.SSLError):
        Client(cert=client.issue_cert("a.name")).shake_hands(TlsLayer(contexts.current_context))
    client.cert_pem.write_to_path(str(files.ca))
    contexts.reload_if_changed(pytest.fail)
    Client(cert=client.issue_cert("a.name")).shake_hands(TlsLayer(contexts.current_context))


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
    contexts = CertificateStore(TlsFiles(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")))
    (tmp_path / "..data_tmp").symlink_to(second.name)
    (tmp_path / "..data_tmp").replace(data)
    contexts.reload_if_changed(pytest.fail)
    contexts.reload_if_changed(pytest.fail)
    assert served_by(contexts) == serial
    assert len(loads) == 2


def served_by(contexts: CertificateStore) -> str:
    """Return the serial number of the certificate that a new connection gets."""
    client = Client()
    client.shake_hands(TlsLayer(contexts.current_context))
    der = client.tls.getpeercert(binary_form=True)
    assert der
    return f"{x509.load_der_x509_certificate(der).serial_number:x}"


def test_an_open_connection_keeps_what_it_has(files: Files) -> None:
    """New files only apply to new connections."""
    contexts = CertificateStore(files.files())
    client = Client()
    layer = TlsLayer(contexts.current_context)
    client.shake_hands(layer)
    files.issue()
    contexts.reload_if_changed(pytest.fail)
    client.tls.write(GET)
    assert layer.decrypt(client.goes.read()) == GET
