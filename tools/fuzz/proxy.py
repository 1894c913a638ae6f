"""Fuzz target: the PROXY protocol.

The header is the same however it is split, what follows it is untouched, and anything else is rejected with 400.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from app.http.connection_info import Endpoint, ProxyProtocol
from app.http.errors import ProtocolError
from app.server.proxy_protocol.header import ProxyHeaderParser
from tools.fuzz.cutting import Pieces, deliveries
from tools.fuzz.http1 import check_refusal

LONGEST: Final = 5000
MOST: Final = 4096  # bytes of a header
_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_BEHIND: Final = b"GET / HTTP/1.1\r\n"
WORDS: Final = (
    _SIGNATURE, b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN", b"192.0.2.1", b"::ffff:192.0.2.1", b" 80",
    b"\r\n", b"\x20", b"\x21", b"\x11", b"\x21", b"\x31", b"\x00\x0c", b"\x00\x24", b"\x00\xd8", b"\x03\x00\x04",
    b"\x20\x00", b"\xea\x00", b"\xee\x00\x05\x01", b"\xe0\x00\x08",
)  # fmt: skip


class Reading(NamedTuple):
    """The header, None if it is incomplete or was rejected; and the bytes after it."""

    header: ProxyProtocol | None
    left: bytes
    refused: bool = False


def check(data: bytes) -> None:
    """Read what may be a header, in several deliveries."""
    whole, *others = [read(pieces) for pieces in deliveries(data)]
    for other in others:
        assert other == whole
    if whole.header is None:
        assert whole.refused or len(data) < MOST
        return
    taken = data[: len(data) - len(whole.left)]
    assert taken + whole.left == data
    assert read([taken]) == Reading(whole.header, b"")
    shown = msgspec.json.encode(whole.header)
    assert len(shown) < 8 * MOST + 1000
    assert msgspec.json.decode(shown)["version"] == whole.header.version
    if whole.header.version == 1 and isinstance(whole.header.source, Endpoint):
        assert read([_version_1(whole.header)]) == Reading(whole.header, b"")


def seeds() -> Iterator[bytes]:
    """Yield headers of both versions, some with extensions."""
    yield b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n" + _BEHIND
    yield b"PROXY TCP6 2001:db8::1 ::ffff:192.0.2.2 0 65535\r\n"
    yield b"PROXY UNKNOWN anything\r\n" + _BEHIND
    inet = bytes(range(8)) + struct.pack("!HH", 1234, 80)
    for transport, addresses in ((0x11, inet), (0x22, bytes(36)), (0x31, b"/a".ljust(216, b"\0")), (0, b"")):
        for tlvs in (b"", b"\x01\x00\x02h2\x02\x00\x01a\x05\x00\x02id\x30\x00\x02ns", b"\xea\x00\x03\x01vp"):
            yield _version_2(0x21, transport, addresses + tlvs) + _BEHIND
    yield _version_2(0x20, 0, b"anything")
    yield _version_2(0x21, 0x11, inet + b"\x20\x00\x10\x05\x00\x00\x00\x00\x21\x00\x07TLSv1.3\x22\x00\x01a")
    yield _version_2(0x21, 0x11, inet + b"\x03\x00\x04abcd\x04\x00\x01x")
    yield _version_2(0x21, 0x11, inet + b"\xee\x00\x05\x01abcd\xe0\x00\x0812345678\x01\x00\x01\xff\x01\x00\x00")


def read(pieces: Pieces) -> Reading:
    """Read the header of a connection that delivers these pieces."""
    reader, header, left = ProxyHeaderParser(), None, b""
    for piece in pieces:
        if header is not None:
            left += piece
            continue
        try:
            header = reader.feed(piece)
        except ProtocolError as error:
            check_refusal(error)
            return Reading(None, b"", refused=True)
        left = reader.unparsed if header is not None else b""
    return Reading(header, left)


def _version_1(header: ProxyProtocol) -> bytes:
    source, destination = header.source, header.destination
    assert isinstance(source, Endpoint)
    assert isinstance(destination, Endpoint)
    ends = f"{source.address} {destination.address} {source.port} {destination.port}"
    return f"PROXY {header.transport} {ends}\r\n".encode()


def _version_2(command: int, transport: int, block: bytes) -> bytes:
    return _SIGNATURE + struct.pack("!BBH", command, transport, len(block)) + block
