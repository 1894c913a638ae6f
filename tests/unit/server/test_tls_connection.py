"""TLS on a connection: deadlines, alerts, and bytes before and after it."""

import ssl
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from app.server.certificate_store import create_context
from tests.support.tls_client import (
    GET,
    Client,
    Cut,
    Files,
    byte_by_byte,
    cuts_at,
    distinguished_name,
    sign_certificate,
)
from tests.unit.served import Served


@pytest.fixture
def served(files: Files) -> Served:
    """Return a connection to a service that accepts TLS too."""
    made = create_context(files.files())
    return Served(get_ssl_context=lambda: made)


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
    made = create_context(files.files())
    served = Served(get_ssl_context=lambda: made, tls_only=True)
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
    pem = sign_certificate(names, subject=distinguished_name((NameOID.COMMON_NAME, "me")))
    made = create_context(files.files(client_ca=str(files.ca)))
    served, client = Served(get_ssl_context=lambda: made), Client(cert=files.write("client.pem", pem))
    serve(served, client)
    assert ask(served, client, GET).endswith(b"/a")


def test_a_proxy_may_speak_before_tls(files: Files) -> None:
    """A PROXY header comes unencrypted before TLS, in one piece with the handshake or not."""
    made = create_context(files.files())
    for cut in (cuts_at(()), byte_by_byte):
        served, client = Served(get_ssl_context=lambda: made, expects_proxy_header=True), Client()
        header = b"PROXY TCP4 198.51.100.7 198.51.100.8 1234 443\r\n"
        told = b"".join(served.send(piece) for piece in cut(header + client.begin()))
        client.came.write(told)
        client.step(client.tls.do_handshake)
        assert b"X-Remote: 198.51.100.7\r\n" in ask(served, client, GET, cut)
