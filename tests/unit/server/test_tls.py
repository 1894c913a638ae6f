"""TLS without I/O: the client is in memory."""

import resource
import ssl
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.server import certificate_store
from app.server.tls import TlsLayer
from tests.support.tls_client import GET, Client, Files, byte_by_byte, cuts_at, handshake

ALERT = b"\x15"  # the content type of its record (RFC 8446, 5.1)
NO_VERSION = b"\x16" * 100  # OpenSSL sends no alert, because it may be no TLS at all


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(sent=st.lists(st.binary(max_size=40_000), max_size=3), places=st.sets(st.integers(1, 50_000), max_size=8))
def test_what_was_sent_comes_out_however_it_arrives(files: Files, sent: list[bytes], places: set[int]) -> None:
    """Handshake and data arrive whole, byte by byte, or cut at random, and the response is sent back the same way."""
    for cut in (cuts_at(()), byte_by_byte, cuts_at(places)):
        client = Client()
        layer = TlsLayer(certificate_store.create_context(files.files()))
        client.shake_hands(layer, cut)
        for each in sent:
            client.tls.write(each)
        came = b"".join(layer.decrypt(piece) for piece in cut(client.goes.read()))
        assert came == b"".join(sent)
        layer.encrypt(came)
        client.came.write(layer.ciphertext_to_send())
        assert client.read(len(came)) == came


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 5_000_000])
def test_a_write_may_be_of_any_size(files: Files, size: int) -> None:
    """A write of any size is sent whole, in as many records as needed."""
    client = Client()
    layer = handshake(files.files(), client)
    said = bytes(range(256)) * (size // 256 + 1)
    layer.encrypt(said[:size])
    client.came.write(layer.ciphertext_to_send())
    assert client.read(size) == said[:size]
    assert layer.ciphertext_to_send() == b""


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_what_is_cut_off_is_waited_for(files: Files, share: float) -> None:
    """Incomplete handshakes and records are waited for without an error."""
    client = Client()
    layer = TlsLayer(certificate_store.create_context(files.files()))
    hello = client.begin()
    assert layer.decrypt(hello[: int(len(hello) * share)]) == b""
    assert not layer.is_established
    assert layer.ciphertext_to_send() == b""
    layer = handshake(files.files(), client := Client())
    client.tls.write(b"a" * 1000)
    record = client.goes.read()
    assert layer.decrypt(record[: int(len(record) * share)]) == b""
    assert layer.decrypt(record[int(len(record) * share) :]) == b"a" * 1000


def test_a_connection_holds_little_of_what_it_carried(files: Files) -> None:
    """A connection keeps at most a tenth of the megabyte sent each way: thousands may be idle afterwards."""
    context = certificate_store.create_context(files.files())

    def carry() -> TlsLayer:
        client, layer = Client(), TlsLayer(context)
        client.shake_hands(layer)
        client.tls.write(bytes(1 << 20))
        assert len(layer.decrypt(client.goes.read())) == 1 << 20
        layer.encrypt(bytes(1 << 20))
        assert len(layer.ciphertext_to_send()) > 1 << 20
        return layer

    carry()
    before = resident()
    kept = [carry() for _ in range(50)]
    assert resident() - before < len(kept) * 200_000


def test_what_comes_behind_the_end_is_not_kept(files: Files) -> None:
    """Data after the end is discarded, however much it is, and however long the response takes."""
    layer = handshake(files.files(), client := Client())
    client.step(client.tls.unwrap)
    layer.decrypt(client.goes.read())
    before = resident()
    for _ in range(500):
        assert layer.decrypt(bytes(100_000)) == b""
    assert resident() - before < 10_000_000


def resident() -> int:
    """Return the resident memory of this process in bytes (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_the_facts_are_those_of_the_connection(files: Files) -> None:
    """Version, cipher, server name and protocol are those of the connection; without a certificate, none is shown."""
    old = handshake(files.files(), Client(newest=ssl.TLSVersion.TLSv1_2)).info()
    assert (old.version, old.server_name) == ("TLSv1.2", "localhost")
    facts = handshake(files.files(), Client(alpn=["tea", "h2"])).info()
    assert (facts.version, facts.server_name, facts.negotiated_protocol) == ("TLSv1.3", "localhost", "h2")
    assert facts.cipher_suite.startswith("TLS_")
    assert facts.peer_certificates is facts.client_certificate
    plain = handshake(files.files(), Client(name=None)).info()
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
    assert handshake(files.files(), Client(alpn=offered)).alpn_protocol == agreed


def test_the_end_is_told_and_heard(files: Files) -> None:
    """close_notify is sent and recognized in both directions (RFC 8446, 6.1)."""
    client = Client()
    layer = handshake(files.files(), client)
    layer.send_close_notify()
    client.came.write(layer.ciphertext_to_send())
    assert client.tls.read(1) == b""
    client.step(client.tls.unwrap)
    other = Client()
    layer = handshake(files.files(), other)
    other.step(other.tls.unwrap)
    layer.send_close_notify()
    assert layer.decrypt(other.goes.read()) == b""
    assert layer.is_closed_by_peer


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_has_ended_is_answered_still(files: Files, newest: ssl.TLSVersion) -> None:
    """Data before the client's end is processed, however it arrives; data after it is neither processed nor kept."""
    for cut in (cuts_at(()), byte_by_byte):
        client = Client(newest=newest)
        layer = handshake(files.files(), client)
        client.tls.write(GET)
        client.step(client.tls.unwrap)
        assert b"".join(layer.decrypt(piece) for piece in cut(client.goes.read())) == GET
        assert layer.is_closed_by_peer
        assert layer.decrypt(b"no record" * 100_000) == b""
        layer.encrypt(b"all the same")
        layer.send_close_notify()
        client.came.write(layer.ciphertext_to_send())
        assert client.read(12) == b"all the same"


def test_the_end_of_a_handshake_that_was_not_done_is_not_told(files: Files) -> None:
    """An incomplete handshake ends without close_notify, because there are no keys for it yet."""
    layer = TlsLayer(certificate_store.create_context(files.files()))
    layer.send_close_notify()
    assert layer.ciphertext_to_send() == b""


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x00\x05hello",
        NO_VERSION,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 60,
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x01\x02\x01\x45",  # a ClientHello one byte above OpenSSL's limit of 131396
    ],
)
def test_what_is_no_tls_is_refused(files: Files, sent: bytes) -> None:
    """Invalid TLS raises an error that ends the connection, and sends an alert (RFC 8446, 6.2)."""
    for cut in (cuts_at(()), byte_by_byte):
        layer = TlsLayer(certificate_store.create_context(files.files()))
        with pytest.raises(ssl.SSLError):
            for piece in cut(sent):
                layer.decrypt(piece)
        assert layer.ciphertext_to_send()[:1] == (b"" if sent == NO_VERSION else ALERT)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_record_that_was_changed_on_its_way_is_refused(files: Files, newest: ssl.TLSVersion) -> None:
    """A modified record is rejected with an alert, none of it is processed, and the connection can be closed."""
    layer = handshake(files.files(), client := Client(newest=newest))
    client.tls.write(GET)
    record = client.goes.read()
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        layer.decrypt(record[:-1] + bytes([record[-1] ^ 1]))
    client.came.write(layer.ciphertext_to_send())
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.tls.read(1)
    layer.send_close_notify()
