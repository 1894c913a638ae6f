"""PROXY protocol headers: parsing in every delivery, and rejection.

Sections are of https://github.com/haproxy/haproxy/blob/master/doc/proxy-protocol.txt.
"""

import json
import socket
import struct
from base64 import b64encode
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.http.connection_info import Endpoint, ProxyProtocol, UnixEndpoint, original_client
from app.http.errors import ProtocolError
from app.server.proxy_protocol.header import ProxyHeaderParser
from app.server.proxy_protocol.tlvs import crc32c
from tests.requests import deliveries

SIGNATURE = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
LOCAL, PROXY = 0x20, 0x21
TCP4 = bytes([192, 168, 0, 1, 192, 168, 0, 11]) + struct.pack("!HH", 56324, 443)
SHOWN_TCP4 = {
    "version": 2,
    "command": "PROXY",
    "transport": "TCP4",
    "source": {"address": "192.168.0.1", "port": 56324},
    "destination": {"address": "192.168.0.11", "port": 443},
}


def v2(block: bytes = b"", *, command: int = PROXY, transport: int = 0x11) -> bytes:
    """Build a header of version 2 (2.2)."""
    return SIGNATURE + struct.pack("!BBH", command, transport, len(block)) + block


def tlv(kind: int, value: bytes) -> bytes:
    """Build an extension (2.2)."""
    return struct.pack("!BH", kind, len(value)) + value


def with_checksum(block: bytes, behind: bytes = b"") -> bytes:
    """Build a header over TCP4 with a checksum between some extensions and others (2.2.3)."""
    zeroed = v2(TCP4 + block + tlv(0x03, bytes(4)) + behind)
    return v2(TCP4 + block + tlv(0x03, struct.pack("!I", crc32c(zeroed))) + behind)


def read(wire: bytes) -> tuple[ProxyProtocol, bytes]:
    """Return the header at the start of a connection, and the bytes after it."""
    reader = ProxyHeaderParser()
    header = reader.feed(wire)
    assert header is not None
    return header, reader.unparsed


def shown(wire: bytes) -> Any:
    """Return a header as JSON shows it; check that no bytes follow it."""
    header, left = read(wire)
    assert left == b""
    return json.loads(msgspec.json.encode(header))


def shown_tlvs(block: bytes) -> Any:
    """Return the extensions of a header over TCP4 as JSON shows them."""
    return shown(v2(TCP4 + block))["tlvs"]


@pytest.mark.parametrize(
    ("line", "transport", "source", "destination"),
    [
        (
            b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
            "TCP4",
            Endpoint("192.168.0.1", 56324),
            Endpoint("192.168.0.11", 443),
        ),
        (
            b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            "TCP4",
            Endpoint("255.255.255.255", 65535),
            Endpoint("255.255.255.255", 65535),
        ),
        (b"PROXY TCP4 0.0.0.0 10.0.0.0 0 1\r\n", "TCP4", Endpoint("0.0.0.0", 0), Endpoint("10.0.0.0", 1)),  # noqa: S104 - an address that is read, not listened on
        (
            b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff 2001:DB8:0:0::1 65535 1\r\n",
            "TCP6",
            Endpoint(":".join(["ffff"] * 8), 65535),
            Endpoint("2001:db8::1", 1),
        ),
        (
            b"PROXY TCP6 ::ffff:192.0.2.1 :: 1 2\r\n",
            "TCP6",
            Endpoint("::ffff:192.0.2.1", 1),
            Endpoint("::", 2),
        ),
    ],
    ids=["the specification's example", "longest over IPv4", "zeros", "longest source over IPv6", "IPv4 within IPv6"],
)
def test_version_1_says_who_connected_to_what(
    line: bytes, transport: str, source: Endpoint, destination: Endpoint
) -> None:
    """Version 1 is one line, and addresses are shown as inet_ntop(3) writes them (2.1)."""
    assert read(line) == (ProxyProtocol(1, "PROXY", transport, source, destination), b"")


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN \r\n",
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
        b"PROXY UNKNOWN \x00\r\xff\r\n",
        b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n",
    ],
    ids=["short", "empty rest", "worst case", "any bytes", "107 bytes"],
)
def test_what_stands_behind_unknown_is_ignored(line: bytes) -> None:
    """The receiver ignores anything before the CRLF of UNKNOWN, as it must (2.1)."""
    assert read(line) == (ProxyProtocol(1, "PROXY", "UNKNOWN"), b"")


def test_a_header_ends_where_it_ends() -> None:
    """Bytes after a header belong to the client, as in 2.1's example of a line before a request.

    This includes a second header.
    """
    request = b"GET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n"
    line = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"
    for header in (line, v2(TCP4), v2(command=LOCAL)):
        assert read(header + request)[1] == request
        assert read(header + header)[1] == header


@pytest.mark.parametrize(
    ("transport", "name", "packed", "address"),
    [
        (0x11, "TCP4", bytes([192, 0, 2, 1]), "192.0.2.1"),
        (0x12, "UDP4", bytes([192, 0, 2, 1]), "192.0.2.1"),
        (0x21, "TCP6", bytes.fromhex("20010db8") + bytes(11) + b"\x01", "2001:db8::1"),
        (0x22, "UDP6", bytes.fromhex("20010db8") + bytes(11) + b"\x01", "2001:db8::1"),
    ],
)
def test_version_2_says_who_connected_to_what(transport: int, name: str, packed: bytes, address: str) -> None:
    """Version 2 has source, destination and their ports in network byte order (2.2)."""
    block = packed + bytes(len(packed)) + struct.pack("!HH", 1, 65535)
    assert shown(v2(block, transport=transport)) == {
        "version": 2,
        "command": "PROXY",
        "transport": name,
        "source": {"address": address, "port": 1},
        "destination": {"address": "0.0.0.0" if len(packed) == 4 else "::", "port": 65535},  # noqa: S104 - nobody listens
    }


@pytest.mark.parametrize(("transport", "name"), [(0x31, "UNIX_STREAM"), (0x32, "UNIX_DGRAM")])
@pytest.mark.parametrize(
    ("path", "address"),
    [
        (b"/run/echo.sock", "/run/echo.sock"),
        (b"", ""),
        (b"/" + b"x" * 107, "/" + "x" * 107),
        (b"/caf\xc3\xa9\xff", "/café\\xff"),
        (b"/short\x00what was there before", "/short"),
        (b"\x00abstract", "\x00abstract"),
    ],
)
def test_a_unix_socket_has_a_path_and_no_port(transport: int, name: str, path: bytes, address: str) -> None:
    """A UNIX address has 108 bytes, filled with NUL as in unix(7); an abstract name begins with NUL (2.2)."""
    block = b"/run/client".ljust(108, b"\0") + path.ljust(108, b"\0")
    header, _ = read(v2(block, transport=transport))
    assert header == ProxyProtocol(2, "PROXY", name, UnixEndpoint("/run/client"), UnixEndpoint(address))


@pytest.mark.parametrize("transport", [0x00, 0x01, 0x02])
def test_unspec_has_no_addresses_and_may_have_extensions(transport: int) -> None:
    """UNSPEC has no addresses and may have extensions.

    AF_UNSPEC is an unknown, unspecified or unsupported family (2.2).
    """
    bare = {"version": 2, "command": "PROXY", "transport": "UNSPEC"}
    assert shown(v2(transport=transport)) == bare
    assert shown(v2(tlv(0x02, b"a.example"), transport=transport)) == bare | {"tlvs": {"authority": "a.example"}}


@pytest.mark.parametrize("block", [b"", TCP4, b"neither addresses nor extensions", tlv(0x03, b"bad!")])
@pytest.mark.parametrize("transport", [0x00, 0x11, 0x21, 0xFF])
def test_local_is_taken_whatever_the_rest_says(block: bytes, transport: int) -> None:
    """LOCAL is always valid: the block is skipped by its length, and the family is ignored (2.2)."""
    assert shown(v2(block, command=LOCAL, transport=transport)) == {"version": 2, "command": "LOCAL"}


@pytest.mark.parametrize(
    ("kind", "value", "name", "said"),
    [
        (0x01, b"h2", "alpn", "h2"),
        (0x01, b"\xff\x00", "alpn", "\\xff\x00"),
        (0x02, "exämple.org".encode(), "authority", "exämple.org"),
        (0x05, b"connection-1", "uniqueId", "connection-1"),
        (0x05, b"x" * 128, "uniqueId", "x" * 128),
        (0x05, b"\xff\x01", "uniqueIdBase64", "/wE="),
        (0x30, b"blue", "netns", "blue"),
        (0xE0, bytes.fromhex("009b34d70a003c64"), "gcpPscConnectionId", "43686719580552292"),
        (0xE0, b"\xff" * 8, "gcpPscConnectionId", "18446744073709551615"),
        (0xEA, b"\x01vpce-08d2bf15fac5001c9", "awsVpceId", "vpce-08d2bf15fac5001c9"),
        (0xEE, b"\x01\xc1\x45\x00\x21", "azureLinkId", 0x210045C1),
    ],
)
def test_known_extensions_are_shown_by_name(kind: int, value: bytes, name: str, said: object) -> None:
    """Known extensions of 2.2.1 to 2.2.7, and those of the clouds, are shown by name."""
    assert shown_tlvs(tlv(kind, value)) == {name: said}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (0x06, b"of the future"),
        (0xE1, b"an application's"),
        (0xF0, b""),
        (0xFF, b"\x00\xff"),
        (0xE0, b"not 8 bytes"),
        (0xEA, b""),
        (0xEA, b"\x02another subtype"),
        (0xEE, b"\x01\x00\x00"),
        (0xEE, b"\x02\x00\x00\x00\x00"),
    ],
)
def test_other_extensions_are_kept_as_they_came(kind: int, value: bytes) -> None:
    """Other extensions are kept as received.

    Ranges for applications are open to anyone, so none is rejected (2.2.8).
    """
    raw = {"type": f"0x{kind:02X}", "base64": b64encode(value).decode()}
    assert shown_tlvs(tlv(kind, value)) == {"others": [raw]}


def test_an_extension_that_comes_again_is_kept_too() -> None:
    """The first extension of a type is shown by name, and repeated ones are kept too."""
    block = tlv(0x02, b"first") + tlv(0x02, b"again") + tlv(0x01, b"h2")
    raw = {"type": "0x02", "base64": "YWdhaW4="}
    assert shown_tlvs(block) == {"authority": "first", "alpn": "h2", "others": [raw]}


def test_padding_does_not_show() -> None:
    """Padding is ignored (2.2.4, PP2_TYPE_NOOP)."""
    assert shown_tlvs(tlv(0x04, b"") + tlv(0x01, b"h2") + tlv(0x04, bytes(9))) == {"alpn": "h2"}
    assert shown(v2(TCP4 + tlv(0x04, bytes(9)))) == SHOWN_TCP4


def test_the_clients_tls_is_shown_by_name() -> None:
    """The client's TLS has flags, the result of verification, and a second level of extensions (2.2.6)."""
    texts = [b"TLSv1.3", b"a client", b"TLS_AES_256_GCM_SHA384", b"RSA-SHA256", b"RSA2048", b"x25519", b"ed25519"]
    second = b"".join(tlv(0x21 + i, text) for i, text in enumerate(texts))
    second += tlv(0x28, b"\x30\x82") + tlv(0x2F, b"?")
    assert shown_tlvs(tlv(0x20, b"\x07" + struct.pack("!I", 0) + second)) == {
        "ssl": {
            "client": ["SSL", "CERT_CONN", "CERT_SESS"],
            "verify": 0,
            "version": "TLSv1.3",
            "cn": "a client",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "sigAlg": "RSA-SHA256",
            "keyAlg": "RSA2048",
            "group": "x25519",
            "sigScheme": "ed25519",
            "clientCert": "MII=",
            "others": [{"type": "0x2F", "base64": "Pw=="}],
        }
    }


@pytest.mark.parametrize(
    ("flags", "names"), [(0x00, []), (0x01, ["SSL"]), (0x05, ["SSL", "CERT_SESS"]), (0x89, ["SSL", "0x08", "0x80"])]
)
def test_each_flag_of_the_clients_tls_shows(flags: int, names: list[str]) -> None:
    """Flags are a bit field, and unnamed bits are shown too (2.2.6)."""
    said = shown_tlvs(tlv(0x20, struct.pack("!BI", flags, 0xFFFFFFFF)))
    assert said == {"ssl": {"client": names, "verify": 0xFFFFFFFF}}


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_the_checksum_is_crc32c(data: bytes, checksum: int) -> None:
    """The checksum is CRC32C, by RFC 3720, B.4, and by the check value in catalogues of checksums."""
    assert crc32c(data) == checksum


@pytest.mark.parametrize("before", [b"", tlv(0x04, b"pad"), tlv(0x02, b"a.example")])
@pytest.mark.parametrize("behind", [b"", tlv(0x05, b"1")])
def test_a_checksum_that_is_right_is_shown(before: bytes, behind: bytes) -> None:
    """The checksum covers the whole header, with zeros in its place (2.2.3)."""
    wire = with_checksum(before, behind)
    assert shown(wire)["tlvs"]["crc32c"] == wire[16 + len(TCP4 + before) + 3 :][:4].hex()


def test_a_checksum_finds_each_byte_that_was_changed() -> None:
    """Each changed byte is detected, and the receiver must treat the connection as invalid (2.2.3)."""
    wire = with_checksum(tlv(0x02, b"a.example"))
    for i in range(16, len(wire)):
        changed = wire[:i] + bytes([wire[i] ^ 0x01]) + wire[i + 1 :]
        # A changed type makes it no checksum, and a changed length makes the sequence of extensions invalid.
        if i == len(wire) - 7:
            assert "crc32c" not in shown(changed)["tlvs"]
            continue
        with pytest.raises(ProtocolError):
            read(changed)


REFUSED = [
    ("2, not a header", b"GET / HTTP/1.1\r\n", "does not begin with a PROXY protocol header"),
    ("2, TLS", b"\x16\x03\x01", "does not begin with"),
    ("2, one wrong byte", b"PROXX", "does not begin with"),
    ("2.1, lower case", b"proxy TCP4", "does not begin with"),
    ("2.1, two spaces", b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "invalid PROXY line"),
    ("2.1, no protocol", b"PROXY \r\n", "invalid PROXY line"),
    ("2.1, unknown protocol", b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "invalid PROXY line"),
    ("2.1, longer than UNKNOWN", b"PROXY UNKNOWNS\r\n", "invalid PROXY line"),
    ("2.1, a word too few", b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "invalid PROXY line"),
    ("2.1, a word too many", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "invalid PROXY line"),
    ("2.1, a space at the end", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "invalid PROXY line"),
    ("2.1, an octet above 255", b"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", "invalid address .*1.2.3.256"),
    ("2.1, heading zeros", b"PROXY TCP4 1.2.3.4 01.2.3.4 1 2\r\n", "invalid address .*01.2.3.4"),
    ("2.1, three octets", b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "invalid address"),
    ("2.1, IPv6 over TCP4", b"PROXY TCP4 ::1 ::1 1 2\r\n", "invalid address"),
    ("2.1, IPv4 over TCP6", b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "invalid address"),
    ("2.1, two double colons", b"PROXY TCP6 1::2::3 ::1 1 2\r\n", "invalid address"),
    ("2.1, five digits", b"PROXY TCP6 12345:: ::1 1 2\r\n", "invalid address"),
    ("2.1, a scope", b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n", "invalid address"),
    ("2.1, a name", b"PROXY TCP4 localhost 1.2.3.4 1 2\r\n", "invalid address"),
    ("2.1, NUL", b"PROXY TCP4 1.2.3.4\x00 1.2.3.4 1 2\r\n", "invalid address"),
    ("2.1, not ASCII", b"PROXY TCP4 1.2.3.\xb2 1.2.3.4 1 2\r\n", "invalid address"),
    ("2.1, a port above 65535", b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "invalid port .*65536"),
    ("2.1, a port with heading zeros", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 02\r\n", "invalid port"),
    ("2.1, a port with a sign", b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", "invalid port"),
    ("2.1, a tab", b"PROXY TCP4 1.2.3.4 1.2.3.4 1\t2 3\r\n", "invalid port"),
    ("2.1, LF alone", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "CRLF is required"),
    ("2.1, CR alone", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rGET / HTTP/1.1\r\n", "invalid PROXY line"),
    ("2.1, LF alone behind UNKNOWN", b"PROXY UNKNOWN\nGET / HTTP/1.1\r\n", "CRLF is required"),
    ("2.1, 108 bytes", b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "exceeds 107 bytes"),
    ("2.1, no end", b"PROXY TCP4 " + b"1" * 500, "exceeds 107 bytes"),
    ("2.2, version 1", v2(TCP4, command=0x11), "invalid version and command .*0x11"),
    ("2.2, version 3", v2(TCP4, command=0x31), "invalid version and command .*0x31"),
    ("2.2, an unassigned command", v2(TCP4, command=0x22), "invalid version and command .*0x22"),
    ("2.2, an unspecified family", v2(TCP4, transport=0x41), "invalid family and protocol .*0x41"),
    ("2.2, an unspecified protocol", v2(TCP4, transport=0x13), "invalid family and protocol .*0x13"),
    ("2.2, a family without protocol", v2(TCP4, transport=0x10), "invalid family and protocol .*0x10"),
    ("2.2, too short for IPv4", v2(TCP4[:-1]), "too short for its addresses: 11 bytes"),
    ("2.2, too short for IPv6", v2(bytes(35), transport=0x21), "too short for its addresses: 35 bytes"),
    ("2.2, too short for UNIX", v2(bytes(215), transport=0x31), "too short for its addresses: 215 bytes"),
    ("2.2, no addresses", v2(), "too short for its addresses: 0 bytes"),
    ("2.2, above the limit", v2(TCP4 + tlv(0x04, bytes(4069))), "exceeds 4096 bytes"),
    ("2.2, LOCAL above the limit", v2(bytes(4081), command=LOCAL), "exceeds 4096 bytes"),
    ("2.2, a TLV of one byte", v2(TCP4 + b"\x01"), "TLV without a length"),
    ("2.2, a TLV of two bytes", v2(TCP4 + b"\x01\x00"), "TLV without a length"),
    (
        "2.2, a TLV that ends outside",
        v2(TCP4 + b"\x01\x00\x03h2"),
        "exceeds the bytes that contain it: type 0x01, 3 bytes",
    ),
    ("2.2, UNSPEC with what is no TLV", v2(b"\x01", transport=0x00), "TLV without a length"),
    (
        "2.2.3, a wrong checksum",
        v2(TCP4 + tlv(0x03, b"\x00\x00\x00\x01")),
        "CRC32C mismatch in the PROXY protocol header: 0x[0-9A-F]{8}, not 0x00000001",
    ),
    ("2.2.3, three bytes", v2(TCP4 + tlv(0x03, bytes(3))), "invalid CRC32C TLV: must be one of 4 bytes"),
    ("2.2.3, two checksums", v2(TCP4 + tlv(0x03, bytes(4)) * 2), "invalid CRC32C TLV: must be one of 4 bytes"),
    ("2.2.5, above 128 bytes", v2(TCP4 + tlv(0x05, bytes(129))), "UNIQUE_ID TLV exceeds 128 bytes"),
    ("2.2.6, without verify", v2(TCP4 + tlv(0x20, bytes(4))), "SSL TLV too short: 4 bytes"),
    ("2.2.6, half a TLV within", v2(TCP4 + tlv(0x20, bytes(5) + b"\x21\x00")), "TLV without a length"),
    ("2.2.6, a TLV that ends outside", v2(TCP4 + tlv(0x20, bytes(5) + b"\x21\x00\x01")), "type 0x21, 1 bytes"),
]


@pytest.mark.parametrize("size", [1, 7, 10_000], ids=["byte by byte", "in pieces", "whole"])
@pytest.mark.parametrize(("wire", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_no_header_is_refused(wire: bytes, reason: str, size: int) -> None:
    """Any sequence that does not exactly match the protocol must cause the receiver to abort (2.1)."""
    reader = ProxyHeaderParser()
    with pytest.raises(ProtocolError, match=reason) as raised:
        for start in range(0, len(wire), size):
            assert reader.feed(wire[start : start + size]) is None
    assert raised.value.status == HTTPStatus.BAD_REQUEST
    assert raised.value.reason.isascii()
    assert raised.value.reason.isprintable()


@pytest.mark.parametrize("wire", [b"GET / HTTP/1.1\r\n", b"\r\n\r\nGET", b"PRI * HTTP/2.0", b"P\r"])
def test_what_is_no_header_is_refused_at_its_first_wrong_byte(wire: bytes) -> None:
    """An invalid header is rejected at its first wrong byte, so that the sender can notice (2.1).

    The error does not quote what was sent.
    """
    reader = ProxyHeaderParser()
    signatures = (b"PROXY ", SIGNATURE)
    right = max(n for n in range(len(wire)) if any(signature.startswith(wire[:n]) for signature in signatures))
    if right:
        assert reader.feed(wire[:right]) is None
    with pytest.raises(ProtocolError) as raised:
        reader.feed(wire[right : right + 1])
    assert raised.value.reason == "connection does not begin with a PROXY protocol header (ECHO_PROXY_PROTOCOL)"


def test_a_header_of_the_most_bytes_is_taken() -> None:
    """A header of 4096 bytes, the limit, is accepted, and a certificate fits in it."""
    certificate = bytes(4096 - len(v2(TCP4 + tlv(0x20, bytes(5) + tlv(0x28, b"")))))
    wire = v2(TCP4 + tlv(0x20, bytes(5) + tlv(0x28, certificate)))
    assert len(wire) == 4096
    assert shown(wire)["tlvs"]["ssl"]["clientCert"] == b64encode(certificate).decode()


@pytest.mark.parametrize(
    ("wire", "says_source"),
    [
        (b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", True),
        (v2(TCP4), True),
        (b"PROXY UNKNOWN\r\n", False),
        (v2(command=LOCAL), False),
        (v2(TCP4, command=LOCAL), False),
        (v2(transport=0x00), False),
        (v2(bytes(216), transport=0x31), False),
    ],
    ids=["version 1", "version 2", "UNKNOWN", "LOCAL", "LOCAL with addresses", "UNSPEC", "UNIX"],
)
def test_the_client_is_the_source_where_there_is_one(wire: bytes, says_source: bool) -> None:  # noqa: FBT001 - a case's own
    """The client is the source in the header; without one, it is the peer of the connection (2.1, 2.2)."""
    peer = Endpoint("10.0.0.9", 4711)
    assert original_client(peer, None) == peer
    assert original_client(peer, read(wire)[0]) == (Endpoint("192.168.0.1", 56324) if says_source else peer)


PORTS = st.integers(0, 65535)
BLOCKS = st.lists(
    st.tuples(st.sampled_from([0x01, 0x02, 0x04, 0x05, 0x30, 0xE1, 0xEA, 0xF7]), st.binary(max_size=40)), max_size=5
).map(lambda vectors: b"".join(tlv(*vector) for vector in vectors))


@st.composite
def headers(draw: st.DrawFn) -> tuple[bytes, tuple[object, ...]]:
    """Return a valid header over IP: its bytes, and its content (version, transport, source, destination)."""
    form = draw(st.sampled_from(["v1", "v2", "v2 with checksum"]))
    name, transport, family, size = draw(
        st.sampled_from([("TCP4", 0x11, socket.AF_INET, 4), ("TCP6", 0x21, socket.AF_INET6, 16)])
    )
    packed = [draw(st.binary(min_size=size, max_size=size)) for _ in range(2)]
    addresses = [socket.inet_ntop(family, raw) for raw in packed]
    ports = [draw(PORTS) for _ in range(2)]
    said = (1 if form == "v1" else 2, name, *map(Endpoint, addresses, ports))
    if form == "v1":
        return " ".join(["PROXY", name, *addresses, *map(str, ports)]).encode() + b"\r\n", said
    block = b"".join(packed) + struct.pack("!HH", *ports) + draw(BLOCKS)
    if form == "v2":
        return v2(block, transport=transport), said
    zeroed = v2(block + tlv(0x03, bytes(4)), transport=transport)
    return v2(block + tlv(0x03, struct.pack("!I", crc32c(zeroed))), transport=transport), said


@given(headers(), st.binary(max_size=40), st.data())
def test_every_delivery_of_the_same_header_says_the_same(
    sent: tuple[bytes, tuple[object, ...]], behind: bytes, data: st.DataObject
) -> None:
    """The header is the same whole, byte by byte, and cut at random.

    Nothing is returned before it is complete, and the bytes after it are left.
    """
    wire, meant = sent
    for pieces in data.draw(deliveries(wire + behind)):
        reader = ProxyHeaderParser()
        taken = 0
        for number, piece in enumerate(pieces):
            header = reader.feed(piece)
            taken += len(piece)
            assert (header is not None) == (taken >= len(wire)), f"{taken} of {len(wire)} bytes"
            if header is not None:
                assert (header.version, header.transport, header.source, header.destination) == meant
                assert reader.unparsed + b"".join(pieces[number + 1 :]) == behind
                break


@given(
    st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=60).map(lambda garbage: b"PROXY " + garbage + b"\r\n"),
        st.binary(max_size=60).map(lambda garbage: SIGNATURE + garbage),
        st.binary(max_size=400).map(lambda garbage: v2(TCP4 + garbage)),
        st.binary(max_size=60).map(lambda garbage: v2(TCP4 + tlv(0x20, garbage))),
        st.tuples(st.binary(max_size=300), st.integers(0, 255), st.integers(0, 255)).map(
            lambda made: v2(made[0], command=made[1], transport=made[2])
        ),
    )
)
@example(b"")
def test_garbage_is_a_header_or_refused(garbage: bytes) -> None:
    """Any bytes are an incomplete header, a header that JSON can show, or an error of one line."""
    try:
        header = ProxyHeaderParser().feed(garbage)
    except ProtocolError as error:
        assert error.reason.isprintable()  # noqa: PT017 - that it is raised is not what is asked
    else:
        assert header is None or msgspec.json.encode(header)
