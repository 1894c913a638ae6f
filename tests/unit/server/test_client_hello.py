"""The server name in a ClientHello: any bytes, in whatever records."""

import ssl
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.server import certificate_store
from app.server.client_hello import server_name
from app.server.tls import TlsLayer
from tests.support.tls_client import Client, Files, byte_by_byte, cuts_at, handshake


@pytest.mark.parametrize("name", [b"\xff\xfe.name", b"a_b.name.", b"", b"\0.name"])
def test_a_name_of_any_bytes_is_taken_as_it_came(files: Files, name: bytes) -> None:
    """An invalid host name is kept as received, without a line on stderr, where every stranger could cause one."""
    hello = Client(name="x" * len(name) if name else None).begin().replace(b"x" * (len(name) or 99), name)
    assert server_name(hello) == name
    layer = TlsLayer(certificate_store.create_context(files.files()))
    with suppress(ssl.SSLError):  # OpenSSL treats a zero byte in its own way
        assert layer.decrypt(hello) == b""
    assert layer.ciphertext_to_send()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["other.name", None])
def test_a_resumed_session_has_the_name_of_its_own_handshake(
    files: Files, name: str | None, newest: ssl.TLSVersion
) -> None:
    """A client that resumes a session under another name, or none, is shown with that, not the session's first name."""
    context = certificate_store.create_context(files.files())
    first = Client(name="localhost", newest=newest)
    first.shake_hands(TlsLayer(context))
    first.step(lambda: first.tls.read(1))  # the session tickets of TLS 1.3 follow the handshake
    layer, client = TlsLayer(context), Client(name=name, newest=newest, resumes=first)
    client.shake_hands(layer)
    assert client.tls.session_reused
    assert layer.info().server_name == (name or "")


def test_a_client_hello_of_several_records_is_accepted(files: Files) -> None:
    """Server name and protocol are found in a ClientHello that is longer than two records of the maximum size."""
    alpn = [*["x" * 255] * 150, "h2"]
    assert len(Client(alpn=alpn).begin()) > 2 << 14
    layer = handshake(files.files(), Client(alpn=alpn))
    assert (layer.info().server_name, layer.alpn_protocol) == ("localhost", "h2")


@given(cuts=st.lists(st.integers(0, 300), max_size=40), behind=st.binary(max_size=50))
def test_a_name_is_found_in_whatever_records_it_comes(cuts: list[int], behind: bytes) -> None:
    """A server name is found even if the handshake message is spread over records (RFC 8446, 5.1)."""
    hello = Client(name="a.name").begin()[5:]
    fragments = cuts_at(cuts)(hello) if 0 not in cuts else byte_by_byte(hello)
    records = b"".join(b"\x16\x03\x01" + len(each).to_bytes(2, "big") + each for each in fragments)
    assert server_name(records + behind) == b"a.name"
    assert server_name(records[:60]) == b""


@given(began=st.binary(max_size=300))
def test_what_is_no_hello_has_no_name(began: bytes) -> None:
    """Any bytes that are no ClientHello have no server name."""
    hello = b"\x16\x03\x01\x01\x2c\x01\x00\x01\x28" + began
    assert len(server_name(began)) + len(server_name(hello)) <= len(began)
